// Binds a schedule to values of its dims: every size is evaluated, every buffer gets its address, and the steps become
// commands. A schedule whose buffers do not fit their place, or are smaller than its kernels take them to be, is refused
// here (PLAN001), so that no data in a container can make the runtime touch memory that is not the program's. The runtime
// of WebAssembly makes the same checks (runtime/wasm/bind.ts).
#pragma once
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "container/program.h"
#include "device/device.h"

namespace sluice {

/** A tensor that lies in the device's memory. */
struct Placed {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
  Range range;
};

struct PrintEffect {
  Placed value;
  const PrintStep* step;
};
struct AssertEffect {
  Placed value;
  const AssertStep* step;
};
/** Float results of a launch, to be searched for NaN. */
struct NanEffect {
  const LaunchStep* launch = nullptr;
  std::vector<Placed> values;
};
using BoundEffect = std::variant<PrintEffect, AssertEffect, NanEffect>;

struct Bound {
  std::vector<Command> commands;
  std::vector<BoundEffect> effects;
  /** In the order of the schedule's ports. */
  std::vector<Placed> inputs;
  std::vector<Placed> outputs;
};

/** Where the slots of a schedule lie in its workspace: one behind the other. */
struct PlacedSlots {
  /** Addresses from the start of the workspace on; sizes are multiples of the alignment. */
  std::vector<Range> ranges;
  int64_t bytes = 0;
};
/** Throws PLAN001 where a size has no value or does not fit. */
PlacedSlots placeSlots(const Schedule& schedule, const DimValues& dims);

struct BindOptions {
  const Lowering& lowering;
  const Schedule& schedule;
  const DimValues& dims;
  /** Bytes of local memory, kernel by kernel. */
  const std::vector<Size>& scratch;
  /** As large as all slots together. */
  Range arena;
  const PlacedSlots& slots;
  std::function<Range(const std::string&)> state;
  /** By index. */
  const std::vector<Range>& constants;
  bool checkNan = false;
  /** Gets the labels of launches and copies; null: they need none. */
  Trace* trace = nullptr;
};

Bound bindSchedule(const BindOptions& options);

}  // namespace sluice
