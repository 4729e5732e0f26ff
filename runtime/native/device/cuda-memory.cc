#include "device/cuda-memory.h"

#include <algorithm>
#include <stdexcept>

#include "device/memory-error.h"

namespace sluice {

CudaMemory::~CudaMemory() {
  // What is still there was never released; a device that was lost has none of it.
  for (const auto& [address, _] : live_) gpu_.cu.cuMemFree(address);
}

Range CudaMemory::allocate(int64_t bytes, std::string_view purpose) {
  gpu_.use();
  const int64_t limit = gpu_.adapter.memoryBytes;
  if (bytes > limit - used_) throw notEnoughMemory(purpose, bytes, used_, limit);
  CUdeviceptr address = 0;
  const CUresult result = gpu_.cu.cuMemAlloc(&address, static_cast<size_t>(std::max<int64_t>(bytes, 1)));
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    size_t free = 0;
    size_t total = 0;
    gpu_.check(gpu_.cu.cuMemGetInfo(&free, &total), "say how much memory is free");
    throw notEnoughMemory(purpose, bytes, static_cast<int64_t>(total - free), static_cast<int64_t>(total));
  }
  gpu_.check(result, "allocate memory");
  live_[address] = bytes;
  used_ += bytes;
  return {address, bytes};
}

void CudaMemory::release(Range range) {
  if (range.address == 0) return;
  const auto found = live_.find(range.address);
  if (found == live_.end() || found->second != range.bytes) throw std::logic_error("a range is released that was not allocated");
  used_ -= range.bytes;
  live_.erase(found);
  try {
    gpu_.use();
  } catch (const Error&) {
    // The memory of a device that was lost goes with it.
    return;
  }
  gpu_.cu.cuMemFree(range.address);
}

PinnedMemory::PinnedMemory(const CudaGpu& gpu, size_t bytes) : gpu_(gpu) {
  void* memory = nullptr;
  gpu_.check(gpu_.cu.cuMemHostAlloc(&memory, bytes, 0), "set host memory aside for copies");
  bytes_ = static_cast<std::byte*>(memory);
}

PinnedMemory::~PinnedMemory() { gpu_.cu.cuMemFreeHost(bytes_); }

}  // namespace sluice
