#include "device/cuda-gpu.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "device/cuda.h"

namespace sluice {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

/** Whether a context does nothing more after it. */
bool endsContext(CUresult result) {
  return result == CUDA_ERROR_ILLEGAL_ADDRESS || result == CUDA_ERROR_LAUNCH_TIMEOUT || result == CUDA_ERROR_CONTEXT_IS_DESTROYED || result == CUDA_ERROR_ECC_UNCORRECTABLE ||
         result == CUDA_ERROR_NVLINK_UNCORRECTABLE || (result >= CUDA_ERROR_HARDWARE_STACK_ERROR && result <= CUDA_ERROR_LAUNCH_FAILED) || result == CUDA_ERROR_UNKNOWN;
}

std::string hintFor(CUresult lost) {
  switch (lost) {
    case CUDA_ERROR_LAUNCH_TIMEOUT: return "start the program again with smaller sizes: a GPU that also draws a screen ends what takes longer than some seconds";
    case CUDA_ERROR_ILLEGAL_ADDRESS: return "start the program again; if it comes again, compute-sanitizer names the kernel that reached outside its memory, which is a fault of Sluice";
    default: return "start the program again; if it is lost again, the kernel's log (dmesg, `Xid`) and nvidia-smi say why";
  }
}

}  // namespace

std::vector<CudaAdapter> cudaAdapters(const CudaDriver& cu) {
  int count = 0;
  if (cu.cuDeviceGetCount(&count) != CUDA_SUCCESS) count = 0;
  std::vector<CudaAdapter> all;
  for (int i = 0; i < count; i++) {
    CudaAdapter a;
    char name[256] = "";
    int major = 0;
    int minor = 0;
    size_t bytes = 0;
    if (cu.cuDeviceGet(&a.device, i) != CUDA_SUCCESS) continue;
    cu.cuDeviceGetName(name, sizeof name, a.device);
    cu.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, a.device);
    cu.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, a.device);
    cu.cuDeviceGetAttribute(&a.multiprocessors, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, a.device);
    cu.cuDeviceTotalMem(&bytes, a.device);
    a.name = name;
    a.architecture = 10 * major + minor;
    a.memoryBytes = static_cast<int64_t>(bytes);
    all.push_back(std::move(a));
  }
  return all;
}

const CudaAdapter& chooseCudaAdapter(const std::vector<CudaAdapter>& all, const std::string& choice) {
  if (all.empty()) throw Error({.code = "GPU001", .message = "there is no CUDA device here", .hint = "nvidia-smi says what the driver sees; CUDA_VISIBLE_DEVICES may hide devices"});
  const bool isNumber = !choice.empty() && std::all_of(choice.begin(), choice.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  std::vector<std::string> names;
  for (size_t i = 0; i < all.size(); i++) {
    if (choice.empty() || (isNumber ? choice == std::to_string(i) : lower(all[i].name).find(lower(choice)) != std::string::npos)) return all[i];
    names.push_back(std::to_string(i) + ", " + all[i].name);
  }
  throw Error({.code = "GPU001", .message = "there is no CUDA device `" + choice + "`", .expected = "a number or a part of a name: " + joined(names, "; "), .hint = "sluice doctor lists them"});
}

CudaGpu::CudaGpu(const CudaDriver& driver, CudaAdapter found) : cu(driver), adapter(std::move(found)) { check(cu.cuDevicePrimaryCtxRetain(&context_, adapter.device), "be opened"); }

CudaGpu::~CudaGpu() { cu.cuDevicePrimaryCtxRelease(adapter.device); }

void CudaGpu::use() const {
  if (lost_ != CUDA_SUCCESS) {
    throw Error({.code = "GPU002", .message = "the CUDA device " + adapter.name + " was lost and does nothing more", .found = text(lost_), .hint = hintFor(lost_)});
  }
  check(cu.cuCtxSetCurrent(context_), "be used");
}

std::string CudaGpu::text(CUresult result) const {
  const char* name = nullptr;
  const char* words = nullptr;
  const bool isKnown = cu.cuGetErrorName(result, &name) == CUDA_SUCCESS && cu.cuGetErrorString(result, &words) == CUDA_SUCCESS && name != nullptr && words != nullptr;
  const std::string error = isKnown ? std::string(name) + " (" + std::to_string(result) + "): " + words : "CUresult " + std::to_string(result);
  return error + ", driver for " + cudaVersionText(cu.version);
}

void CudaGpu::check(CUresult result, std::string_view what) const {
  if (result == CUDA_SUCCESS) return;
  if (endsContext(result)) {
    lost_ = result;
    use();
  }
  const bool isMemory = result == CUDA_ERROR_OUT_OF_MEMORY;
  throw Error({.code = isMemory ? "MEM001" : "GPU006", .message = "the CUDA device " + adapter.name + " cannot " + std::string(what), .found = text(result),
      .hint = isMemory ? "use smaller sizes, or close programs that are no longer needed" : "update the NVIDIA driver"});
}

}  // namespace sluice
