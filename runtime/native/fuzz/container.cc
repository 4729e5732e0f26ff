// libFuzzer over the container's reader. Checksums would turn away every mutation before it is read, so they are made good
// first: of the prefix, the header and each section that lies where the header says. Whatever the bytes are, the reader
// gives a container or refuses with SLX001.
#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "container/read.h"

namespace {

constexpr size_t PREFIX = 32;
constexpr size_t BLOCK = 4096;

template <typename T>
T number(const std::vector<std::byte>& file, size_t at) {
  T value;
  std::memcpy(&value, &file[at], sizeof value);
  return value;
}
void put(std::vector<std::byte>& file, size_t at, uint32_t value) { std::memcpy(&file[at], &value, sizeof value); }

/** The number in the header's text after `key`, from `at` on; `at` moves past it. */
bool nextNumber(const std::string& text, const std::string& key, size_t& at, size_t& begin, size_t& end) {
  at = text.find(key, at);
  if (at == std::string::npos) return false;
  begin = at + key.size();
  end = text.find_first_not_of("0123456789", begin);
  at = begin;
  return end != std::string::npos && end > begin && end - begin < 12;
}

/** Gives every checksum that can be found its right value, where it takes as many digits. */
void mend(std::vector<std::byte>& file) {
  if (file.size() < PREFIX) return;
  const uint64_t total = file.size();
  std::memcpy(&file[16], &total, sizeof total);
  const size_t length = number<uint32_t>(file, 12);
  if (length <= file.size() - PREFIX) {
    std::string header(reinterpret_cast<const char*>(&file[PREFIX]), length);
    size_t section = (PREFIX + length + BLOCK - 1) / BLOCK * BLOCK;
    size_t at = header.find("\"sections\"");
    for (size_t begin = 0, end = 0; at != std::string::npos && nextNumber(header, "\"bytes\":", at, begin, end);) {
      const size_t bytes = std::stoull(header.substr(begin, end - begin));
      if (section > file.size() || bytes > file.size() - section || !nextNumber(header, "\"crc\":", at, begin, end)) break;
      const std::string sum = std::to_string(sluice::crc32c({&file[section], bytes}));
      if (sum.size() == end - begin) header.replace(begin, sum.size(), sum);
      section = (section + bytes + BLOCK - 1) / BLOCK * BLOCK;
    }
    std::memcpy(&file[PREFIX], header.data(), length);
    put(file, 24, sluice::crc32c({&file[PREFIX], length}));
  }
  put(file, 28, sluice::crc32c({file.data(), 28}));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> file(bytes, bytes + size);
  mend(file);
  try {
    const sluice::Container container = sluice::readContainer(file);
    for (const auto& module : container.modules)
      if (module.lowering >= container.program.lowerings.size()) __builtin_trap();
    for (const auto& constant : container.constants)
      if (constant.data() < file.data() || constant.data() + constant.size() > file.data() + file.size()) __builtin_trap();
  } catch (const sluice::Error& error) {
    if (error.diagnostic.code != "SLX001") __builtin_trap();
  }
  return 0;
}
