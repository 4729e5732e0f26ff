#include "io/npy.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>

namespace sluice {
namespace {

constexpr std::string_view MAGIC = "\x93NUMPY";
constexpr size_t HEADER_LIMIT = size_t{1} << 20;

struct Description {
  DType dtype;
  std::string_view text;
};
constexpr std::array<Description, 10> DESCRIPTIONS{{
    {DType::f64, "<f8"}, {DType::f32, "<f4"}, {DType::f16, "<f2"}, {DType::i32, "<i4"}, {DType::i16, "<i2"},
    {DType::i8, "|i1"}, {DType::u32, "<u4"}, {DType::u16, "<u2"}, {DType::u8, "|u1"}, {DType::boolean, "|b1"},
}};

[[noreturn]] void refuse(const std::string& path, const std::string& message, const std::string& found = "", const std::string& expected = "") {
  throw Error({.code = "NPY001", .message = path + ": " + message, .found = found, .expected = expected});
}

/** Reads the header's Python literal from left to right. */
class Header {
 public:
  Header(const std::string& path, std::string_view text) : path_(path), text_(text), rest_(text) {}

  void word(std::string_view wanted) {
    if (!accept(wanted)) unreadable();
  }
  bool accept(std::string_view wanted) {
    while (!rest_.empty() && std::isspace(static_cast<unsigned char>(rest_.front()))) rest_.remove_prefix(1);
    if (!rest_.starts_with(wanted)) return false;
    rest_.remove_prefix(wanted.size());
    return true;
  }
  std::string_view quoted() {
    word("'");
    const size_t end = rest_.find('\'');
    if (end == std::string_view::npos) unreadable();
    const std::string_view text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }
  std::vector<int64_t> shape() {
    std::vector<int64_t> extents;
    word("(");
    while (!accept(")")) {
      accept("");
      int64_t extent = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), extent);
      if (error != std::errc() || extent < 0) unreadable();
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      extents.push_back(extent);
      if (!accept(",")) {
        word(")");
        break;
      }
    }
    return extents;
  }
  void end() {
    accept("");
    if (!rest_.empty()) unreadable();
  }

 private:
  [[noreturn]] void unreadable() const { refuse(path_, "the header cannot be read", "\"" + std::string(text_.substr(0, 80)) + "\""); }
  const std::string& path_;
  std::string_view text_;
  std::string_view rest_;
};

}  // namespace

HostTensor readNpy(const std::string& path, Bytes bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (text.size() < 12 || !text.starts_with(MAGIC)) refuse(path, "not an .npy file");
  const auto byte = [&](size_t at) { return static_cast<size_t>(bytes[at]); };
  const size_t version = byte(6);
  if (version < 1 || version > 3) refuse(path, "an unknown version of .npy", "version " + std::to_string(version), "1, 2 or 3");
  const size_t start = version == 1 ? 10 : 12;
  const size_t length = byte(8) | byte(9) << 8 | (version == 1 ? 0 : byte(10) << 16 | byte(11) << 24);
  if (length > HEADER_LIMIT || start + length > text.size()) refuse(path, "the header does not fit the file", std::to_string(length) + " bytes");

  Header header(path, text.substr(start, length));
  header.word("{");
  header.word("'descr'");
  header.word(":");
  const std::string_view description = header.quoted();
  header.word(",");
  header.word("'fortran_order'");
  header.word(":");
  const bool fortran = header.accept("True");
  if (!fortran) header.word("False");
  header.word(",");
  header.word("'shape'");
  header.word(":");
  std::vector<int64_t> shape = header.shape();
  header.accept(",");
  header.word("}");
  header.end();

  const auto known = std::find_if(DESCRIPTIONS.begin(), DESCRIPTIONS.end(), [&](const Description& d) { return d.text == description; });
  if (known == DESCRIPTIONS.end()) {
    std::string all;
    for (const Description& d : DESCRIPTIONS) all += (all.empty() ? "" : ", ") + std::string(d.text);
    refuse(path, "an element type that is not supported", std::string(description), all);
  }
  if (fortran) refuse(path, "column-major order is not supported", "fortran_order: True", "save it with np.ascontiguousarray");
  const Bytes data = bytes.subspan(start + length);
  const int64_t expected = byteLength(known->dtype, elementCount(shape));
  if (static_cast<int64_t>(data.size()) != expected) refuse(path, "the data has another length than the shape says", std::to_string(data.size()) + " bytes", std::to_string(expected) + " bytes");
  return {known->dtype, std::move(shape), std::vector<std::byte>(data.begin(), data.end())};
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
