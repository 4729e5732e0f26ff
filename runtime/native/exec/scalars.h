// Arithmetic of procedures on scalars: double precision with JavaScript's results, so that a procedure computes the same
// under Node and in an executable.
#pragma once
#include <cstdint>
#include <vector>

#include "container/program.h"

namespace sluice {

double applyUnary(ScalarUnary op, double x);
double applyBinary(ScalarBinary op, double a, double b);
/** The bounds of `values.slice(start, end)` for that many values. */
std::pair<size_t, size_t> sliceBounds(size_t count, double start, double end);

}  // namespace sluice
