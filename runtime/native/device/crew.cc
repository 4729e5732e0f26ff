#include "device/crew.h"

#include <immintrin.h>
#include <linux/futex.h>
#include <sched.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace sluice {
namespace {

constexpr int64_t LINE = 64;
/** About 40 µs: longer than what happens between two launches or two calls of a procedure, shorter than a time slice. */
constexpr uint64_t PATIENCE = 100'000;

int processors() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : 1;
}

static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
void futex(const std::atomic<uint32_t>& word, int operation, uint32_t value) { syscall(SYS_futex, &word, operation, value, nullptr, nullptr, 0); }

}  // namespace

void Crew::FreeAligned::operator()(char* p) const { std::free(p); }

// With more workers than processors, whoever spins keeps another from working.
Crew::Crew(int workers) : workers_(workers), patience_(workers <= processors() ? PATIENCE : 0), scratch_(static_cast<size_t>(workers)) {
  try {
    for (int worker = 1; worker < workers; worker++) threads_.emplace_back([this, worker] { follow(worker); });
  } catch (...) {
    dismiss();
    throw;
  }
}

Crew::~Crew() { dismiss(); }

void Crew::dismiss() {
  begin_ = nullptr;
  announce(go_.value);
  for (std::thread& thread : threads_) thread.join();
}

bool Crew::reserveScratch(int64_t bytes) {
  if (bytes <= scratchBytes_) return true;
  scratchBytes_ = 0;
  const int64_t rounded = (bytes + LINE - 1) / LINE * LINE;
  for (auto& block : scratch_) {
    block.reset();
    block.reset(static_cast<char*>(std::aligned_alloc(LINE, static_cast<size_t>(rounded))));
    if (!block) return false;
  }
  scratchBytes_ = rounded;
  return true;
}

void Crew::lead(const std::vector<Operation>& operations, size_t shared, Effects& effects, Trace* trace) {
  begin_ = operations.data();
  end_ = begin_ + shared;
  effects_ = &effects;
  trace_ = trace;
  failure_ = nullptr;
  isStopped_ = false;
  if (shared > 0) announce(go_.value);
  if (walk(begin_, end_, 0)) walk(end_, begin_ + operations.size(), 0);
  if (failure_) std::rethrow_exception(std::exchange(failure_, nullptr));
}

void Crew::follow(int worker) {
  for (uint32_t seen = 0;; seen++) {
    wait(go_.value, seen);
    if (begin_ == nullptr) return;
    walk(begin_, end_, worker);
  }
}

/** False once the run has ended, which all see at the same meeting. */
bool Crew::walk(const Operation* at, const Operation* end, int worker) {
  while (at < end) {
    const Operation& operation = *at++;
    const bool isLoop = operation.kind == Operation::Kind::loop;
    if (isLoop) at += operation.loop.body;
    const bool takesPart = operation.isShared || (worker == 0 && !isStopped_);
    const int64_t begin = trace_ != nullptr && worker == 0 ? Trace::now() : 0;
    if (takesPart && isLoop) {
      if (!walkLoop(operation, worker)) return false;
    } else if (takesPart) {
      perform(operation, worker);
    }
    if (operation.meets && !meet()) return false;
    if (begin != 0 && takesPart && operation.label != NO_LABEL) trace_->add(operation.label, begin, Trace::now(), operation.kind == Operation::Kind::copy ? operation.copy.bytes : 0);
  }
  return true;
}

/** A loop that is not shared ends by itself when the leader has failed; the others see it at the next meeting. */
bool Crew::walkLoop(const Operation& operation, int worker) {
  const Operation::Loop& loop = operation.loop;
  const Operation* const body = &operation + 1;
  for (int64_t trip = 0; trip < loop.trips; trip++) {
    if (worker == 0) *loop.index = static_cast<int32_t>(trip);
    if (operation.isShared && !meet()) return false;
    if (!walk(body, body + loop.body, worker)) return false;
    if (!operation.isShared) {
      if (isStopped_) return true;
    } else if (!meet()) {
      // The run has ended, and its tape may be gone.
      return false;
    }
    if (loop.until != nullptr && *loop.until != 0) break;
  }
  return true;
}

void Crew::perform(const Operation& operation, int worker) {
  switch (operation.kind) {
    case Operation::Kind::launch: {
      const Operation::Launch& l = operation.launch;
      char* const scratch = scratch_[static_cast<size_t>(worker)].get();
      if (!operation.isShared) {
        l.run(l.params, l.dims, 0, l.tasks, scratch);
        return;
      }
      for (int64_t low = claimed_.value.fetch_add(l.piece, std::memory_order_relaxed); low < l.tasks; low = claimed_.value.fetch_add(l.piece, std::memory_order_relaxed)) {
        l.run(l.params, l.dims, low, std::min(low + l.piece, l.tasks), scratch);
      }
      return;
    }
    case Operation::Kind::copy: {
      const Operation::Copy& c = operation.copy;
      // Each worker's share, in whole cache lines.
      const int64_t share = operation.isShared ? ((c.bytes + workers_ - 1) / workers_ + LINE - 1) / LINE * LINE : c.bytes;
      const int64_t low = std::min(c.bytes, worker * share);
      std::memcpy(c.to + low, c.from + low, static_cast<size_t>(std::min(c.bytes, low + share) - low));
      return;
    }
    case Operation::Kind::effect:
      try {
        effects_->perform(operation.effect);
      } catch (...) {
        failure_ = std::current_exception();
        isStopped_ = true;
      }
      return;
    case Operation::Kind::loop:
      return;
  }
}

/** Returns when every worker has come here; false if one of them has stopped the run. */
bool Crew::meet() {
  const uint32_t generation = generation_.value.load(std::memory_order_acquire);
  if (arrived_.value.fetch_add(1, std::memory_order_acq_rel) == static_cast<uint32_t>(workers_) - 1) {
    arrived_.value.store(0, std::memory_order_relaxed);
    claimed_.value.store(0, std::memory_order_relaxed);
    // Decided once, by who comes last: whoever looks late sees what the others saw, whatever they have done since.
    hasEnded_ = isStopped_;
    announce(generation_.value);
  } else {
    wait(generation_.value, generation);
  }
  return !hasEnded_;
}

void Crew::announce(std::atomic<uint32_t>& word) {
  word.fetch_add(1, std::memory_order_seq_cst);
  if (sleeping_.value.load(std::memory_order_seq_cst) > 0) futex(word, FUTEX_WAKE_PRIVATE, INT_MAX);
}

/** Returns once the word is no longer `value`. */
void Crew::wait(const std::atomic<uint32_t>& word, uint32_t value) {
  const uint64_t start = __rdtsc();
  do {
    if (word.load(std::memory_order_acquire) != value) return;
    _mm_pause();
  } while (__rdtsc() - start < patience_);
  sleeping_.value.fetch_add(1, std::memory_order_seq_cst);
  while (word.load(std::memory_order_seq_cst) == value) futex(word, FUTEX_WAIT_PRIVATE, value);
  sleeping_.value.fetch_sub(1, std::memory_order_seq_cst);
}

}  // namespace sluice
