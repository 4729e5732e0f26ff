// A tier of memory on SSD: a file of blocks that is read and written asynchronously, past the page cache where the file
// system allows. Every block has a checksum; what is read is what was written, or it is refused by name. The file is
// scratch: it is made when the tier is opened, locked, and removed with it. A file that is there already is never touched.
#pragma once
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "io/file.h"
#include "io/transport.h"

namespace sluice {

struct SsdOptions {
  /** Bytes, a multiple of the block. All of it is reserved when the tier is opened. */
  int64_t capacity = 0;
  /** Bytes of registered memory for transfers; others work too. */
  int64_t memory = 0;
  /** Transfers that are under way at once. */
  int depth = 32;
  /** The most bytes that one transfer moves; a multiple of the block. */
  int64_t transfer = int64_t{1} << 20;
  /** Without it, a pool of threads is used even where there is io_uring. */
  bool ring = true;
  /** Without it, through the page cache. */
  bool direct = true;
  /** What moves the blocks; by default a ring, or a pool of threads where there is none. */
  std::function<std::unique_ptr<Transport>(int file)> transport;
};

class Ssd {
 public:
  static constexpr int64_t BLOCK = 4096;

  /** A read or write on its way. */
  class Request;
  using Ticket = std::shared_ptr<Request>;

  /** Throws SSD003 where there is a file at that path, and FILE003. */
  Ssd(const std::string& path, SsdOptions options, Disk& disk = systemDisk());
  /** Waits for what is under way. */
  ~Ssd();
  Ssd(const Ssd&) = delete;
  Ssd& operator=(const Ssd&) = delete;

  /** How it works, and why not faster: "io_uring, registered memory, past the page cache". */
  const std::string& description() const { return description_; }
  /** The registered memory. */
  std::span<std::byte> memory() const { return memory_; }

  // Offsets, lengths and addresses are multiples of BLOCK. Requests whose ranges overlap are ordered by whoever makes them.
  Ticket read(int64_t offset, std::span<std::byte> to);
  Ticket write(int64_t offset, Bytes from);
  bool isDone(const Ticket& ticket) const;
  /** Returns when it is done, or throws what went wrong: FILE001, FILE003, SSD001 and SSD002 for blocks that are not what was written, or SSD004 if transfers have stopped. */
  void await(const Ticket& ticket);

 private:
  /** What one transfer moves, until all of it is moved. */
  struct Part {
    Ticket request;
    bool isWrite = false;
    int64_t offset = 0;
    std::byte* memory = nullptr;
    int64_t bytes = 0;
    int64_t moved = 0;
    /** Transfers that moved nothing. */
    int stalls = 0;
    bool isRepeated = false;
  };
  struct Blocks {
    size_t first;
    size_t count;
  };
  static Blocks blocksOf(const Part& part);
  void create();
  void open(const SsdOptions& options);
  void close();
  Ticket enqueue(bool isWrite, int64_t offset, std::byte* memory, size_t bytes);
  void run();
  void transferAll();
  void abandon(const std::string& why);
  void begin(uint32_t slot);
  void transfer(uint32_t slot);
  void sum(uint32_t slot);
  void verify(uint32_t slot);
  void finish(const Transferred& transferred);
  void end(uint32_t slot, std::optional<Error> error);
  std::optional<Error> damage(const Part& part);

  std::string path_;
  Disk& disk_;
  /** Made here and locked; the path is its own as long as that leads to it. */
  std::unique_ptr<File> owned_;
  /** The same file, opened past the page cache; null if all goes through it. */
  std::unique_ptr<File> direct_;
  std::span<std::byte> mapping_;
  /** In it, from a multiple of the size of huge pages. */
  std::span<std::byte> memory_;
  std::unique_ptr<Transport> transport_;
  std::string description_;
  int64_t transfer_;

  // Only the thread that runs transfers touches these: of each block, and a slot for each part that is being worked on.
  std::vector<uint32_t> sums_;
  std::vector<uint8_t> isWritten_;
  /** Of what has just been read. */
  std::vector<uint32_t> found_;
  std::vector<Part> parts_;
  std::vector<uint32_t> free_;
  size_t depth_;
  size_t underWay_ = 0;
  /** Writes whose checksums are still to be made, and reads whose checksums are to be compared: done while others are under way. */
  std::vector<uint32_t> unsummed_;
  std::vector<uint32_t> arrived_;

  mutable std::mutex mutex_;
  std::condition_variable asked_;
  std::condition_variable done_;
  std::deque<Part> waiting_;
  bool stopped_ = false;
  /** Why there are no more transfers. */
  std::optional<Error> failure_;
  std::thread thread_;
};

}  // namespace sluice
