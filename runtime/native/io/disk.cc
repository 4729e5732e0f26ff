#include "io/disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace sluice {
namespace {

template <typename T>
T answer(T result) {
  return result < 0 ? static_cast<T>(-errno) : result;
}

}  // namespace

int Disk::open(const char* path, int flags, mode_t mode) { return answer(::open(path, flags | O_CLOEXEC, mode)); }
int Disk::close(int file) { return answer(::close(file)); }
ssize_t Disk::read(int file, void* to, size_t bytes, int64_t offset) { return answer(::pread(file, to, bytes, offset)); }
ssize_t Disk::write(int file, const void* from, size_t bytes, int64_t offset) { return answer(::pwrite(file, from, bytes, offset)); }
int Disk::sync(int file) { return answer(::fdatasync(file)); }
int Disk::rename(const char* from, const char* to) { return answer(::rename(from, to)); }
int Disk::remove(const char* path) { return answer(::unlink(path)); }
int Disk::makeFolder(const char* path) { return answer(::mkdir(path, 0777)); }
int Disk::removeFolder(const char* path) { return answer(::rmdir(path)); }

int64_t Disk::size(int file) {
  struct stat status {};
  const int result = answer(::fstat(file, &status));
  if (result < 0) return result;
  return S_ISDIR(status.st_mode) ? -EISDIR : static_cast<int64_t>(status.st_size);
}

int Disk::reserve(int file, int64_t bytes) {
  if (bytes == 0) return 0;
  const int result = answer(::fallocate(file, 0, 0, bytes));
  return result == -EOPNOTSUPP || result == -ENOSYS ? 0 : result;
}

Disk& systemDisk() {
  static Disk disk;
  return disk;
}

}  // namespace sluice
