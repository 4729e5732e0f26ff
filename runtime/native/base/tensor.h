// Element types and tensors in host memory. i4 packs two elements to a byte, low nibble first; bool is one byte, 0 or 1.
#pragma once
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sluice {

enum class DType : uint8_t { f64, f32, f16, bf16, i32, i16, i8, i4, u32, u16, u8, boolean };

/** As programs and files write it: `f32`, `bool`. */
std::string_view name(DType dtype);
std::optional<DType> dtypeNamed(std::string_view name);
/** Bits of one element in memory. */
int bits(DType dtype);
bool isFloat(DType dtype);

/** The product of the extents. Throws Error TENSOR001 where one is negative or the product does not fit. */
int64_t elementCount(const std::vector<int64_t>& shape);
/** Nothing where the extents that are not 0 have a product of 2^53 or more, as only a false shape has. */
std::optional<int64_t> safeElementCount(const std::vector<int64_t>& shape);
/** Bytes that so many elements take, i4 rounded up to whole bytes. */
int64_t byteLength(DType dtype, int64_t elements);
/** `[3, 4]`. */
std::string shapeText(const std::vector<int64_t>& shape);

struct HostTensor {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  std::vector<std::byte> bytes;
};

/** The element at a row-major position, exact in a double. */
double elementAt(DType dtype, const std::byte* bytes, int64_t index);
inline double elementAt(const HostTensor& tensor, int64_t index) { return elementAt(tensor.dtype, tensor.bytes.data(), index); }
/** The number as the dtype holds it: floats round to nearest even, integers truncate and wrap. */
void setElement(DType dtype, std::byte* bytes, int64_t index, double x);
/** The first byte of a bool tensor that is neither 0 nor 1, and its place: `7 at [1, 1]`. */
std::optional<std::string> unfitBool(const HostTensor& tensor);
/** Numbers as the dtype holds them. */
HostTensor tensorOf(DType dtype, std::vector<int64_t> shape, const std::vector<double>& values);

}  // namespace sluice
