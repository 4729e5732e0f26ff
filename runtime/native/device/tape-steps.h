// What GPU devices make of a tape's commands in the same way: how many tasks of a launch go at once, which loops are written
// out, and the steps between which the host takes part.
#pragma once
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "device/device.h"

namespace sluice {

/** Bytes of scratch memory at most that is used at once, unless one task needs more. */
constexpr int64_t SCRATCH_LIMIT = int64_t{256} << 20;
/** Bytes between the scratch memory of one task and that of the next. */
int64_t scratchStride(const LaunchCommand& launch);

/** Tasks that are handed over at once: whole blocks, as many as a device takes and as have room for their scratch memory. */
int64_t tasksAtOnce(const LaunchCommand& launch, int64_t block, int64_t mostBlocks);

/** Whether a loop is short, has no end of its own, and the host takes no part in it. */
bool isWrittenOut(const LoopCommand& loop);

/** A stretch is what the device does by itself between two acts of the host. */
template <typename Stretch>
struct TapeStep;
/** The host counts its rounds. */
template <typename Stretch>
struct TapeLoop {
  int64_t trips = 0;
  Range index;
  std::optional<Range> until;
  std::vector<TapeStep<Stretch>> body;
};
template <typename Stretch>
struct TapeStep {
  std::variant<Stretch, TapeLoop<Stretch>, EffectCommand> as;
};

/** What must be reached before a tape is destroyed. */
struct LastRun {
  Stream* stream = nullptr;
  Moment moment = 0;
};

}  // namespace sluice
