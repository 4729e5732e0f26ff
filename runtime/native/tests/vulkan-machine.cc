// The sample program for Vulkan, as one that tests of programs run; and what a target takes.
#include "device/target.h"
#include "tests/runners.h"
#include "tests/vulkan-bench.h"

using namespace sluice;
using namespace sluice::test;

namespace {

std::string sampleImage() {
  const auto words = vulkanImage({"SAMPLE_DOUBLE", "SAMPLE_SUM", "INCREMENT", "SAMPLE_ROOT", "SAMPLE_ENOUGH", "SAMPLE_TEN"});
  return {reinterpret_cast<const char*>(words.data()), words.size() * 4};
}
void forVulkan(Json& header) {
  const Json scratch = header["modules"][0]["scratch"];
  header["modules"] = {{{"kind", "vulkan"}, {"lowering", 0}, {"scratch", scratch}}};
  header["program"]["lowerings"][0]["machine"] = "gpu";
}

/** Under the validation layers, whose every message fails the test. */
std::unique_ptr<Device> openValidated() {
  return VulkanBench::open([](const std::string& text) { FAIL_CHECK(text); });
}

[[maybe_unused]] const bool isAdded = [] {
  allRunners().push_back({"vulkan", isHere, openValidated, [](const auto& edit) {
    return sampleFile([&](Json& header) {
      forVulkan(header);
      edit(header);
    }, sampleImage());
  }, [](const auto& modules) -> const ModuleInfo& { return moduleFor(modules, "vulkan"); }});
  return true;
}();

}  // namespace

TEST_CASE("a target is a demand: code for it is there, or it is refused by name") {
  const auto vulkanFile = sampleFile(forVulkan, sampleImage());
  const auto cpuFile = sampleFile();
  const Container vulkan = readContainer(vulkanFile);
  const Container cpu = readContainer(cpuFile);
  CHECK(moduleText(moduleFor(cpu.modules, "")) == "cpu:v3");
  CHECK(moduleText(moduleFor(cpu.modules, "cpu")) == "cpu:v3");
  CHECK(moduleText(moduleFor(vulkan.modules, "")) == "vulkan");
  CHECK(moduleText(moduleFor(vulkan.modules, "vulkan:llvm")) == "vulkan");
  CHECK(messageOf([&] { moduleFor(cpu.modules, "vulkan"); }) == "error GPU005: the program has no code for Vulkan\n  found:    cpu:v3\n  hint:     build it with --target vulkan");
  CHECK(messageOf([&] { moduleFor(vulkan.modules, "cpu"); }).starts_with("error CPU005: the program has no native code"));
  for (const char* wrong : {"vulkans", "cudas", "cpu:v3", "Vulkan"}) CHECK(messageOf([&] { moduleFor(cpu.modules, wrong); }).starts_with(std::string("error TARGET001: there is no target ") + wrong));
  std::vector<ModuleInfo> both{vulkan.modules[0], cpu.modules[0]};
  CHECK(&moduleFor(both, "") == &both[1]);
  CHECK(&moduleFor(both, "vulkan") == &both[0]);
  if (isHere()) CHECK(openDevice(vulkan.modules[0], "vulkan:0", {})->description().starts_with("vulkan, "));
}
