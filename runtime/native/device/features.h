// What this machine's processor can do, as levels of x86-64 and features beyond, and which of a container's modules runs.
#pragma once
#include <string>
#include <vector>

#include "container/read.h"

namespace sluice {

struct CpuFeatures {
  /** AVX2, FMA, F16C and BMI, with an operating system that keeps their registers. */
  bool v3 = false;
  /** AVX-512 F, BW, CD, DQ and VL. */
  bool v4 = false;
  bool vnni = false;
  bool bf16 = false;

  bool runs(const std::string& level, const std::vector<std::string>& features) const;
  /** `v4+vnni`. */
  std::string text() const;
};

const CpuFeatures& cpuFeatures();

/** The first cpu module that runs on such a machine: writers put the best first. Throws CPU005 if there is none. */
const ModuleInfo& chooseModule(const std::vector<ModuleInfo>& modules, const CpuFeatures& features);

}  // namespace sluice
