// Files in full or not at all. Transfers loop over short counts and interruptions; errors name the path, the offset and the
// reason; a file that is replaced is written beside its place, synced and then renamed, so that an error, a full disk or a
// killed process leaves what was there before.
#pragma once
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "io/disk.h"

namespace sluice {

using Bytes = std::span<const std::byte>;

/** FILE001 or FILE003: `weights.npy: cannot be read: permission denied`, found: EACCES. `number` is an errno. */
Error fileError(const std::string& code, const std::string& path, const std::string& action, int number, int64_t offset = -1);

/** An open file, closed with it. */
class File {
 public:
  File(Disk& disk, std::string path, int flags);
  ~File();
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  const std::string& path() const { return path_; }
  int descriptor() const { return file_; }
  int64_t size() const;
  /** All of it, or Error FILE001. */
  void read(std::span<std::byte> to, int64_t offset) const;
  /** All of it, or Error FILE003. */
  void write(Bytes from, int64_t offset) const;
  /** Room for so many bytes before any is written, or Error FILE003. */
  void reserve(int64_t bytes) const;
  void sync() const;

 private:
  Disk& disk_;
  std::string path_;
  int file_;
};

std::vector<std::byte> readFile(const std::string& path, Disk& disk = systemDisk());

/** Makes the parts, one after another, the file's contents; folders above it are made. All of it or nothing. */
void replaceFile(const std::string& path, std::span<const Bytes> parts, Disk& disk = systemDisk());

/** A file's bytes in the address space. */
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  /** So many bytes of it from a multiple of the page size. */
  MappedFile(const std::string& path, int64_t offset, int64_t bytes);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  const std::string& path() const { return path_; }
  Bytes bytes() const { return bytes_; }
  /** Copies a part of it out. Pages that cannot be read (a damaged disk, a file cut short meanwhile) are Error FILE001. */
  void copy(std::span<std::byte> to, int64_t offset) const;

 private:
  std::string path_;
  Bytes bytes_;
};

}  // namespace sluice
