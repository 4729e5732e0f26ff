#include "conformance/cases.h"

#include <cmath>

#include "base/text.h"
#include "container/json.h"

namespace sluice {
namespace {

constexpr size_t MAX_TENSOR_AXES = 16;

class Reader {
 public:
  explicit Reader(const std::string& path) : numbers_(path) {}

  std::vector<CaseGroup> groups(const Cursor& root) const {
    root.record({"groups"});
    return root["groups"].list([&](const Cursor& g) {
      g.record({"suite", "container", "targets", "dims", "cases"});
      return CaseGroup{g["suite"].text(), g["container"].text(), g["targets"].list([](const Cursor& t) { return t.text(); }), sizes(g["dims"]), g["cases"].list([&](const Cursor& c) { return oneCase(c); })};
    });
  }

 private:
  Case oneCase(const Cursor& c) const {
    c.record({"name", "entry", "sizes", "states", "inputs", "outputs", "updates"});
    const auto given = [&](const Cursor& t) { return this->given(t); };
    const auto expected = [&](const Cursor& t) { return this->expected(t); };
    return {c["name"].text(), c["entry"].text(), sizes(c["sizes"]), c["states"].list(given), c["inputs"].list(given), c["outputs"].list(expected), c["updates"].list(expected)};
  }

  static std::vector<std::pair<std::string, int64_t>> sizes(const Cursor& list) {
    return list.list([](const Cursor& pair) {
      if (pair.size() != 2) pair.refuse("a name and a size");
      return std::pair(pair[0].text(), pair[1].count());
    });
  }
  static std::vector<int64_t> shape(const Cursor& list) {
    return list.list([](const Cursor& extent) { return extent.count(); });
  }

  GivenTensor given(const Cursor& t) const {
    t.record({"name", "dtype", "shape", "at"});
    const auto dtype = dtypeNamed(t["dtype"].text());
    if (!dtype) t["dtype"].refuse("a dtype");
    HostTensor value{*dtype, shape(t["shape"]), {}};
    value.bytes.resize(static_cast<size_t>(byteLength(*dtype, elementCount(value.shape))));
    numbers_.copy(value.bytes, place(t["at"], value.bytes.size()));
    return {t["name"].text(), std::move(value)};
  }
  ExpectedTensor expected(const Cursor& t) const {
    t.record({"name", "shape", "at", "allowed"});
    ExpectedTensor e{t["name"].text(), shape(t["shape"]), {}, {}};
    const auto count = static_cast<size_t>(elementCount(e.shape));
    e.values = doubles(t["at"], count);
    if (t["allowed"].isNull()) e.allowed.resize(count);
    else e.allowed = doubles(t["allowed"], count);
    return e;
  }
  std::vector<double> doubles(const Cursor& at, size_t count) const {
    std::vector<double> values(count);
    const auto bytes = std::as_writable_bytes(std::span(values));
    numbers_.copy(bytes, place(at, bytes.size()));
    return values;
  }
  int64_t place(const Cursor& at, size_t bytes) const {
    const int64_t offset = at.count();
    if (bytes > numbers_.bytes().size() || static_cast<uint64_t>(offset) > numbers_.bytes().size() - bytes) at.refuse("a place in cases.bin");
    return offset;
  }

  MappedFile numbers_;
};

std::string placeText(size_t flat, const std::vector<int64_t>& shape) {
  std::vector<int64_t> index(shape.size());
  auto rest = static_cast<int64_t>(flat);
  for (size_t axis = shape.size(); axis-- > 0; rest /= shape[axis]) index[axis] = rest % shape[axis];
  return shapeText(index);
}

bool isSame(double a, double b) { return std::isnan(a) ? std::isnan(b) : a == b && std::signbit(a) == std::signbit(b); }

}  // namespace

std::vector<CaseGroup> readCases(const std::string& folder) {
  const std::vector<std::byte> bytes = readFile(folder + "/cases.json");
  const nlohmann::json json = nlohmann::json::parse(reinterpret_cast<const char*>(bytes.data()), reinterpret_cast<const char*>(bytes.data() + bytes.size()), nullptr, false);
  try {
    return Reader(folder + "/cases.bin").groups(Cursor(json, "cases"));
  } catch (const JsonError& error) {
    throw Error({.code = "CASES001", .message = folder + "/cases.json holds no cases", .found = error.what(), .hint = "pack it again: npm run gpu:pack"});
  }
}

std::string difference(const HostTensor& found, const ExpectedTensor& expected) {
  if (found.shape != expected.shape) return expected.name + " has the shape " + shapeText(found.shape) + " and should have " + shapeText(expected.shape);
  for (size_t i = 0; i < expected.values.size(); i++) {
    const double is = elementAt(found, static_cast<int64_t>(i));
    const double should = expected.values[i];
    // What is allowed to be infinitely far off may be anything.
    if (isSame(is, should) || std::isinf(expected.allowed[i]) || (expected.allowed[i] > 0 && std::abs(is - should) <= expected.allowed[i])) continue;
    const std::string most = expected.allowed[i] > 0 ? ", within " + numberText(expected.allowed[i]) : "";
    return expected.name + placeText(i, expected.shape) + " is " + numberText(is) + " and should be " + numberText(should) + most;
  }
  return "";
}

}  // namespace sluice
