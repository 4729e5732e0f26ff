// Files under every fault that a disk has: full recovery or an error that names the path, and never half a file.
#include <doctest/doctest.h>
#include <fcntl.h>
#include <sys/wait.h>

#include "tests/faulty-disk.h"
#include "tests/io-support.h"

namespace sluice::test {
namespace {

const std::string OLD = "what was there before";
const std::string NEW(100'000, 'n');

TEST_CASE("a file that is written is read back, folders above it are made") {
  const Folder folder;
  put(folder.at("a/b/c.txt"), NEW);
  CHECK(textOf(readFile(folder.at("a/b/c.txt"))) == NEW);
  CHECK(folder.names() == std::set<std::string>{"a"});
}

TEST_CASE("short transfers and interruptions are gone through") {
  const Folder folder;
  FaultyDisk disk({.longestTransfer = 777, .interrupts = true});
  put(folder.at("new/file"), NEW, disk);
  CHECK(textOf(readFile(folder.at("new/file"), disk)) == NEW);
  CHECK(disk.calls() > 2 * 100'000 / 777);
}

TEST_CASE("whatever call fails while a file is replaced, the old one stays and nothing else does") {
  const Folder folder;
  put(folder.at("file"), OLD);
  FaultyDisk counting({});
  put(folder.at("other"), NEW, counting);
  std::filesystem::remove(folder.at("other"));
  // The last two calls sync the folder, when the file has already been replaced.
  const int untilRename = counting.calls() - 2;
  REQUIRE(untilRename >= 5);
  for (const int number : {EIO, ENOSPC}) {
    for (int call = 0; call < untilRename; call++) {
      FaultyDisk disk({.failAt = call, .failWith = number});
      const std::string error = refusal([&] { put(folder.at("file"), NEW, disk); });
      CHECK(error.starts_with("error FILE003: " + folder.at("file") + ": cannot be written, and nothing was changed: " + (number == EIO ? "the device failed" : "no space is left on the device")));
      CHECK(error.find(number == EIO ? "found:    EIO" : "found:    ENOSPC") != std::string::npos);
      CHECK(textOf(readFile(folder.at("file"))) == OLD);
      CHECK(folder.names() == std::set<std::string>{"file"});
    }
  }
}

TEST_CASE("folders that were made for a file that cannot be written go again") {
  const Folder folder;
  for (int call = 0; call < 9; call++) {
    FaultyDisk disk({.failAt = call, .failWith = ENOSPC});
    CHECK(refusal([&] { put(folder.at("x/y/file"), NEW, disk); }).starts_with("error FILE003: " + folder.at("x/y/file")));
    CHECK(folder.names().empty());
  }
}

TEST_CASE("a process killed at any call leaves the old file or the new one, whole") {
  const Folder folder;
  put(folder.at("file"), OLD);
  bool replaced = false;
  for (int call = 0; !replaced; call++) {
    const pid_t child = ::fork();
    if (child == 0) {
      FaultyDisk disk({.longestTransfer = 30'000, .killAt = call});
      put(folder.at("file"), NEW, disk);
      ::_exit(0);
    }
    int status = 0;
    REQUIRE(::waitpid(child, &status, 0) == child);
    REQUIRE((WEXITSTATUS(status) == FaultyDisk::KILLED || WEXITSTATUS(status) == 0));
    const std::string now = textOf(readFile(folder.at("file")));
    replaced = WEXITSTATUS(status) == 0;
    const bool whole = now == OLD || now == NEW;
    CHECK(whole);
  }
  CHECK(textOf(readFile(folder.at("file"))) == NEW);
}

TEST_CASE("a read that fails names the path, the offset and the reason") {
  const Folder folder;
  put(folder.at("file"), NEW);
  // open, size, read, read.
  FaultyDisk disk({.longestTransfer = 40'000, .failAt = 3});
  CHECK(refusal([&] { readFile(folder.at("file"), disk); }) == "error FILE001: " + folder.at("file") + ": cannot be read: the device failed\n  found:    EIO at offset 40000");
  CHECK(refusal([&] { readFile(folder.at("none")); }) == "error FILE001: " + folder.at("none") + ": cannot be read: no such file or folder\n  found:    ENOENT");
  CHECK(refusal([&] { readFile(folder.at("")); }).find("it is a folder\n  found:    EISDIR") != std::string::npos);
  const File file(systemDisk(), folder.at("file"), O_RDONLY);
  std::vector<std::byte> past(10);
  CHECK(refusal([&] { file.read(past, 99'995); }) == "error FILE001: " + folder.at("file") + ": cannot be read: it ends too early\n  found:    the end at offset 100000\n  expected: 5 more bytes");
}

TEST_CASE("a part of the path that is a file is said") {
  const Folder folder;
  put(folder.at("file"), OLD);
  CHECK(refusal([&] { put(folder.at("file/below"), NEW); }) == "error FILE003: " + folder.at("file/below") + ": cannot be written, and nothing was changed: a part of the path is no folder\n  found:    ENOTDIR");
}

TEST_CASE("a mapped file that is cut short meanwhile is an error, not a crash") {
  const Folder folder;
  put(folder.at("file"), NEW);
  const MappedFile mapped(folder.at("file"));
  std::vector<std::byte> part(100);
  mapped.copy(part, 90'000);
  CHECK(textOf(part) == std::string(100, 'n'));
  std::filesystem::resize_file(folder.at("file"), 10);
  CHECK(refusal([&] { mapped.copy(part, 90'000); }) == "error FILE001: " + folder.at("file") + ": cannot be read: the device failed\n  found:    EIO at offset 90000");
  mapped.copy(std::span(part).first(10), 0);
  CHECK(textOf(part).starts_with("nnnnnnnnnn"));
}

}  // namespace
}  // namespace sluice::test
