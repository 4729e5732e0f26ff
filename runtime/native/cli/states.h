// States from files before anything runs: `--states net=weights.safetensors`. Files are read together, so that a model may lie in
// several; a module that they have only a part of is refused, unless parts are meant.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "exec/machine.h"

namespace sluice {

/** Names of tensors in files and the whole names of the states that they are. */
using Renamed = std::vector<std::pair<std::string, std::string>>;

/** Sets the states that the files name, once all of them fit; what was loaded, as texts. Each is `file` or `module=file`. */
std::vector<std::string> loadStates(Machine& machine, const std::vector<std::string>& given, const Renamed& renamed, bool isPartial);

}  // namespace sluice
