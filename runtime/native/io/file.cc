#include "io/file.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

// More than this in one call is cut by Linux anyway.
constexpr size_t LONGEST_TRANSFER = size_t{1} << 30;

std::string reason(int number) {
  switch (number) {
    case ENOSPC: return "no space is left on the device";
    case EDQUOT: return "the disk quota is used up";
    case EFBIG: return "files may not be so large here";
    case ENOENT: return "no such file or folder";
    case EACCES: return "permission denied";
    case EISDIR: return "it is a folder";
    case ENOTDIR: return "a part of the path is no folder";
    case EROFS: return "the file system is read-only";
    case EEXIST: return "a part of the path is a file";
    case EIO: return "the device failed";
    default: return std::strerror(number);
  }
}

constexpr const char* CANNOT_READ = "cannot be read";
constexpr const char* CANNOT_WRITE = "cannot be written, and nothing was changed";

/** Calls again while a signal interrupts. */
template <typename Call>
auto persist(Call call) {
  auto result = call();
  while (result == -EINTR) result = call();
  return result;
}

/** Folders that were made for a file, the outermost first; they go again unless they are kept. */
class Folders {
 public:
  Folders(Disk& disk, const std::string& path) : disk_(disk) {
    std::vector<std::string> missing;
    for (size_t end = path.rfind('/'); end != std::string::npos && end > 0; end = path.rfind('/', end - 1)) {
      const std::string folder = path.substr(0, end);
      const int file = persist([&] { return disk.open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_PATH, 0); });
      if (file >= 0) {
        disk.close(file);
        break;
      }
      if (file != -ENOENT) throw fileError("FILE003", path, CANNOT_WRITE, -file);
      missing.push_back(folder);
    }
    for (; !missing.empty(); missing.pop_back()) {
      const int result = persist([&] { return disk.makeFolder(missing.back().c_str()); });
      if (result == -EEXIST) continue;
      if (result < 0) {
        removeAll();
        throw fileError("FILE003", path, CANNOT_WRITE, -result);
      }
      made_.push_back(missing.back());
    }
  }
  ~Folders() { removeAll(); }
  Folders(const Folders&) = delete;
  Folders& operator=(const Folders&) = delete;
  void keep() { made_.clear(); }

 private:
  void removeAll() {
    for (; !made_.empty(); made_.pop_back()) disk_.removeFolder(made_.back().c_str());
  }
  Disk& disk_;
  std::vector<std::string> made_;
};

/** The folder's own list of names reaches the disk; a file system that cannot sync folders keeps them in order itself. */
void syncFolder(Disk& disk, const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
  const int file = persist([&] { return disk.open(folder.c_str(), O_RDONLY | O_DIRECTORY, 0); });
  if (file < 0) return;
  const int result = persist([&] { return disk.sync(file); });
  disk.close(file);
  if (result < 0 && result != -EINVAL) throw fileError("FILE003", path, "is written, but its folder cannot be synced, so it may be gone after a crash", -result);
}

std::string temporaryName(const std::string& path) {
  static std::atomic<uint64_t> unique{0};
  return path + "." + std::to_string(::getpid()) + "-" + std::to_string(unique++) + ".tmp";
}

}  // namespace

Error fileError(const std::string& code, const std::string& path, const std::string& action, int number, int64_t offset) {
  const char* symbol = strerrorname_np(number);
  const std::string found = symbol == nullptr ? "error " + std::to_string(number) : symbol;
  return Error({.code = code, .message = path + ": " + action + ": " + reason(number), .found = offset < 0 ? found : found + " at offset " + std::to_string(offset)});
}

File::File(Disk& disk, std::string path, int flags)
    : disk_(disk), path_(std::move(path)), file_(persist([&] { return disk.open(path_.c_str(), flags, 0666); })) {
  const bool reads = (flags & O_ACCMODE) == O_RDONLY;
  if (file_ < 0) throw fileError(reads ? "FILE001" : "FILE003", path_, reads ? CANNOT_READ : CANNOT_WRITE, -file_);
}

File::~File() { disk_.close(file_); }

int64_t File::size() const {
  const int64_t bytes = persist([&] { return disk_.size(file_); });
  if (bytes < 0) throw fileError("FILE001", path_, CANNOT_READ, static_cast<int>(-bytes));
  return bytes;
}

void File::read(std::span<std::byte> to, int64_t offset) const {
  while (!to.empty()) {
    const ssize_t got = persist([&] { return disk_.read(file_, to.data(), std::min(to.size(), LONGEST_TRANSFER), offset); });
    if (got < 0) throw fileError("FILE001", path_, CANNOT_READ, static_cast<int>(-got), offset);
    if (got == 0) {
      throw Error({.code = "FILE001", .message = path_ + ": cannot be read: it ends too early", .found = "the end at offset " + std::to_string(offset),
                   .expected = std::to_string(to.size()) + " more bytes"});
    }
    to = to.subspan(static_cast<size_t>(got));
    offset += got;
  }
}

void File::write(Bytes from, int64_t offset) const {
  while (!from.empty()) {
    const ssize_t put = persist([&] { return disk_.write(file_, from.data(), std::min(from.size(), LONGEST_TRANSFER), offset); });
    // Nothing taken and no reason given: to go on would be to wait for ever.
    if (put <= 0) throw fileError("FILE003", path_, CANNOT_WRITE, put == 0 ? EIO : static_cast<int>(-put), offset);
    from = from.subspan(static_cast<size_t>(put));
    offset += put;
  }
}

void File::reserve(int64_t bytes) const {
  const int result = persist([&] { return disk_.reserve(file_, bytes); });
  if (result < 0) throw fileError("FILE003", path_, CANNOT_WRITE, -result);
}

void File::sync() const {
  const int result = persist([&] { return disk_.sync(file_); });
  if (result < 0) throw fileError("FILE003", path_, CANNOT_WRITE, -result);
}

std::vector<std::byte> readFile(const std::string& path, Disk& disk) {
  const File file(disk, path, O_RDONLY);
  std::vector<std::byte> bytes(static_cast<size_t>(file.size()));
  file.read(bytes, 0);
  return bytes;
}

void replaceFile(const std::string& path, std::span<const Bytes> parts, Disk& disk) {
  Folders folders(disk, path);
  const std::string temporary = temporaryName(path);
  bool created = false;
  try {
    const File file(disk, temporary, O_WRONLY | O_CREAT | O_EXCL);
    created = true;
    int64_t total = 0;
    for (const Bytes part : parts) total += static_cast<int64_t>(part.size());
    file.reserve(total);
    int64_t at = 0;
    for (const Bytes part : parts) {
      file.write(part, at);
      at += static_cast<int64_t>(part.size());
    }
    file.sync();
  } catch (const Error& error) {
    if (created) disk.remove(temporary.c_str());
    // The reader knows the file by its own name.
    Diagnostic diagnostic = error.diagnostic;
    diagnostic.message = path + diagnostic.message.substr(temporary.size());
    throw Error(diagnostic);
  }
  const int result = persist([&] { return disk.rename(temporary.c_str(), path.c_str()); });
  if (result < 0) {
    disk.remove(temporary.c_str());
    throw fileError("FILE003", path, CANNOT_WRITE, -result);
  }
  folders.keep();
  syncFolder(disk, path);
}

}  // namespace sluice
