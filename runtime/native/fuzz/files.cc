// Reads files that were mutated, as they come on standard input, and says of each what its reader made of it: tests/fuzz/files.ts
// makes them and compares. Built with sanitizers, so that whatever a reader does wrong ends the process. A file comes as its
// kind, the dtype that is wanted of it (one byte each) and its length (u32); the answer is a line: `ok` with a checksum of what
// was read or the code of the refusal, the most memory that was held beside the file, and the pixels that a picture says it has.
#include <sys/mman.h>
#include <sys/time.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "container/read.h"
#include "io/npy.h"
#include "io/picture-file.h"
#include "io/pictures.h"
#include "io/safetensors.h"

// Of the sanitizer's runtime; GCC does not install the header.
extern "C" {
int __sanitizer_install_malloc_and_free_hooks(void (*allocated)(const volatile void*, size_t), void (*freed)(const volatile void*));
size_t __sanitizer_get_allocated_size(const volatile void* memory);
}

namespace {

using namespace sluice;

// Bytes that are allocated now, and the most that were.
size_t held = 0;
size_t most = 0;
void allocated(const volatile void* memory, size_t) {
  held += __sanitizer_get_allocated_size(memory);
  most = std::max(most, held);
}
void freed(const volatile void* memory) {
  if (memory != nullptr) held -= __sanitizer_get_allocated_size(memory);
}

/** Of the processor's time, so that a busy machine is no hang. */
constexpr time_t PATIENCE_S = 60;
void hangs(int) {
  constexpr std::string_view SAID = "the reader hangs\n";
  static_cast<void>(!::write(STDERR_FILENO, SAID.data(), SAID.size()));
  std::abort();
}
void watch(time_t seconds) {
  const itimerval timer{.it_interval = {}, .it_value = {.tv_sec = seconds, .tv_usec = 0}};
  ::setitimer(ITIMER_PROF, &timer, nullptr);
}

bool readAll(void* to, size_t bytes) { return std::fread(to, 1, bytes, stdin) == bytes; }

std::string summary(const HostTensor& tensor) { return std::string(name(tensor.dtype)) + " " + shapeText(tensor.shape) + " " + std::to_string(crc32c(tensor.bytes)); }

/** A file in memory, by the name that it has for this process. */
class MemoryFile {
 public:
  explicit MemoryFile(Bytes bytes) : file_(::memfd_create("mutated", 0)) {
    if (::write(file_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) std::abort();
  }
  ~MemoryFile() { ::close(file_); }
  MemoryFile(const MemoryFile&) = delete;
  MemoryFile& operator=(const MemoryFile&) = delete;
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }

 private:
  int file_;
};

std::string readTensors(const std::string& path) {
  const Safetensors file(path);
  std::string all;
  for (const std::string& tensor : file.names()) {
    all += tensor + " ";
    try {
      all += summary(*file.find(tensor)) + "\n";
    } catch (const Error& error) {
      all += error.diagnostic.code + "\n";
    }
  }
  for (const auto& [key, text] : file.metadata()) all += key + " " + text + "\n";
  return all;
}

std::string readAs(char kind, DType wanted, Bytes bytes, const std::string& path, int64_t& pixels) {
  switch (kind) {
    case 'c': {
      const Container container = readContainer(bytes);
      for (const ModuleInfo& module : container.modules)
        if (module.lowering >= container.program.lowerings.size()) std::abort();
      for (const Bytes constant : container.constants)
        if (constant.data() < bytes.data() || constant.data() + constant.size() > bytes.data() + bytes.size()) std::abort();
      return container.program.name;
    }
    case 's': return readTensors(path);
    case 'n': return summary(readNpy("x.npy", bytes, wanted));
    default: {
      pixels = static_cast<int64_t>(inspectPicture("x.png", bytes).pixels);
      const Picture picture = decodePicture("x.png", bytes);
      return std::to_string(picture.width) + " x " + std::to_string(picture.height);
    }
  }
}

}  // namespace

int main() {
  std::signal(SIGPROF, hangs);
  __sanitizer_install_malloc_and_free_hooks(allocated, freed);
  char head[2];
  while (readAll(head, sizeof head)) {
    uint32_t length = 0;
    if (!readAll(&length, sizeof length)) return 1;
    std::vector<std::byte> bytes(length);
    if (!readAll(bytes.data(), length)) return 1;
    const MemoryFile file(bytes);
    std::string answer;
    int64_t pixels = 0;
    const size_t before = held;
    most = held;
    watch(PATIENCE_S);
    try {
      const std::string read = readAs(head[0], static_cast<DType>(head[1]), bytes, file.path(), pixels);
      answer = "ok:" + std::to_string(crc32c(std::as_bytes(std::span(read))));
    } catch (const Error& error) {
      answer = error.diagnostic.code;
    }
    watch(0);
    std::printf("%s %zu %lld\n", answer.c_str(), most - before, static_cast<long long>(pixels));
    std::fflush(stdout);
  }
}
