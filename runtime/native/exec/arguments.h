// The values of dims: those that a program is loaded with, and those of one call.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "container/program.h"

namespace sluice {

/** Every declared dim has a value within its bounds: DIM002, DIM001. */
void checkDims(std::string_view where, const std::vector<DimDecl>& decls, const DimValues& values, const std::vector<std::string>& names);

/** Values of the dims that are bound when a program is loaded; one that has a single value needs none given. */
DimValues instanceDims(const Program& program, const std::vector<std::pair<std::string, int64_t>>& given);

}  // namespace sluice
