#include "exec/machine.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <stdexcept>

#include "base/text.h"
#include "exec/arguments.h"

namespace sluice {
namespace {

/** Bindings of one entry that are kept for sizes that come again. */
constexpr size_t BINDINGS = 64;
/** Of a tensor without axes, whatever its dtype. */
using ScalarBytes = std::array<std::byte, 8>;

const Input* find(std::span<const NamedInput> inputs, std::string_view name) {
  for (const NamedInput& i : inputs)
    if (i.name == name) return &i.value;
  return nullptr;
}
const std::vector<int64_t>* shapeOf(const Input& input) {
  if (const auto* handle = std::get_if<const Handle*>(&input)) return &(*handle)->shape;
  if (const auto* tensor = std::get_if<const HostTensor*>(&input)) return &(*tensor)->shape;
  return nullptr;
}
std::string typeText(DType dtype, const std::vector<int64_t>& shape) { return std::string(name(dtype)) + " " + shapeText(shape); }

/** The index of a row-major position. */
std::vector<int64_t> position(int64_t flat, const std::vector<int64_t>& shape) {
  std::vector<int64_t> index(shape.size());
  for (size_t axis = shape.size(); axis-- > 0; flat /= shape[axis]) index[axis] = flat % shape[axis];
  return index;
}

/** Of a launch of several ops, where the others stand and what tells them apart. */
std::string nanHint(const std::vector<SpanRef>& spans, const KernelInfo& kernel) {
  std::vector<std::string> hints;
  std::vector<std::string> others;
  for (size_t i = 1; i < spans.size(); i++) others.push_back(spanText(*spans[i].get()));
  if (!others.empty()) hints.push_back("the kernel also computes " + joined(others));
  if (kernel.summary.find(" + ") != std::string::npos) hints.emplace_back("--target interpret says which op it was");
  return joined(hints, "; ");
}

}  // namespace

/** What an entry's tape asks of the host. */
class Machine::Performer final : public Effects {
 public:
  Performer(const Machine& machine, const Schedule& schedule, const std::vector<BoundEffect>& effects) : machine_(machine), schedule_(schedule), effects_(effects) {}

  void perform(int32_t index) override {
    const BoundEffect& effect = effects_[static_cast<size_t>(index)];
    if (const auto* print = std::get_if<PrintEffect>(&effect)) {
      const std::string& label = print->step->label;
      machine_.options_.print((label.empty() ? "" : label + ": ") + tensorText(machine_.toHost(print->value)));
    } else if (const auto* check = std::get_if<AssertEffect>(&effect)) {
      if (machine_.number(check->value) == 0) throw Error({.code = "ASSERT001", .message = check->step->message, .span = check->step->span.copy()});
    } else {
      machine_.refuseNan(schedule_, std::get<NanEffect>(effect));
    }
  }

 private:
  const Machine& machine_;
  const Schedule& schedule_;
  const std::vector<BoundEffect>& effects_;
};

Machine::Machine(MachineOptions options)
    : options_(std::move(options)),
      lowering_(options_.container.program.lowerings[options_.module.lowering]),
      stream_(options_.device.stream(StreamKind::compute)),
      module_(options_.device.load({options_.module.bytes, static_cast<int32_t>(lowering_.kernels.size())})),
      states_(options_.container.program.states),
      cells_(options_.container.program.states.size()),
      isPreparing_(cells_.size()),
      entries_(lowering_.schedules.size()),
      dims_(instanceDims(options_.container.program, options_.dims)),
      callDims_(dims_) {
  for (size_t i = 0; i < lowering_.schedules.size(); i++) {
    const Schedule& s = lowering_.schedules[i];
    byName_.emplace(s.entry, i);
    for (const std::string& state : s.reads) entries_[i].reads.push_back(states_.index(state));
    for (const std::string& state : s.writes) entries_[i].writes.push_back(states_.index(state));
  }
  for (size_t i = 0; i < options_.container.constants.size(); i++) constants_.push_back(options_.device.share(options_.container.constants[i], "constant " + std::to_string(i)));
}

Machine::~Machine() {
  entries_.clear();
  for (const auto& cell : cells_)
    if (cell) free(cell->range);
  free(arena_);
}

void Machine::free(Range range) {
  if (range.address == 0) return;
  try {
    stream_.await(stream_.record());
  } catch (const Error&) {
    // A device that was lost does nothing with it any more.
  }
  options_.device.release(range);
}

size_t Machine::entry(std::string_view name) const {
  const auto found = byName_.find(name);
  if (found != byName_.end()) return found->second;
  std::vector<std::string> names;
  for (const Schedule& s : lowering_.schedules) names.push_back(s.entry);
  throw unknownName("entry", "ENTRY001", name, names);
}

const std::vector<Placed>& Machine::run(size_t index, std::span<const NamedInput> inputs, std::span<const DimValue> sizes, const SpanRef& caller) {
  const Schedule& schedule = lowering_.schedules[index];
  Entry& entry = entries_[index];
  bindDims(schedule, inputs, sizes);
  bool ranOthers = false;
  for (const size_t state : entry.reads) {
    if (states_.isReady(state)) continue;
    prepareState(state, &schedule);
    ranOthers = true;
  }
  if (ranOthers) bindDims(schedule, inputs, sizes);
  Binding& binding = bind(index);
  const int64_t begin = options_.trace == nullptr ? 0 : Trace::now();
  for (size_t i = 0; i < schedule.inputs.size(); i++) put(schedule, i, binding.bound.inputs[i], inputs);
  try {
    Performer performer(*this, schedule, binding.bound.effects);
    stream_.run(*binding.tape, performer, options_.trace);
    // The inputs are the caller's again.
    stream_.await(stream_.record());
  } catch (...) {
    for (const size_t state : entry.writes) states_.failed(schedule.entry, state);
    throw;
  }
  for (const size_t state : entry.writes) states_.wrote(state);
  if (options_.trace != nullptr) options_.trace->add(options_.trace->label("call", schedule.entry, (caller.get() != nullptr ? caller : schedule.span).copy()), begin, Trace::now());
  return binding.bound.outputs;
}

/** Every dim of the schedule: instance dims, given sizes, and the axes of the inputs. */
void Machine::bindDims(const Schedule& schedule, std::span<const NamedInput> inputs, std::span<const DimValue> sizes) {
  callDims_ = dims_;
  for (const DimValue& d : sizes) callDims_[static_cast<size_t>(d.dim)] = d.value;
  for (const Port& port : schedule.inputs) {
    const Input* const input = find(inputs, port.name);
    const std::vector<int64_t>* const shape = input == nullptr ? nullptr : shapeOf(*input);
    if (shape == nullptr) continue;
    for (size_t axis = 0; axis < std::min(shape->size(), port.type.shape.size()); axis++) {
      const auto dim = port.type.shape[axis].loneDim();
      const bool isDeclared = dim && std::any_of(schedule.dims.begin(), schedule.dims.end(), [&](const DimDecl& d) { return d.dim == *dim; });
      if (isDeclared && callDims_[static_cast<size_t>(*dim)] == UNBOUND) callDims_[static_cast<size_t>(*dim)] = (*shape)[axis];
    }
  }
  checkDims(schedule.entry, schedule.dims, callDims_, program().dimNames);
}

Machine::Binding& Machine::bind(size_t index) {
  const Schedule& schedule = lowering_.schedules[index];
  auto& bindings = entries_[index].bindings;
  const auto isSame = [&](const std::unique_ptr<Binding>& b) {
    for (size_t i = 0; i < schedule.dims.size(); i++)
      if (b->values[i] != callDims_[static_cast<size_t>(schedule.dims[i].dim)]) return false;
    return true;
  };
  if (const auto known = std::find_if(bindings.begin(), bindings.end(), isSame); known != bindings.end()) {
    if ((*known)->arena == arena_.address) {
      std::rotate(bindings.begin(), known, known + 1);
      return *bindings.front();
    }
    bindings.erase(known);
  }
  const PlacedSlots slots = placeSlots(schedule, callDims_);
  const Range arena = reserveArena(schedule, slots.bytes);
  auto binding = std::make_unique<Binding>();
  for (const DimDecl& d : schedule.dims) binding->values.push_back(callDims_[static_cast<size_t>(d.dim)]);
  binding->arena = arena_.address;
  binding->bound = bindSchedule({.lowering = lowering_, .schedule = schedule, .dims = callDims_, .scratch = options_.module.scratch, .arena = arena, .slots = slots,
      .state = [&](const std::string& name) { return cell(states_.index(name)).range; }, .constants = constants_, .checkNan = options_.checkNan,
      .trace = options_.trace});
  binding->tape = options_.device.record(*module_, binding->bound.commands);
  binding->bound.commands.clear();
  if (bindings.size() == BINDINGS) bindings.pop_back();
  return **bindings.insert(bindings.begin(), std::move(binding));
}

/** Makes the workspace large enough; the part of it that the schedule has. It holds nothing between runs. */
Range Machine::reserveArena(const Schedule& schedule, int64_t bytes) {
  if (bytes <= arena_.bytes) return {arena_.address, bytes};
  std::string purpose = "`" + schedule.entry + "`";
  for (size_t i = 0; i < schedule.dims.size(); i++) {
    const auto dim = static_cast<size_t>(schedule.dims[i].dim);
    purpose += (i == 0 ? " at " : ", ") + program().dimNames[dim] + " = " + std::to_string(callDims_[dim]);
  }
  free(arena_);
  arena_ = {};
  arena_ = options_.device.allocate(bytes, purpose);
  return {arena_.address, bytes};
}

void Machine::put(const Schedule& schedule, size_t index, const Placed& to, std::span<const NamedInput> inputs) {
  const std::string& name = schedule.inputs[index].name;
  const Input* const input = find(inputs, name);
  if (input == nullptr) throw Error({.code = "INPUT001", .message = "`" + schedule.entry + "` needs an input `" + name + "`", .expected = typeText(to.dtype, to.shape)});
  const auto check = [&](DType dtype, const std::vector<int64_t>& shape) {
    if (dtype == to.dtype && shape == to.shape) return;
    const bool isShape = dtype == to.dtype;
    throw Error({.code = isShape ? "INPUT004" : "INPUT003", .message = "input `" + name + "` of `" + schedule.entry + "` has the wrong " + (isShape ? "shape" : "dtype"),
        .found = typeText(dtype, shape), .expected = typeText(to.dtype, to.shape)});
  };
  if (const auto* handle = std::get_if<const Handle*>(input)) {
    check((*handle)->dtype, (*handle)->shape);
    stream_.copy((*handle)->range, to.range);
  } else if (const auto* tensor = std::get_if<const HostTensor*>(input)) {
    check((*tensor)->dtype, (*tensor)->shape);
    upload(**tensor, to.range);
  } else {
    check(to.dtype, {});
    ScalarBytes bytes{};
    setElement(to.dtype, bytes.data(), 0, std::get<double>(*input));
    stream_.upload(bytes.data(), to.range);
    stream_.await(stream_.record());
  }
}

void Machine::upload(const HostTensor& tensor, Range to) {
  if (static_cast<int64_t>(tensor.bytes.size()) != to.bytes) throw std::logic_error("a tensor has other bytes than its type says");
  stream_.upload(tensor.bytes.data(), to);
}

void Machine::keep(const Placed& placed, Handle& into) {
  if (into.range.bytes != placed.range.bytes || into.range.address == 0) {
    free(into.range);
    into.range = {};
    into.range = options_.device.allocate(placed.range.bytes, "a kept output");
  }
  into.dtype = placed.dtype;
  into.shape = placed.shape;
  stream_.copy(placed.range, into.range);
}
Handle Machine::fromHost(const HostTensor& tensor) {
  const int64_t bytes = byteLength(tensor.dtype, elementCount(tensor.shape));
  Handle handle{tensor.dtype, tensor.shape, options_.device.allocate(bytes, "a tensor " + typeText(tensor.dtype, tensor.shape))};
  upload(tensor, handle.range);
  stream_.await(stream_.record());
  return handle;
}
void Machine::release(const Handle& handle) { free(handle.range); }

HostTensor Machine::toHost(const Placed& placed) const {
  HostTensor tensor{placed.dtype, placed.shape, std::vector<std::byte>(static_cast<size_t>(placed.range.bytes))};
  stream_.download(placed.range, tensor.bytes.data());
  stream_.await(stream_.record());
  return tensor;
}
double Machine::number(const Placed& placed) const {
  ScalarBytes bytes{};
  stream_.download({placed.range.address, std::min<int64_t>(placed.range.bytes, sizeof bytes)}, bytes.data());
  stream_.await(stream_.record());
  return elementAt(placed.dtype, bytes.data(), 0);
}

Placed& Machine::cell(size_t state) {
  auto& known = cells_[state];
  if (known) return *known;
  const StateDecl& decl = program().states[state];
  Placed placed{decl.type.dtype, {}, {}};
  for (const Size& s : decl.type.shape) {
    const auto extent = evaluate(s, dims_);
    if (!extent || *extent < 0) {
      throw Error({.code = "DIM002", .message = "the size of state `" + decl.name + "` depends on a dim that has no value", .expected = sluice::typeText(decl.type, program().dimNames),
          .hint = "it is bound when the program is loaded", .span = decl.span.copy()});
    }
    placed.shape.push_back(*extent);
  }
  placed.range = options_.device.allocate(byteLength(placed.dtype, elementCount(placed.shape)), "state `" + decl.name + "`");
  return known.emplace(std::move(placed));
}

void Machine::prepareState(size_t state, const Schedule* reader) {
  states_.prepare(state, reader == nullptr ? "" : reader->entry, [&] {
    const auto& init = program().states[state].init;
    // An init that needs itself, perhaps through others, makes no value.
    if (!init || isPreparing_[state]) return false;
    const size_t first = entry(*init);
    if (&lowering_.schedules[first] == reader) return false;
    const Range to = cell(state).range;
    isPreparing_[state] = true;
    const struct Done {
      std::vector<bool>& flags;
      size_t state;
      ~Done() { flags[state] = false; }
    } done{isPreparing_, state};
    const auto& outputs = run(first, {}, {});
    const Range from = outputs[output(first, "value")].range;
    if (from.bytes != to.bytes) throw Error({.code = "PLAN001", .message = "the first value of state `" + program().states[state].name + "` has another size", .hint = "build the program again"});
    stream_.copy(from, to);
    return true;
  });
}

size_t Machine::output(size_t index, std::string_view name) const {
  const auto& ports = lowering_.schedules[index].outputs;
  for (size_t i = 0; i < ports.size(); i++)
    if (ports[i].name == name) return i;
  std::vector<std::string> names;
  for (const Port& p : ports) names.push_back(p.name);
  throw unknownName("output", "OUTPUT001", name, names);
}

HostTensor Machine::getState(std::string_view name) {
  const size_t state = states_.index(name);
  prepareState(state, nullptr);
  return toHost(cell(state));
}
const Placed& Machine::stateType(std::string_view name) { return cell(states_.index(name)); }
void Machine::setState(std::string_view name, const HostTensor& value) {
  const size_t state = states_.index(name);
  const Placed& to = cell(state);
  if (value.dtype != to.dtype || value.shape != to.shape) {
    throw Error({.code = "STATE103", .message = "state `" + std::string(name) + "` has another type", .found = typeText(value.dtype, value.shape), .expected = typeText(to.dtype, to.shape)});
  }
  upload(value, to.range);
  stream_.await(stream_.record());
  states_.wrote(state);
}

void Machine::refuseNan(const Schedule& schedule, const NanEffect& effect) const {
  for (const Placed& placed : effect.values) {
    const HostTensor value = toHost(placed);
    const int64_t elements = elementCount(value.shape);
    int64_t first = -1;
    int64_t found = 0;
    for (int64_t i = 0; i < elements; i++) {
      if (!std::isnan(elementAt(value, i))) continue;
      if (found++ == 0) first = i;
    }
    if (found == 0) continue;
    const std::vector<SpanRef>& spans = effect.launch->spans;
    const KernelInfo& kernel = lowering_.kernels[static_cast<size_t>(effect.launch->kernel)];
    throw Error({.code = "NAN001", .message = "NaN in `" + schedule.entry + "`, made by " + (kernel.summary.empty() ? kernel.name : kernel.summary),
        .found = std::to_string(found) + " of " + std::to_string(elements) + " elements of " + typeText(value.dtype, value.shape) + ", the first at " + shapeText(position(first, value.shape)),
        .hint = nanHint(spans, kernel), .span = spans.empty() ? std::nullopt : spans[0].copy()});
  }
}

}  // namespace sluice
