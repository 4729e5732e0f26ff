#include "io/transport.h"

#include <cerrno>

#ifdef SLUICE_HAS_URING
#include <liburing.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <system_error>

namespace sluice {
namespace {

constexpr uint64_t WAKE = UINT64_MAX;

class Ring : public Transport {
 public:
  Ring(int file, int depth, std::span<std::byte> registered) : file_(file), registered_(registered) {
    // One more for the wake-up call.
    result_ = ::io_uring_queue_init(static_cast<unsigned>(depth) + 1, &ring_, 0);
    if (result_ < 0) return;
    event_ = ::eventfd(0, EFD_CLOEXEC);
    if (event_ < 0) {
      result_ = -errno;
      ::io_uring_queue_exit(&ring_);
      return;
    }
    // Locked memory may be limited; transfers from unregistered memory are only a little slower.
    const iovec memory{registered_.data(), registered_.size()};
    isRegistered_ = !registered_.empty() && ::io_uring_register_buffers(&ring_, &memory, 1) == 0;
    listen();
  }
  ~Ring() override {
    if (result_ < 0) return;
    ::io_uring_queue_exit(&ring_);
    ::close(event_);
  }
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  /** -errno if the kernel refuses. */
  int result() const { return result_; }

  std::string description() const override { return isRegistered_ ? "io_uring, registered memory" : "io_uring"; }

  void start(const Transfer& t) override {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    const auto bytes = static_cast<unsigned>(t.bytes);
    const auto offset = static_cast<uint64_t>(t.offset);
    const bool isFixed = isRegistered_ && t.memory >= registered_.data() && t.memory + t.bytes <= registered_.data() + registered_.size();
    if (t.isWrite && isFixed) ::io_uring_prep_write_fixed(entry, file_, t.memory, bytes, offset, 0);
    else if (t.isWrite) ::io_uring_prep_write(entry, file_, t.memory, bytes, offset);
    else if (isFixed) ::io_uring_prep_read_fixed(entry, file_, t.memory, bytes, offset, 0);
    else ::io_uring_prep_read(entry, file_, t.memory, bytes, offset);
    ::io_uring_sqe_set_data64(entry, t.id);
  }

  void submit() override { ::io_uring_submit(&ring_); }

  void collect(std::vector<Transferred>& finished) override {
    const int result = ::io_uring_submit_and_wait(&ring_, 1);
    if (result < 0 && result != -EINTR && result != -EAGAIN && result != -EBUSY) throw std::system_error(-result, std::generic_category(), "io_uring_submit_and_wait");
    unsigned head = 0;
    unsigned seen = 0;
    bool woken = false;
    io_uring_cqe* entry = nullptr;
    io_uring_for_each_cqe(&ring_, head, entry) {
      seen++;
      if (entry->user_data == WAKE) woken = true;
      else finished.push_back({static_cast<uint32_t>(entry->user_data), entry->res});
    }
    ::io_uring_cq_advance(&ring_, seen);
    if (woken) listen();
  }

  void wake() override { ::eventfd_write(event_, 1); }

 private:
  void listen() {
    io_uring_sqe* entry = ::io_uring_get_sqe(&ring_);
    ::io_uring_prep_read(entry, event_, &count_, sizeof count_, 0);
    ::io_uring_sqe_set_data64(entry, WAKE);
  }

  io_uring ring_{};
  int file_;
  std::span<std::byte> registered_;
  int result_ = 0;
  int event_ = -1;
  uint64_t count_ = 0;
  bool isRegistered_ = false;
};

}  // namespace

std::unique_ptr<Transport> ringTransport(int file, int depth, std::span<std::byte> registered, int& refusal) {
  auto ring = std::make_unique<Ring>(file, depth, registered);
  refusal = -ring->result();
  if (ring->result() < 0) return nullptr;
  return ring;
}

}  // namespace sluice

#else

namespace sluice {

std::unique_ptr<Transport> ringTransport(int, int, std::span<std::byte>, int& refusal) {
  refusal = ENOSYS;
  return nullptr;
}

}  // namespace sluice

#endif
