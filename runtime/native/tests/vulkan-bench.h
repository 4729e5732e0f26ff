// What the tests of the Vulkan device share: kernels, memory that frees itself, and validation layers whose every message
// fails the test. Where Vulkan is not installed, a test says that it was not run.
#pragma once
#include <doctest/doctest.h>

#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "device/vulkan-device.h"
#include "tests/sample.h"
#include "tests/witness.h"

namespace sluice::test {

enum Kernel : int32_t { TWICE, INCREMENT, ENOUGH, NOTE, MARK, SPILL };
constexpr int32_t KERNELS = 6;

inline std::vector<uint32_t> codeOf(const std::string& kernel) {
  const std::string bytes = bytesOfFile((VULKAN_KERNELS + kernel + ".spv").c_str());
  std::vector<uint32_t> words(bytes.size() / 4);
  std::memcpy(words.data(), bytes.data(), bytes.size());
  return words;
}

/** Kernels as a module image. MARK has a task a workgroup, the others have one a thread. */
inline std::vector<uint32_t> vulkanImage(const std::vector<std::string>& kernels) {
  const auto count = static_cast<uint32_t>(kernels.size());
  std::vector<uint32_t> table{VULKAN_IMAGE_MAGIC, VULKAN_IMAGE_VERSION, count, count};
  std::vector<uint32_t> code;
  for (uint32_t k = 0; k < count; k++) {
    const std::string& kernel = kernels[k];
    const auto words = codeOf(kernel);
    table.insert(table.end(), {k, 64, kernel == "MARK" ? 1U : 64U, 0, static_cast<uint32_t>(code.size()), static_cast<uint32_t>(words.size())});
    code.insert(code.end(), words.begin(), words.end());
  }
  table.insert(table.end(), code.begin(), code.end());
  return table;
}
/** Those of `Kernel`. */
inline std::vector<uint32_t> vulkanImage() { return vulkanImage({"TWICE", "INCREMENT", "ENOUGH", "NOTE", "MARK", "SPILL"}); }

/** The messages of the validation layers; a test ends without any. */
struct Messages {
  std::vector<std::string> all;
  ~Messages() { CHECK(all == std::vector<std::string>()); }
};

class VulkanBench {
 public:
  VulkanBench() : device(open(messages_)), module(device->load({std::as_bytes(std::span(image_)), KERNELS})) {}
  ~VulkanBench() {
    for (const Range r : ranges_) device->release(r);
  }
  VulkanBench(const VulkanBench&) = delete;
  VulkanBench& operator=(const VulkanBench&) = delete;

  static std::unique_ptr<VulkanDevice> open(Messages& messages) {
    return open([&](const std::string& text) { messages.all.push_back(text); });
  }
  static std::unique_ptr<VulkanDevice> open(const std::function<void(const std::string&)>& onMessage) {
    auto instance = std::make_unique<VulkanInstance>(onMessage);
    const Adapter adapter = chooseAdapter(instance->adapters(), "");
    return std::make_unique<VulkanDevice>(std::move(instance), adapter, VULKAN_KERNELS "pipelines");
  }

  template <typename T>
  Range upload(const std::vector<T>& values) {
    ranges_.push_back(device->allocate(static_cast<int64_t>(values.size() * sizeof(T)), "a test"));
    stream().upload(reinterpret_cast<const std::byte*>(values.data()), ranges_.back());
    return ranges_.back();
  }
  template <typename T>
  std::vector<T> download(Range range) {
    std::vector<T> values(static_cast<size_t>(range.bytes) / sizeof(T));
    stream().download(range, reinterpret_cast<std::byte*>(values.data()));
    stream().await(stream().record());
    return values;
  }
  Stream& stream() { return device->stream(StreamKind::compute); }
  void run(const std::vector<Command>& commands, Effects& effects, Trace* trace = nullptr) {
    const auto tape = device->record(*module, commands);
    stream().run(*tape, effects, trace);
    stream().await(stream().record());
  }

 private:
  Messages messages_;
  const std::vector<uint32_t> image_ = vulkanImage();
  std::vector<Range> ranges_;

 public:
  std::unique_ptr<VulkanDevice> device;
  std::unique_ptr<Module> module;
};

/**
 * Whether there is Vulkan here; said aloud where there is none. One instance stays open to the end, and its driver and layers
 * loaded with it: of what a library leaves behind when it is unloaded, LeakSanitizer cannot say whose it was.
 */
inline bool isHere() {
  static const std::optional<std::string> problem = []() -> std::optional<std::string> {
    try {
      static const auto* const instance = new VulkanInstance([](const std::string&) {});
      chooseAdapter(instance->adapters(), "");
      return std::nullopt;
    } catch (const Error& error) {
      return error.what();
    }
  }();
  if (problem) MESSAGE("not run: ", *problem);
  return !problem;
}

inline Command launch(Kernel kernel, const std::vector<Range>& operands, int64_t tasks, const std::vector<int64_t>& dims = {}, int64_t scratch = 0) {
  LaunchCommand l{.kernel = kernel, .operands = {}, .dims = dims, .tasks = tasks, .scratch = scratch};
  for (size_t i = 0; i < operands.size(); i++) l.operands.push_back({operands[i], i + 1 == operands.size()});
  return {l};
}

}  // namespace sluice::test
