// What runs the sample program: a device, with the sample's code for it. Tests of programs go through all that are here.
#pragma once
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "device/cpu.h"
#include "device/features.h"
#include "device/null.h"
#include "device/target.h"
#include "tests/sample.h"

namespace sluice::test {

struct Runner {
  std::string name;
  /** Says aloud why not. */
  std::function<bool()> isHere;
  std::function<std::unique_ptr<Device>()> open;
  /** The sample as a file, with its header changed. */
  std::function<std::vector<std::byte>(const std::function<void(Json&)>& edit)> file;
  std::function<const ModuleInfo&(const std::vector<ModuleInfo>&)> module;
};

inline Runner onCpu(int threads) {
  return {"cpu, " + std::to_string(threads) + " threads", [] { return true; }, [=] { return openCpu(threads, "v3"); }, [](const auto& edit) { return sampleFile(edit); },
      [](const auto& modules) -> const ModuleInfo& { return chooseModule(modules, {.v3 = true}); }};
}
/** The code of the cpu, and none of it run. */
inline Runner onNull() {
  Runner runner = onCpu(1);
  runner.open = [] { return openNull(); };
  return runner;
}

/** Files of tests add theirs before any test runs. */
inline std::vector<Runner>& allRunners() {
  static std::vector<Runner> all{onCpu(1), onCpu(2), onCpu(3)};
  return all;
}
inline std::vector<Runner> runners() {
  std::vector<Runner> here;
  for (const Runner& r : allRunners())
    if (r.isHere()) here.push_back(r);
  return here;
}

}  // namespace sluice::test
