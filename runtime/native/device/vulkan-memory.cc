#include "device/vulkan-memory.h"

#include <algorithm>
#include <array>
#include <stdexcept>

#include "device/memory-error.h"

namespace sluice {
namespace {

constexpr uint64_t ALIGNMENT = 256;

uint64_t rounded(uint64_t bytes) { return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT; }
uint64_t taken(int64_t bytes) { return rounded(static_cast<uint64_t>(std::max<int64_t>(bytes, 1))); }

/** Kinds of memory from the best on; every device has one of the last. */
std::array<VkMemoryPropertyFlags, 2> kindsFor(MemoryUse use) {
  constexpr VkMemoryPropertyFlags LOCAL = VK_MEMORY_PROPERTY_DEVICE_LOCAL_BIT;
  constexpr VkMemoryPropertyFlags MAPPED = VK_MEMORY_PROPERTY_HOST_VISIBLE_BIT | VK_MEMORY_PROPERTY_HOST_COHERENT_BIT;
  switch (use) {
    case MemoryUse::device: return {LOCAL, LOCAL};
    case MemoryUse::arguments: return {LOCAL | MAPPED, MAPPED};
    case MemoryUse::upload: return {MAPPED, MAPPED};
    default: return {MAPPED | VK_MEMORY_PROPERTY_HOST_CACHED_BIT, MAPPED};
  }
}

}  // namespace

VulkanMemory::~VulkanMemory() {
  for (auto block = blocks_.begin(); block != blocks_.end();) block = destroy(block);
}

VulkanMemory::Blocks::iterator VulkanMemory::destroy(Blocks::iterator block) {
  gpu_.vk.vkDestroyBuffer(gpu_.device, block->second.buffer, nullptr);
  gpu_.vk.vkFreeMemory(gpu_.device, block->second.memory, nullptr);
  reserved_ -= static_cast<int64_t>(block->second.bytes);
  return blocks_.erase(block);
}

VkResult VulkanMemory::allocateMemory(const VkMemoryRequirements& needs, VkDeviceMemory* memory) const {
  const VkPhysicalDeviceMemoryProperties& all = gpu_.adapter.memory;
  VkResult result = VK_ERROR_OUT_OF_DEVICE_MEMORY;
  for (const VkMemoryPropertyFlags wanted : kindsFor(use_)) {
    for (uint32_t type = 0; type < all.memoryTypeCount; type++) {
      const bool fits = (needs.memoryTypeBits & (1U << type)) != 0 && (all.memoryTypes[type].propertyFlags & wanted) == wanted;
      if (!fits || needs.size > all.memoryHeaps[all.memoryTypes[type].heapIndex].size) continue;
      const VkMemoryAllocateFlagsInfo flags{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_FLAGS_INFO, .flags = VK_MEMORY_ALLOCATE_DEVICE_ADDRESS_BIT};
      const VkMemoryAllocateInfo info{.sType = VK_STRUCTURE_TYPE_MEMORY_ALLOCATE_INFO, .pNext = &flags, .allocationSize = needs.size, .memoryTypeIndex = type};
      result = gpu_.vk.vkAllocateMemory(gpu_.device, &info, nullptr, memory);
      if (result == VK_SUCCESS) return result;
    }
  }
  return result;
}

VulkanMemory::Block* VulkanMemory::addBlock(uint64_t bytes) {
  if (static_cast<int64_t>(bytes) > gpu_.adapter.memoryBytes() - reserved_) return nullptr;
  Block block{.bytes = bytes};
  const auto& families = gpu_.queueFamilies();
  const VkBufferCreateInfo info{.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = bytes,
      .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT | VK_BUFFER_USAGE_TRANSFER_SRC_BIT | VK_BUFFER_USAGE_TRANSFER_DST_BIT | VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT,
      .sharingMode = families.size() > 1 ? VK_SHARING_MODE_CONCURRENT : VK_SHARING_MODE_EXCLUSIVE, .queueFamilyIndexCount = static_cast<uint32_t>(families.size()), .pQueueFamilyIndices = families.data()};
  gpu_.check(gpu_.vk.vkCreateBuffer(gpu_.device, &info, nullptr, &block.buffer), "make a buffer");
  VkMemoryRequirements needs{};
  gpu_.vk.vkGetBufferMemoryRequirements(gpu_.device, block.buffer, &needs);
  VkResult result = allocateMemory(needs, &block.memory);
  if (result == VK_SUCCESS) result = gpu_.vk.vkBindBufferMemory(gpu_.device, block.buffer, block.memory, 0);
  if (result == VK_SUCCESS && use_ != MemoryUse::device) result = gpu_.vk.vkMapMemory(gpu_.device, block.memory, 0, VK_WHOLE_SIZE, 0, reinterpret_cast<void**>(&block.mapped));
  if (result != VK_SUCCESS) {
    gpu_.vk.vkDestroyBuffer(gpu_.device, block.buffer, nullptr);
    gpu_.vk.vkFreeMemory(gpu_.device, block.memory, nullptr);
    if (result == VK_ERROR_OUT_OF_DEVICE_MEMORY || result == VK_ERROR_OUT_OF_HOST_MEMORY) return nullptr;
    gpu_.check(result, "allocate memory");
  }
  const VkBufferDeviceAddressInfo which{.sType = VK_STRUCTURE_TYPE_BUFFER_DEVICE_ADDRESS_INFO, .buffer = block.buffer};
  const uint64_t address = gpu_.vk.vkGetBufferDeviceAddress(gpu_.device, &which);
  const uint64_t skipped = rounded(address) - address;
  block.free = FreeList(address + skipped, (bytes - skipped) / ALIGNMENT * ALIGNMENT);
  reserved_ += static_cast<int64_t>(bytes);
  return &blocks_.insert_or_assign(address, std::move(block)).first->second;
}

Range VulkanMemory::allocate(int64_t wanted, std::string_view purpose) {
  gpu_.requirePresent();
  const int64_t limit = gpu_.adapter.memoryBytes();
  if (wanted > limit - used_) throw notEnoughMemory(purpose, wanted, used_, limit);
  const uint64_t bytes = taken(wanted);
  std::optional<uint64_t> address;
  for (auto& [_, block] : blocks_)
    if (!address) address = block.free.take(bytes);
  // A large one has a block of its own; so has one for which there is no whole block any more.
  const uint64_t own = bytes + ALIGNMENT;
  for (const uint64_t size : {std::max(own, static_cast<uint64_t>(blockBytes_)), own}) {
    if (address) break;
    if (Block* const block = addBlock(size)) address = block->free.take(bytes);
  }
  if (!address) throw notEnoughMemory(purpose, wanted, used_, limit);
  used_ += static_cast<int64_t>(bytes);
  return {*address, wanted};
}

void VulkanMemory::release(Range range) {
  blocks_.at(find(range)->first).free.give(range.address, taken(range.bytes));
  used_ -= static_cast<int64_t>(taken(range.bytes));
}

bool VulkanMemory::hasUnused() const {
  return std::any_of(blocks_.begin(), blocks_.end(), [](const auto& b) { return b.second.free.isUnused(); });
}

void VulkanMemory::trim() {
  for (auto block = blocks_.begin(); block != blocks_.end();) {
    if (block->second.free.isUnused()) block = destroy(block);
    else ++block;
  }
}

VulkanMemory::Blocks::const_iterator VulkanMemory::find(Range range) const {
  const auto above = blocks_.upper_bound(range.address);
  if (above != blocks_.begin()) {
    const auto block = std::prev(above);
    const uint64_t offset = range.address - block->first;
    if (range.bytes >= 0 && offset <= block->second.bytes && static_cast<uint64_t>(range.bytes) <= block->second.bytes - offset) return block;
  }
  throw std::logic_error("a range of " + std::to_string(range.bytes) + " bytes is not in the device's memory");
}

VulkanMemory::Place VulkanMemory::place(Range range) const {
  const auto& [address, block] = *find(range);
  const uint64_t offset = range.address - address;
  return {block.buffer, offset, block.mapped == nullptr ? nullptr : block.mapped + offset};
}

}  // namespace sluice
