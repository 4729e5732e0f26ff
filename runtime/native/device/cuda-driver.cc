#include "device/cuda-driver.h"

#include <dlfcn.h>

#include <string>

#include "base/error.h"
#include "device/cuda.h"

namespace sluice {
namespace {

constexpr const char* LIBRARY = "libcuda.so.1";
/** The first in which every function here is. */
constexpr int OLDEST = 12000;

template <typename Function>
bool find(void* library, const char* name, Function& function) {
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

Error tooOld(const std::string& found) {
  return Error({.code = "GPU008", .message = "the NVIDIA driver is too old", .found = found, .expected = "a driver for " + cudaVersionText(OLDEST) + " or newer", .hint = "update the NVIDIA driver: 525 or newer"});
}

}  // namespace

CudaDriver loadCudaDriver() {
  // Stays loaded: drivers do not expect to be unloaded.
  void* const library = ::dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    throw Error({.code = "GPU001", .message = "CUDA is not installed here", .found = ::dlerror(), .expected = std::string(LIBRARY) + ", which comes with the NVIDIA driver",
        .hint = "install the driver of the GPU; --target vulkan or cpu runs without it"});
  }
  CudaDriver d{};
  const auto refuse = [&](CUresult result, const char* what) {
    const char* name = nullptr;
    if (d.cuGetErrorName == nullptr || d.cuGetErrorName(result, &name) != CUDA_SUCCESS || name == nullptr) name = "an unknown error";
    const bool isAbsent = result == CUDA_ERROR_NO_DEVICE;
    return Error({.code = "GPU001", .message = isAbsent ? "there is no CUDA device here" : std::string("the NVIDIA driver cannot ") + what, .found = std::string(name) + " (" + std::to_string(result) + ")",
        .hint = "nvidia-smi says what the driver sees; the module nvidia of the kernel must be of the same version as " + std::string(LIBRARY)});
  };
  find(library, "cuGetErrorName", d.cuGetErrorName);
  if (!find(library, "cuInit", d.cuInit) || !find(library, "cuDriverGetVersion", d.cuDriverGetVersion)) throw tooOld("one without cuDriverGetVersion");
  if (const CUresult result = d.cuDriverGetVersion(&d.version); result != CUDA_SUCCESS) throw refuse(result, "say its version");
  if (d.version < OLDEST) throw tooOld("a driver for " + cudaVersionText(d.version));
  const char* missing = nullptr;
  const auto need = [&](const char* name, auto& function) {
    if (!find(library, name, function) && missing == nullptr) missing = name;
  };
  need("cuGetErrorString", d.cuGetErrorString);
  need("cuDeviceGetCount", d.cuDeviceGetCount);
  need("cuDeviceGet", d.cuDeviceGet);
  need("cuDeviceGetName", d.cuDeviceGetName);
  need("cuDeviceGetAttribute", d.cuDeviceGetAttribute);
  need("cuDeviceTotalMem_v2", d.cuDeviceTotalMem);
  need("cuDevicePrimaryCtxRetain", d.cuDevicePrimaryCtxRetain);
  need("cuDevicePrimaryCtxRelease_v2", d.cuDevicePrimaryCtxRelease);
  need("cuCtxSetCurrent", d.cuCtxSetCurrent);
  need("cuMemGetInfo_v2", d.cuMemGetInfo);
  need("cuMemAlloc_v2", d.cuMemAlloc);
  need("cuMemFree_v2", d.cuMemFree);
  need("cuMemHostAlloc", d.cuMemHostAlloc);
  need("cuMemFreeHost", d.cuMemFreeHost);
  need("cuMemcpyHtoDAsync_v2", d.cuMemcpyHtoDAsync);
  need("cuMemcpyDtoHAsync_v2", d.cuMemcpyDtoHAsync);
  need("cuMemcpyDtoDAsync_v2", d.cuMemcpyDtoDAsync);
  need("cuMemsetD32Async", d.cuMemsetD32Async);
  need("cuStreamCreate", d.cuStreamCreate);
  need("cuStreamDestroy_v2", d.cuStreamDestroy);
  need("cuStreamSynchronize", d.cuStreamSynchronize);
  need("cuStreamWaitEvent", d.cuStreamWaitEvent);
  need("cuStreamBeginCapture_v2", d.cuStreamBeginCapture);
  need("cuStreamEndCapture", d.cuStreamEndCapture);
  need("cuGraphInstantiateWithFlags", d.cuGraphInstantiateWithFlags);
  need("cuGraphLaunch", d.cuGraphLaunch);
  need("cuGraphExecDestroy", d.cuGraphExecDestroy);
  need("cuGraphDestroy", d.cuGraphDestroy);
  need("cuEventCreate", d.cuEventCreate);
  need("cuEventDestroy_v2", d.cuEventDestroy);
  need("cuEventRecord", d.cuEventRecord);
  need("cuEventQuery", d.cuEventQuery);
  need("cuEventSynchronize", d.cuEventSynchronize);
  need("cuEventElapsedTime", d.cuEventElapsedTime);
  need("cuModuleLoadData", d.cuModuleLoadData);
  need("cuModuleUnload", d.cuModuleUnload);
  need("cuModuleGetFunction", d.cuModuleGetFunction);
  need("cuFuncGetAttribute", d.cuFuncGetAttribute);
  need("cuLaunchKernel", d.cuLaunchKernel);
  if (missing != nullptr) throw tooOld(std::string("one without ") + missing);
  if (const CUresult result = d.cuInit(0); result != CUDA_SUCCESS) throw refuse(result, "start");
  return d;
}

const CudaDriver& cudaDriver() {
  static const CudaDriver driver = loadCudaDriver();
  return driver;
}

std::string cudaVersionText(int version) { return "CUDA " + std::to_string(version / 1000) + "." + std::to_string(version % 1000 / 10); }

}  // namespace sluice
