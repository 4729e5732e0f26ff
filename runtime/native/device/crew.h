// The threads that run a tape together. Each walks the same operations by itself; tasks of a launch are claimed in pieces,
// and all meet after every operation that they share, so results never depend on who ran what. What is too small to share
// is the leader's alone, and several such operations in a row cost no meeting. Who waits spins briefly and then sleeps.
#pragma once
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <thread>
#include <vector>

#include "device/device.h"

namespace sluice {

using KernelFunction = void (*)(char* const* params, const int64_t* dims, int64_t low, int64_t high, char* scratch);

struct Operation {
  enum class Kind : uint8_t { launch, copy, loop, effect };
  struct Launch {
    KernelFunction run;
    char* const* params;
    const int64_t* dims;
    int64_t tasks;
    /** Tasks claimed at once. */
    int64_t piece;
  };
  struct Copy {
    const char* from;
    char* to;
    int64_t bytes;
  };
  struct Loop {
    int64_t trips;
    int32_t* index;
    const uint8_t* until;
    /** Operations of the body, which follow. */
    size_t body;
  };
  Kind kind;
  /** Everyone takes part; otherwise the leader alone. */
  bool isShared = false;
  /** Everyone meets after it. */
  bool meets = false;
  LabelId label = NO_LABEL;
  union {
    Launch launch;
    Copy copy;
    Loop loop;
    int32_t effect;
  };
};

/** Launches whose operands have so many bytes are shared, and copies of so many: below, a meeting takes longer than the work. */
constexpr int64_t SHARED_LAUNCH = 1 << 14;
constexpr int64_t SHARED_COPY = 1 << 18;

class Crew {
 public:
  /** `workers` includes the thread that leads. */
  explicit Crew(int workers);
  ~Crew();
  Crew(const Crew&) = delete;
  Crew& operator=(const Crew&) = delete;

  int workers() const { return workers_; }
  /** Every worker gets at least so much scratch from now on; false: there is not so much memory. */
  [[nodiscard]] bool reserveScratch(int64_t bytes);
  /** Runs the operations, with the others up to `shared`, after which nothing is shared. Throws what an effect threw. */
  void lead(const std::vector<Operation>& operations, size_t shared, Effects& effects, Trace* trace);

 private:
  struct FreeAligned {
    void operator()(char* p) const;
  };
  /** What each touches often, a cache line apart. */
  struct alignas(64) Word {
    std::atomic<uint32_t> value{0};
  };

  void follow(int worker);
  bool walk(const Operation* at, const Operation* end, int worker);
  bool walkLoop(const Operation& operation, int worker);
  void perform(const Operation& operation, int worker);
  bool meet();
  void wait(const std::atomic<uint32_t>& word, uint32_t value);
  void announce(std::atomic<uint32_t>& word);
  void dismiss();

  const int workers_;
  /** Ticks to spin before going to sleep. */
  const uint64_t patience_;
  Word generation_;
  Word arrived_;
  struct alignas(64) {
    std::atomic<int64_t> value{0};
  } claimed_;
  Word sleeping_;
  Word go_;
  /** Written between two runs, by the leader. */
  const Operation* begin_ = nullptr;
  const Operation* end_ = nullptr;
  Effects* effects_ = nullptr;
  Trace* trace_ = nullptr;
  /** An effect has failed; the leader's until all have met. */
  std::exception_ptr failure_;
  bool isStopped_ = false;
  /** Whether the run ended at the meeting passed last. */
  bool hasEnded_ = false;
  std::vector<std::unique_ptr<char, FreeAligned>> scratch_;
  int64_t scratchBytes_ = 0;
  std::vector<std::thread> threads_;
};

}  // namespace sluice
