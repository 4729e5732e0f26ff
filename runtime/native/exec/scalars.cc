#include "exec/scalars.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "exec/scalar-math.h"

namespace sluice {
namespace {

constexpr double NOT_A_NUMBER = std::numeric_limits<double>::quiet_NaN();

int32_t toInt32(double x) {
  if (!std::isfinite(x)) return 0;
  const double rest = std::fmod(std::trunc(x), 4294967296.0);
  return static_cast<int32_t>(static_cast<uint32_t>(static_cast<int64_t>(rest)));
}

/** NaN wins, and +0 is larger than -0. */
double larger(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return NOT_A_NUMBER;
  if (a == b) return std::signbit(a) ? b : a;
  return a > b ? a : b;
}

double flag(bool x) { return x ? 1 : 0; }

}  // namespace

double applyUnary(ScalarUnary op, double x) {
  switch (op) {
    case ScalarUnary::neg: return -x;
    case ScalarUnary::abs: return std::fabs(x);
    case ScalarUnary::logicalNot: return flag(x == 0);
    case ScalarUnary::floor: return std::floor(x);
    case ScalarUnary::sqrt: return std::sqrt(x);
    case ScalarUnary::exp: return scalarExp(x);
    case ScalarUnary::log: return scalarLog(x);
    case ScalarUnary::toI32: return toInt32(x);
    case ScalarUnary::toF32: return static_cast<double>(static_cast<float>(x));
  }
  return NOT_A_NUMBER;
}

double applyBinary(ScalarBinary op, double a, double b) {
  switch (op) {
    case ScalarBinary::add: return a + b;
    case ScalarBinary::sub: return a - b;
    case ScalarBinary::mul: return a * b;
    case ScalarBinary::div: return a / b;
    case ScalarBinary::mod: return a - std::floor(a / b) * b;
    case ScalarBinary::pow: return scalarPow(a, b);
    case ScalarBinary::max: return larger(a, b);
    case ScalarBinary::min: return -larger(-a, -b);
    case ScalarBinary::eq: return flag(a == b);
    case ScalarBinary::ne: return flag(a != b);
    case ScalarBinary::lt: return flag(a < b);
    case ScalarBinary::le: return flag(a <= b);
    case ScalarBinary::gt: return flag(a > b);
    case ScalarBinary::ge: return flag(a >= b);
    case ScalarBinary::logicalAnd: return flag(a != 0 && b != 0);
    case ScalarBinary::logicalOr: return flag(a != 0 || b != 0);
  }
  return NOT_A_NUMBER;
}

std::pair<size_t, size_t> sliceBounds(size_t count, double start, double end) {
  const auto clamp = [&](double x) {
    const auto n = static_cast<double>(count);
    const double whole = std::isnan(x) ? 0 : std::trunc(x);
    return static_cast<size_t>(whole < 0 ? std::max(0.0, n + whole) : std::min(whole, n));
  };
  const size_t low = clamp(start);
  return {low, std::max(low, clamp(end))};
}

}  // namespace sluice
