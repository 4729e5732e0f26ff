// Memory of a Vulkan device: large buffers with device addresses, of which parts are given out. Addresses are multiples of
// 256. One of these serves one use: what kernels work on, or what the host sees mapped.
#pragma once
#include <volk.h>

#include <map>
#include <string_view>

#include "device/device.h"
#include "device/free-list.h"
#include "device/vulkan-gpu.h"

namespace sluice {

enum class MemoryUse : uint8_t {
  /** Of kernels alone. */
  device,
  /** Written by the host, read by kernels. */
  arguments,
  /** Written by the host, copied from. */
  upload,
  /** Copied to, read by the host. */
  download,
};

class VulkanMemory {
 public:
  /** Blocks of so many bytes at least are asked of the driver. */
  VulkanMemory(const Gpu& gpu, MemoryUse use, int64_t blockBytes) : gpu_(gpu), use_(use), blockBytes_(blockBytes) {}
  ~VulkanMemory();
  VulkanMemory(const VulkanMemory&) = delete;
  VulkanMemory& operator=(const VulkanMemory&) = delete;

  /** Throws MEM001. */
  Range allocate(int64_t bytes, std::string_view purpose);
  void release(Range range);
  /** Bytes that were allocated and not released. */
  int64_t used() const { return used_; }
  /** Bytes that the driver was asked for. */
  int64_t reserved() const { return reserved_; }
  /** Gives blocks back in which nothing lies. */
  void trim();
  /** Some block has nothing in it. */
  bool hasUnused() const;

  struct Place {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceSize offset = 0;
    /** Null unless the host sees it. */
    std::byte* mapped = nullptr;
  };
  /** Where a range lies. Throws std::logic_error if it is not in this memory. */
  Place place(Range range) const;

 private:
  struct Block {
    VkBuffer buffer = VK_NULL_HANDLE;
    VkDeviceMemory memory = VK_NULL_HANDLE;
    uint64_t bytes = 0;
    std::byte* mapped = nullptr;
    FreeList free{0, 0};
  };
  using Blocks = std::map<uint64_t, Block>;

  /** Of the block that it lies in. */
  Blocks::const_iterator find(Range range) const;
  /** None if there is no room for it. */
  Block* addBlock(uint64_t bytes);
  VkResult allocateMemory(const VkMemoryRequirements& needs, VkDeviceMemory* memory) const;
  Blocks::iterator destroy(Blocks::iterator block);

  const Gpu& gpu_;
  const MemoryUse use_;
  const int64_t blockBytes_;
  int64_t used_ = 0;
  int64_t reserved_ = 0;
  /** By address. */
  Blocks blocks_;
};

}  // namespace sluice
