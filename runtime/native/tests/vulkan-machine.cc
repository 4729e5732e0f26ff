// The sample program on a Vulkan device: its entries, states and refusals are those of the cpu.
#include <cmath>

#include "base/text.h"
#include "device/target.h"
#include "exec/machine.h"
#include "tests/vulkan-bench.h"

using namespace sluice;
using namespace sluice::test;

namespace {

using Floats = std::vector<float>;

std::string sampleImage() {
  const auto words = vulkanImage({"SAMPLE_DOUBLE", "SAMPLE_SUM", "INCREMENT", "SAMPLE_ROOT", "SAMPLE_ENOUGH", "SAMPLE_TEN"});
  return {reinterpret_cast<const char*>(words.data()), words.size() * 4};
}
void forVulkan(Json& header) {
  const Json scratch = header["modules"][0]["scratch"];
  header["modules"] = {{{"kind", "vulkan"}, {"lowering", 0}, {"scratch", scratch}}};
  header["program"]["lowerings"][0]["machine"] = "gpu";
}

class OnVulkan {
 public:
  explicit OnVulkan(bool checkNan = false, Trace* trace = nullptr)
      : file_(sampleFile(forVulkan, sampleImage())),
        container_(readContainer(file_)),
        device_(VulkanBench::open(messages_)),
        machine({.device = *device_, .container = container_, .module = moduleFor(container_.modules, "vulkan"), .dims = {{"C", 5}}, .checkNan = checkNan,
            .print = [this](const std::string& text) { printed.push_back(text); }, .trace = trace}) {}

  /** The first output of an entry. */
  Floats call(std::string_view entry, const std::vector<std::pair<std::string, HostTensor>>& inputs = {}) {
    std::vector<NamedInput> named;
    for (const auto& [name, value] : inputs) named.push_back({name, &value});
    const auto& outputs = machine.run(machine.entry(entry), named, {});
    return outputs.empty() ? Floats{} : floats(machine.toHost(outputs[0]));
  }
  static Floats floats(const HostTensor& t) {
    Floats values;
    for (int64_t i = 0; i < elementCount(t.shape); i++) values.push_back(static_cast<float>(elementAt(t, i)));
    return values;
  }

 private:
  Messages messages_;
  std::vector<std::byte> file_;
  Container container_;
  std::unique_ptr<Device> device_;

 public:
  std::vector<std::string> printed;
  Machine machine;
};

HostTensor vectorOf(const std::vector<double>& values) { return tensorOf(DType::f32, {static_cast<int64_t>(values.size())}, values); }
HostTensor flagOf(bool ok) { return tensorOf(DType::boolean, {}, {ok ? 1.0 : 0.0}); }

}  // namespace

TEST_CASE("vulkan: entries serve any size, and the workspace grows for it") {
  if (!isHere()) return;
  OnVulkan p;
  for (const size_t n : {1, 7, 64, 50'000, 3, 700'000, 7}) {
    std::vector<double> x(n);
    for (size_t i = 0; i < n; i++) x[i] = static_cast<double>(i % 1000);
    const Floats y = p.call("double", {{"x", vectorOf(x)}});
    REQUIRE(y.size() == n);
    for (size_t i = 0; i < n; i++) REQUIRE(y[i] == static_cast<float>(x[i] * 2));
  }
  CHECK(p.call("total", {{"x", vectorOf({1, 2, 3, 4.5})}}) == Floats{10.5});
  CHECK(p.call("constant") == Floats{1, 2, 3, 4});
}

TEST_CASE("vulkan: states have a first value, loops end, and an entry that fails leaves its states dirty") {
  if (!isHere()) return;
  OnVulkan p;
  CHECK(p.call("count") == Floats{11, 11, 11, 11});
  CHECK(p.call("loop") == Floats{15, 15, 15, 15});
  CHECK(OnVulkan::floats(p.machine.getState("counter")) == Floats{15, 15, 15, 15});
  CHECK(messageOf([&] { p.call("fails", {{"ok", flagOf(false)}}); }) == "sample.ts:30:5: error ASSERT001: ok must hold");
  CHECK(messageOf([&] { p.call("count"); }).find("counter") != std::string::npos);
  p.machine.setState("counter", tensorOf(DType::f32, {4}, {1, 2, 3, 4}));
  CHECK(p.call("count") == Floats{2, 3, 4, 5});
}

TEST_CASE("vulkan: what is printed, NaN, and the trace are those of the program") {
  if (!isHere()) return;
  Trace trace;
  OnVulkan p(true, &trace);
  CHECK(p.call("root", {{"x", vectorOf({4, 9})}}) == Floats{2, 3});
  CHECK(p.printed == std::vector<std::string>{"roots: " + tensorText(tensorOf(DType::f32, {2}, {2, 3}))});
  CHECK(messageOf([&] { p.call("root", {{"x", vectorOf({4, -9})}}); }).find("error NAN001: NaN in `root`") != std::string::npos);
  CHECK(trace.json().find("sample.ts:13:3") != std::string::npos);
}

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
