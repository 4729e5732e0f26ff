// A disk that misbehaves on demand, over the machine's own: transfers come in small pieces, calls are interrupted, the n-th
// call fails, kills the process or, of a read, flips one bit.
#pragma once
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

#include "io/disk.h"

namespace sluice::test {

class FaultyDisk : public Disk {
 public:
  /** Calls are counted from 0; -1: never. */
  struct Faults {
    size_t longestTransfer = SIZE_MAX;
    bool interrupts = false;
    int failAt = -1;
    int failWith = EIO;
    int killAt = -1;
    int flipAt = -1;
  };
  static constexpr int KILLED = 77;

  explicit FaultyDisk(Faults faults) : faults_(faults) {}
  int calls() const { return calls_; }

  int open(const char* path, int flags, mode_t mode) override { return fault() ? result_ : Disk::open(path, flags, mode); }
  int64_t size(int file) override { return fault() ? result_ : Disk::size(file); }
  ssize_t read(int file, void* to, size_t bytes, int64_t offset) override {
    if (fault()) return result_;
    const ssize_t got = Disk::read(file, to, std::min(bytes, faults_.longestTransfer), offset);
    if (got > 0 && calls_ - 1 == faults_.flipAt) static_cast<std::byte*>(to)[got / 2] ^= std::byte{16};
    return got;
  }
  ssize_t write(int file, const void* from, size_t bytes, int64_t offset) override {
    return fault() ? result_ : Disk::write(file, from, std::min(bytes, faults_.longestTransfer), offset);
  }
  int reserve(int file, int64_t bytes) override { return fault() ? result_ : Disk::reserve(file, bytes); }
  int sync(int file) override { return fault() ? result_ : Disk::sync(file); }
  int rename(const char* from, const char* to) override { return fault() ? result_ : Disk::rename(from, to); }
  int makeFolder(const char* path) override { return fault() ? result_ : Disk::makeFolder(path); }

 private:
  /** Whether this call fails, with `result_`. */
  bool fault() {
    if (faults_.interrupts && !interrupted_) {
      interrupted_ = true;
      result_ = -EINTR;
      return true;
    }
    interrupted_ = false;
    const int call = calls_++;
    if (call == faults_.killAt) ::_exit(KILLED);
    result_ = -faults_.failWith;
    return call == faults_.failAt;
  }

  Faults faults_;
  int calls_ = 0;
  bool interrupted_ = false;
  int result_ = 0;
};

}  // namespace sluice::test
