// Memory of a CUDA device, and pinned memory of the host through which copies pass while the host goes on.
#pragma once
#include <unordered_map>

#include "device/cuda-gpu.h"
#include "device/device.h"

namespace sluice {

class CudaMemory {
 public:
  explicit CudaMemory(const CudaGpu& gpu) : gpu_(gpu) {}
  ~CudaMemory();
  CudaMemory(const CudaMemory&) = delete;
  CudaMemory& operator=(const CudaMemory&) = delete;

  /** Throws MEM001, with how much is free. */
  Range allocate(int64_t bytes, std::string_view purpose);
  /** Throws std::logic_error for what was not allocated here. */
  void release(Range range);
  int64_t used() const { return used_; }

 private:
  const CudaGpu& gpu_;
  int64_t used_ = 0;
  /** Bytes by address. */
  std::unordered_map<uint64_t, int64_t> live_;
};

class PinnedMemory {
 public:
  PinnedMemory(const CudaGpu& gpu, size_t bytes);
  ~PinnedMemory();
  PinnedMemory(const PinnedMemory&) = delete;
  PinnedMemory& operator=(const PinnedMemory&) = delete;

  std::byte* bytes() const { return bytes_; }

 private:
  const CudaGpu& gpu_;
  std::byte* bytes_ = nullptr;
};

}  // namespace sluice
