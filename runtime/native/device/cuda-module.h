// Kernels for CUDA. An image is little-endian words: a magic number, a version, the version of the toolkit that compiled it (as
// the driver counts: 13000), the number K of kernels, the number B of fat binaries; for each kernel {threads a block, tasks a
// block, number of its fat binary}; for each fat binary {where it lies, in bytes after this table, a multiple of 8; its bytes};
// then the fat binaries, with zeros between. How kernel k<i> is launched, compiler/emit/cuda/source.ts says.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "device/cuda-gpu.h"
#include "device/device.h"

namespace sluice {

constexpr uint32_t CUDA_IMAGE_MAGIC = 0x43434c53;
constexpr uint32_t CUDA_IMAGE_VERSION = 1;

struct CudaKernel {
  /** Of a block. */
  uint32_t threads = 0;
  uint32_t tasks = 0;
  uint32_t binary = 0;
};
struct CudaBinary {
  struct Code {
    bool isPtx = false;
    /** 90 is sm_90. */
    uint32_t architecture = 0;
  };
  /** The fat binary, where a driver may read it. */
  std::vector<uint64_t> words;
  std::vector<Code> codes;
};
struct CudaImage {
  int toolkit = 0;
  std::vector<CudaKernel> kernels;
  std::vector<CudaBinary> binaries;
};

/** Throws GPU003 where it is no image of so many kernels. */
CudaImage readCudaImage(std::span<const std::byte> bytes, int32_t kernels);

class CudaModule final : public Module {
 public:
  CudaModule(const CudaGpu& gpu, const ModuleImage& image);
  ~CudaModule() override;
  CudaModule(const CudaModule&) = delete;
  CudaModule& operator=(const CudaModule&) = delete;

  const CudaKernel& kernel(int32_t k) const { return kernels_.at(static_cast<size_t>(k)); }
  CUfunction function(int32_t k) const { return functions_.at(static_cast<size_t>(k)); }

 private:
  void unload();
  /** Why the driver did not take a binary. */
  Error refusal(CUresult result, const CudaImage& image, const CudaBinary& binary) const;

  const CudaGpu& gpu_;
  std::vector<CudaKernel> kernels_;
  std::vector<CUmodule> modules_;
  std::vector<CUfunction> functions_;
};

}  // namespace sluice
