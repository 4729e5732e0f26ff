#include "device/cuda.h"

#include "base/error.h"
#include "device/cuda-device.h"
#include "device/cuda-probe.h"

namespace sluice {

CudaDevice::CudaDevice(const CudaDriver& driver, const CudaAdapter& adapter) : gpu_(driver, adapter), memory_(gpu_), compute_(gpu_), upload_(gpu_), download_(gpu_) {
  requireRightNumbers(gpu_, memory_, compute_);
}

std::string CudaDevice::description() const {
  const CudaAdapter& a = gpu_.adapter;
  return "cuda, " + a.name + ", sm_" + std::to_string(a.architecture) + ", driver for " + cudaVersionText(gpu_.cu.version);
}

Range CudaDevice::share(std::span<const std::byte> bytes, std::string_view purpose) {
  const Range range = allocate(static_cast<int64_t>(bytes.size()), purpose);
  compute_.upload(bytes.data(), range);
  return range;
}

std::unique_ptr<Tape> CudaDevice::record(const Module& module, const std::vector<Command>& commands) {
  gpu_.use();
  auto tape = std::make_unique<CudaTape>(gpu_, dynamic_cast<const CudaModule&>(module), commands);
  if (tape->scratchBytes() > (scratch_ ? scratch_->bytes : 0)) {
    scratch_.reset();
    scratch_ = std::shared_ptr<const Range>(new Range(allocate(tape->scratchBytes(), "scratch")), [this](const Range* r) {
      release(*r);
      delete r;
    });
  }
  tape->prepare(scratch_);
  return tape;
}

Stream& CudaDevice::stream(StreamKind kind) {
  switch (kind) {
    case StreamKind::upload: return upload_;
    case StreamKind::download: return download_;
    default: return compute_;
  }
}

std::unique_ptr<Device> openCuda(const std::string& choice) {
  const CudaDriver& driver = cudaDriver();
  const std::vector<CudaAdapter> all = cudaAdapters(driver);
  return std::make_unique<CudaDevice>(driver, chooseCudaAdapter(all, choice));
}

std::vector<CudaDeviceInfo> listCudaDevices(bool isTested) {
  const CudaDriver& driver = cudaDriver();
  std::vector<CudaDeviceInfo> all;
  for (const CudaAdapter& a : cudaAdapters(driver)) {
    CudaDeviceInfo info{.name = a.name, .architecture = "sm_" + std::to_string(a.architecture), .memoryBytes = a.memoryBytes, .driver = cudaVersionText(driver.version), .description = {}, .problem = {}};
    try {
      if (isTested) info.description = CudaDevice(driver, a).description();
    } catch (const Error& error) {
      info.problem = error.what();
    }
    all.push_back(std::move(info));
  }
  return all;
}

}  // namespace sluice
