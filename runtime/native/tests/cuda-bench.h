// What the tests of the CUDA device share: kernels as a module image, memory that frees itself, and the driver that runs them
// without a GPU (tests/cuda-shim), with its switches.
#pragma once
#include <dlfcn.h>
#include <doctest/doctest.h>

#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "device/cuda-device.h"
#include "device/cuda.h"
#include "tests/sample.h"
#include "tests/witness.h"
#include "../../../tests/cuda-shim/driver.h"

namespace sluice::test {

enum CudaTestKernel : int32_t { DOUBLE, ADD_ONE, COME_TO, APPEND, NUMBER, SPILLED, BEYOND };
constexpr int32_t CUDA_KERNELS = 7;

/** Kernels of a file, of so many tasks a block. */
inline std::string cudaImage(const std::string& kernels, const std::vector<uint32_t>& tasks) {
  const std::string fat = bytesOfFile((CUDA_SHIM + kernels + ".fatbin").c_str());
  std::vector<uint32_t> table{CUDA_IMAGE_MAGIC, CUDA_IMAGE_VERSION, 13000, static_cast<uint32_t>(tasks.size()), 1};
  for (const uint32_t t : tasks) table.insert(table.end(), {t == 1 ? 64U : t, t, 0U});
  table.insert(table.end(), {0U, static_cast<uint32_t>(fat.size())});
  return std::string(reinterpret_cast<const char*>(table.data()), table.size() * 4) + fat;
}
/** Those of `CudaTestKernel`. */
inline std::string cudaImage() { return cudaImage("cuda-kernels", {256, 256, 256, 256, 1, 256, 256}); }
inline std::span<const std::byte> bytesOf(const std::string& text) { return {reinterpret_cast<const std::byte*>(text.data()), text.size()}; }

/** The driver, loaded before the runtime looks for one. */
inline void* shimLibrary() {
  static void* const library = ::dlopen(CUDA_SHIM "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) throw std::runtime_error(::dlerror());
  return library;
}
inline shim::Switches& switches() { return *reinterpret_cast<shim::Switches* (*)()>(::dlsym(shimLibrary(), "shim_switches"))(); }
inline shim::Counts& counts() { return *reinterpret_cast<shim::Counts* (*)()>(::dlsym(shimLibrary(), "shim_counts"))(); }

/** The driver as it is when nothing was switched, during a test. */
struct Switched {
  Switched() { reset(); }
  ~Switched() { reset(); }
  static void reset() {
    switches() = {};
    counts() = {};
  }
};

class CudaBench {
 public:
  CudaBench() : device(openCuda("")), module(device->load({bytesOf(image_), CUDA_KERNELS})) {}
  ~CudaBench() {
    for (const Range r : ranges_) device->release(r);
  }
  CudaBench(const CudaBench&) = delete;
  CudaBench& operator=(const CudaBench&) = delete;

  template <typename T>
  Range upload(const std::vector<T>& values) {
    ranges_.push_back(device->allocate(static_cast<int64_t>(values.size() * sizeof(T)), "a test"));
    stream().upload(reinterpret_cast<const std::byte*>(values.data()), ranges_.back());
    return ranges_.back();
  }
  template <typename T>
  std::vector<T> download(Range range) {
    std::vector<T> values(static_cast<size_t>(range.bytes) / sizeof(T));
    stream().download(range, reinterpret_cast<std::byte*>(values.data()));
    stream().await(stream().record());
    return values;
  }
  Stream& stream() { return device->stream(StreamKind::compute); }
  /** So many times. */
  void run(const std::vector<Command>& commands, Effects& effects, int times = 1) {
    const auto tape = device->record(*module, commands);
    for (int i = 0; i < times; i++) stream().run(*tape, effects, nullptr);
    stream().await(stream().record());
  }

 private:
  const Switched switched_;
  const std::string image_ = cudaImage();
  std::vector<Range> ranges_;

 public:
  std::unique_ptr<Device> device;
  std::unique_ptr<Module> module;
};

inline Command launch(CudaTestKernel kernel, const std::vector<Range>& operands, int64_t tasks, const std::vector<int64_t>& dims = {}, int64_t scratch = 0) {
  LaunchCommand l{.kernel = kernel, .operands = {}, .dims = dims, .tasks = tasks, .scratch = scratch};
  for (size_t i = 0; i < operands.size(); i++) l.operands.push_back({operands[i], i + 1 == operands.size()});
  return {l};
}

}  // namespace sluice::test
