// A tape as command buffers, recorded once. A loop that is short and has no end of its own is written out; of others the
// host counts the rounds, and hands their body to the device again. A traced run has command buffers of its own, in which
// no two commands run at once and each is timed.
#pragma once
#include <unordered_map>
#include <variant>
#include <vector>

#include "device/tape-steps.h"
#include "device/vulkan-memory.h"
#include "device/vulkan-module.h"
#include "device/vulkan-recorder.h"

namespace sluice {

/** What tapes need of their device. All of it outlives them. */
struct TapeHome {
  const Gpu& gpu;
  const VulkanMemory& memory;
  VulkanMemory& arguments;
  const Pipelines& pipelines;
};

class VulkanTape final : public Tape {
 public:
  struct Timed {
    LabelId label = NO_LABEL;
    int64_t bytes = 0;
  };
  struct Segment {
    VkCommandBuffer commands = VK_NULL_HANDLE;
    /** Of a traced run, two for each command; null where the queue does not count time. */
    VkQueryPool queries = VK_NULL_HANDLE;
    std::vector<Timed> timed;
  };
  using Loop = TapeLoop<Segment>;
  using Step = TapeStep<Segment>;

  VulkanTape(const TapeHome& home, const VulkanModule& module, std::vector<Command> commands);
  ~VulkanTape() override;
  VulkanTape(const VulkanTape&) = delete;
  VulkanTape& operator=(const VulkanTape&) = delete;

  /** Bytes of scratch memory that its launches share. */
  int64_t scratchBytes() const { return scratchBytes_; }
  /** Once, before it runs; the memory is kept. */
  void prepare(std::shared_ptr<const Range> scratch);
  const std::vector<Step>& steps(bool isTraced);
  LastRun lastRun;

 private:
  /** A part of a launch's tasks. */
  struct Dispatch {
    uint64_t arguments = 0;
    uint64_t workgroups = 0;
  };
  class Writer;

  void measure(const std::vector<Command>& commands);
  void prepare(const std::vector<Command>& commands);
  void prepare(const LaunchCommand& launch);
  uint64_t* newArguments(size_t words, uint64_t& address);

  const TapeHome home_;
  const VulkanModule& module_;
  const std::vector<Command> commands_;
  VkCommandPool pool_ = VK_NULL_HANDLE;
  std::vector<VkQueryPool> queryPools_;
  int64_t scratchBytes_ = 0;
  std::shared_ptr<const Range> scratch_;
  /** Memory of arguments, of which the last has `left_` bytes left. */
  std::vector<Range> arguments_;
  int64_t left_ = 0;
  std::unordered_map<const LaunchCommand*, std::vector<Dispatch>> dispatches_;
  std::optional<std::vector<Step>> plain_;
  std::optional<std::vector<Step>> traced_;
};

}  // namespace sluice
