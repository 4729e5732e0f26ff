#include "shim.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "fiber.h"
#include "run.h"

namespace shim {

namespace {

constexpr std::size_t GUARD = 4096;
constexpr std::size_t SHARED_BYTES = 4 << 20;
constexpr int WARP = 32;
constexpr std::size_t MOST_SHUFFLED = 16;
constexpr char POISON = '\xa5';

enum class State { RUNS, AT_WARP, AT_BLOCK, DONE };

struct Copy {
  char *to;
  const char *from;
  std::size_t bytes;
};
struct Thread {
  void *place;
  State state;
  /** What it waits for, for reports. */
  const char *at;
  std::uint32_t epoch, warp_epoch;
  /** Which of two slots its next shuffle goes through: a thread is at most one shuffle ahead of its warp. */
  std::uint32_t shuffles;
  char slots[2][MOST_SHUFFLED];
  /** Copies under way, the open group last. */
  std::deque<std::vector<Copy>> groups;
};

/** Memory whose pages are zero, with nothing beside it. */
class Arena {
public:
  explicit Arena(std::size_t bytes) : bytes_(bytes) { memory_ = static_cast<char *>(mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)); }
  ~Arena() { munmap(memory_, bytes_); }
  Arena(const Arena &) = delete;
  char *take(std::size_t bytes) {
    char *taken = memory_ + used_ + GUARD;
    used_ += GUARD + (bytes + 63) / 64 * 64;
    return taken;
  }
  void clear() { used_ = 0; }
  char *base() const { return memory_; }
  std::size_t bytes() const { return bytes_; }

private:
  char *memory_;
  std::size_t bytes_;
  std::size_t used_ = 0;
};

struct Machine {
  const Grid *grid;
  void (*thread)(void *context);
  void *context;
  Stacks *stacks;
  Shadow *shadow;
  std::uint32_t launch;
  std::vector<Thread> threads;
  std::map<int, char *> shared;
  Arena *shared_arena;
  std::int64_t block;
  Thread *running;
  void *scheduler;
  std::string fault;

  Moment now() const { return {launch, static_cast<std::uint32_t>(block), static_cast<std::uint16_t>(running - threads.data()), false, running->epoch, running->warp_epoch}; }
};
Machine *machine;

void yield() { shim_switch(&machine->running->place, machine->scheduler); }
[[noreturn]] void fail(std::string fault) {
  machine->fault = std::move(fault);
  for (;;) yield();
}
void check(std::uintptr_t address, std::size_t bytes, Access access) {
  if (machine == nullptr || machine->running == nullptr || machine->stacks->has(address)) return;
  need_aligned(reinterpret_cast<const void *>(address), bytes);
  std::string fault = machine->shadow->check(address, bytes, access, machine->now());
  if (!fault.empty()) fail(std::move(fault));
}

void thread_main() {
  machine->thread(machine->context);
  for (const auto &group : machine->running->groups) {
    if (!group.empty()) fail("a copy is still under way when thread " + std::to_string(machine->running - machine->threads.data()) + " ends");
  }
  machine->running->state = State::DONE;
  yield();
}

void wait_at(State state, const char *at) {
  machine->running->at = at;
  machine->running->state = state;
  yield();
}

/** Lets threads go on whose warp (or block) is all here. */
bool release(Machine &m, State state, std::size_t first, std::size_t count) {
  const char *at = nullptr;
  for (std::size_t i = first; i < first + count; i++) {
    const Thread &t = m.threads[i];
    if (t.state != state || (at != nullptr && std::strcmp(t.at, at) != 0)) return false;
    at = t.at;
  }
  for (std::size_t i = first; i < first + count; i++) {
    Thread &t = m.threads[i];
    t.state = State::RUNS;
    if (state == State::AT_BLOCK) t.epoch++;
    else if (std::strcmp(at, "__syncwarp") == 0) t.warp_epoch++;
  }
  return true;
}

std::string stuck(const Machine &m) {
  std::map<std::string, int> where;
  for (const Thread &t : m.threads) where[t.state == State::DONE ? "the end" : t.at]++;
  std::string text;
  for (const auto &[at, count] : where) text += (text.empty() ? "" : ", ") + std::to_string(count) + " threads are at " + at;
  return "threads wait for each other in block " + std::to_string(m.block) + ": " + text;
}

void run_block(Machine &m) {
  const std::size_t count = m.threads.size();
  for (std::size_t i = 0; i < count; i++) m.threads[i] = Thread{m.stacks->start(i, thread_main), State::RUNS, "", 0, 0, 0, {}, {{}}};
  for (;;) {
    bool has_run = false, all_done = true;
    for (std::size_t n = 0; n < count; n++) {
      Thread &t = m.threads[m.grid->is_reversed ? count - 1 - n : n];
      if (t.state == State::RUNS) {
        has_run = true;
        m.running = &t;
        shim_switch(&m.scheduler, t.place);
        m.running = nullptr;
        if (!m.fault.empty()) return;
      }
      all_done &= t.state == State::DONE;
    }
    if (all_done) return;
    bool is_released = release(m, State::AT_BLOCK, 0, count);
    for (std::size_t first = 0; first < count; first += WARP) is_released |= release(m, State::AT_WARP, first, std::min<std::size_t>(WARP, count - first));
    if (!has_run && !is_released) {
      m.fault = stuck(m);
      return;
    }
  }
}

}  // namespace

Index thread_index() { return {static_cast<unsigned>(machine->running - machine->threads.data())}; }
Index block_index() { return {static_cast<unsigned>(machine->block)}; }
Index block_size() { return {static_cast<unsigned>(machine->threads.size())}; }

void *shared(const char *name, std::size_t bytes, int site) {
  char *&memory = machine->shared[site];
  if (memory == nullptr) {
    memory = machine->shared_arena->take(bytes);
    std::memset(memory, POISON, bytes);
    machine->shadow->region(std::string("shared ") + name, memory, bytes, true, Content::UNWRITTEN);
  }
  return memory;
}

void block_barrier() { wait_at(State::AT_BLOCK, "__syncthreads"); }
void warp_barrier() { wait_at(State::AT_WARP, "__syncwarp"); }

void shuffle(unsigned, const void *mine, void *theirs, std::size_t bytes, int from) {
  Thread &self = *machine->running;
  const std::uint32_t slot = self.shuffles++ % 2;
  std::memcpy(self.slots[slot], mine, bytes);
  wait_at(State::AT_WARP, "a shuffle");
  const std::size_t first = static_cast<std::size_t>(&self - machine->threads.data()) / WARP * WARP;
  if (from < 0 || first + static_cast<std::size_t>(from) >= machine->threads.size()) fail("a shuffle from thread " + std::to_string(from) + " of a warp that has none");
  std::memcpy(theirs, machine->threads[first + static_cast<std::size_t>(from)].slots[slot], bytes);
}

void need_aligned(const void *address, std::size_t bytes) {
  if ((reinterpret_cast<std::uintptr_t>(address) & (bytes - 1)) != 0) fail("misaligned: an access of " + std::to_string(bytes) + " bytes at an address that is no multiple of them, by " + who(machine->now()));
}

void atomic_access(const void *address, std::size_t bytes, unsigned mask) {
  if (mask == ~0u) check(reinterpret_cast<std::uintptr_t>(address), bytes, Access::ATOMIC);
  else for (std::size_t i = 0; i < bytes; i++) if ((mask >> 8 * i & 0xff) != 0) check(reinterpret_cast<std::uintptr_t>(address) + i, 1, Access::ATOMIC);
}

void async_copy(void *to, const void *from, std::size_t bytes) {
  check(reinterpret_cast<std::uintptr_t>(to), bytes, Access::COPY);
  check(reinterpret_cast<std::uintptr_t>(from), bytes, Access::READ);
  std::memset(to, POISON, bytes);
  machine->running->groups.back().push_back({static_cast<char *>(to), static_cast<const char *>(from), bytes});
}
void async_commit() { machine->running->groups.emplace_back(); }
void async_wait(int pending) {
  auto &groups = machine->running->groups;
  // The last group is still open.
  while (static_cast<int>(groups.size()) - 1 > pending) {
    for (const Copy &c : groups.front()) {
      std::memcpy(c.to, c.from, c.bytes);
      machine->shadow->arrived(reinterpret_cast<std::uintptr_t>(c.to), c.bytes, machine->now());
    }
    groups.pop_front();
  }
}

std::string run(Shadow &shadow, const Grid &grid, void (*thread)(void *context), void *context) {
  // The stacks and the shared memory of the launch before serve again.
  static thread_local std::unique_ptr<Stacks> stacks;
  static thread_local std::size_t stack_count = 0;
  static thread_local Arena shared(SHARED_BYTES);
  static std::atomic<std::uint32_t> launches{0};
  const auto threads = static_cast<std::size_t>(grid.threads);
  if (threads > stack_count) {
    stacks = std::make_unique<Stacks>(threads);
    stack_count = threads;
  }
  Machine m{};
  m.grid = &grid;
  m.thread = thread;
  m.context = context;
  m.stacks = stacks.get();
  m.shadow = &shadow;
  m.launch = ++launches;
  m.threads.resize(threads);
  m.shared_arena = &shared;
  shadow.arena(reinterpret_cast<std::uintptr_t>(shared.base()), shared.bytes());
  const std::size_t lasting = shadow.size();
  machine = &m;
  for (std::int64_t i = 0; i < grid.blocks && m.fault.empty(); i++) {
    m.block = grid.is_reversed ? grid.blocks - 1 - i : i;
    run_block(m);
    shared.clear();
    m.shared.clear();
    shadow.keep(lasting);
  }
  machine = nullptr;
  return m.fault;
}

void launch(const Launch &launch, Kernel kernel, void *context, char *report, size_t report_bytes) {
  struct Call {
    Kernel kernel;
    void *context;
    std::vector<char *> buffers;
    char *scratch;
  } call{kernel, context, {}, nullptr};
  const std::size_t scratch_bytes = static_cast<std::size_t>(launch.scratch_bytes * launch.blocks * launch.threads);
  std::size_t total = scratch_bytes + 64;
  const std::vector<Buffer> buffers(launch.buffers, launch.buffers + launch.buffer_count);
  for (const Buffer &b : buffers) total += static_cast<std::size_t>(b.bytes) + 64;
  Arena global(total + GUARD * (buffers.size() + 3));

  Shadow shadow;
  shadow.arena(reinterpret_cast<std::uintptr_t>(global.base()), global.bytes());
  for (const Buffer &b : buffers) {
    call.buffers.push_back(global.take(static_cast<std::size_t>(b.bytes)));
    std::memcpy(call.buffers.back(), b.data, static_cast<std::size_t>(b.bytes));
    shadow.region(b.name, call.buffers.back(), static_cast<std::size_t>(b.bytes), b.is_written, Content::WRITTEN);
  }
  call.scratch = global.take(scratch_bytes);
  shadow.region("scratch", call.scratch, scratch_bytes, true, Content::WRITTEN);
  const std::string fault = run(shadow, {launch.blocks, launch.threads, launch.is_reversed}, [](void *c) {
    const Call &made = *static_cast<Call *>(c);
    made.kernel(made.context, made.buffers.data(), made.scratch);
  }, &call);
  for (std::size_t i = 0; i < buffers.size(); i++) {
    const Buffer &b = buffers[i];
    if (b.is_written) std::memcpy(b.data, call.buffers[i], static_cast<std::size_t>(b.bytes));
  }
  report[fault.copy(report, report_bytes - 1)] = '\0';
}

}  // namespace shim

// What g++ -fsanitize=thread calls.
extern "C" {
using shim::Access;
void __tsan_init() {}
void __tsan_func_entry(void *) {}
void __tsan_func_exit() {}
#define HOOKS(bytes)                                                                                                               \
  void __tsan_read##bytes(void *p) { shim::check(reinterpret_cast<std::uintptr_t>(p), bytes, Access::READ); }                      \
  void __tsan_write##bytes(void *p) { shim::check(reinterpret_cast<std::uintptr_t>(p), bytes, Access::WRITE); }                    \
  void __tsan_unaligned_read##bytes(void *p) { shim::check(reinterpret_cast<std::uintptr_t>(p), bytes, Access::READ); }            \
  void __tsan_unaligned_write##bytes(void *p) { shim::check(reinterpret_cast<std::uintptr_t>(p), bytes, Access::WRITE); }
HOOKS(1)
HOOKS(2)
HOOKS(4)
HOOKS(8)
HOOKS(16)
void __tsan_read_range(void *p, std::size_t bytes) { shim::check(reinterpret_cast<std::uintptr_t>(p), bytes, Access::READ); }
void __tsan_write_range(void *p, std::size_t bytes) { shim::check(reinterpret_cast<std::uintptr_t>(p), bytes, Access::WRITE); }
}
