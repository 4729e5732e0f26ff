#include "device/features.h"

#include <cpuid.h>

#include <algorithm>

#include "base/error.h"

namespace sluice {
namespace {

/** The registers whose state the operating system keeps. */
uint64_t keptRegisters() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

CpuFeatures detect() {
  constexpr uint64_t AVX_STATE = 0x6;
  constexpr uint64_t AVX512_STATE = 0xe6;
  CpuFeatures f;
  uint32_t a = 0, b1 = 0, c1 = 0, d1 = 0, b7 = 0, c7 = 0, d7 = 0;
  if (__get_cpuid(1, &a, &b1, &c1, &d1) == 0 || (c1 & bit_OSXSAVE) == 0) return f;
  const uint64_t kept = keptRegisters();
  uint32_t leaves = 0;
  if (__get_cpuid_count(7, 0, &leaves, &b7, &c7, &d7) == 0) return f;
  uint32_t ax = 0, bx = 0, cx = 0, dx = 0;
  __get_cpuid(0x80000001, &ax, &bx, &cx, &dx);
  const auto has = [](uint32_t word, uint32_t bits) { return (word & bits) == bits; };
  constexpr uint32_t LZCNT = 1U << 5;
  f.v3 = has(c1, bit_AVX | bit_FMA | bit_F16C | bit_MOVBE | bit_POPCNT | bit_SSE4_2) && has(b7, bit_AVX2 | bit_BMI | bit_BMI2) && has(cx, LZCNT) && (kept & AVX_STATE) == AVX_STATE;
  f.v4 = f.v3 && has(b7, bit_AVX512F | bit_AVX512BW | bit_AVX512CD | bit_AVX512DQ | bit_AVX512VL) && (kept & AVX512_STATE) == AVX512_STATE;
  f.vnni = f.v4 && has(c7, bit_AVX512VNNI);
  if (f.v4 && leaves >= 1) {
    uint32_t a71 = 0, b71 = 0, c71 = 0, d71 = 0;
    __cpuid_count(7, 1, a71, b71, c71, d71);
    f.bf16 = has(a71, bit_AVX512BF16);
  }
  return f;
}

std::string nameOf(const std::string& level, const std::vector<std::string>& features) {
  std::string name = level;
  for (const std::string& feature : features) name += "+" + feature;
  return name;
}

}  // namespace

const CpuFeatures& cpuFeatures() {
  static const CpuFeatures features = detect();
  return features;
}

bool CpuFeatures::runs(const std::string& level, const std::vector<std::string>& features) const {
  const auto has = [&](const std::string& feature) { return (feature == "vnni" && vnni) || (feature == "bf16" && bf16); };
  return ((level == "v3" && v3) || (level == "v4" && v4)) && std::all_of(features.begin(), features.end(), has);
}

std::string CpuFeatures::text() const {
  if (!v3) return "less than v3";
  std::vector<std::string> features;
  if (vnni) features.emplace_back("vnni");
  if (bf16) features.emplace_back("bf16");
  return nameOf(v4 ? "v4" : "v3", features);
}

const ModuleInfo& chooseModule(const std::vector<ModuleInfo>& modules, const CpuFeatures& features) {
  std::string there;
  for (const ModuleInfo& m : modules) {
    if (m.kind != ModuleInfo::Kind::cpu) continue;
    if (features.runs(m.level, m.features)) return m;
    there += (there.empty() ? "" : ", ") + nameOf(m.level, m.features);
  }
  if (there.empty()) throw Error({.code = "CPU005", .message = "the program has no native code", .hint = "build it with --target cpu"});
  throw Error({.code = "CPU005", .message = "this machine cannot run the program's native code", .found = "a processor with " + features.text(), .expected = there,
      .hint = "build it for a lower level, or with several: --target cpu:v3,v4"});
}

}  // namespace sluice
