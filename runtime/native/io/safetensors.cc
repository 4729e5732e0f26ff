#include "io/safetensors.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <nlohmann/json.hpp>

namespace sluice {
namespace {

using nlohmann::json;
static_assert(std::endian::native == std::endian::little);

constexpr uint64_t HEADER_LIMIT = 100'000'000;
constexpr size_t PREFIX = 8;

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

/** The list's numbers, if it is a list of integers of at least 0. */
std::optional<std::vector<int64_t>> naturals(const json& list) {
  if (!list.is_array()) return std::nullopt;
  std::vector<int64_t> values;
  for (const json& item : list) {
    if (!item.is_number_unsigned() || item.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX)) return std::nullopt;
    values.push_back(item.get<int64_t>());
  }
  return values;
}

std::optional<int64_t> lengthOf(DType dtype, const std::vector<int64_t>& shape) {
  try {
    return byteLength(dtype, elementCount(shape));
  } catch (const Error&) {
    return std::nullopt;
  }
}

/** Its offset is from the start of the data. */
Safetensors::Entry entryOf(const std::string& path, const std::string& name, const json& entry) {
  const auto field = [&](const char* key) { return entry.is_object() && entry.contains(key) ? entry[key] : json(); };
  const auto shape = naturals(field("shape"));
  const auto offsets = naturals(field("data_offsets"));
  if (!shape || !offsets || offsets->size() != 2) refuse(path, "tensor `" + name + "` has no valid shape and offsets");
  const json theirs = field("dtype");
  const auto known = std::find_if(NAMES.begin(), NAMES.end(), [&](const DTypeName& d) { return theirs == d.name; });
  if (known == NAMES.end()) {
    std::string all;
    for (const DTypeName& d : NAMES) all += (all.empty() ? "" : ", ") + std::string(d.name);
    refuse(path, "tensor `" + name + "` has an element type that is not supported", theirs.is_string() ? theirs.get<std::string>() : theirs.dump(), all);
  }
  const int64_t bytes = (*offsets)[1] - (*offsets)[0];
  const auto expected = lengthOf(known->dtype, *shape);
  if (!expected || bytes != *expected) {
    refuse(path, "tensor `" + name + "` has another length than its shape says", inBytes(bytes),
           (expected ? inBytes(*expected) : "more than a file holds") + " for " + std::string(sluice::name(known->dtype)) + " " + shapeText(*shape));
  }
  return {name, known->dtype, *shape, (*offsets)[0], bytes};
}

std::map<std::string, std::string> metadataOf(const std::string& path, const json& metadata) {
  std::map<std::string, std::string> texts;
  if (!metadata.is_object()) refuse(path, "__metadata__ is no table of texts");
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) refuse(path, "__metadata__ is no table of texts");
    texts[key] = value.get<std::string>();
  }
  return texts;
}

}  // namespace

Safetensors::Safetensors(const std::string& path) : file_(path) {
  const size_t total = file_.bytes().size();
  if (total < PREFIX) refuse(path, "too short for safetensors", inBytes(static_cast<int64_t>(total)));
  uint64_t length = 0;
  file_.copy(std::as_writable_bytes(std::span(&length, 1)), 0);
  if (length > HEADER_LIMIT) refuse(path, "the header is too large", std::to_string(length) + " bytes", "at most " + std::to_string(HEADER_LIMIT));
  if (PREFIX + length > total) refuse(path, "the header does not fit the file", std::to_string(length) + " bytes", "at most " + std::to_string(total - PREFIX));
  std::string text(length, '\0');
  file_.copy(std::as_writable_bytes(std::span(text)), PREFIX);
  if (!text.starts_with('{')) refuse(path, "the header does not start with {");
  json header;
  try {
    header = json::parse(text);
  } catch (const json::parse_error& error) {
    refuse(path, "the header is no JSON", error.what());
  }

  for (const auto& [name, entry] : header.items()) {
    if (name == "__metadata__") metadata_ = metadataOf(path, entry);
    else entries_.push_back(entryOf(path, name, entry));
  }
  std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) { return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes); });
  int64_t at = 0;
  for (Entry& e : entries_) {
    if (e.offset != at) refuse(path, "tensor `" + e.name + "` " + (e.offset < at ? "overlaps the one before it" : "leaves a hole before it"), "offset " + std::to_string(e.offset), "offset " + std::to_string(at));
    at += e.bytes;
    e.offset += static_cast<int64_t>(PREFIX + length);
  }
  const int64_t data = static_cast<int64_t>(total - PREFIX - length);
  if (at > data) refuse(path, "the file ends before its tensors do", inBytes(data), inBytes(at));
  if (at < data) refuse(path, "the tensors do not fill the file", inBytes(at), inBytes(data));
}

const Safetensors::Entry* Safetensors::find(const std::string& name) const {
  const auto found = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& e) { return e.name == name; });
  return found == entries_.end() ? nullptr : &*found;
}

HostTensor Safetensors::read(const Entry& entry) const {
  HostTensor tensor{entry.dtype, entry.shape, std::vector<std::byte>(static_cast<size_t>(entry.bytes))};
  file_.copy(tensor.bytes, entry.offset);
  return tensor;
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
