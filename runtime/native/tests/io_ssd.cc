// The SSD tier, every way in which it can work: what is read is what was written, or it is refused by name.
#include <doctest/doctest.h>
#include <fcntl.h>

#include <cstring>
#include <random>

#include "io/ssd.h"
#include "tests/faulty-disk.h"
#include "tests/io-support.h"

namespace sluice::test {
namespace {

constexpr int64_t BLOCK = Ssd::BLOCK;
constexpr int64_t CAPACITY = 256 * BLOCK;

struct Way {
  bool ring;
  bool direct;
};
constexpr Way WAYS[] = {{true, true}, {true, false}, {false, true}, {false, false}};

SsdOptions options(Way way) { return {.capacity = CAPACITY, .memory = CAPACITY, .depth = 4, .transfer = 8 * BLOCK, .ring = way.ring, .direct = way.direct}; }

void fill(std::span<std::byte> bytes, uint32_t seed) {
  std::mt19937 next(seed);
  for (std::byte& b : bytes) b = static_cast<std::byte>(next());
}

TEST_CASE("what is written in any pieces is read in any others, many at once") {
  const Folder folder;
  for (const Way way : WAYS) {
    Ssd ssd(folder.at("tier"), options(way));
    CAPTURE(ssd.description());
    std::vector<std::byte> expected(CAPACITY);
    fill(expected, 1);
    std::memcpy(ssd.memory().data(), expected.data(), expected.size());
    std::vector<Ssd::Ticket> tickets;
    for (int64_t at = 0; at < 256; at += 37) {
      const int64_t bytes = std::min<int64_t>(37, 256 - at) * BLOCK;
      tickets.push_back(ssd.write(at * BLOCK, ssd.memory().subspan(static_cast<size_t>(at * BLOCK), static_cast<size_t>(bytes))));
    }
    for (const auto& ticket : tickets) ssd.await(ticket);
    std::fill(ssd.memory().begin(), ssd.memory().end(), std::byte{0xee});
    tickets.clear();
    for (int64_t at = 0; at < 256; at += 64) tickets.push_back(ssd.read(at * BLOCK, ssd.memory().subspan(static_cast<size_t>(at * BLOCK), 64 * BLOCK)));
    for (const auto& ticket : tickets) {
      ssd.await(ticket);
      CHECK(ssd.isDone(ticket));
    }
    CHECK(std::memcmp(ssd.memory().data(), expected.data(), expected.size()) == 0);
  }
}

TEST_CASE("it says how it works, and what the machine refuses") {
  const Folder folder;
  CHECK(Ssd(folder.at("tier"), options({false, true})).description() == "4 threads, past the page cache");
  FaultyDisk disk({.refusesDirect = true});
  CHECK(Ssd(folder.at("tier"), options({false, true}), disk).description() == "4 threads, through the page cache; O_DIRECT is refused (EINVAL)");
}

TEST_CASE("the tier's file is reserved when it opens and gone when it closes; one that does not fit is refused") {
  const Folder folder;
  {
    const Ssd ssd(folder.at("tier"), options({true, true}));
    CHECK(std::filesystem::file_size(folder.at("tier")) == CAPACITY);
  }
  CHECK(folder.names().empty());
  // Opened, then reserved.
  FaultyDisk disk({.failAt = 1, .failWith = ENOSPC});
  CHECK(refusal([&] { const Ssd ssd(folder.at("tier"), options({false, false}), disk); }) ==
        "error FILE003: " + folder.at("tier") + ": cannot be written, and nothing was changed: no space is left on the device\n  found:    ENOSPC");
  CHECK(folder.names().empty());
}

TEST_CASE("a file that is there already is refused and stays as it is, and so is a tier that another keeps") {
  const Folder folder;
  const std::string path = folder.at("tier");
  for (const Way way : WAYS) {
    put(path, "somebody's thesis");
    CHECK(refusal([&] { const Ssd ssd(path, options(way)); }) ==
          "error SSD003: " + path + ": there is a file already, and a tier makes its own\n  expected: a path at which there is no file\n  hint:     name another path, or remove the file if "
          "nothing needs it: a run that was killed leaves its own");
    CHECK(textOf(readFile(path)) == "somebody's thesis");
    std::filesystem::remove(path);
    Ssd first(path, options(way));
    fill(first.memory(), 5);
    first.await(first.write(0, first.memory()));
    CHECK(refusal([&] { const Ssd ssd(path, options(way)); }) ==
          "error SSD003: " + path + ": another run keeps its tier in this file\n  expected: a path at which there is no file\n  hint:     name another path, or wait until it has ended");
    first.await(first.read(0, first.memory()));
  }
  CHECK(folder.names().empty());
}

TEST_CASE("a file that was put in the tier's place meanwhile is not removed with it") {
  const Folder folder;
  {
    const Ssd ssd(folder.at("tier"), options({true, true}));
    put(folder.at("tier"), "somebody's thesis");
  }
  CHECK(textOf(readFile(folder.at("tier"))) == "somebody's thesis");
}

/** A disk whose transfers throw. */
class ThrowingDisk : public Disk {
 public:
  ssize_t write(int, const void*, size_t, int64_t) override { throw std::runtime_error("the controller is on fire"); }
};

/** Moves nothing, and throws when it is asked what was moved. */
class BrokenTransport : public Transport {
 public:
  std::string description() const override { return "broken"; }
  void start(const Transfer&) override {}
  void submit() override {}
  void collect(std::vector<Transferred>&) override { throw std::runtime_error("the ring is gone"); }
  void wake() override {}
};

TEST_CASE("what a thread of the tier throws reaches whoever waits, by name") {
  const Folder folder;
  ThrowingDisk disk;
  Ssd thrown(folder.at("thrown"), options({false, false}), disk);
  CHECK(refusal([&] { thrown.await(thrown.write(0, thrown.memory())); }) == "error FILE003: " + folder.at("thrown") + ": cannot be written\n  found:    the controller is on fire");

  SsdOptions broken = options({false, false});
  broken.transport = [](int) { return std::make_unique<BrokenTransport>(); };
  Ssd ssd(folder.at("broken"), broken);
  const std::string stopped = "error SSD004: " + folder.at("broken") + ": transfers have stopped\n  found:    the ring is gone\n  hint:     open the tier again; what was in it is lost";
  const Ssd::Ticket first = ssd.write(0, ssd.memory());
  CHECK(refusal([&] { ssd.await(first); }) == stopped);
  CHECK(refusal([&] { ssd.await(ssd.write(0, ssd.memory())); }) == stopped);
}

/** One whole block or several, written and read back through a disk with faults. */
struct Exchange {
  explicit Exchange(FaultyDisk& disk, const Folder& folder, const std::string& name = "tier") : ssd(folder.at(name), options({false, false}), disk) { fill(memory(), 2); }
  std::span<std::byte> memory() { return ssd.memory().first(8 * BLOCK); }
  void write() { ssd.await(ssd.write(0, memory())); }
  void read() {
    const std::vector<std::byte> expected(memory().begin(), memory().end());
    std::fill(memory().begin(), memory().end(), std::byte{0});
    ssd.await(ssd.read(0, memory()));
    CHECK(std::memcmp(memory().data(), expected.data(), expected.size()) == 0);
  }
  Ssd ssd;
};

TEST_CASE("short transfers and interruptions are gone through, even such as cut a block") {
  const Folder folder;
  for (const size_t longest : {size_t{3 * BLOCK}, size_t{BLOCK + 1000}}) {
    FaultyDisk disk({.longestTransfer = longest, .interrupts = true});
    Exchange exchange(disk, folder);
    exchange.write();
    exchange.read();
    CHECK(disk.calls() > 6);
  }
}

TEST_CASE("a transfer that never moves a block is a failure, not a wait for ever") {
  const Folder folder;
  FaultyDisk disk({.longestTransfer = 100});
  Exchange exchange(disk, folder);
  CHECK(refusal([&] { exchange.write(); }) == "error FILE003: " + folder.at("tier") + ": cannot be written: the device failed\n  found:    EIO at offset 0");
}

TEST_CASE("a device's error names the offset, and blocks whose write failed are not read") {
  const Folder folder;
  // open, reserve, write, read.
  FaultyDisk failsWrite({.failAt = 2});
  Exchange first(failsWrite, folder);
  CHECK(refusal([&] { first.write(); }) == "error FILE003: " + folder.at("tier") + ": cannot be written: the device failed\n  found:    EIO at offset 0");
  CHECK(refusal([&] { first.read(); }) == "error SSD002: " + folder.at("tier") + ": a block is read that was never written\n  found:    offset 0");
  FaultyDisk failsRead({.failAt = 3});
  Exchange second(failsRead, folder, "second");
  second.write();
  CHECK(refusal([&] { second.read(); }) == "error FILE001: " + folder.at("second") + ": cannot be read: the device failed\n  found:    EIO at offset 0");
}

TEST_CASE("a bit that is flipped on the way is noticed, and the block is read again") {
  const Folder folder;
  FaultyDisk disk({.flipAt = 3});
  Exchange exchange(disk, folder);
  exchange.write();
  exchange.read();
  CHECK(disk.calls() == 5);
}

TEST_CASE("a bit that is flipped on the device is an error with the block's offset, whatever way it is read") {
  const Folder folder;
  for (const Way way : WAYS) {
    Ssd ssd(folder.at("tier"), options(way));
    CAPTURE(ssd.description());
    fill(ssd.memory(), 3);
    ssd.await(ssd.write(0, ssd.memory()));
    {
      const File file(systemDisk(), folder.at("tier"), O_RDWR);
      std::byte byte[1];
      file.read(byte, 9 * BLOCK + 77);
      byte[0] ^= std::byte{4};
      file.write(byte, 9 * BLOCK + 77);
      file.sync();
    }
    CHECK(refusal([&] { ssd.await(ssd.read(8 * BLOCK, ssd.memory().first(4 * BLOCK))); }).find("SSD001: " + folder.at("tier") + ": a block is not what was written to it") != std::string::npos);
    CHECK(refusal([&] { ssd.await(ssd.read(8 * BLOCK, ssd.memory().first(4 * BLOCK))); }).find(" at offset 36864\n  expected: checksum ") != std::string::npos);
    ssd.await(ssd.read(10 * BLOCK, ssd.memory().first(BLOCK)));
  }
}

TEST_CASE("a file that is cut short under the tier is an error, whatever way it is read") {
  const Folder folder;
  for (const Way way : WAYS) {
    Ssd ssd(folder.at("tier"), options(way));
    fill(ssd.memory(), 4);
    ssd.await(ssd.write(0, ssd.memory()));
    std::filesystem::resize_file(folder.at("tier"), 20 * BLOCK);
    ssd.await(ssd.read(0, ssd.memory().first(20 * BLOCK)));
    CHECK(refusal([&] { ssd.await(ssd.read(16 * BLOCK, ssd.memory().first(8 * BLOCK))); }) == "error FILE001: " + folder.at("tier") + ": cannot be read: the device failed\n  found:    EIO at offset 81920");
  }
}

TEST_CASE("what is no whole block, or lies past the end, is a fault of the caller's") {
  const Folder folder;
  Ssd ssd(folder.at("tier"), options({true, true}));
  CHECK_THROWS_AS(ssd.read(1, ssd.memory().first(BLOCK)), std::logic_error);
  CHECK_THROWS_AS(ssd.read(0, ssd.memory().first(100)), std::logic_error);
  CHECK_THROWS_AS(ssd.read(0, ssd.memory().subspan(8, BLOCK)), std::logic_error);
  CHECK_THROWS_AS(ssd.write(CAPACITY, ssd.memory().first(BLOCK)), std::logic_error);
  ssd.await(ssd.write(CAPACITY, ssd.memory().first(0)));
}

}  // namespace
}  // namespace sluice::test
