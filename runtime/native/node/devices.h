// The devices of this machine, for `sluice doctor`.
#pragma once
#include <napi.h>

namespace sluice::node {

/** () => { devices: [{ name, kind, driver, memoryBytes, description, passed, problem, features }] } | { error }. The event loop waits for their self-tests. */
Napi::Value vulkanDevices(const Napi::CallbackInfo& info);
/** (isTested) => { devices: [{ name, architecture, memoryBytes, driver, description, problem }] } | { error }. So it does here. */
Napi::Value cudaDevices(const Napi::CallbackInfo& info);

}  // namespace sluice::node
