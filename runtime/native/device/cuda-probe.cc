#include "device/cuda-probe.h"

#include <array>
#include <bit>
#include <cmath>

#include "base/tensor.h"
#include "base/text.h"
#include "device/cuda-probe-code.h"
#include "device/cuda.h"

namespace sluice {
namespace {

constexpr unsigned THREADS = 32;
/** Of sums, as many. */
constexpr unsigned SUMS = 4;
constexpr uint32_t POISON = 0xa5a5a5a5;
using Row = std::array<uint32_t, THREADS>;

struct Known {
  const char* name;
  uint32_t (*word)(unsigned thread);
};

float quotient(unsigned t) {
  const auto x = static_cast<float>(t);
  return std::sqrt(std::fmaf(x, 0x1.555556p-2F, 0.1F) / (x + 2));
}
double wideQuotient(unsigned t) {
  const double x = t;
  return std::fma(x, 0x1.5555555555555p-2, 0.1) / (x + 2);
}
float throughHalf(float x) {
  std::array<std::byte, 2> half{};
  setElement(DType::f16, half.data(), 0, x);
  return static_cast<float>(elementAt(DType::f16, half.data(), 0));
}
uint32_t product(unsigned t) { return t * 0x0937251bU; }
uint32_t dot(unsigned t) {
  const uint32_t a = product(t);
  const uint32_t b = t * 0x9d0b71c5U;
  uint32_t sum = t;
  for (int i = 0; i < 32; i += 8) sum += static_cast<uint32_t>(static_cast<int8_t>(a >> i) * static_cast<int8_t>(b >> i));
  return sum;
}
uint32_t sum(unsigned t) {
  if (t >= SUMS) return POISON;
  float total = 0;
  for (unsigned i = t; i < THREADS; i += SUMS) total += static_cast<float>(i);
  return std::bit_cast<uint32_t>(total);
}

/** In the order of the kernel's rows. */
constexpr Known ROWS[] = {
    {"f32", [](unsigned t) { return std::bit_cast<uint32_t>(quotient(t)); }},
    {"f64", [](unsigned t) { return static_cast<uint32_t>(std::bit_cast<uint64_t>(wideQuotient(t))); }},
    {"f16", [](unsigned t) { return std::bit_cast<uint32_t>(throughHalf(quotient(t))); }},
    {"dot products of bytes", dot},
    {"subgroups", [](unsigned t) { return (t ^ 5) * (t ^ 5); }},
    {"shared memory", [](unsigned t) { return product(THREADS - 1 - t); }},
    {"atomic addition", sum},
};
constexpr size_t COUNT = std::size(ROWS);

/** Unloads itself. */
struct Loaded {
  const CudaGpu& gpu;
  CUmodule module = nullptr;
  ~Loaded() { gpu.cu.cuModuleUnload(module); }
};

}  // namespace

void requireRightNumbers(const CudaGpu& gpu, CudaMemory& memory, CudaStream& stream) {
  gpu.use();
  CUmodule module = nullptr;
  if (const CUresult result = gpu.cu.cuModuleLoadData(&module, CUDA_PROBE); result != CUDA_SUCCESS) {
    const bool isOther = result == CUDA_ERROR_INVALID_PTX || result == CUDA_ERROR_NO_BINARY_FOR_GPU;
    if (!isOther) gpu.check(result, "load the kernel that tests it");
    throw Error({.code = "GPU004", .message = "the CUDA device " + gpu.adapter.name + " is too old", .found = "sm_" + std::to_string(gpu.adapter.architecture) + "; " + gpu.text(result), .expected = "sm_75 or newer",
        .hint = "--target vulkan may run on it"});
  }
  const Loaded loaded{gpu, module};
  CUfunction function = nullptr;
  gpu.check(gpu.cu.cuModuleGetFunction(&function, module, "probe"), "find the kernel that tests it");

  std::array<Row, COUNT> rows{};
  for (Row& row : rows) row.fill(POISON);
  // Where atomics add.
  for (unsigned i = 0; i < SUMS; i++) rows.back()[i] = 0;
  const Range range = memory.allocate(sizeof rows, "a self-test");
  stream.upload(reinterpret_cast<const std::byte*>(rows.data()), range);
  stream.launch({function, 1, THREADS, {range.address}});
  stream.download(range, reinterpret_cast<std::byte*>(rows.data()));
  stream.await(stream.record());
  memory.release(range);

  std::vector<std::string> wrong;
  for (size_t i = 0; i < COUNT; i++) {
    bool isRight = true;
    for (unsigned t = 0; t < THREADS; t++) isRight = isRight && rows[i][t] == ROWS[i].word(t);
    if (!isRight) wrong.emplace_back(ROWS[i].name);
  }
  if (wrong.empty()) return;
  throw Error({.code = "GPU001", .message = "the CUDA device " + gpu.adapter.name + " computes wrong numbers", .found = joined(wrong) + ", driver for " + cudaVersionText(gpu.cu.version),
      .expected = "what IEEE 754 and the arithmetic of integers say", .hint = "update the driver, or choose another device: sluice doctor lists them"});
}

}  // namespace sluice
