#include "exec/bind.h"

#include <algorithm>
#include <limits>

#include "base/error.h"

namespace sluice {
namespace {

/** Of slots: kernels may load whole vectors from the start of a buffer. */
constexpr int64_t ALIGNMENT = 64;
/** More tasks than any grid has. */
constexpr int64_t TASK_LIMIT = int64_t{1} << 53;
/** What an index of type i32 counts to. */
constexpr int64_t TRIP_LIMIT = std::numeric_limits<int32_t>::max();

[[noreturn]] void refuse(const Schedule& schedule, const std::string& message) {
  throw Error({.code = "PLAN001", .message = "the schedule of `" + schedule.entry + "` is malformed: " + message, .hint = "build the program again"});
}

int64_t valueOf(const Schedule& schedule, const Size& s, const DimValues& dims) {
  const auto value = evaluate(s, dims);
  if (!value) refuse(schedule, "a size has no value");
  if (*value < 0) refuse(schedule, "a size is " + std::to_string(*value));
  return *value;
}

class Binder {
 public:
  explicit Binder(const BindOptions& options) : o_(options) {}

  Bound bind() {
    if (o_.slots.bytes > o_.arena.bytes) misfit("its workspace is too small");
    for (const ScheduleBuffer& b : o_.schedule.buffers) buffers_.push_back(place(b));
    addSteps(o_.schedule.steps, bound_.commands);
    for (const Port& p : o_.schedule.inputs) bound_.inputs.push_back(checked(p, written(p.buffer)));
    for (const Port& p : o_.schedule.outputs) bound_.outputs.push_back(checked(p, at(p.buffer)));
    return std::move(bound_);
  }

 private:
  [[noreturn]] void misfit(const std::string& message) const { refuse(o_.schedule, message); }
  int64_t size(const Size& s) const { return valueOf(o_.schedule, s, o_.dims); }
  /** None if the product does not fit. */
  std::optional<int64_t> bytesOf(DType dtype, const std::vector<int64_t>& shape) const {
    int64_t elements = 1;
    for (const int64_t extent : shape)
      if (__builtin_mul_overflow(elements, extent, &elements) || elements > LARGEST_SIZE) return std::nullopt;
    return byteLength(dtype, elements);
  }

  Placed place(const ScheduleBuffer& b) {
    Placed placed{b.dtype, {}, {}};
    for (const Size& s : b.shape) placed.shape.push_back(size(s));
    const auto bytes = bytesOf(b.dtype, placed.shape);
    Range home;
    if (const auto* in = std::get_if<SlotPlace>(&b.place)) {
      const auto slot = static_cast<size_t>(in->slot);
      if (slot >= o_.slots.ranges.size()) misfit("there is no slot " + std::to_string(in->slot));
      home = {o_.arena.address + o_.slots.ranges[slot].address, o_.slots.ranges[slot].bytes};
    } else if (const auto* state = std::get_if<StatePlace>(&b.place)) {
      home = o_.state(state->name);
    } else if (const auto index = static_cast<size_t>(std::get<ConstantPlace>(b.place).index); index < o_.constants.size()) {
      home = o_.constants[index];
    }
    if (!bytes || *bytes > home.bytes) misfit("buffer " + std::to_string(buffers_.size()) + " does not fit its place");
    placed.range = {home.address, *bytes};
    return placed;
  }
  const Placed& at(BufferId id) const {
    if (id < 0 || static_cast<size_t>(id) >= buffers_.size()) misfit("there is no buffer " + std::to_string(id));
    return buffers_[static_cast<size_t>(id)];
  }
  const Placed& written(BufferId id) const {
    const Placed& placed = at(id);
    if (std::holds_alternative<ConstantPlace>(o_.schedule.buffers[static_cast<size_t>(id)].place)) misfit("a step writes a constant");
    return placed;
  }

  const Placed& checked(const Port& port, const Placed& placed) const {
    bool isSame = placed.dtype == port.type.dtype && placed.shape.size() == port.type.shape.size();
    for (size_t i = 0; isSame && i < placed.shape.size(); i++) isSame = placed.shape[i] == size(port.type.shape[i]);
    if (!isSame) misfit("`" + port.name + "` has another type than its buffer");
    return placed;
  }

  LabelId label(const std::string& kind, const std::string& name, const SpanRef& span) const {
    return o_.trace == nullptr ? NO_LABEL : o_.trace->label(kind, name, span.copy());
  }

  void addSteps(const std::vector<Step>& steps, std::vector<Command>& into) {
    for (const Step& s : steps) std::visit([&](const auto& step) { add(step, into); }, s.as);
  }
  void addEffect(BoundEffect effect, std::vector<Command>& into) {
    into.push_back({EffectCommand{static_cast<int32_t>(bound_.effects.size())}});
    bound_.effects.push_back(std::move(effect));
  }

  void add(const LaunchStep& step, std::vector<Command>& into) {
    const auto k = static_cast<size_t>(step.kernel);
    if (k >= o_.lowering.kernels.size() || o_.lowering.kernels[k].params.size() != step.buffers.size()) misfit("a launch does not fit kernel " + std::to_string(step.kernel));
    const KernelInfo& info = o_.lowering.kernels[k];
    LaunchCommand launch{.kernel = step.kernel, .operands = {}, .dims = {}, .tasks = size(step.tasks), .scratch = size(o_.scratch[k]),
        .label = label("launch", info.summary.empty() ? info.name : info.summary, step.spans.empty() ? SpanRef() : step.spans[0])};
    if (launch.tasks == 0) return;
    if (launch.tasks >= TASK_LIMIT) misfit("a launch of " + info.name + " has " + std::to_string(launch.tasks) + " tasks");
    NanEffect nan{&step, {}};
    for (size_t i = 0; i < step.buffers.size(); i++) {
      const KernelParam& param = info.params[i];
      const bool isWritten = param.access != KernelParam::Access::read;
      const Placed& placed = isWritten ? written(step.buffers[i]) : at(step.buffers[i]);
      std::vector<int64_t> shape;
      for (const Size& s : param.shape) shape.push_back(size(s));
      const auto bytes = bytesOf(param.dtype, shape);
      if (!bytes || *bytes > placed.range.bytes) misfit("buffer " + std::to_string(step.buffers[i]) + " is smaller than " + info.name + " takes it to be");
      launch.operands.push_back({placed.range, isWritten});
      if (isWritten && isFloat(placed.dtype)) nan.values.push_back(placed);
    }
    for (const DimDecl& d : info.dims) launch.dims.push_back(size(Size{0, {{1, {{Atom::Kind::dim, d.dim, {}}}}}}));
    into.push_back({std::move(launch)});
    if (o_.checkNan && !nan.values.empty()) addEffect(std::move(nan), into);
  }
  void add(const CopyStep& step, std::vector<Command>& into) {
    const Range from = at(step.from).range;
    const Range to = written(step.to).range;
    if (from.bytes != to.bytes) misfit("a copy is between buffers of different sizes");
    // Places never overlap in part: what lies elsewhere lies apart.
    if (from.bytes == 0 || from.address == to.address) return;
    into.push_back({CopyCommand{from, to, label("copy", "copy", step.span)}});
  }
  void add(const LoopStep& step, std::vector<Command>& into) {
    if (written(step.index).range.bytes != 4) misfit("a loop's index is no i32");
    const int64_t trips = size(step.trips);
    if (trips > TRIP_LIMIT) misfit("a loop has " + std::to_string(trips) + " trips");
    LoopCommand loop{.trips = trips, .index = at(step.index).range, .until = std::nullopt, .body = {}};
    if (step.until) {
      loop.until = at(*step.until).range;
      if (loop.until->bytes != 1) misfit("a loop's end is no bool");
    }
    addSteps(step.body, loop.body);
    into.push_back({std::move(loop)});
  }
  void add(const PrintStep& step, std::vector<Command>& into) { addEffect(PrintEffect{at(step.buffer), &step}, into); }
  void add(const AssertStep& step, std::vector<Command>& into) {
    if (at(step.buffer).range.bytes == 0) misfit("an assert has no value");
    addEffect(AssertEffect{at(step.buffer), &step}, into);
  }

  const BindOptions& o_;
  std::vector<Placed> buffers_;
  Bound bound_;
};

}  // namespace

PlacedSlots placeSlots(const Schedule& schedule, const DimValues& dims) {
  PlacedSlots placed;
  for (const Size& s : schedule.slots) {
    const int64_t bytes = valueOf(schedule, s, dims);
    int64_t end = 0;
    // Sizes are at most LARGEST_SIZE, so that rounding one up to the alignment fits; their sum may not.
    const int64_t aligned = (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    if (__builtin_add_overflow(placed.bytes, aligned, &end) || end > LARGEST_SIZE) refuse(schedule, "its workspace is larger than any memory");
    placed.ranges.push_back({static_cast<uint64_t>(placed.bytes), aligned});
    placed.bytes = end;
  }
  return placed;
}

Bound bindSchedule(const BindOptions& options) { return Binder(options).bind(); }

}  // namespace sluice
