// A page of a mapping that cannot be read arrives as SIGBUS in whoever touches it. While a copy runs, the signal becomes its
// refusal; at any other time it goes to whoever had it before.
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <mutex>
#include <utility>

#include "io/file.h"

namespace sluice {
namespace {

thread_local sigjmp_buf* copying = nullptr;
struct sigaction before {};

void refuse(int signal, siginfo_t* info, void* context) {
  if (copying != nullptr) siglongjmp(*copying, 1);
  if (before.sa_flags & SA_SIGINFO) return before.sa_sigaction(signal, info, context);
  if (before.sa_handler != SIG_DFL && before.sa_handler != SIG_IGN) return before.sa_handler(signal);
  // The instruction is tried again and ends the process as it would have.
  ::signal(signal, SIG_DFL);
}

void catchUnreadablePages() {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action {};
    action.sa_sigaction = refuse;
    action.sa_flags = SA_SIGINFO | SA_NODEFER;
    sigaction(SIGBUS, &action, &before);
  });
}

/** False if a page could not be read. Nothing here has a destructor: the jump skips them. */
bool copied(std::byte* to, const std::byte* from, size_t bytes) {
  sigjmp_buf here;
  sigjmp_buf* const outer = copying;
  if (sigsetjmp(here, 1) != 0) {
    copying = outer;
    return false;
  }
  copying = &here;
  // The handler reads what is stored here: it must stand before the copy and go after it.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  std::memcpy(to, from, bytes);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  copying = outer;
  return true;
}

}  // namespace

MappedFile::MappedFile(const std::string& path) : MappedFile(path, 0, -1) {}

MappedFile::MappedFile(const std::string& path, int64_t offset, int64_t bytes) : path_(path) {
  const File file(systemDisk(), path, O_RDONLY);
  const int64_t rest = file.size() - offset;
  const int64_t length = bytes < 0 ? rest : bytes;
  if (length > rest) throw Error({.code = "FILE001", .message = path + ": cannot be read: it ends too early", .found = std::to_string(rest) + " bytes", .expected = std::to_string(length) + " bytes"});
  catchUnreadablePages();
  if (length == 0) return;
  void* address = ::mmap(nullptr, static_cast<size_t>(length), PROT_READ, MAP_PRIVATE, file.descriptor(), offset);
  if (address == MAP_FAILED) throw fileError("FILE001", path, "cannot be mapped", errno);
  bytes_ = Bytes(static_cast<const std::byte*>(address), static_cast<size_t>(length));
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) ::munmap(const_cast<std::byte*>(bytes_.data()), bytes_.size());
}

MappedFile::MappedFile(MappedFile&& other) noexcept : path_(std::move(other.path_)), bytes_(std::exchange(other.bytes_, {})) {}

void MappedFile::copy(std::span<std::byte> to, int64_t offset) const {
  if (!to.empty() && !copied(to.data(), bytes_.data() + offset, to.size())) throw fileError("FILE001", path_, "cannot be read", EIO, offset);
}

}  // namespace sluice
