// Writes commands into a command buffer, with a barrier wherever a command touches what an earlier one wrote, or writes what
// it read. A command buffer begins after everything that was submitted to its queue before it.
#pragma once
#include <volk.h>

#include <vector>

#include "device/device.h"
#include "device/vulkan-gpu.h"
#include "device/vulkan-memory.h"

namespace sluice {

/** Of workgroups in the first dimension; what is more goes to the second. */
constexpr uint64_t WORKGROUPS_X = 65535;

class Recorder {
 public:
  /** `family`: of the queue that it is for. */
  Recorder(const Gpu& gpu, VkCommandBuffer commands, uint32_t family, VkCommandBufferUsageFlags usage);

  VkCommandBuffer commands() const { return commands_; }
  void launch(VkPipeline pipeline, VkPipelineLayout layout, uint64_t arguments, uint64_t workgroups);
  /** Each range in its memory. */
  void copy(const VulkanMemory& fromMemory, Range from, const VulkanMemory& toMemory, Range to);
  /** An i32. */
  void fill(const VulkanMemory& memory, Range to, int32_t value);
  /** What comes next reads and writes this. */
  void touch(const std::vector<Range>& reads, const std::vector<Range>& writes);
  void barrier();
  /** The host may read what was copied, once this has ended. */
  void end();

 private:
  const Gpu& gpu_;
  const VkCommandBuffer commands_;
  /** What a queue of the family does. */
  const VkPipelineStageFlags stages_;
  const VkAccessFlags accesses_;
  VkPipeline bound_ = VK_NULL_HANDLE;
  /** Since the last barrier. */
  std::vector<Range> reads_;
  std::vector<Range> writes_;
};

}  // namespace sluice
