// Tensors in files: safetensors and .npy, both ways, and every way in which such a file may be wrong.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstring>

#include "io/npy.h"
#include "io/safetensors.h"
#include "tests/faulty-disk.h"
#include "tests/io-support.h"

namespace sluice::test {
namespace {

std::string safetensorsOf(const std::string& header, size_t data) {
  const uint64_t length = header.size();
  return std::string(reinterpret_cast<const char*>(&length), 8) + header + std::string(data, '\0');
}

TEST_CASE("safetensors round trip: every dtype, empty tensors, scalars, any name") {
  const Folder folder;
  NamedTensors tensors;
  for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i32, DType::i16, DType::i8, DType::u32, DType::u16, DType::u8, DType::boolean}) {
    tensors.emplace_back("net." + std::string(name(dtype)), tensorOf(dtype, {3, 2}, {0, 1, 1, 0, 1, 1}));
  }
  tensors.emplace_back("scalar \"quoted\" \xc3\xa9", tensorOf(DType::f32, {}, {-2.5}));
  tensors.emplace_back("empty", tensorOf(DType::f32, {0, 7}, {}));
  writeSafetensors(folder.at("w.safetensors"), tensors, {{"format", "pt"}});
  const Safetensors file(folder.at("w.safetensors"));
  CHECK(file.metadata() == std::map<std::string, std::string>{{"format", "pt"}});
  REQUIRE(file.names().size() == tensors.size());
  for (const auto& [name, tensor] : tensors) {
    const auto read = file.find(name);
    REQUIRE(read.has_value());
    CHECK(read->dtype == tensor.dtype);
    CHECK(read->shape == tensor.shape);
    CHECK(read->bytes == tensor.bytes);
  }
  CHECK(!file.find("none"));
}

TEST_CASE("safetensors lie widest first and then by name") {
  const Folder folder;
  writeSafetensors(folder.at("w"), {{"b", tensorOf(DType::u8, {1}, {1})}, {"z", tensorOf(DType::f32, {1}, {1})}, {"a", tensorOf(DType::f32, {1}, {2})}});
  CHECK(textOf(readFile(folder.at("w"))).substr(8) ==
        R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"z":{"dtype":"F32","shape":[1],"data_offsets":[4,8]},"b":{"dtype":"U8","shape":[1],"data_offsets":[8,9]}})"
        " " + std::string("\0\0\0\x40\0\0\x80\x3f\x01", 9));
}

TEST_CASE("what is no valid safetensors is refused by name") {
  const Folder folder;
  const std::string path = folder.at("w.safetensors");
  const auto error = [&](const std::string& text) {
    put(path, text);
    return refusal([&] { const Safetensors file(path); });
  };
  const auto entry = [](const std::string& dtype, const std::string& shape, const std::string& offsets) { return R"({"dtype":")" + dtype + R"(","shape":)" + shape + R"(,"data_offsets":)" + offsets + "}"; };
  const std::string a = R"({"a":)" + entry("F32", "[1]", "[0,4]");
  const std::string head = "error SAFE001: " + path + ": ";
  CHECK(error("1234567") == head + "too short for safetensors\n  found:    7 bytes");
  CHECK(error(std::string("\x01\xe1\xf5\x05\0\0\0\0", 8)) == head + "the header is too large\n  found:    100000001 bytes\n  expected: at most 100000000");
  CHECK(error(std::string("\xff\xff\xff\xff\xff\xff\xff\xff", 8)).starts_with(head + "the header is too large"));
  CHECK(error(safetensorsOf("{}", 0).replace(0, 1, 1, 9)) == head + "the header does not fit the file\n  found:    9 bytes\n  expected: at most 2");
  CHECK(error(safetensorsOf("{x", 0)).starts_with(head + "the header is no JSON"));
  CHECK(error(safetensorsOf("{\"\xff\":1}", 0)).starts_with(head + "the header is no JSON"));
  CHECK(error(safetensorsOf("[]", 0)) == head + "the header does not start with {");
  CHECK(error(safetensorsOf(a + R"(,"b":)" + entry("F32", "[1]", "[8,12]") + "}", 12)) == head + "tensor `b` leaves a hole before it\n  found:    offset 8\n  expected: offset 4");
  CHECK(error(safetensorsOf(a + R"(,"b":)" + entry("F32", "[2]", "[2,10]") + "}", 10)).starts_with(head + "tensor `b` overlaps the one before it"));
  CHECK(error(safetensorsOf(a + "}", 8)) == head + "the tensors do not fill the file\n  found:    4 bytes\n  expected: 8 bytes");
  CHECK(error(safetensorsOf(a + "}", 3)) == head + "the file ends before its tensors do\n  found:    3 bytes\n  expected: 4 bytes");
  CHECK(error(safetensorsOf(R"({"a":)" + entry("F32", "[2]", "[0,4]") + "}", 4)) == head + "tensor `a` has another length than its shape says\n  found:    4 bytes\n  expected: 8 bytes for f32 [2]");
  CHECK(error(safetensorsOf(R"({"a":)" + entry("F32", "[4294967296,4294967296]", "[0,0]") + "}", 0)).starts_with(head + "tensor `a` has another length than its shape says"));
  for (const char* shape : {"[-1]", "[1.5]", "3", "[18446744073709551615]", "null"})
    CHECK(error(safetensorsOf(R"({"a":)" + entry("F32", shape, "[0,4]") + "}", 4)).starts_with(head + "tensor `a` has no valid element type, shape and offsets"));
  for (const char* offsets : {"[4,0]", "[0]", "[0,4,8]"}) CHECK(error(safetensorsOf(R"({"a":)" + entry("F32", "[1]", offsets) + "}", 4)).starts_with(head + "tensor `a` has"));
  CHECK(error(safetensorsOf(R"({"a":1})", 0)).starts_with(head + "tensor `a` has no valid element type"));
  for (const char* deep : {R"({"a":{"dtype":)", R"({"a":{"x":)", R"({"x":)", R"({"a":{"dtype":"F32","shape":)"}) {
    std::string nested = deep;
    for (int i = 0; i < 100'000; i++) nested += i % 2 == 0 ? "[" : "{\"a\":";
    CHECK(error(safetensorsOf(nested, 0)).starts_with(head));
  }
  const std::string twice = R"("a":)" + entry("U8", "[0]", "[0,0]");
  CHECK(error(safetensorsOf("{" + twice + R"(,"\u0061":)" + twice.substr(4) + "}", 0)) == head + "two tensors are called `a`");
  CHECK(error(safetensorsOf(R"({"a":{"dtype":"U8","shape":[0],"shape":[0],"data_offsets":[0,0]}})", 0)).starts_with(head + "tensor `a` has no valid element type"));
  CHECK(error(safetensorsOf(R"({"\ud800":1})", 0)).starts_with(head + "the header is no JSON\n  found:    byte 8: expected the other half of a surrogate pair"));
  CHECK(error(safetensorsOf(R"({"a":)" + entry("F32", "[1099511627776,1099511627776,0]", "[0,0]") + "}", 0)).starts_with(head + "tensor `a` has another length than its shape says"));
  CHECK(error(safetensorsOf(R"({"__metadata__":{"a":1}})", 0)) == head + "__metadata__ is no table of texts");
}

TEST_CASE("a tensor whose element type we lack is refused when it is asked for, and the others are read") {
  const Folder folder;
  const std::string path = folder.at("w.safetensors");
  put(path, safetensorsOf(R"({"ids":{"dtype":"I64","shape":[2],"data_offsets":[0,16]},"m":{"dtype":"BOOL","shape":[1,2],"data_offsets":[20,22]},"w":{"dtype":"F32","shape":[],"data_offsets":[16,20]}} )", 21) + "\7");
  const Safetensors file(path);
  CHECK(file.names() == std::vector<std::string>{"ids", "m", "w"});
  CHECK(elementAt(*file.find("w"), 0) == 0);
  CHECK(refusal([&] { file.find("ids"); }) == "error SAFE001: " + path + ": tensor `ids` has an element type that is not supported\n  found:    `I64`\n  expected: F64, F32, F16, BF16, I32, I16, I8, U32, U16, U8, BOOL");
  CHECK(refusal([&] { file.find("m"); }) == "error SAFE001: " + path + ": tensor `m` holds a byte that is no bool\n  found:    7 at [0, 1]\n  expected: 0 or 1");
}

TEST_CASE("every truncation of a safetensors file and every flipped bit of its lengths is refused or harmless") {
  const Folder folder;
  const std::string path = folder.at("w");
  writeSafetensors(path, {{"a", tensorOf(DType::f32, {2}, {1, 2})}, {"b", tensorOf(DType::u8, {3}, {1, 2, 3})}});
  const std::string good = textOf(readFile(path));
  for (size_t length = 0; length < good.size(); length++) {
    put(path, good.substr(0, length));
    CHECK(refusal([&] { const Safetensors file(path); }).starts_with("error SAFE001: "));
  }
  for (size_t bit = 0; bit < 8 * (good.size() - 11); bit++) {
    std::string flipped = good;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ 1 << (bit % 8));
    put(path, flipped);
    size_t read = 0;
    const std::string error = refusal([&] {
      const Safetensors file(path);
      for (const std::string& name : file.names()) read += file.find(name)->bytes.size();
    });
    const bool refusedOrRead = error.empty() || error.starts_with("error SAFE001: ");
    CHECK(refusedOrRead);
    CHECK(read <= 11);
  }
}

TEST_CASE("a full disk leaves the weights that were there") {
  const Folder folder;
  const std::string path = folder.at("w.safetensors");
  writeSafetensors(path, {{"a", tensorOf(DType::f32, {1}, {1})}});
  FaultyDisk disk({.failAt = 3, .failWith = ENOSPC});
  CHECK(refusal([&] { writeSafetensors(path, {{"a", tensorOf(DType::f32, {1}, {2})}}, {}, disk); }).starts_with("error FILE003: " + path));
  const Safetensors file(path);
  CHECK(elementAt(*file.find("a"), 0) == 1);
}

std::string npyOf(const HostTensor& tensor) { return npyHeader("t.npy", tensor) + textOf(tensor.bytes); }

TEST_CASE(".npy round trips, with data at a multiple of 64") {
  for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::i32, DType::i16, DType::i8, DType::u32, DType::u16, DType::u8, DType::boolean}) {
    for (const std::vector<int64_t>& shape : std::vector<std::vector<int64_t>>{{}, {1}, {0, 3}, {1, 1, 1}}) {
      const HostTensor tensor = tensorOf(dtype, shape, std::vector<double>(static_cast<size_t>(elementCount(shape)), 1));
      const std::string file = npyOf(tensor);
      CHECK((file.size() - tensor.bytes.size()) % 64 == 0);
      const HostTensor read = readNpy("t.npy", bytesOf(file));
      CHECK(read.dtype == dtype);
      CHECK(read.shape == shape);
      CHECK(read.bytes == tensor.bytes);
    }
  }
  CHECK(npyOf(tensorOf(DType::f32, {2}, {1, 2})).substr(10).starts_with("{'descr': '<f4', 'fortran_order': False, 'shape': (2,), }  "));
}

/** A file as NumPy writes it. */
template <typename T>
std::string numpyOf(const std::string& description, const std::string& shape, const std::vector<T>& values, bool isColumnMajor = false) {
  std::string header = "{'descr': '" + description + "', 'fortran_order': " + (isColumnMajor ? "True" : "False") + ", 'shape': " + shape + ", }\n";
  std::string data(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
  if (description[0] == '>')
    for (size_t at = 0; at < data.size(); at += sizeof(T)) std::reverse(data.begin() + static_cast<int64_t>(at), data.begin() + static_cast<int64_t>(at + sizeof(T)));
  return "\x93NUMPY" + std::string("\1\0", 2) + static_cast<char>(header.size()) + std::string(1, '\0') + header + data;
}
std::vector<double> numbersOf(const HostTensor& tensor) {
  std::vector<double> numbers;
  for (int64_t i = 0; i < elementCount(tensor.shape); i++) numbers.push_back(elementAt(tensor, i));
  return numbers;
}

TEST_CASE_TEMPLATE("an .npy of any integers and floats, in either order of bytes and of axes, is made what is wanted", T, int64_t, int32_t, int16_t, int8_t, uint64_t, uint32_t, uint16_t, uint8_t, float, double) {
  const std::string kind = std::string(std::is_floating_point_v<T> ? "f" : std::is_signed_v<T> ? "i" : "u") + std::to_string(sizeof(T));
  const std::vector<T> values{0, 1, 2, 100, 5, 1};
  for (const DType dtype : {DType::f64, DType::f32, DType::f16, DType::bf16, DType::i32, DType::i16, DType::i8, DType::u32, DType::u16, DType::u8}) {
    for (const char* mark : {"<", ">"}) {
      const std::string rows = numpyOf(mark + kind, "(2, 3)", values);
      CHECK(readNpy("x", bytesOf(rows), dtype).dtype == dtype);
      CHECK(numbersOf(readNpy("x", bytesOf(rows), dtype)) == std::vector<double>{0, 1, 2, 100, 5, 1});
      CHECK(numbersOf(readNpy("x", bytesOf(numpyOf(mark + kind, "(2, 3)", values, true)), dtype)) == std::vector<double>{0, 2, 5, 1, 100, 1});
    }
  }
}

TEST_CASE("infinities stay what they are in 16 bits") {
  for (const DType dtype : {DType::f16, DType::bf16}) {
    const std::vector<double> read = numbersOf(readNpy("x", bytesOf(numpyOf<double>("<f8", "(3,)", {INFINITY, -INFINITY, 0})), dtype));
    CHECK(read == std::vector<double>{INFINITY, -INFINITY, 0});
  }
}

TEST_CASE("a number that does not fit is refused with its place; a fraction is rounded") {
  const auto error = [](const std::string& file, DType wanted) { return refusal([&] { readNpy("x.npy", bytesOf(file), wanted); }); };
  CHECK(error(numpyOf<int64_t>("<i8", "(2,)", {1, -1}), DType::u8) == "error NPY002: x.npy: a number does not fit u8\n  found:    -1 at [1]\n  expected: integers from 0 to 255");
  CHECK(error(numpyOf<int64_t>("<i8", "(2, 1)", {1, (int64_t{1} << 53) + 1}), DType::f64) == "error NPY002: x.npy: a number does not fit f64\n  found:    9007199254740993 at [1, 0]\n  expected: integers that f64 holds exactly, and floats within its range");
  CHECK(error(numpyOf<uint64_t>("<u8", "(1,)", {UINT64_MAX}), DType::f64).find("18446744073709551615 at [0]") != std::string::npos);
  CHECK(error(numpyOf<int64_t>("<i8", "(1,)", {-(int64_t{1} << 60)}), DType::f32).empty());
  CHECK(error(numpyOf<double>("<f8", "(1,)", {0.1}), DType::f32).empty());
  CHECK(error(numpyOf<double>("<f8", "(1,)", {1e39}), DType::f32).find("1e+39 at [0]") != std::string::npos);
  CHECK(error(numpyOf<float>("<f4", "(2,)", {2, 2.5}), DType::i32).find("2.5 at [1]\n  expected: integers from -2147483648 to 2147483647") != std::string::npos);
  CHECK(error(numpyOf<float>("<f4", "(1,)", {std::nanf("")}), DType::i32).find("NaN at [0]") != std::string::npos);
  CHECK(error(numpyOf<uint8_t>("|b1", "(2,)", {0, 9}), DType::boolean).find("a number does not fit bool\n  found:    9 at [1]") != std::string::npos);
  CHECK(error(numpyOf<uint8_t>("|b1", "(2,)", {0, 9}), DType::f32).find("a number does not fit bool\n  found:    9 at [1]") != std::string::npos);
  CHECK(error(numpyOf<int8_t>("|i1", "(1,)", {8}), DType::i4).find("integers from -8 to 7") != std::string::npos);
}

TEST_CASE("a damaged .npy is refused by name") {
  const std::string good = npyOf(tensorOf(DType::f32, {2, 3}, {1, 2, 3, 4, 5, 6}));
  const auto error = [](const std::string& text) { return refusal([&] { readNpy("t.npy", bytesOf(text)); }); };
  for (size_t length = 0; length < good.size(); length++) CHECK(error(good.substr(0, length)).starts_with("error NPY001: t.npy: "));
  CHECK(error(good.substr(0, good.size() - 1)) == "error NPY001: t.npy: the data has another length than the shape says\n  found:    23 bytes\n  expected: 24 bytes");
  const auto with = [&](const std::string& was, const std::string& is) {
    std::string text = good;
    return text.replace(text.find(was), was.size(), is);
  };
  CHECK(error(with("(2, 3)", "(2, x)")).starts_with("error NPY001: t.npy: the header cannot be read"));
  CHECK(error(with("(2, 3)", "(-2,3)")).starts_with("error NPY001: t.npy: the header cannot be read"));
  CHECK(error(with("(2, 3)", "(4503599627370496, 4503599627370496, 0)")).starts_with("error NPY001: t.npy: "));
  CHECK(error(with("'<f4'", "[('a', '<f4')]")).starts_with("error NPY001: t.npy: records are no tensor\n  found:    [('a', '<f4')]"));
  CHECK(error(good.substr(0, 6) + "\x09" + good.substr(7)) == "error NPY001: t.npy: an unknown version of .npy\n  found:    version 9\n  expected: 1, 2 or 3");
  CHECK(refusal([&] { npyHeader("t.npy", tensorOf(DType::bf16, {1}, {1})); }).starts_with("error NPY001: t.npy: .npy cannot hold bf16"));
}

}  // namespace
}  // namespace sluice::test
