// A stream of a CUDA device. Moments count the events that were recorded in it. What comes from the host and goes to it passes
// through pinned memory, so that nobody waits; results reach the caller's memory when the moment after them is awaited or
// seen to be reached.
#pragma once
#include <array>
#include <deque>
#include <optional>
#include <vector>

#include "device/cuda-memory.h"
#include "device/cuda-tape.h"

namespace sluice {

class CudaStream final : public Stream {
 public:
  explicit CudaStream(const CudaGpu& gpu);
  ~CudaStream() override;
  CudaStream(const CudaStream&) = delete;
  CudaStream& operator=(const CudaStream&) = delete;

  void launch(const CudaLaunch& launch);
  void run(Tape& tape, Effects& effects, Trace* trace) override;
  void copy(Range from, Range to) override;
  void upload(const std::byte* from, Range to) override;
  void download(Range from, std::byte* to) override;
  Moment record() override;
  void after(const Stream& other, Moment moment) override;
  bool reached(Moment moment) const override;
  void await(Moment moment) override;

 private:
  /** Pinned memory that is used in turns. */
  struct Staging {
    static constexpr int64_t SLOT = int64_t{8} << 20;
    struct Slot {
      std::optional<PinnedMemory> memory;
      int64_t used = SLOT;
      /** When it can be used again. */
      Moment last = 0;
    };
    std::array<Slot, 2> slots{};
    size_t current = 0;
  };
  struct Recorded {
    Moment moment = 0;
    CUevent event = nullptr;
  };
  struct Delivery {
    Moment moment = 0;
    const std::byte* from = nullptr;
    std::byte* to = nullptr;
    size_t bytes = 0;
  };

  void walk(std::vector<CudaTape::Step>& steps, Effects& effects, Trace* trace);
  void runTraced(const CudaTape::Stretch& stretch, Trace& trace);
  CUevent newEvent(unsigned flags) const;
  std::byte* stage(Staging& staging, int64_t bytes);
  /** What has happened up to the moment. */
  void arrive(Moment moment) const;

  const CudaGpu& gpu_;
  CUstream stream_ = nullptr;
  Staging uploads_;
  Staging downloads_;
  /** The last moment that was recorded, and whether anything was queued after it. */
  Moment last_ = 0;
  bool isDirty_ = false;
  /** Of moments that nobody has seen reached yet, in order; events that can be recorded again. */
  mutable std::deque<Recorded> recorded_;
  mutable std::vector<CUevent> idle_;
  mutable Moment done_ = 0;
  mutable std::deque<Delivery> deliveries_;
  /** Of traced runs: pairs, and one that is the beginning of time. */
  std::vector<CUevent> timers_;
  /** What the loop that is running wrote after its last round. */
  std::byte loopEnd_{};
};

}  // namespace sluice
