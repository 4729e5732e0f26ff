#include "io/npy.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <optional>

#include "base/text.h"

namespace sluice {
namespace {

constexpr std::string_view MAGIC = "\x93NUMPY";
constexpr size_t HEADER_LIMIT = size_t{1} << 20;
constexpr size_t AXES_LIMIT = 64;

struct Description {
  DType dtype;
  std::string_view text;
};
constexpr std::array<Description, 10> DESCRIPTIONS{{
    {DType::f64, "<f8"}, {DType::f32, "<f4"}, {DType::f16, "<f2"}, {DType::i32, "<i4"}, {DType::i16, "<i2"},
    {DType::i8, "|i1"}, {DType::u32, "<u4"}, {DType::u16, "<u2"}, {DType::u8, "|u1"}, {DType::boolean, "|b1"},
}};

/** An element of one kind in a file, and the dtype of ours that holds it as it is. */
struct Element {
  std::string_view kind;
  std::optional<DType> dtype;

  size_t width() const { return static_cast<size_t>(kind[1] - '0'); }
  bool isFloat() const { return kind[0] == 'f'; }
};
constexpr std::array<Element, 12> ELEMENTS{{
    {"b1", DType::boolean}, {"i1", DType::i8}, {"i2", DType::i16}, {"i4", DType::i32}, {"i8", std::nullopt}, {"u1", DType::u8},
    {"u2", DType::u16}, {"u4", DType::u32}, {"u8", std::nullopt}, {"f2", DType::f16}, {"f4", DType::f32}, {"f8", DType::f64},
}};

template <typename Rows, typename Text>
std::string listed(const Rows& rows, Text&& text) {
  std::vector<std::string> all;
  for (const auto& row : rows) all.emplace_back(text(row));
  return joined(all);
}

[[noreturn]] void refuse(const std::string& path, const std::string& message, const std::string& found = "", const std::string& expected = "") {
  throw Error({.code = "NPY001", .message = path + ": " + message, .found = found, .expected = expected});
}

/** The start of a text that may be anything. */
std::string shown(std::string_view text) {
  constexpr size_t SHOWN = 80;
  std::string start(text.substr(0, SHOWN));
  std::replace_if(start.begin(), start.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
  return start;
}

/** A dictionary as Python writes it, read from left to right, its keys in any order. */
class Header {
 public:
  Header(const std::string& path, std::string_view text) : path_(path), text_(text), rest_(text) {
    take("{");
    while (!accept("}")) {
      const std::string_view key = quoted();
      take(":");
      if (key == "descr") {
        if (rest().starts_with('[')) refuse(path_, "records are no tensor", shown(rest()), "one element type");
        set(description, quoted());
      } else if (key == "fortran_order") {
        const bool yes = accept("True");
        if (!yes) take("False");
        set(isColumnMajor, yes);
      } else if (key == "shape") {
        set(shape, extents());
      } else {
        refuseText();
      }
      if (!accept(",")) {
        take("}");
        break;
      }
    }
    if (!rest().empty() || !description || !isColumnMajor || !shape) refuseText();
  }

  std::optional<std::string_view> description;
  std::optional<bool> isColumnMajor;
  std::optional<std::vector<int64_t>> shape;

 private:
  [[noreturn]] void refuseText() const { refuse(path_, "the header cannot be read", "\"" + shown(text_) + "\""); }
  template <typename T>
  void set(std::optional<T>& field, T value) {
    if (field) refuseText();
    field = std::move(value);
  }
  std::string_view rest() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
    return rest_;
  }
  bool accept(std::string_view wanted) {
    if (!rest().starts_with(wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }
  void take(std::string_view wanted) {
    if (!accept(wanted)) refuseText();
  }
  std::string_view quoted() {
    const char quote = rest().empty() ? '\0' : rest_.front();
    const size_t end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) refuseText();
    const std::string_view text = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::vector<int64_t> extents() {
    std::vector<int64_t> found;
    take("(");
    while (!accept(")")) {
      const std::string_view digits = rest();
      int64_t extent = 0;
      const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), extent);
      if (error != std::errc() || digits.starts_with('-') || extent >= int64_t{1} << 53 || found.size() == AXES_LIMIT) refuseText();
      rest_.remove_prefix(static_cast<size_t>(end - digits.data()));
      if (rest_.starts_with('L')) rest_.remove_prefix(1);
      found.push_back(extent);
      if (!accept(",")) {
        take(")");
        break;
      }
    }
    return found;
  }

  const std::string& path_;
  std::string_view text_;
  std::string_view rest_;
};

/** A number of a file: as a double, whether that is exact, and as text. */
struct Number {
  double value = 0;
  bool isExact = true;
  std::string text() const { return whole.empty() ? numberText(value) : whole; }
  std::string whole;
};

template <typename T>
T valueAt(const std::byte* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return value;
}

template <typename T>
Number wholeAt(const std::byte* bytes) {
  const T whole = valueAt<T>(bytes);
  const auto value = static_cast<double>(whole);
  // Every double in the range of 64 bits is an integer of 128.
  const bool isExact = static_cast<__int128>(value) == static_cast<__int128>(whole);
  constexpr double LARGEST = 9007199254740991;
  return {value, isExact, std::fabs(value) <= LARGEST ? "" : std::to_string(whole)};
}

Number numberAt(const Element& element, const std::byte* bytes) {
  if (element.kind == "i8") return wholeAt<int64_t>(bytes);
  if (element.kind == "u8") return wholeAt<uint64_t>(bytes);
  // A byte of a bool may be anything.
  if (element.kind == "b1") return {static_cast<double>(static_cast<uint8_t>(*bytes)), true, ""};
  return {elementAt(*element.dtype, bytes, 0), true, ""};
}

std::string rangeText(DType dtype) {
  if (isFloat(dtype)) return "integers that " + std::string(name(dtype)) + " holds exactly, and floats within its range";
  const bool isSigned = name(dtype).starts_with('i');
  const int64_t all = dtype == DType::boolean ? 2 : int64_t{1} << bits(dtype);
  return "integers from " + std::to_string(isSigned ? -all / 2 : 0) + " to " + std::to_string(isSigned ? all / 2 - 1 : all - 1);
}

[[noreturn]] void misfit(const std::string& path, DType dtype, const std::string& found) {
  throw Error({.code = "NPY002", .message = path + ": a number does not fit " + std::string(name(dtype)), .found = found, .expected = rangeText(dtype)});
}

/** The elements as `dtype`, from wherever they lie in the file. */
HostTensor converted(const std::string& path, DType dtype, const Element& element, std::vector<int64_t> shape, Bytes data, bool isColumnMajor, bool isLittle) {
  const size_t width = element.width();
  const auto count = static_cast<int64_t>(data.size() / width);
  HostTensor tensor{dtype, std::move(shape), std::vector<std::byte>(static_cast<size_t>(byteLength(dtype, count)))};
  const size_t axes = tensor.shape.size();
  // Bytes from one element to the next along each axis.
  std::vector<int64_t> strides(axes);
  int64_t stride = static_cast<int64_t>(width);
  for (size_t i = 0; count > 0 && i < axes; i++) {
    const size_t axis = isColumnMajor ? i : axes - 1 - i;
    strides[axis] = stride;
    stride *= tensor.shape[axis];
  }
  const bool rounds = element.isFloat() && isFloat(dtype);
  std::vector<int64_t> place(axes);
  std::array<std::byte, 8> bytes{};
  int64_t at = 0;
  for (int64_t i = 0; i < count; i++) {
    std::copy_n(data.begin() + at, width, bytes.begin());
    if (!isLittle) std::reverse(bytes.begin(), bytes.begin() + static_cast<int64_t>(width));
    const Number number = numberAt(element, bytes.data());
    setElement(dtype, tensor.bytes.data(), i, number.value);
    const double after = elementAt(tensor, i);
    const bool fits = rounds ? std::isfinite(after) || !std::isfinite(number.value) : number.isExact && after == number.value;
    if (!fits) misfit(path, dtype, number.text() + " at " + shapeText(place));
    if (element.dtype == DType::boolean && number.value > 1) misfit(path, DType::boolean, number.text() + " at " + shapeText(place));
    for (size_t axis = axes; axis-- > 0;) {
      at += strides[axis];
      if (++place[axis] < tensor.shape[axis]) break;
      at -= strides[axis] * tensor.shape[axis];
      place[axis] = 0;
    }
  }
  return tensor;
}

}  // namespace

HostTensor readNpy(const std::string& path, Bytes bytes, std::optional<DType> wanted) {
  static_assert(std::endian::native == std::endian::little);
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || !text.starts_with(MAGIC)) refuse(path, "not an .npy file");
  const auto byte = [&](size_t at) { return static_cast<size_t>(bytes[at]); };
  const size_t version = byte(6);
  if (version < 1 || version > 3) refuse(path, "an unknown version of .npy", "version " + std::to_string(version), "1, 2 or 3");
  const size_t start = version == 1 ? 10 : 12;
  const size_t length = byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > HEADER_LIMIT || start + length > text.size()) refuse(path, "the header does not fit the file", std::to_string(length) + " bytes");
  Header header(path, text.substr(start, length));

  const std::string_view description = *header.description;
  const bool isMarked = description.size() == 3 && std::string_view("<>|=").find(description[0]) != std::string_view::npos;
  const auto element = std::find_if(ELEMENTS.begin(), ELEMENTS.end(), [&](const Element& e) { return isMarked && description.substr(1) == e.kind; });
  if (element == ELEMENTS.end()) {
    refuse(path, "an element type that is not supported", shown(description), "integers, floats and bools: " + listed(ELEMENTS, [](const Element& e) { return std::string(e.kind); }));
  }
  const Bytes data = bytes.subspan(start + length);
  const auto count = safeElementCount(*header.shape);
  const uint64_t expected = static_cast<uint64_t>(count.value_or(0)) * element->width();
  if (!count || data.size() != expected) {
    refuse(path, "the data has another length than the shape says", std::to_string(data.size()) + " bytes", count && expected < uint64_t{1} << 53 ? std::to_string(expected) + " bytes" : "more than a file holds");
  }
  const std::optional<DType> dtype = wanted ? wanted : element->dtype;
  if (!dtype) refuse(path, "an element type that is not one of ours", std::string(description), listed(DESCRIPTIONS, [](const Description& d) { return std::string(d.text); }));
  const bool isColumnMajor = *header.isColumnMajor && header.shape->size() > 1;
  // An order of bytes says nothing about single ones.
  const bool isLittle = description[0] != '>' || element->width() == 1;
  if (dtype != element->dtype || isColumnMajor || !isLittle) return converted(path, *dtype, *element, std::move(*header.shape), data, isColumnMajor, isLittle);
  HostTensor tensor{*dtype, std::move(*header.shape), std::vector<std::byte>(data.begin(), data.end())};
  if (const auto unfit = unfitBool(tensor)) misfit(path, *dtype, *unfit);
  return tensor;
}

std::string npyHeader(const std::string& path, const HostTensor& tensor) {
  const auto known = std::find_if(DESCRIPTIONS.begin(), DESCRIPTIONS.end(), [&](const Description& d) { return d.dtype == tensor.dtype; });
  if (known == DESCRIPTIONS.end()) refuse(path, ".npy cannot hold " + std::string(name(tensor.dtype)), std::string(name(tensor.dtype)));
  std::string shape = shapeText(tensor.shape);
  shape = "(" + shape.substr(1, shape.size() - 2) + (tensor.shape.size() == 1 ? ",)" : ")");
  std::string text = "{'descr': '" + std::string(known->text) + "', 'fortran_order': False, 'shape': " + shape + ", }";
  const size_t start = (10 + text.size() + 1 + 63) / 64 * 64;
  text.resize(start - 11, ' ');
  const size_t length = start - 10;
  return std::string(MAGIC) + std::string("\x01\0", 2) + static_cast<char>(length & 255) + static_cast<char>(length >> 8) + text + "\n";
}

}  // namespace sluice
