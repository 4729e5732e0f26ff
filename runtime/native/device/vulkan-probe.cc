#include "device/vulkan-probe.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "device/vulkan-module.h"
#include "device/vulkan-probe-code.h"

namespace sluice {
namespace {

constexpr int64_t THREADS = 64;

/** As vulkan-probe.comp has them. */
struct Inputs {
  std::array<int64_t, THREADS> wide;
  std::array<float, THREADS> real;
  std::array<int16_t, THREADS> half;
  std::array<int8_t, THREADS> byte;
};
struct Outputs {
  std::array<int64_t, THREADS> wide;
  std::array<float, THREADS> real;
};

/** Numbers whose products and sums are exact where they should be, and use every bit of the integers. */
Inputs inputs() {
  Inputs x{};
  for (int64_t i = 0; i < THREADS; i++) {
    const auto at = static_cast<size_t>(i);
    x.wide[at] = (i - 20) * 0x0123456789abcd;
    x.real[at] = 1.0F + static_cast<float>(i) / 4096;
    x.half[at] = static_cast<int16_t>(i * 1021 - 32000);
    x.byte[at] = static_cast<int8_t>(i * 4 - 128);
  }
  return x;
}

template <typename Result>
std::vector<Result> forEach(Result (*expected)(const Inputs&, size_t)) {
  const Inputs x = inputs();
  std::vector<Result> all;
  for (size_t i = 0; i < THREADS; i++) all.push_back(expected(x, i));
  return all;
}

int64_t wideOfBase(const Inputs& x, size_t i) { return ((x.wide[i] * 3 + (x.wide[i] >> 5)) ^ x.half[i] ^ x.byte[i]) + THREADS; }
float realOfBase(const Inputs& x, size_t i) { return x.real[THREADS - 1 - i] * 1.5F + 0.25F; }
int64_t wideOfSmall(const Inputs& x, size_t i) {
  return static_cast<int8_t>(x.byte[i] * 3) + (static_cast<int64_t>(static_cast<int16_t>(x.half[i] * 5)) << 32);
}
/** To the nearest of 11 bits, ties to even. */
float toHalf(float value) {
  const float scale = std::ldexp(1.0F, 10 - std::ilogb(value));
  return std::nearbyint(value * scale) / scale;
}
float realOfFloat16(const Inputs& x, size_t i) {
  const float h = toHalf(x.real[i]);
  return toHalf(toHalf(h * h) + 0.5F);
}
int64_t wideOfFloat64(const Inputs& x, size_t i) { return std::bit_cast<int64_t>(static_cast<double>(x.real[i]) * static_cast<double>(x.real[i]) + static_cast<double>(x.wide[i])); }
float realOfFused(const Inputs& x, size_t i) { return std::fma(x.real[i], x.real[i], -(x.real[i] * x.real[i])); }
int64_t wideOfDot8(const Inputs& x, size_t i) {
  int64_t sum = 0;
  for (int byte = 0; byte < 4; byte++) sum += static_cast<int8_t>(x.wide[i] >> (8 * byte)) * static_cast<int8_t>(x.wide[i] >> (32 + 8 * byte));
  return sum;
}

/** Bit by bit. */
template <class T, size_t N>
bool beginsWith(const std::array<T, N>& found, const std::vector<T>& wanted) {
  return wanted.empty() || std::memcmp(found.data(), wanted.data(), wanted.size() * sizeof(T)) == 0;
}

}  // namespace

std::vector<Probe> vulkanProbes(const VulkanFeatures& f) {
  std::vector<Probe> all{{.name = "addresses, 64-bit integers and floats", .code = probe::BASE, .wide = forEach(wideOfBase), .real = forEach(realOfBase)}};
  if (f.int8 && f.int16) {
    all.push_back({.name = "int8 and int16", .code = probe::SMALL_INTEGERS, .wide = forEach(wideOfSmall), .real = {}, .switchOff = [](VulkanFeatures& x) { x.int8 = x.int16 = false; }});
  }
  if (f.float16) all.push_back({.name = "float16", .code = probe::FLOAT16, .wide = {}, .real = forEach(realOfFloat16), .switchOff = [](VulkanFeatures& x) { x.float16 = false; }});
  if (f.float64) all.push_back({.name = "float64", .code = probe::FLOAT64, .wide = forEach(wideOfFloat64), .real = {}, .switchOff = [](VulkanFeatures& x) { x.float64 = false; }});
  if (f.dot8) all.push_back({.name = "dot8", .code = probe::DOT8, .wide = forEach(wideOfDot8), .real = {}, .switchOff = [](VulkanFeatures& x) { x.dot8 = false; }});
  if (f.atomicAddF32) {
    float sum = 0;
    for (const float x : inputs().real) sum += x;
    all.push_back({.name = "atomicAddF32", .code = probe::ATOMIC, .wide = {}, .real = {sum}, .switchOff = [](VulkanFeatures& x) { x.atomicAddF32 = false; }});
  }
  constexpr uint32_t USED = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_ARITHMETIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  if ((f.subgroupOperations & USED) == USED) {
    const uint32_t size = f.subgroup32 ? 32 : f.subgroupSize;
    all.push_back({.name = "subgroups", .code = probe::SUBGROUPS, .subgroup = f.subgroup32 ? size : 0, .wide = std::vector<int64_t>(THREADS, size + (int64_t{1} << 32)), .real = {},
        .switchOff = [](VulkanFeatures& x) { x.subgroup32 = false, x.subgroupOperations = 0; }});
  }
  all.push_back({.name = "fusedMultiplyAdd", .code = probe::FUSED, .wide = {}, .real = forEach(realOfFused), .switchOff = [](VulkanFeatures& x) { x.fusedMultiplyAdd = false; }, .isQuestion = true});
  return all;
}

bool passes(Device& device, const Probe& p) {
  std::vector<uint32_t> image{VULKAN_IMAGE_MAGIC, VULKAN_IMAGE_VERSION, 1, 1, 0, THREADS, THREADS, p.subgroup, 0, static_cast<uint32_t>(p.code.size())};
  image.insert(image.end(), p.code.begin(), p.code.end());
  const auto module = device.load({std::as_bytes(std::span(image)), 1});
  const struct Memory {
    Memory(Device& d, int64_t bytes) : device(d), range(d.allocate(bytes, "a self-test")) {}
    ~Memory() { device.release(range); }
    Device& device;
    const Range range;
  } in(device, sizeof(Inputs)), out(device, sizeof(Outputs));
  const Inputs x = inputs();
  Outputs y{};
  Stream& stream = device.stream(StreamKind::compute);
  stream.upload(reinterpret_cast<const std::byte*>(&x), in.range);
  stream.upload(reinterpret_cast<const std::byte*>(&y), out.range);
  const auto tape = device.record(*module, {{LaunchCommand{.kernel = 0, .operands = {{in.range, false}, {out.range, true}}, .dims = {}, .tasks = THREADS}}});
  struct NoEffects final : Effects {
    void perform(int32_t) override {}
  } effects;
  stream.run(*tape, effects, nullptr);
  stream.download(out.range, reinterpret_cast<std::byte*>(&y));
  stream.await(stream.record());
  return beginsWith(y.wide, p.wide) && beginsWith(y.real, p.real);
}

SelfTests runSelfTests(Device& device, const std::vector<Probe>& probes, VulkanFeatures& features) {
  SelfTests tests;
  for (const Probe& p : probes) {
    if (passes(device, p)) {
      tests.passed.push_back(p.name);
      continue;
    }
    if (p.switchOff == nullptr) {
      throw Error({.code = "GPU001", .message = "a Vulkan device computes wrong numbers", .found = device.description(), .expected = "a driver whose " + p.name + " are right",
          .hint = "update the driver, or choose another device: sluice doctor lists them"});
    }
    p.switchOff(features);
    if (!p.isQuestion) tests.failed.push_back(p.name);
  }
  return tests;
}

}  // namespace sluice
