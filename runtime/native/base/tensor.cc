#include "base/tensor.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/error.h"

namespace sluice {
namespace {

struct Row {
  std::string_view name;
  int bits;
  bool isFloat;
};
// In the order of DType.
constexpr std::array<Row, 12> ROWS{{
    {"f64", 64, true}, {"f32", 32, true}, {"f16", 16, true}, {"bf16", 16, true}, {"i32", 32, false}, {"i16", 16, false},
    {"i8", 8, false}, {"i4", 4, false}, {"u32", 32, false}, {"u16", 16, false}, {"u8", 8, false}, {"bool", 8, false},
}};
const Row& row(DType dtype) { return ROWS[static_cast<size_t>(dtype)]; }

/** The value of a 16-bit float with so many mantissa bits. */
double halfValue(uint16_t half, int mantissa, int bias) {
  const double sign = half & 0x8000 ? -1 : 1;
  const int top = (1 << (15 - mantissa)) - 1;
  const int exponent = (half >> mantissa) & top;
  const int fraction = half & ((1 << mantissa) - 1);
  if (exponent == top) return fraction != 0 ? std::numeric_limits<double>::quiet_NaN() : sign * std::numeric_limits<double>::infinity();
  if (exponent == 0) return sign * std::ldexp(fraction, 1 - bias - mantissa);
  return sign * std::ldexp((1 << mantissa) + fraction, exponent - bias - mantissa);
}

/** The bits of the nearest such float, ties to even. */
uint16_t halfBits(double x, int mantissa, int bias) {
  const uint16_t sign = std::signbit(x) ? 0x8000 : 0;
  const int top = (1 << (15 - mantissa)) - 1;
  if (std::isnan(x)) return static_cast<uint16_t>((top << mantissa) | (1 << (mantissa - 1)));
  const double size = std::fabs(x);
  if (std::isinf(size)) return static_cast<uint16_t>(sign | (top << mantissa));
  int exponent = 0;
  std::frexp(size, &exponent);
  exponent = std::max(exponent - 1, 1 - bias);
  // In units of the last place, as an exact multiple: the mode of rounding is to nearest even.
  const double units = std::nearbyint(std::ldexp(size, mantissa - exponent));
  const double limit = std::ldexp(2.0, mantissa);
  if (units >= limit) {
    exponent++;
    if (exponent > bias) return static_cast<uint16_t>(sign | (top << mantissa));
    return static_cast<uint16_t>(sign | ((exponent + bias) << mantissa));
  }
  if (exponent > bias) return static_cast<uint16_t>(sign | (top << mantissa));
  const auto whole = static_cast<int>(units);
  const int one = 1 << mantissa;
  return static_cast<uint16_t>(sign | (whole < one ? whole : ((exponent + bias) << mantissa) | (whole - one)));
}

template <typename T>
double read(const std::byte* bytes, int64_t index) {
  T value;
  std::memcpy(&value, bytes + index * static_cast<int64_t>(sizeof(T)), sizeof(T));
  return static_cast<double>(value);
}
template <typename T>
void write(std::byte* bytes, int64_t index, T value) {
  std::memcpy(bytes + index * static_cast<int64_t>(sizeof(T)), &value, sizeof(T));
}

/** Truncated towards zero and wrapped at 32 bits; NaN and infinities are 0. */
uint32_t wrapped(double x) {
  if (!std::isfinite(x)) return 0;
  const double rest = std::fmod(std::trunc(x), 4294967296.0);
  return static_cast<uint32_t>(static_cast<int64_t>(rest));
}

}  // namespace

std::string_view name(DType dtype) { return row(dtype).name; }
int bits(DType dtype) { return row(dtype).bits; }
bool isFloat(DType dtype) { return row(dtype).isFloat; }

std::optional<DType> dtypeNamed(std::string_view wanted) {
  for (size_t i = 0; i < ROWS.size(); i++)
    if (ROWS[i].name == wanted) return static_cast<DType>(i);
  return std::nullopt;
}

int64_t elementCount(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (const int64_t extent : shape)
    if (extent < 0 || __builtin_mul_overflow(count, extent, &count))
      throw Error({.code = "TENSOR001", .message = "a tensor's size is out of range", .found = shapeText(shape), .expected = "extents of at least 0 whose product fits 63 bits"});
  return count;
}

std::optional<int64_t> safeElementCount(const std::vector<int64_t>& shape) {
  constexpr int64_t LIMIT = int64_t{1} << 53;
  int64_t count = 1;
  bool isEmpty = false;
  for (const int64_t extent : shape) {
    isEmpty = isEmpty || extent == 0;
    if (extent != 0 && (__builtin_mul_overflow(count, extent, &count) || count >= LIMIT)) return std::nullopt;
  }
  return isEmpty ? 0 : count;
}

int64_t byteLength(DType dtype, int64_t elements) {
  int64_t total = 0;
  if (__builtin_mul_overflow(elements, static_cast<int64_t>(bits(dtype)), &total) || total > std::numeric_limits<int64_t>::max() - 7)
    throw Error({.code = "TENSOR001", .message = "a tensor's size is out of range", .found = std::to_string(elements) + " elements of " + std::string(name(dtype))});
  return (total + 7) / 8;
}

std::string shapeText(const std::vector<int64_t>& shape) {
  std::string out = "[";
  for (size_t i = 0; i < shape.size(); i++) out += (i == 0 ? "" : ", ") + std::to_string(shape[i]);
  return out + "]";
}

double elementAt(DType dtype, const std::byte* p, int64_t i) {
  switch (dtype) {
    case DType::f64: return read<double>(p, i);
    case DType::f32: return read<float>(p, i);
    case DType::f16: return halfValue(static_cast<uint16_t>(read<uint16_t>(p, i)), 10, 15);
    case DType::bf16: return halfValue(static_cast<uint16_t>(read<uint16_t>(p, i)), 7, 127);
    case DType::i32: return read<int32_t>(p, i);
    case DType::i16: return read<int16_t>(p, i);
    case DType::i8: return read<int8_t>(p, i);
    case DType::i4: {
      const int nibble = (static_cast<int>(p[i >> 1]) >> (4 * (i & 1))) & 15;
      return (nibble ^ 8) - 8;
    }
    case DType::u32: return read<uint32_t>(p, i);
    case DType::u16: return read<uint16_t>(p, i);
    case DType::u8: return read<uint8_t>(p, i);
    case DType::boolean: return p[i] == std::byte{0} ? 0 : 1;
  }
  return 0;
}

void setElement(DType dtype, std::byte* p, int64_t i, double x) {
  switch (dtype) {
    case DType::f64: write(p, i, x); break;
    case DType::f32: write(p, i, static_cast<float>(x)); break;
    case DType::f16: write(p, i, halfBits(x, 10, 15)); break;
    case DType::bf16: write(p, i, halfBits(x, 7, 127)); break;
    case DType::i32: case DType::u32: write(p, i, wrapped(x)); break;
    case DType::i16: case DType::u16: write(p, i, static_cast<uint16_t>(wrapped(x))); break;
    case DType::i8: case DType::u8: write(p, i, static_cast<uint8_t>(wrapped(x))); break;
    case DType::i4: {
      const int shift = 4 * static_cast<int>(i & 1);
      const int kept = static_cast<int>(p[i >> 1]) & (0xf0 >> shift);
      p[i >> 1] = static_cast<std::byte>(kept | static_cast<int>((wrapped(x) & 15) << shift));
      break;
    }
    case DType::boolean: p[i] = x == 0 ? std::byte{0} : std::byte{1}; break;
  }
}

std::optional<std::string> unfitBool(const HostTensor& tensor) {
  if (tensor.dtype != DType::boolean) return std::nullopt;
  const auto found = std::find_if(tensor.bytes.begin(), tensor.bytes.end(), [](std::byte b) { return b > std::byte{1}; });
  if (found == tensor.bytes.end()) return std::nullopt;
  auto at = static_cast<int64_t>(found - tensor.bytes.begin());
  std::vector<int64_t> place(tensor.shape.size());
  for (size_t axis = place.size(); axis-- > 0; at /= tensor.shape[axis]) place[axis] = at % tensor.shape[axis];
  return std::to_string(static_cast<int>(*found)) + " at " + shapeText(place);
}

HostTensor tensorOf(DType dtype, std::vector<int64_t> shape, const std::vector<double>& values) {
  HostTensor t{dtype, std::move(shape), std::vector<std::byte>(static_cast<size_t>(byteLength(dtype, static_cast<int64_t>(values.size()))))};
  for (size_t i = 0; i < values.size(); i++) setElement(dtype, t.bytes.data(), static_cast<int64_t>(i), values[i]);
  return t;
}

}  // namespace sluice
