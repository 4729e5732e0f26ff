// States from a file before anything runs: `--states net=weights.safetensors`, or, said aloud, the file that the program's
// own procedures save by default if it lies here.
#pragma once
#include <string>
#include <utility>
#include <vector>

#include "exec/machine.h"

namespace sluice {

using Renamed = std::vector<std::pair<std::string, std::string>>;

/** Sets the states that the file names, once all of them fit; what was loaded, as text. `given` is `file` or `module=file`. */
std::string loadStates(Machine& machine, const std::string& given, const Renamed& renamed);

}  // namespace sluice
