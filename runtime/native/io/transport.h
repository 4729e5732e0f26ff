// Transfers between memory and one file, many at once: a kernel ring (io_uring) or a pool of threads that call pread and
// pwrite. Neither knows of blocks, checksums or repetition; that is `Ssd`. One thread starts and collects.
#pragma once
#include <cstddef>
#include <cstdint>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "io/disk.h"

namespace sluice {

struct Transfer {
  bool isWrite = false;
  int64_t offset = 0;
  std::byte* memory = nullptr;
  size_t bytes = 0;
  /** Comes back with the result. */
  uint32_t id = 0;
};
struct Transferred {
  uint32_t id = 0;
  /** Bytes that were moved, or -errno. */
  int64_t result = 0;
  /** What was thrown instead. */
  std::exception_ptr failure;
};

class Transport {
 public:
  virtual ~Transport() = default;
  /** For people: "io_uring". */
  virtual std::string description() const = 0;
  /** At most as many are under way as the depth it was made for. The memory stays until the result is there. */
  virtual void start(const Transfer& transfer) = 0;
  /** Whatever was started is on its way; `collect` sees to it too. */
  virtual void submit() = 0;
  /** Adds what has finished since; waits for at least one, or for `wake`. */
  virtual void collect(std::vector<Transferred>& finished) = 0;
  /** From any thread: `collect` returns. */
  virtual void wake() = 0;
};

/** Null where there is no io_uring, with the errno in `refusal`. `registered`: memory that transfers may use without being mapped each time. */
std::unique_ptr<Transport> ringTransport(int file, int depth, std::span<std::byte> registered, int& refusal);
std::unique_ptr<Transport> poolTransport(Disk& disk, int file, int depth);

}  // namespace sluice
