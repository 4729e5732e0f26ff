#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>

#include "io/transport.h"

namespace sluice {
namespace {

constexpr int MOST_THREADS = 16;

class Pool : public Transport {
 public:
  Pool(Disk& disk, int file, int depth) : disk_(disk), file_(file) {
    for (int i = 0; i < std::min(depth, MOST_THREADS); i++) threads_.emplace_back([this] { work(); });
  }
  ~Pool() override {
    {
      const std::lock_guard lock(mutex_);
      stopped_ = true;
    }
    started_.notify_all();
    for (std::thread& thread : threads_) thread.join();
  }
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  std::string description() const override { return std::to_string(threads_.size()) + " threads"; }

  void start(const Transfer& transfer) override {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(transfer);
    }
    started_.notify_one();
  }

  void submit() override {}

  void collect(std::vector<Transferred>& finished) override {
    std::unique_lock lock(mutex_);
    ended_.wait(lock, [this] { return !finished_.empty() || woken_; });
    woken_ = false;
    finished.insert(finished.end(), finished_.begin(), finished_.end());
    finished_.clear();
  }

  void wake() override {
    {
      const std::lock_guard lock(mutex_);
      woken_ = true;
    }
    ended_.notify_one();
  }

 private:
  void work() {
    std::unique_lock lock(mutex_);
    for (;;) {
      started_.wait(lock, [this] { return !waiting_.empty() || stopped_; });
      if (waiting_.empty()) return;
      const Transfer t = waiting_.front();
      waiting_.pop_front();
      lock.unlock();
      Transferred done{.id = t.id, .result = 0, .failure = nullptr};
      try {
        done.result = t.isWrite ? disk_.write(file_, t.memory, t.bytes, t.offset) : disk_.read(file_, t.memory, t.bytes, t.offset);
      } catch (...) {
        done.failure = std::current_exception();
      }
      lock.lock();
      finished_.push_back(std::move(done));
      ended_.notify_one();
    }
  }

  Disk& disk_;
  int file_;
  std::mutex mutex_;
  std::condition_variable started_;
  std::condition_variable ended_;
  std::deque<Transfer> waiting_;
  std::vector<Transferred> finished_;
  bool woken_ = false;
  bool stopped_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace

std::unique_ptr<Transport> poolTransport(Disk& disk, int file, int depth) { return std::make_unique<Pool>(disk, file, depth); }

}  // namespace sluice
