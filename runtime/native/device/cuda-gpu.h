// A CUDA device that is open, by its primary context, and what its refusals mean. After an error that a context does not
// survive it does nothing more, and says so (GPU002).
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "device/cuda-driver.h"

namespace sluice {

/** A device before it is opened. */
struct CudaAdapter {
  CUdevice device = 0;
  std::string name;
  /** 90 is sm_90. */
  int architecture = 0;
  int multiprocessors = 0;
  int64_t memoryBytes = 0;
};
std::vector<CudaAdapter> cudaAdapters(const CudaDriver& cu);
/** Throws GPU001. */
const CudaAdapter& chooseCudaAdapter(const std::vector<CudaAdapter>& all, const std::string& choice);

class CudaGpu {
 public:
  CudaGpu(const CudaDriver& driver, CudaAdapter found);
  ~CudaGpu();
  CudaGpu(const CudaGpu&) = delete;
  CudaGpu& operator=(const CudaGpu&) = delete;

  /** Before this thread calls the driver for the device. Throws GPU002 if it was lost. */
  void use() const;
  /** Throws Error for everything but success: GPU002, MEM001, GPU006. `what` completes "cannot …". */
  void check(CUresult result, std::string_view what) const;
  /** "CUDA_ERROR_INVALID_VALUE (1): invalid argument, driver for CUDA 12.4". */
  std::string text(CUresult result) const;

  const CudaDriver& cu;
  const CudaAdapter adapter;

 private:
  CUcontext context_ = nullptr;
  mutable CUresult lost_ = CUDA_SUCCESS;
};

}  // namespace sluice
