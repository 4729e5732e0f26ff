// A disk that misbehaves on demand, over the machine's own: transfers come in small pieces, calls are interrupted, the n-th
// call fails, kills the process or, of a read, flips one bit.
#pragma once
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstddef>

#include "io/disk.h"

namespace sluice::test {

class FaultyDisk : public Disk {
 public:
  /** Calls are counted from 0; -1: never. */
  struct Faults {
    size_t longestTransfer = SIZE_MAX;
    /** Every other call. */
    bool interrupts = false;
    int failAt = -1;
    int failWith = EIO;
    int killAt = -1;
    int flipAt = -1;
    bool refusesDirect = false;
  };
  static constexpr int KILLED = 77;

  explicit FaultyDisk(Faults faults) : faults_(faults) {}
  int calls() const { return calls_; }

  int open(const char* path, int flags, mode_t mode) override {
    const int fault = next();
    if (faults_.refusesDirect && (flags & O_DIRECT)) return -EINVAL;
    return fault != 0 ? fault : Disk::open(path, flags, mode);
  }
  int64_t size(int file) override {
    const int fault = next();
    return fault != 0 ? fault : Disk::size(file);
  }
  ssize_t read(int file, void* to, size_t bytes, int64_t offset) override {
    int call = 0;
    const int fault = next(&call);
    if (fault != 0) return fault;
    const ssize_t got = Disk::read(file, to, std::min(bytes, faults_.longestTransfer), offset);
    if (got > 0 && call == faults_.flipAt) static_cast<std::byte*>(to)[got / 2] ^= std::byte{16};
    return got;
  }
  ssize_t write(int file, const void* from, size_t bytes, int64_t offset) override {
    const int fault = next();
    return fault != 0 ? fault : Disk::write(file, from, std::min(bytes, faults_.longestTransfer), offset);
  }
  int reserve(int file, int64_t bytes) override {
    const int fault = next();
    return fault != 0 ? fault : Disk::reserve(file, bytes);
  }
  int sync(int file) override {
    const int fault = next();
    return fault != 0 ? fault : Disk::sync(file);
  }
  int rename(const char* from, const char* to) override {
    const int fault = next();
    return fault != 0 ? fault : Disk::rename(from, to);
  }
  int makeFolder(const char* path) override {
    const int fault = next();
    return fault != 0 ? fault : Disk::makeFolder(path);
  }

 private:
  /** -errno if this call fails. */
  int next(int* number = nullptr) {
    if (faults_.interrupts && attempts_++ % 2 == 0) return -EINTR;
    const int call = calls_++;
    if (number != nullptr) *number = call;
    if (call == faults_.killAt) ::_exit(KILLED);
    return call == faults_.failAt ? -faults_.failWith : 0;
  }

  Faults faults_;
  std::atomic<int> calls_{0};
  std::atomic<int> attempts_{0};
};

}  // namespace sluice::test
