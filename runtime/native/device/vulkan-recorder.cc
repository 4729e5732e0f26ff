#include "device/vulkan-recorder.h"

#include <algorithm>

namespace sluice {
namespace {

/** Ranges that are compared; where there are more, a barrier forgets them. */
constexpr size_t RANGES = 256;

bool overlaps(const std::vector<Range>& ranges, const Range& r) {
  return std::any_of(ranges.begin(), ranges.end(), [&](const Range& other) {
    return r.address < other.address + static_cast<uint64_t>(other.bytes) && other.address < r.address + static_cast<uint64_t>(r.bytes);
  });
}

bool computes(const Gpu& gpu, uint32_t family) { return (gpu.adapter.families[family].queueFlags & VK_QUEUE_COMPUTE_BIT) != 0; }

}  // namespace

Recorder::Recorder(const Gpu& gpu, VkCommandBuffer commands, uint32_t family, VkCommandBufferUsageFlags usage)
    : gpu_(gpu),
      commands_(commands),
      stages_(VK_PIPELINE_STAGE_TRANSFER_BIT | (computes(gpu, family) ? VK_PIPELINE_STAGE_COMPUTE_SHADER_BIT : 0)),
      accesses_(VK_ACCESS_TRANSFER_READ_BIT | VK_ACCESS_TRANSFER_WRITE_BIT | (computes(gpu, family) ? VK_ACCESS_SHADER_READ_BIT | VK_ACCESS_SHADER_WRITE_BIT : 0)) {
  const VkCommandBufferBeginInfo info{.sType = VK_STRUCTURE_TYPE_COMMAND_BUFFER_BEGIN_INFO, .flags = usage};
  gpu_.check(gpu_.vk.vkBeginCommandBuffer(commands_, &info), "record commands");
  barrier();
}

void Recorder::barrier() {
  const VkMemoryBarrier all{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = accesses_, .dstAccessMask = accesses_};
  gpu_.vk.vkCmdPipelineBarrier(commands_, stages_, stages_, 0, 1, &all, 0, nullptr, 0, nullptr);
  reads_.clear();
  writes_.clear();
}

void Recorder::touch(const std::vector<Range>& reads, const std::vector<Range>& writes) {
  const bool waits = reads_.size() + writes_.size() > RANGES || std::any_of(reads.begin(), reads.end(), [&](const Range& r) { return overlaps(writes_, r); }) ||
                     std::any_of(writes.begin(), writes.end(), [&](const Range& w) { return overlaps(writes_, w) || overlaps(reads_, w); });
  if (waits) barrier();
  reads_.insert(reads_.end(), reads.begin(), reads.end());
  writes_.insert(writes_.end(), writes.begin(), writes.end());
}

void Recorder::launch(VkPipeline pipeline, VkPipelineLayout layout, uint64_t arguments, uint64_t workgroups) {
  if (bound_ != pipeline) gpu_.vk.vkCmdBindPipeline(commands_, VK_PIPELINE_BIND_POINT_COMPUTE, pipeline);
  bound_ = pipeline;
  gpu_.vk.vkCmdPushConstants(commands_, layout, VK_SHADER_STAGE_COMPUTE_BIT, 0, sizeof arguments, &arguments);
  gpu_.vk.vkCmdDispatch(commands_, static_cast<uint32_t>(std::min(workgroups, WORKGROUPS_X)), static_cast<uint32_t>((workgroups + WORKGROUPS_X - 1) / WORKGROUPS_X), 1);
}

void Recorder::copy(const VulkanMemory& fromMemory, Range from, const VulkanMemory& toMemory, Range to) {
  if (from.bytes == 0) return;
  const VulkanMemory::Place source = fromMemory.place(from);
  const VulkanMemory::Place target = toMemory.place(to);
  touch({from}, {to});
  const VkBufferCopy region{.srcOffset = source.offset, .dstOffset = target.offset, .size = static_cast<VkDeviceSize>(from.bytes)};
  gpu_.vk.vkCmdCopyBuffer(commands_, source.buffer, target.buffer, 1, &region);
}

void Recorder::fill(const VulkanMemory& memory, Range to, int32_t value) {
  const VulkanMemory::Place target = memory.place(to);
  touch({}, {to});
  gpu_.vk.vkCmdFillBuffer(commands_, target.buffer, target.offset, sizeof value, static_cast<uint32_t>(value));
}

void Recorder::end() {
  const VkMemoryBarrier toHost{.sType = VK_STRUCTURE_TYPE_MEMORY_BARRIER, .srcAccessMask = VK_ACCESS_TRANSFER_WRITE_BIT, .dstAccessMask = VK_ACCESS_HOST_READ_BIT};
  gpu_.vk.vkCmdPipelineBarrier(commands_, VK_PIPELINE_STAGE_TRANSFER_BIT, VK_PIPELINE_STAGE_HOST_BIT, 0, 1, &toHost, 0, nullptr, 0, nullptr);
  gpu_.check(gpu_.vk.vkEndCommandBuffer(commands_), "record commands");
}

}  // namespace sluice
