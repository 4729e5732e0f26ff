#include "device/tape-steps.h"

#include <algorithm>

namespace sluice {
namespace {

/** Commands that a loop may be written out as. */
constexpr int64_t UNROLLED = 512;
/** What a task's scratch memory is a multiple of. */
constexpr int64_t SCRATCH_ALIGNMENT = 16;

/** How many commands a loop is once it is written out; none if that is too many, or the host takes part in it. */
std::optional<int64_t> writtenOut(const LoopCommand& loop) {
  int64_t round = 1;
  for (const Command& c : loop.body) {
    if (std::holds_alternative<EffectCommand>(c.as)) return std::nullopt;
    const auto* inner = std::get_if<LoopCommand>(&c.as);
    const auto commands = inner == nullptr ? std::optional<int64_t>(1) : writtenOut(*inner);
    if (!commands) return std::nullopt;
    round += *commands;
  }
  if (loop.until || loop.trips > UNROLLED || round > UNROLLED || round * loop.trips > UNROLLED) return std::nullopt;
  return round * loop.trips;
}

}  // namespace

int64_t scratchStride(const LaunchCommand& launch) { return (launch.scratch + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT; }

int64_t tasksAtOnce(const LaunchCommand& launch, int64_t block, int64_t mostBlocks) {
  int64_t tasks = std::min(launch.tasks, mostBlocks * block);
  if (const int64_t stride = scratchStride(launch); stride > 0) {
    const int64_t room = std::max<int64_t>(1, SCRATCH_LIMIT / stride);
    if (room < tasks) tasks = room < block ? room : room / block * block;
  }
  return tasks;
}

bool isWrittenOut(const LoopCommand& loop) { return writtenOut(loop).has_value(); }

}  // namespace sluice
