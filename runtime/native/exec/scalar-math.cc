// The same sequence of operations, in the same order and with the same constants, as runtime/scalar-math.ts, which says why.
// It is compiled without contraction: a fused multiply-add would round once where TypeScript rounds twice.
#include "exec/scalar-math.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace sluice {
namespace {

constexpr double INFINITE = std::numeric_limits<double>::infinity();
constexpr double NOT_A_NUMBER = std::numeric_limits<double>::quiet_NaN();
constexpr double SMALLEST_NORMAL = 2.2250738585072014e-308;

/** Sign, exponent and the first 20 bits of the fraction. */
uint32_t highWord(double x) { return static_cast<uint32_t>(std::bit_cast<uint64_t>(x) >> 32); }
/** The double with this high word, and 0 below it. */
double fromHigh(uint32_t high) { return std::bit_cast<double>(static_cast<uint64_t>(high) << 32); }
/** x without the low half of its fraction, so that a product of two such numbers is exact. */
double head(double x) { return fromHigh(highWord(x)); }
double withHigh(double x, uint32_t high) { return std::bit_cast<double>((std::bit_cast<uint64_t>(x) & 0xffffffffU) | static_cast<uint64_t>(high) << 32); }

/** 2^k for a normal result. */
double powerOfTwo(int k) { return fromHigh(static_cast<uint32_t>(k + 1023) << 20); }

/** x · 2^k, rounded once. x lies near 1. */
double scaled(double x, int k) {
  if (k > 1023) return x * powerOfTwo(1023) * powerOfTwo(k - 1023);
  if (k < -1022) return x * powerOfTwo(k + 54) * powerOfTwo(-54);
  return x * powerOfTwo(k);
}

constexpr double INVERSE_LN2 = 1.4426950408889634;
/** ln 2 in two parts: a multiple of the first by an exponent is exact. */
constexpr double LN2_HIGH = 0.6931471803691238;
constexpr double LN2_LOW = 1.9082149292705877e-10;

/** A number as the sum of two, the first with half of its fraction's bits. */
struct Pair {
  double head;
  double tail;
};

/** log2 of a positive finite number, to about 70 bits. */
Pair log2(double x) {
  const bool isSmall = x < SMALLEST_NORMAL;
  const double normal = isSmall ? x * 9007199254740992.0 : x;
  const uint32_t high = highWord(normal);
  const uint32_t fraction = high & 0xfffff;
  // Near 1, near 1.5, or near 2, which is 1 with the next exponent.
  const bool isMiddle = fraction > 0x3988e && fraction < 0xbb67a;
  const bool isUpper = fraction >= 0xbb67a;
  const int n = static_cast<int>(high >> 20) - 1023 - (isSmall ? 53 : 0) + (isUpper ? 1 : 0);
  const uint32_t reduced = fraction | (isUpper ? 0x3fe00000 : 0x3ff00000);
  const double a = withHigh(normal, reduced);
  const double base = isMiddle ? 1.5 : 1;
  const double u = a - base;
  const double v = 1 / (a + base);
  const double s = u * v;
  const double sHead = head(s);
  const double sumHead = fromHigh(((reduced >> 1) | 0x20000000) + 0x80000 + (isMiddle ? 1U << 18 : 0));
  const double sumTail = a - (sumHead - base);
  const double sTail = v * ((u - sHead * sumHead) - sHead * sumTail);
  const double square = s * s;
  const double series = square * square * (0.5999999999999946 + square * (0.4285714285785502 + square * (0.33333332981837743
      + square * (0.272728123808534 + square * (0.23066074577556175 + square * 0.20697501780033842)))));
  const double rest = series + sTail * (sHead + s);
  const double headSquare = sHead * sHead;
  const double t = head(3 + headSquare + rest);
  const double tTail = rest - ((t - 3) - headSquare);
  const double p = sHead * t;
  const double q = sTail * t + tTail * s;
  const double pHead = head(p + q);
  const double pTail = q - (pHead - p);
  // Times 2 / (3 ln 2).
  const double z = 0.9617967009544373 * pHead;
  const double zTail = -7.028461650952758e-9 * pHead + pTail * 0.9617966939259756 + (isMiddle ? 1.350039202129749e-8 : 0);
  const double baseLog = isMiddle ? 0.5849624872207642 : 0;
  const double first = head(((z + zTail) + baseLog) + n);
  return {first, zTail - (((first - n) - baseLog) - z)};
}

/** log2 of a number that is 1 but for less than 2^-20. */
Pair log2NearOne(double x) {
  const double t = x - 1;
  const double w = (t * t) * (0.5 - t * (0.3333333333333333 - t * 0.25));
  const double tHead = head(t);
  const double u = 1.4426950216293335 * tHead;
  const double v = 1.4426950216293335 * (t - tHead) + t * 1.9259629911266175e-8 - w * INVERSE_LN2;
  const double first = head(u + v);
  return {first, v - (first - u)};
}

/** 2^(high + low), where the sum lies within what a double can be. */
double exp2(double high, double low) {
  const double z = low + high;
  const double n = std::fabs(z) > 0.5 ? std::floor(z + 0.5) : 0;
  const double rest = high - n;
  const double t = head(low + rest);
  const double u = t * 0.6931471824645996;
  const double v = (low - (t - rest)) * 0.6931471805599453 + t * -1.904654299957768e-9;
  const double y = u + v;
  const double w = v - (y - u);
  const double square = y * y;
  const double c = y - square * (0.16666666666666602 + square * (-0.0027777777777015593 + square * (0.00006613756321437934
      + square * (-0.0000016533902205465252 + square * 4.1381367970572385e-8))));
  const double r = (y * c) / (c - 2) - (w + y * w);
  return scaled(1 - (r - y), static_cast<int>(n));
}

}  // namespace

double scalarExp(double x) {
  if (std::isnan(x)) return x;
  if (x == 1) return 2.718281828459045;
  if (x > 709.782712893384) return INFINITE;
  if (x < -745.1332191019411) return 0;
  const double k = std::floor(INVERSE_LN2 * x + 0.5);
  const double high = x - k * LN2_HIGH;
  const double low = k * LN2_LOW;
  const double r = high - low;
  const double t = r * r;
  const double c = r - t * (0.16666666666666602 + t * (-0.0027777777777015593 + t * (0.00006613756321437934
      + t * (-0.0000016533902205465252 + t * 4.1381367970572385e-8))));
  return scaled(1 - ((low - (r * c) / (2 - c)) - high), static_cast<int>(k));
}

double scalarLog(double x) {
  if (std::isnan(x) || x < 0) return NOT_A_NUMBER;
  if (x == 0) return -INFINITE;
  if (x == INFINITE) return x;
  const bool isSmall = x < SMALLEST_NORMAL;
  const double normal = isSmall ? x * 18014398509481984.0 : x;
  const uint32_t word = highWord(normal);
  const uint32_t fraction = word & 0xfffff;
  // 1 where the fraction is past √2 and is halved.
  const uint32_t halved = (fraction + 0x95f64) & 0x100000;
  const int k = static_cast<int>(word >> 20) - 1023 + static_cast<int>(halved >> 20) - (isSmall ? 54 : 0);
  const double f = withHigh(normal, fraction | (halved ^ 0x3ff00000)) - 1;
  const double s = f / (2 + f);
  const double z = s * s;
  const double w = z * z;
  const double even = w * (0.3999999999940942 + w * (0.22222198432149784 + w * 0.15313837699209373));
  const double odd = z * (0.6666666666666735 + w * (0.2857142874366239 + w * (0.1818357216161805 + w * 0.14798198605116586)));
  const double half = 0.5 * f * f;
  return k * LN2_HIGH - ((half - (s * (half + (even + odd)) + k * LN2_LOW)) - f);
}

double scalarPow(double x, double y) {
  if (y == 0) return 1;
  if (std::isnan(x) || std::isnan(y)) return NOT_A_NUMBER;
  const double size = std::fabs(x);
  if (std::isinf(y)) return size == 1 ? NOT_A_NUMBER : (size > 1) == (y > 0) ? INFINITE : 0;
  const bool isWhole = std::floor(y) == y;
  const double sign = isWhole && std::floor(y / 2) != y / 2 && std::signbit(x) ? -1 : 1;
  if (size == 0 || size == INFINITE) return sign * ((size == 0) == (y > 0) ? 0 : INFINITE);
  if (x < 0 && !isWhole) return NOT_A_NUMBER;
  if (size == 1 || y == 1) return sign * size;
  const bool isHuge = std::fabs(y) > 2147483648.0;
  const bool isFar = size < 0.9999990463256836 || size > 1.0000009536743164;
  if (isHuge && isFar) return sign * ((size > 1) == (y > 0) ? INFINITE : 0);
  const Pair logarithm = isHuge ? log2NearOne(size) : log2(size);
  const double yHead = head(y);
  const double low = (y - yHead) * logarithm.head + y * logarithm.tail;
  const double high = yHead * logarithm.head;
  const double z = low + high;
  if (z > 1024 || (z == 1024 && low + 8.008566259537294e-17 > z - high)) return sign * INFINITE;
  if (z < -1075 || (z == -1075 && low <= z - high)) return sign * 0;
  return sign * exp2(high, low);
}

}  // namespace sluice
