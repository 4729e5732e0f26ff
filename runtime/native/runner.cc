// The main of an executable: a program's container stands at the end of this very file. Exit codes: 0 done, 1 what the user
// gave is wrong (one clear message), 2 a fault of ours, 130 interrupted.
#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>

#include "cli/command-line.h"
#include "cli/progress.h"
#include "cli/run.h"
#include "io/file.h"

namespace sluice {
namespace {

/** What a container begins with, and an executable ends with. */
constexpr std::array<unsigned char, 8> MAGIC{0x89, 'S', 'L', 'X', '\r', '\n', 0x1a, '\n'};

/** This file; where there is no /proc, as it was called. */
std::string ownPath() {
  constexpr const char* SELF = "/proc/self/exe";
  return ::access(SELF, R_OK) == 0 ? SELF : reinterpret_cast<const char*>(::getauxval(AT_EXECFN));
}

/** The last 16 bytes are the container's length and its magic number; it starts at a multiple of 4096. */
MappedFile ownContainer() {
  struct {
    uint64_t length;
    std::array<unsigned char, 8> magic;
  } trailer{};
  const std::string path = ownPath();
  const File file(systemDisk(), path, O_RDONLY);
  const int64_t end = file.size() - static_cast<int64_t>(sizeof trailer);
  file.read(std::as_writable_bytes(std::span(&trailer, 1)), end);
  const auto length = static_cast<int64_t>(trailer.length);
  const bool isWhole = trailer.magic == MAGIC && length > 0 && length < end && (end - length) % 4096 == 0;
  if (!isWhole) throw Error({.code = "SLX001", .message = "this is the native runner alone, or an executable that was cut short", .expected = "a program's container after it", .hint = "build an executable: sluice build <program> -o file"});
  return MappedFile(path, end - length, length);
}

int run(int count, char** arguments) {
  const MappedFile file = ownContainer();
  const Container container = readContainer(file.bytes());
  const CommandLine line = parseCommandLine(container, count, arguments);
  if (line.text.empty()) runCommand(container, line);
  else std::fputs(line.text.c_str(), stdout);
  if (std::fflush(stdout) != 0) throw fileError("FILE003", "standard output", "cannot be written", errno);
  return 0;
}

}  // namespace
}  // namespace sluice

int main(int count, char** arguments) {
  sluice::watchInterrupts();
  try {
    return sluice::run(count, arguments);
  } catch (const sluice::Error& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n", error.what());
    return error.diagnostic.code == sluice::interruption().diagnostic.code ? sluice::INTERRUPTED : 1;
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "internal error: %s\n", error.what());
    return 2;
  }
}
