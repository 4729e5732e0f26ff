// Recorded cases: programs, what goes into them, and what the reference made of it. A folder holds cases.json, the numbers in
// cases.bin, and the containers that cases.json names; tests/gpu/pack.ts writes it.
#pragma once
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/tensor.h"
#include "io/file.h"

namespace sluice {

struct GivenTensor {
  std::string name;
  HostTensor value;
};
/** Each element with how far from it a result may be; 0: the same number with the same sign, or NaN as well. */
struct ExpectedTensor {
  std::string name;
  std::vector<int64_t> shape;
  std::vector<double> values;
  std::vector<double> allowed;
};
struct Case {
  std::string name;
  std::string entry;
  /** Dims that are bound by the call. */
  std::vector<std::pair<std::string, int64_t>> sizes;
  std::vector<GivenTensor> states;
  std::vector<GivenTensor> inputs;
  std::vector<ExpectedTensor> outputs;
  /** States after the call. */
  std::vector<ExpectedTensor> updates;
};
/** Cases of one container. */
struct CaseGroup {
  std::string suite;
  std::string container;
  /** Kinds of targets that it has code for. */
  std::vector<std::string> targets;
  /** Dims that are bound when it is loaded. */
  std::vector<std::pair<std::string, int64_t>> dims;
  std::vector<Case> cases;
};

/** Throws Error CASES001 for what is no such folder. */
std::vector<CaseGroup> readCases(const std::string& folder);

/** The first element that is too far off, in words; empty if none is. */
std::string difference(const HostTensor& found, const ExpectedTensor& expected);

}  // namespace sluice
