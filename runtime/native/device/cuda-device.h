// A CUDA device as the executor sees it. One thread at a time, which need not be the same one.
#pragma once
#include <memory>
#include <string>

#include "device/cuda-gpu.h"
#include "device/cuda-memory.h"
#include "device/cuda-stream.h"

namespace sluice {

class CudaDevice final : public Device {
 public:
  /** Opens and tests it. Throws GPU001 where it computes wrong numbers. */
  CudaDevice(const CudaDriver& driver, const CudaAdapter& adapter);

  std::string description() const override;
  Range allocate(int64_t bytes, std::string_view purpose) override { return memory_.allocate(bytes, purpose); }
  void release(Range range) override { memory_.release(range); }
  Range share(std::span<const std::byte> bytes, std::string_view purpose) override;
  std::unique_ptr<Module> load(const ModuleImage& image) override { return std::make_unique<CudaModule>(gpu_, image); }
  std::unique_ptr<Tape> record(const Module& module, const std::vector<Command>& commands) override;
  Stream& stream(StreamKind kind) override;

 private:
  CudaGpu gpu_;
  CudaMemory memory_;
  CudaStream compute_;
  CudaStream upload_;
  CudaStream download_;
  /** Of the tapes that are recorded from now on; those before keep theirs. */
  std::shared_ptr<const Range> scratch_;
};

}  // namespace sluice
