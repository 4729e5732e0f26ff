// Files and numbers as an entry's inputs, and its outputs as files or text.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/command-line.h"
#include "exec/machine.h"

namespace sluice {

struct EntryInputs {
  /** In the order of the entry's ports. */
  std::vector<HostTensor> values;
  /** Of the only picture among them. */
  std::optional<std::vector<std::byte>> alpha;
};

/** Reads what was given. Missing inputs, wrong dtypes and wrong shapes are refused: INPUT001, INPUT003, INPUT004. */
EntryInputs readInputs(const Machine& machine, const Schedule& entry, const Given& given);

/** Values for all inputs where only some are given, for timing; random, since zeros may be faster than numbers are. `sizes` gets a value for each dim that has none. */
EntryInputs inventInputs(const Machine& machine, const Schedule& entry, const Given& given, std::vector<DimValue>& sizes);

struct NamedOutput {
  std::string name;
  HostTensor value;
};
/** Writes outputs to `out` (a file for the only one, a .safetensors for all, or a folder), and prints where, or what, they are. */
void showOutputs(const std::vector<NamedOutput>& outputs, const std::string& out, const EntryInputs& inputs, bool json);

/** By name; null if the program has no such dim. */
const DimDecl* dimNamed(const Program& program, const Schedule& entry, const std::string& name);

}  // namespace sluice
