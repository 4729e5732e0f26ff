#include "node/devices.h"

#include "device/cuda.h"
#include "device/vulkan.h"
#include "node/values.h"

namespace sluice::node {
namespace {

Napi::Object toJs(Napi::Env env, const VulkanFeatures& f) {
  auto features = Napi::Object::New(env);
  const std::pair<const char*, bool> flags[] = {{"int8", f.int8}, {"int16", f.int16}, {"float16", f.float16}, {"float64", f.float64}, {"dot8", f.dot8}, {"atomicAddF32", f.atomicAddF32},
      {"subgroup32", f.subgroup32}, {"memoryModel", f.memoryModel}, {"fusedMultiplyAdd", f.fusedMultiplyAdd}, {"denormals", f.denormals}, {"specialFloats", f.specialFloats},
      {"roundToNearest", f.roundToNearest}, {"cooperativeMatrixKhr", f.cooperativeMatrixKhr}, {"cooperativeMatrixNv", f.cooperativeMatrixNv}};
  for (const auto& [name, value] : flags) features.Set(name, value);
  const std::pair<const char*, uint32_t> numbers[] = {{"subgroupSize", f.subgroupSize}, {"subgroupOperations", f.subgroupOperations}, {"threads", f.threads}, {"sharedBytes", f.sharedBytes}};
  for (const auto& [name, value] : numbers) features.Set(name, static_cast<double>(value));
  return features;
}

Napi::Object toJs(Napi::Env env, const VulkanDeviceInfo& info) {
  auto device = Napi::Object::New(env);
  device.Set("name", info.name);
  device.Set("kind", info.kind);
  device.Set("driver", info.driver);
  device.Set("memoryBytes", static_cast<double>(info.memoryBytes));
  device.Set("description", info.description);
  auto passed = Napi::Array::New(env, info.passed.size());
  for (uint32_t i = 0; i < info.passed.size(); i++) passed.Set(i, info.passed[i]);
  device.Set("passed", passed);
  device.Set("problem", info.problem);
  device.Set("features", toJs(env, info.features));
  return device;
}

Napi::Object toJs(Napi::Env env, const CudaDeviceInfo& info) {
  auto device = Napi::Object::New(env);
  device.Set("name", info.name);
  device.Set("architecture", info.architecture);
  device.Set("memoryBytes", static_cast<double>(info.memoryBytes));
  device.Set("driver", info.driver);
  device.Set("description", info.description);
  device.Set("problem", info.problem);
  return device;
}

template <typename List>
Napi::Value listed(Napi::Env env, List&& list) {
  auto result = Napi::Object::New(env);
  try {
    const auto all = list();
    auto devices = Napi::Array::New(env, all.size());
    for (uint32_t i = 0; i < all.size(); i++) devices.Set(i, toJs(env, all[i]));
    result.Set("devices", devices);
  } catch (const std::exception&) {
    result.Set("error", node::toJs(env, std::current_exception()));
  }
  return result;
}

}  // namespace

Napi::Value vulkanDevices(const Napi::CallbackInfo& info) { return listed(info.Env(), listVulkanDevices); }

Napi::Value cudaDevices(const Napi::CallbackInfo& info) {
  const bool isTested = info[0].ToBoolean();
  return listed(info.Env(), [&] { return listCudaDevices(isTested); });
}

}  // namespace sluice::node
