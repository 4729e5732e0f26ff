#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <nlohmann/json.hpp>
#include <numeric>
#include <tuple>

#include "base/json-reader.h"

namespace sluice {
namespace {

static_assert(std::endian::native == std::endian::little);

constexpr uint64_t HEADER_LIMIT = 100'000'000;
constexpr size_t PREFIX = 8;
/** Of a tensor's name, in bytes. */
constexpr size_t NAME_LIMIT = 65'536;
constexpr size_t AXES_LIMIT = 64;
constexpr const char* METADATA = "__metadata__";

struct DTypeName {
  DType dtype;
  const char* name;
};
constexpr std::array<DTypeName, 11> NAMES{{
    {DType::f64, "F64"}, {DType::f32, "F32"}, {DType::f16, "F16"}, {DType::bf16, "BF16"}, {DType::i32, "I32"}, {DType::i16, "I16"},
    {DType::i8, "I8"}, {DType::u32, "U32"}, {DType::u16, "U16"}, {DType::u8, "U8"}, {DType::boolean, "BOOL"},
}};

[[noreturn]] void refuse(const std::string& path, const std::string& message, const std::string& found = "", const std::string& expected = "") {
  throw Error({.code = "SAFE001", .message = path + ": " + message, .found = found, .expected = expected});
}
std::string inBytes(int64_t count) { return std::to_string(count) + " bytes"; }

std::string shown(const std::string& name) {
  constexpr size_t SHOWN = 100;
  return "`" + (name.size() > SHOWN ? name.substr(0, SHOWN) + "…" : name) + "`";
}

const DTypeName* ourDType(const std::string& theirs) {
  const auto known = std::find_if(NAMES.begin(), NAMES.end(), [&](const DTypeName& d) { return theirs == d.name; });
  return known == NAMES.end() ? nullptr : &*known;
}

/** What the header says of one tensor; offsets are from the start of the data. */
struct Entry {
  /** As the file calls it. */
  std::string dtype;
  std::vector<int64_t> shape;
  int64_t start = 0;
  int64_t end = 0;
};

Entry entryAt(const std::string& path, const std::string& name, JsonReader& reader) {
  const auto refuseEntry = [&] { refuse(path, "tensor " + shown(name) + " has no valid element type, shape and offsets"); };
  if (!reader.isObject()) refuseEntry();
  std::optional<std::string> dtype;
  std::optional<std::vector<int64_t>> shape, offsets;
  const auto naturals = [&](std::optional<std::vector<int64_t>>& list, size_t limit) {
    if (list || !reader.isList()) refuseEntry();
    list.emplace();
    reader.list([&] {
      const auto value = reader.isNumber() ? reader.natural() : std::nullopt;
      if (!value || list->size() == limit) refuseEntry();
      list->push_back(*value);
    });
  };
  reader.object([&](const JsonText& key) {
    if (key == "dtype") {
      if (dtype || !reader.isText()) refuseEntry();
      dtype = reader.text(NAME_LIMIT).value();
    } else if (key == "shape") {
      naturals(shape, AXES_LIMIT);
    } else if (key == "data_offsets") {
      naturals(offsets, 2);
    } else {
      reader.skip();
    }
  }, NAME_LIMIT);
  if (!dtype || !shape || !offsets || offsets->size() != 2 || (*offsets)[1] < (*offsets)[0]) refuseEntry();
  Entry entry{*dtype, *shape, (*offsets)[0], (*offsets)[1]};
  const DTypeName* ours = ourDType(entry.dtype);
  const auto count = safeElementCount(entry.shape);
  const auto expected = ours != nullptr && count ? std::optional(byteLength(ours->dtype, *count)) : std::nullopt;
  if (!count || (expected && *expected != entry.end - entry.start)) {
    refuse(path, "tensor " + shown(name) + " has another length than its shape says", inBytes(entry.end - entry.start),
           (expected ? inBytes(*expected) : "more than a file holds") + " for " + (ours != nullptr ? std::string(sluice::name(ours->dtype)) : entry.dtype) + " " + shapeText(entry.shape));
  }
  return entry;
}

/** `visit` reads or skips the value of each key. */
template <typename Visit>
void eachMetadata(const std::string& path, JsonReader& reader, Visit&& visit) {
  const auto refuseTable = [&] { refuse(path, std::string(METADATA) + " is no table of texts"); };
  if (!reader.isObject()) refuseTable();
  reader.object([&](const JsonText& key) {
    if (!reader.isText()) refuseTable();
    visit(key);
  }, NAME_LIMIT);
}

}  // namespace

Safetensors::Safetensors(const std::string& path) : file_(path) {
  const size_t total = file_.bytes().size();
  if (total < PREFIX) refuse(path, "too short for safetensors", inBytes(static_cast<int64_t>(total)));
  uint64_t length = 0;
  file_.copy(std::as_writable_bytes(std::span(&length, 1)), 0);
  if (length > HEADER_LIMIT) refuse(path, "the header is too large", std::to_string(length) + " bytes", "at most " + std::to_string(HEADER_LIMIT));
  if (PREFIX + length > total) refuse(path, "the header does not fit the file", std::to_string(length) + " bytes", "at most " + std::to_string(total - PREFIX));
  header_.resize(length);
  file_.copy(std::as_writable_bytes(std::span(header_)), PREFIX);
  if (!header_.starts_with('{')) refuse(path, "the header does not start with {");
  readPlaces();
  checkNames();
  checkOrder();
}

void Safetensors::readPlaces() {
  bool hasMetadata = false;
  try {
    JsonReader reader(header_);
    // Where a key is seen, its value is next; where it stood follows from its length, quotes included.
    reader.object([&](const JsonText& key) {
      const auto entry = static_cast<uint32_t>(reader.position());
      if (key == METADATA) {
        if (hasMetadata) refuse(path(), "two tensors are called " + shown(METADATA));
        hasMetadata = true;
        eachMetadata(path(), reader, [&](const JsonText&) { reader.skip(); });
      } else {
        places_.push_back({static_cast<uint32_t>(key.raw().data() - header_.data() - 1), entry});
        entryAt(path(), key.value(), reader);
      }
    }, NAME_LIMIT);
    reader.end();
  } catch (const JsonSyntaxError& error) {
    refuse(path(), "the header is no JSON", error.what());
  }
}

void Safetensors::checkNames() {
  byName_.resize(places_.size());
  std::iota(byName_.begin(), byName_.end(), 0U);
  std::sort(byName_.begin(), byName_.end(), [&](uint32_t a, uint32_t b) { return isBefore(places_[a], places_[b]); });
  for (size_t i = 1; i < byName_.size(); i++)
    if (!isBefore(places_[byName_[i - 1]], places_[byName_[i]])) refuse(path(), "two tensors are called " + shown(nameAt(places_[byName_[i]])));
}

void Safetensors::checkOrder() const {
  struct Range {
    int64_t start;
    int64_t end;
    size_t place;
  };
  std::vector<Range> ranges;
  ranges.reserve(places_.size());
  for (size_t i = 0; i < places_.size(); i++) {
    JsonReader reader(header_, places_[i].entry);
    const Entry entry = entryAt(path(), nameAt(places_[i]), reader);
    ranges.push_back({entry.start, entry.end, i});
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) { return std::tie(a.start, a.end, a.place) < std::tie(b.start, b.end, b.place); });
  int64_t at = 0;
  for (const Range& range : ranges) {
    if (range.start != at) {
      refuse(path(), "tensor " + shown(nameAt(places_[range.place])) + " " + (range.start < at ? "overlaps the one before it" : "leaves a hole before it"), "offset " + std::to_string(range.start), "offset " + std::to_string(at));
    }
    at = range.end;
  }
  const auto data = static_cast<int64_t>(file_.bytes().size() - PREFIX - header_.size());
  if (at > data) refuse(path(), "the file ends before its tensors do", inBytes(data), inBytes(at));
  if (at < data) refuse(path(), "the tensors do not fill the file", inBytes(at), inBytes(data));
}

std::string Safetensors::nameAt(const Place& place) const { return JsonReader(header_, place.name).text().value(); }

bool Safetensors::isBefore(const Place& a, const Place& b) const {
  const JsonText x = JsonReader(header_, a.name).text();
  const JsonText y = JsonReader(header_, b.name).text();
  return x.isEscaped() || y.isEscaped() ? x.value() < y.value() : x.raw() < y.raw();
}

std::vector<std::string> Safetensors::names() const {
  std::vector<std::string> names;
  names.reserve(places_.size());
  for (const Place& place : places_) names.push_back(nameAt(place));
  return names;
}

std::optional<HostTensor> Safetensors::find(const std::string& name) const {
  const auto found = std::partition_point(byName_.begin(), byName_.end(), [&](uint32_t i) { return nameAt(places_[i]) < name; });
  if (found == byName_.end() || nameAt(places_[*found]) != name) return std::nullopt;
  JsonReader reader(header_, places_[*found].entry);
  const Entry entry = entryAt(path(), name, reader);
  const DTypeName* ours = ourDType(entry.dtype);
  if (ours == nullptr) {
    std::string all;
    for (const DTypeName& d : NAMES) all += (all.empty() ? "" : ", ") + std::string(d.name);
    refuse(path(), "tensor " + shown(name) + " has an element type that is not supported", shown(entry.dtype), all);
  }
  HostTensor tensor{ours->dtype, entry.shape, std::vector<std::byte>(static_cast<size_t>(entry.end - entry.start))};
  file_.copy(tensor.bytes, static_cast<int64_t>(PREFIX + header_.size()) + entry.start);
  if (const auto unfit = unfitBool(tensor)) refuse(path(), "tensor " + shown(name) + " holds a byte that is no bool", *unfit, "0 or 1");
  return tensor;
}

std::map<std::string, std::string> Safetensors::metadata() const {
  std::map<std::string, std::string> texts;
  JsonReader reader(header_);
  reader.object([&](const JsonText& key) {
    if (key == METADATA) eachMetadata(path(), reader, [&](const JsonText& name) { texts[name.value()] = reader.text().value(); });
    else reader.skip();
  });
  return texts;
}

void writeSafetensors(const std::string& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata, Disk& disk) {
  std::vector<const NamedTensors::value_type*> ordered;
  for (const auto& named : tensors) ordered.push_back(&named);
  std::sort(ordered.begin(), ordered.end(), [](auto a, auto b) { return std::pair(-bits(a->second.dtype), a->first) < std::pair(-bits(b->second.dtype), b->first); });
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  size_t end = 0;
  for (const auto* named : ordered) {
    const auto& [name, tensor] = *named;
    const auto known = std::find_if(NAMES.begin(), NAMES.end(), [&](const DTypeName& d) { return d.dtype == tensor.dtype; });
    if (known == NAMES.end()) refuse(path, "safetensors cannot hold " + std::string(sluice::name(tensor.dtype)), "`" + name + "`: " + std::string(sluice::name(tensor.dtype)));
    const size_t start = end;
    end += tensor.bytes.size();
    header[name] = {{"dtype", known->name}, {"shape", tensor.shape}, {"data_offsets", {start, end}}};
  }
  std::string prefix = header.dump();
  prefix.resize((prefix.size() + 7) / 8 * 8, ' ');
  const uint64_t length = prefix.size();
  prefix.insert(0, reinterpret_cast<const char*>(&length), PREFIX);
  std::vector<Bytes> parts{std::as_bytes(std::span(prefix))};
  for (const auto* named : ordered) parts.emplace_back(named->second.bytes);
  replaceFile(path, parts, disk);
}

}  // namespace sluice
