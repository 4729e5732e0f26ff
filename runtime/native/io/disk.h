// The system calls that files are made of. Tests put a faulty disk in this one's place; nothing else derives from it.
// Every call answers as Linux does, and -errno for an error, so that an answer is one value.
#pragma once
#include <sys/types.h>

#include <cstddef>
#include <cstdint>

namespace sluice {

class Disk {
 public:
  virtual ~Disk() = default;
  virtual int open(const char* path, int flags, mode_t mode);
  virtual int close(int file);
  virtual int64_t size(int file);
  virtual ssize_t read(int file, void* to, size_t bytes, int64_t offset);
  virtual ssize_t write(int file, const void* from, size_t bytes, int64_t offset);
  /** Makes sure that so many bytes have room; 0 where the file system cannot promise it. */
  virtual int reserve(int file, int64_t bytes);
  virtual int sync(int file);
  virtual int rename(const char* from, const char* to);
  virtual int remove(const char* path);
  virtual int makeFolder(const char* path);
  virtual int removeFolder(const char* path);
};

/** The machine's own. */
Disk& systemDisk();

}  // namespace sluice
