// A Vulkan device as the executor sees it. Its streams are three, whatever queues it has: those that share a queue take
// turns on it. One thread at a time.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "device/vulkan-gpu.h"
#include "device/vulkan-memory.h"
#include "device/vulkan-pipelines.h"
#include "device/vulkan-stream.h"

namespace sluice {

class VulkanDevice final : public Device {
 public:
  /** Opens it without testing it. */
  VulkanDevice(std::unique_ptr<VulkanInstance> instance, Adapter adapter, const std::string& pipelines);

  std::string description() const override;
  Range allocate(int64_t bytes, std::string_view purpose) override;
  void release(Range range) override;
  Range share(std::span<const std::byte> bytes, std::string_view purpose) override;
  std::unique_ptr<Module> load(const ModuleImage& image) override;
  std::unique_ptr<Tape> record(const Module& module, const std::vector<Command>& commands) override;
  Stream& stream(StreamKind kind) override;

  /** Switches off what computes wrong numbers. Throws GPU001 if that is everything. */
  void selfTest();
  /** The self-tests that it passed. */
  const std::vector<std::string>& passed() const { return passed_; }
  Gpu& gpu() { return gpu_; }
  const VulkanMemory& memory() const { return memory_; }
  const Pipelines& pipelines() const { return pipelines_; }

 private:
  /** Gives back blocks in which nothing lies. */
  void trim();

  Gpu gpu_;
  VulkanMemory memory_;
  VulkanMemory arguments_;
  VulkanMemory uploads_;
  VulkanMemory downloads_;
  Pipelines pipelines_;
  VulkanStream compute_;
  VulkanStream upload_;
  VulkanStream download_;
  /** Of the tapes that are recorded from now on; those before keep theirs. */
  std::shared_ptr<const Range> scratch_;
  std::vector<std::string> passed_;
  /** Features whose self-tests failed. */
  std::vector<std::string> failed_;
};

}  // namespace sluice
