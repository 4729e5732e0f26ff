// What the driver runs: fat binaries whose codes are libraries for the host, and the self-test of the runtime, which is PTX and
// has a twin here.
#include <dlfcn.h>
#include <unistd.h>

#include <cmath>
#include <cstring>

#include "driver.h"
#include "run.h"

namespace shim {
namespace {

constexpr int WARP = 32;
constexpr std::size_t PART_HEADER = 64;

template <class T> T read(const char *at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
std::uint32_t bits(float x) { return read<std::uint32_t>(reinterpret_cast<const char *>(&x)); }

/** What runtime/native/device/cuda-probe-code.h says in PTX, row by row. */
void probe(std::uint32_t *rows, int wrong_row) {
  const auto at = [&](int row, int t) -> std::uint32_t & { return rows[WARP * row + t]; };
  std::uint32_t shared[WARP];
  for (int t = 0; t < WARP; t++) {
    const float x = static_cast<float>(t), y = std::sqrt(std::fma(x, 0x1.555556p-2f, 0.1f) / (x + 2));
    const double d = t, z = std::fma(d, 0x1.5555555555555p-2, 0.1) / (d + 2);
    const std::uint32_t a = static_cast<std::uint32_t>(t) * 0x0937251bu, b = static_cast<std::uint32_t>(t) * 0x9d0b71c5u;
    at(0, t) = bits(y);
    at(1, t) = static_cast<std::uint32_t>(read<std::uint64_t>(reinterpret_cast<const char *>(&z)));
    at(2, t) = bits(static_cast<float>(static_cast<_Float16>(y)));
    std::uint32_t sum = static_cast<std::uint32_t>(t);
    for (int i = 0; i < 32; i += 8) sum += static_cast<std::uint32_t>(static_cast<std::int8_t>(a >> i) * static_cast<std::int8_t>(b >> i));
    at(3, t) = sum;
    at(4, t ^ 5) = static_cast<std::uint32_t>(t * t);
    shared[t] = a;
    at(6, t % 4) = bits(read<float>(reinterpret_cast<const char *>(&at(6, t % 4))) + x);
  }
  for (int t = 0; t < WARP; t++) at(5, t) = shared[WARP - 1 - t];
  if (wrong_row >= 0) at(wrong_row, 3) ^= 1;
}

int open_library(const char *bytes, std::size_t length, Module &module) {
  // Libraries of one name are one library.
  char path[] = "/tmp/sluice-cuda-XXXXXX";
  const int file = mkstemp(path);
  if (file < 0) return INVALID_IMAGE;
  const bool is_whole = write(file, bytes, length) == static_cast<ssize_t>(length);
  module.library = is_whole ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : nullptr;
  close(file);
  unlink(path);
  return module.library == nullptr ? driver().fail(INVALID_IMAGE, is_whole ? dlerror() : "no room for a library") : SUCCESS;
}

}  // namespace

int load_module(const void *image, Module &module) {
  const char *const bytes = static_cast<const char *>(image);
  const Switches &s = driver().switches;
  if (read<std::uint32_t>(bytes) != 0xba55ed50) {
    const bool is_probe = std::strncmp(bytes, "\n.version", 9) == 0 || std::strncmp(bytes, ".version", 8) == 0;
    if (!is_probe || s.architecture < 75) return INVALID_PTX;
    module.functions["probe"] = std::make_unique<Function>();
    return SUCCESS;
  }
  const std::size_t end = 16 + static_cast<std::size_t>(read<std::uint64_t>(bytes + 8));
  bool has_ptx = false;
  for (std::size_t at = 16; at + PART_HEADER <= end;) {
    const bool is_ptx = read<std::uint16_t>(bytes + at) == 1;
    const std::size_t header = read<std::uint32_t>(bytes + at + 4), length = static_cast<std::size_t>(read<std::uint64_t>(bytes + at + 8));
    const int architecture = static_cast<int>(read<std::uint32_t>(bytes + at + 28));
    const bool is_older = architecture <= s.architecture;
    // PTX is for newer devices too, a cubin for those of its major version.
    if (is_ptx ? is_older && s.version >= 13000 : is_older && architecture / 10 == s.architecture / 10) return open_library(bytes + at + header, length, module);
    has_ptx |= is_ptx && is_older;
    at += header + length;
  }
  return has_ptx ? UNSUPPORTED_PTX : NO_BINARY;
}

Work launch_of(const Function &function, std::int64_t blocks, int threads, void **parameters) {
  const Entry *const entry = function.entry;
  std::vector<std::uint64_t> words;
  for (int i = 0; i < (entry == nullptr ? 1 : entry->parameters); i++) words.push_back(read<std::uint64_t>(static_cast<const char *>(parameters[i])));
  return [=] {
    Driver &d = driver();
    d.counts.launches++;
    if (d.counts.launches == d.switches.failing_launch) {
      d.fail(719, "the test wants it lost");
      return;
    }
    if (entry == nullptr) {
      if (d.has(words[0], 7 * WARP * 4, "the self-test")) probe(reinterpret_cast<std::uint32_t *>(words[0]), d.switches.wrong_row);
      return;
    }
    std::vector<void *> places;
    for (std::size_t i = 0; i < words.size(); i++) {
      places.push_back(const_cast<std::uint64_t *>(&words[i]));
      const bool is_pointer = (entry->pointers >> i & 1) != 0;
      // A buffer of no elements may lie at the very end of its memory; what is read or written is watched byte by byte.
      if (is_pointer && words[i] != 0 && !d.has(words[i], 0, entry->name)) return;
      if (is_pointer && words[i] % 16 != 0) {
        d.fail(716, std::string(entry->name) + " gets an address that is no multiple of 16");
        return;
      }
    }
    struct Call {
      const Entry *entry;
      void *const *parameters;
    } call{entry, places.data()};
    const std::string fault = run(d.shadow, {blocks, threads, d.counts.launches % 2 == 0}, [](void *c) { static_cast<Call *>(c)->entry->call(static_cast<Call *>(c)->parameters); }, &call);
    if (!fault.empty()) d.fail(ILLEGAL_ADDRESS, std::string(entry->name) + ": " + fault);
  };
}

}  // namespace shim
