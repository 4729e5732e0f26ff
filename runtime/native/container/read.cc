#include "container/read.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "container/decode.h"

namespace sluice {
namespace {

using Bytes = std::span<const std::byte>;

constexpr std::array<uint8_t, 8> MAGIC{0x89, 0x53, 0x4c, 0x58, 0x0d, 0x0a, 0x1a, 0x0a};
constexpr uint32_t VERSION = 3;
constexpr size_t PREFIX_BYTES = 32;
constexpr size_t BLOCK = 4096;
constexpr int64_t CONSTANT_ALIGNMENT = 64;
constexpr size_t HEADER_LIMIT = size_t{256} << 20;

Error refusal(std::string message, std::string found = "", std::string expected = "") {
  return Error({.code = "SLX001", .message = std::move(message), .found = std::move(found), .expected = std::move(expected), .hint = "build the container again"});
}
std::string bytesText(uint64_t bytes) { return std::to_string(bytes) + " bytes"; }

template <typename T>
T little(Bytes file, size_t offset) {
  T value;
  std::memcpy(&value, file.data() + offset, sizeof value);
  return value;
}

bool isZero(Bytes bytes) {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

/** Where the block that ends at or after `end` is over; the bytes up to there must be zero. */
size_t endOfBlock(Bytes file, size_t end) {
  const size_t next = (end + BLOCK - 1) / BLOCK * BLOCK;
  if (next > file.size()) throw refusal("the container is cut short", bytesText(file.size()), "at least " + std::to_string(next));
  if (!isZero(file.subspan(end, next - end))) throw refusal("the padding at " + std::to_string(end) + " is not zero");
  return next;
}

void checkLowerings(const ContainerHeader& header) {
  const auto& lowerings = header.program.lowerings;
  if (lowerings.empty()) throw refusal("the program is lowered for no machine");
  const auto hasEntriesOfFirst = [&](const Lowering& l) {
    return std::equal(l.schedules.begin(), l.schedules.end(), lowerings[0].schedules.begin(), lowerings[0].schedules.end(),
        [](const Schedule& a, const Schedule& b) { return a.entry == b.entry; });
  };
  if (!std::all_of(lowerings.begin(), lowerings.end(), hasEntriesOfFirst)) throw refusal("the lowerings have other entries");
  for (const ModuleInfo& m : header.modules) {
    if (m.lowering >= lowerings.size()) throw refusal("a module is for a lowering that is not there", std::to_string(m.lowering), "less than " + std::to_string(lowerings.size()));
    if (m.scratch.size() != lowerings[m.lowering].kernels.size()) throw refusal("a module has scratch sizes for another number of kernels");
  }
}

ContainerHeader readHeader(Bytes file, size_t& end) {
  if (file.size() < PREFIX_BYTES) throw refusal("the file is too short for a container", bytesText(file.size()));
  if (std::memcmp(file.data(), MAGIC.data(), MAGIC.size()) != 0) throw refusal("the file is not a Sluice container", "another magic number");
  if (crc32c(file.first(28)) != little<uint32_t>(file, 28)) throw refusal("the first bytes do not match their checksum");
  const auto version = little<uint32_t>(file, 8);
  if (version != VERSION) throw refusal("the container has another version", "version " + std::to_string(version), "version " + std::to_string(VERSION));
  const auto total = little<uint64_t>(file, 16);
  if (total != file.size()) throw refusal("the container is cut short or has bytes after its end", bytesText(file.size()), bytesText(total));
  const size_t length = little<uint32_t>(file, 12);
  if (length > HEADER_LIMIT || PREFIX_BYTES + length > file.size()) throw refusal("the header does not fit", bytesText(length));
  const Bytes text = file.subspan(PREFIX_BYTES, length);
  if (crc32c(text) != little<uint32_t>(file, 24)) throw refusal("the header does not match its checksum");
  end = PREFIX_BYTES + length;
  ContainerHeader header;
  try {
    header = decodeHeader({reinterpret_cast<const char*>(text.data()), text.size()});
  } catch (const JsonError& error) {
    throw refusal("the header cannot be read", error.what());
  }
  checkLowerings(header);
  return header;
}

std::vector<Bytes> readSections(Bytes file, const ContainerHeader& header, size_t at) {
  std::vector<std::string> names{"constants", "kernels"};
  for (size_t i = 0; i < header.modules.size(); i++) names.push_back("module" + std::to_string(i));
  std::vector<std::string> found;
  for (const SectionInfo& s : header.sections) found.push_back(s.name);
  if (found != names) throw refusal("the container has other sections", joined(found, ","), joined(names, ","));
  at = endOfBlock(file, at);
  std::vector<Bytes> sections;
  for (const SectionInfo& s : header.sections) {
    const auto bytes = static_cast<size_t>(s.bytes);
    if (bytes > file.size() - at) throw refusal("section " + s.name + " does not fit", bytesText(bytes) + " at " + std::to_string(at), "at most " + std::to_string(file.size() - at));
    const Bytes contents = file.subspan(at, bytes);
    if (crc32c(contents) != s.crc) throw refusal("section " + s.name + " does not match its checksum");
    at = endOfBlock(file, at + bytes);
    sections.push_back(contents);
  }
  if (at != file.size()) throw refusal("the container has bytes after its last section", bytesText(file.size()), bytesText(at));
  return sections;
}

std::vector<Bytes> splitConstants(const Program& program, Bytes section) {
  std::vector<Bytes> constants;
  int64_t end = 0;
  for (const ConstantInfo& c : program.constants) {
    int64_t bytes = 0;
    try {
      bytes = byteLength(c.dtype, elementCount(c.shape));
    } catch (const Error&) {
      throw refusal("the constants have another length", bytesText(section.size()), "more than any file has");
    }
    const int64_t start = (end + CONSTANT_ALIGNMENT - 1) / CONSTANT_ALIGNMENT * CONSTANT_ALIGNMENT;
    const auto size = static_cast<int64_t>(section.size());
    if (start > size || bytes > size - start) throw refusal("the constants have another length", bytesText(section.size()), "at least " + bytesText(static_cast<uint64_t>(start) + static_cast<uint64_t>(bytes)));
    if (!isZero(section.subspan(static_cast<size_t>(end), static_cast<size_t>(start - end)))) throw refusal("the padding after constant " + std::to_string(constants.size() - 1) + " is not zero");
    constants.push_back(section.subspan(static_cast<size_t>(start), static_cast<size_t>(bytes)));
    end = start + bytes;
  }
  if (static_cast<size_t>(end) != section.size()) throw refusal("the constants have another length", bytesText(section.size()), bytesText(static_cast<uint64_t>(end)));
  return constants;
}

}  // namespace

Container readContainer(Bytes file) {
  size_t end = 0;
  ContainerHeader header = readHeader(file, end);
  const std::vector<Bytes> sections = readSections(file, header, end);
  Container container;
  container.constants = splitConstants(header.program, sections[0]);
  container.modules = std::move(header.modules);
  for (size_t i = 0; i < container.modules.size(); i++) container.modules[i].bytes = sections[2 + i];
  container.program = std::move(header.program);
  return container;
}

std::string typeText(const TensorType& type, const std::vector<std::string>& dimNames) {
  std::vector<std::string> sizes;
  for (const Size& s : type.shape) sizes.push_back(text(s, dimNames));
  return std::string(name(type.dtype)) + " [" + joined(sizes) + "]";
}

}  // namespace sluice
