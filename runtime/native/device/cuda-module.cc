#include "device/cuda-module.h"

#include "base/text.h"
#include "device/cuda.h"

namespace sluice {
namespace {

/** "sm_80, sm_90, PTX of sm_80". */
std::string codesText(const CudaBinary& binary) {
  std::vector<std::string> texts;
  for (const auto& c : binary.codes) texts.push_back((c.isPtx ? "PTX of sm_" : "sm_") + std::to_string(c.architecture));
  return joined(texts);
}

}  // namespace

CudaModule::CudaModule(const CudaGpu& gpu, const ModuleImage& bytes) : gpu_(gpu) {
  CudaImage image = readCudaImage(bytes.bytes, bytes.kernels);
  kernels_ = std::move(image.kernels);
  gpu_.use();
  try {
    for (const CudaBinary& binary : image.binaries) {
      CUmodule module = nullptr;
      if (const CUresult result = gpu_.cu.cuModuleLoadData(&module, binary.words.data()); result != CUDA_SUCCESS) throw refusal(result, image, binary);
      modules_.push_back(module);
    }
    for (size_t k = 0; k < kernels_.size(); k++) {
      const std::string name = "k" + std::to_string(k);
      CUfunction function = nullptr;
      gpu_.check(gpu_.cu.cuModuleGetFunction(&function, modules_[kernels_[k].binary], name.c_str()), "find kernel " + name);
      int most = 0;
      gpu_.check(gpu_.cu.cuFuncGetAttribute(&most, CU_FUNC_ATTRIBUTE_MAX_THREADS_PER_BLOCK, function), "say how kernel " + name + " is launched");
      if (static_cast<uint32_t>(most) < kernels_[k].threads) {
        throw Error({.code = "GPU004", .message = "kernel " + name + " does not run on the CUDA device " + gpu_.adapter.name, .found = "blocks of at most " + std::to_string(most) + " threads",
            .expected = std::to_string(kernels_[k].threads), .hint = "build the program again"});
      }
      functions_.push_back(function);
    }
  } catch (...) {
    unload();
    throw;
  }
}

CudaModule::~CudaModule() { unload(); }

void CudaModule::unload() {
  for (CUmodule module : modules_) gpu_.cu.cuModuleUnload(module);
}

Error CudaModule::refusal(CUresult result, const CudaImage& image, const CudaBinary& binary) const {
  const std::string own = "sm_" + std::to_string(gpu_.adapter.architecture);
  const std::string there = "the program has code for " + codesText(binary);
  const bool isOther = result == CUDA_ERROR_NO_BINARY_FOR_GPU || result == CUDA_ERROR_INVALID_PTX;
  if (!isOther && result != CUDA_ERROR_UNSUPPORTED_PTX_VERSION) {
    gpu_.check(result, "load the program's kernels");
  }
  // PTX is of the toolkit's version; a driver that is older takes neither it nor, from another major version, the rest.
  if (gpu_.cu.version < image.toolkit) {
    return Error({.code = "GPU008", .message = "the NVIDIA driver is too old for the program's code on the CUDA device " + gpu_.adapter.name, .found = gpu_.text(result) + "; " + there,
        .expected = "a driver for " + cudaVersionText(image.toolkit) + " or newer", .hint = "update the driver, or build the program with --target cuda:" + own + " or with an older toolkit"});
  }
  return Error({.code = "GPU004", .message = "the program's code does not run on the CUDA device " + gpu_.adapter.name, .found = there + "; " + gpu_.text(result),
      .expected = "code for " + own + ", or PTX of an older one", .hint = "build the program with --target cuda:" + own});
}

}  // namespace sluice
