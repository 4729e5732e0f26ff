#include "container/references.h"

#include <algorithm>
#include <initializer_list>
#include <string>
#include <string_view>
#include <type_traits>
#include <unordered_map>
#include <unordered_set>

#include "container/decode.h"

namespace sluice {
namespace {

/** A place in the header, on the stack below the one that it is in. */
class Place {
 public:
  explicit Place(std::string_view root) : key_(root) {}
  Place operator[](std::string_view key) const { return {*this, key, 0}; }
  Place operator[](size_t index) const { return {*this, {}, index}; }

  [[noreturn]] void refuse(const std::string& expected) const { throw JsonError(text() + ": expected " + expected); }
  void require(bool isFine, std::string_view expected) const {
    if (!isFine) refuse(std::string(expected));
  }

 private:
  Place(const Place& parent, std::string_view key, size_t index) : parent_(&parent), key_(key), index_(index) {}
  std::string text() const {
    if (parent_ == nullptr) return std::string(key_);
    return parent_->text() + (key_.empty() ? "[" + std::to_string(index_) + "]" : "." + std::string(key_));
  }

  const Place* parent_ = nullptr;
  std::string_view key_;
  size_t index_ = 0;
};

std::string typeText(DType dtype, size_t axes) {
  return std::string(name(dtype)) + " with " + std::to_string(axes) + (axes == 1 ? " axis" : " axes");
}
void requireType(DType dtype, size_t axes, DType wanted, size_t wantedAxes, const Place& at) {
  if (dtype != wanted || axes != wantedAxes) at.refuse(typeText(wanted, wantedAxes));
}

template <typename List, typename NameOf>
void requireDistinct(const List& list, NameOf&& nameOf, const Place& at) {
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < list.size(); i++) at[i].require(seen.insert(nameOf(list[i])).second, "a name of its own");
}

/** Which dims have a value: those of the program that are bound when it is loaded, and those of what is looked at now. */
class KnownDims {
 public:
  explicit KnownDims(const Program& program) : since_(program.dimNames.size(), NEVER) {
    for (const DimDecl& d : program.dims)
      if (d.binding == DimDecl::Binding::instance) since_[static_cast<size_t>(d.dim)] = ALWAYS;
  }
  /** Those of what was looked at before are forgotten. */
  void lookAt(const std::vector<DimDecl>& dims) {
    now_++;
    for (const DimDecl& d : dims)
      if (auto& since = since_[static_cast<size_t>(d.dim)]; since != ALWAYS) since = now_;
  }
  bool isAlwaysKnown(DimId dim) const { return since_[static_cast<size_t>(dim)] == ALWAYS; }
  bool isKnown(DimId dim) const { return isAlwaysKnown(dim) || since_[static_cast<size_t>(dim)] == now_; }

 private:
  static constexpr size_t NEVER = 0;
  static constexpr size_t ALWAYS = ~size_t{0};
  std::vector<size_t> since_;
  size_t now_ = 0;
};

template <typename IsFine>
bool everyDim(const Size& size, IsFine&& isFine) {
  return std::all_of(size.terms.begin(), size.terms.end(), [&](const Term& t) {
    return std::all_of(t.atoms.begin(), t.atoms.end(), [&](const Atom& a) {
      if (a.kind == Atom::Kind::dim) return static_cast<bool>(isFine(a.dim));
      return std::all_of(a.operands.begin(), a.operands.end(), [&](const Size& s) { return everyDim(s, isFine); });
    });
  });
}
bool usesOnly(const Size& size, const KnownDims& known) {
  return everyDim(size, [&](DimId d) { return known.isKnown(d); });
}
bool useOnly(const std::vector<Size>& sizes, const KnownDims& known) {
  return std::all_of(sizes.begin(), sizes.end(), [&](const Size& s) { return usesOnly(s, known); });
}

/** The dims that each kernel takes from the entry that launches it. */
std::vector<std::unordered_set<DimId>> dimsOfKernels(const Lowering& lowering, const KnownDims& known) {
  std::vector<std::unordered_set<DimId>> all;
  for (const KernelInfo& k : lowering.kernels) {
    std::unordered_set<DimId> dims;
    const auto add = [&](DimId d) {
      if (!known.isAlwaysKnown(d)) dims.insert(d);
      return true;
    };
    for (const DimDecl& d : k.dims) add(d.dim);
    for (const KernelParam& p : k.params)
      for (const Size& s : p.shape) everyDim(s, add);
    all.push_back(std::move(dims));
  }
  return all;
}

using States = std::unordered_map<std::string_view, const TensorType*>;
using Entries = std::unordered_map<std::string_view, const Schedule*>;

class ScheduleCheck {
 public:
  ScheduleCheck(const Program& program, const States& states, const Lowering& lowering, const std::vector<std::unordered_set<DimId>>& kernelDims, const Schedule& schedule,
      KnownDims& dims)
      : program_(program), states_(states), lowering_(lowering), kernelDims_(kernelDims), schedule_(schedule), dims_(dims) {
    dims.lookAt(schedule.dims);
  }

  void check(const Place& at) {
    for (size_t i = 0; i < schedule_.slots.size(); i++) at["slots"][i].require(usesOnly(schedule_.slots[i], dims_), DIMS);
    for (size_t i = 0; i < schedule_.buffers.size(); i++) buffer(schedule_.buffers[i], at["buffers"][i]);
    ports(schedule_.inputs, at["inputs"]);
    ports(schedule_.outputs, at["outputs"]);
    stateNames(schedule_.reads, at["reads"]);
    stateNames(schedule_.writes, at["writes"]);
    steps(schedule_.steps, at["steps"]);
  }

 private:
  static constexpr std::string_view DIMS = "dims of the entry";

  const ScheduleBuffer& of(BufferId id) const { return schedule_.buffers[static_cast<size_t>(id)]; }

  void buffer(const ScheduleBuffer& b, const Place& at) const {
    at["shape"].require(useOnly(b.shape, dims_), DIMS);
    if (const auto* in = std::get_if<SlotPlace>(&b.place)) {
      const auto slots = static_cast<int64_t>(schedule_.slots.size());
      if (in->slot >= slots) at["place"]["slot"].refuse("an integer from 0 to " + std::to_string(slots - 1));
    } else if (const auto* state = std::get_if<StatePlace>(&b.place)) {
      const auto found = states_.find(state->name);
      at["place"]["name"].require(found != states_.end(), "a state of the program");
      requireType(b.dtype, b.shape.size(), found->second->dtype, found->second->shape.size(), at);
    } else {
      const auto index = static_cast<size_t>(std::get<ConstantPlace>(b.place).index);
      at["place"]["index"].require(index < program_.constants.size(), "a constant of the program");
      const ConstantInfo& constant = program_.constants[index];
      requireType(b.dtype, b.shape.size(), constant.dtype, constant.shape.size(), at);
    }
  }
  void ports(const std::vector<Port>& list, const Place& at) const {
    requireDistinct(list, [](const Port& p) -> std::string_view { return p.name; }, at);
    for (size_t i = 0; i < list.size(); i++) {
      at[i]["type"]["shape"].require(useOnly(list[i].type.shape, dims_), DIMS);
      const ScheduleBuffer& b = of(list[i].buffer);
      requireType(b.dtype, b.shape.size(), list[i].type.dtype, list[i].type.shape.size(), at[i]["buffer"]);
      at[i]["buffer"].require(std::holds_alternative<SlotPlace>(b.place), "a buffer in a slot");
    }
  }
  void stateNames(const std::vector<std::string>& names, const Place& at) const {
    for (size_t i = 0; i < names.size(); i++) at[i].require(states_.contains(names[i]), "a state of the program");
  }

  void steps(const std::vector<Step>& list, const Place& at) {
    for (size_t i = 0; i < list.size(); i++) std::visit([&](const auto& s) { step(s, at[i]); }, list[i].as);
  }
  void writable(BufferId id, const Place& at) const {
    at.require(!std::holds_alternative<ConstantPlace>(of(id).place), "a buffer that is no constant");
  }
  void step(const LaunchStep& s, const Place& at) {
    const KernelInfo& kernel = lowering_.kernels[static_cast<size_t>(s.kernel)];
    if (s.buffers.size() != kernel.params.size()) at["buffers"].refuse(std::to_string(kernel.params.size()) + " buffers");
    for (size_t i = 0; i < kernel.params.size(); i++) {
      const KernelParam& param = kernel.params[i];
      // A kernel may take all axes as one.
      if (of(s.buffers[i]).dtype != param.dtype) at["buffers"][i].refuse("a buffer of " + std::string(name(param.dtype)));
      if (param.access != KernelParam::Access::read) writable(s.buffers[i], at["buffers"][i]);
    }
    if (seen_.insert(s.kernel).second) {
      const auto& dims = kernelDims_[static_cast<size_t>(s.kernel)];
      at["kernel"].require(std::all_of(dims.begin(), dims.end(), [&](DimId d) { return dims_.isKnown(d); }), "a kernel of the entry's dims");
    }
    at["tasks"].require(usesOnly(s.tasks, dims_), DIMS);
  }
  void step(const CopyStep& s, const Place& at) const {
    writable(s.to, at["to"]);
    if (of(s.from).dtype != of(s.to).dtype) at["to"].refuse("a buffer of " + std::string(name(of(s.from).dtype)));
  }
  void step(const LoopStep& s, const Place& at) {
    at["trips"].require(usesOnly(s.trips, dims_), DIMS);
    requireType(of(s.index).dtype, of(s.index).shape.size(), DType::i32, 0, at["index"]);
    writable(s.index, at["index"]);
    if (s.until) requireType(of(*s.until).dtype, of(*s.until).shape.size(), DType::boolean, 0, at["until"]);
    steps(s.body, at["body"]);
  }
  void step(const PrintStep&, const Place&) const {}
  void step(const AssertStep& s, const Place& at) const { requireType(of(s.buffer).dtype, of(s.buffer).shape.size(), DType::boolean, 0, at["buffer"]); }

  const Program& program_;
  const States& states_;
  const Lowering& lowering_;
  const std::vector<std::unordered_set<DimId>>& kernelDims_;
  const Schedule& schedule_;
  const KnownDims& dims_;
  /** Kernels whose dims have been looked at. */
  std::unordered_set<int32_t> seen_;
};

/** What a slot may hold at some time, as bits. */
enum Held : uint8_t { NUMBER = 1, TEXT = 2, PICTURE = 4, TENSOR = 8, LIST = 16 };

/** First all that is ever put into slots, then every use of them. The decoder has seen that each slot is there. */
class ProcedureCheck {
 public:
  ProcedureCheck(const Entries& entries, const States& states, const Procedure& procedure)
      : entries_(entries), states_(states), procedure_(procedure), held_(static_cast<size_t>(procedure.slots)) {}

  void check(const Place& at) {
    requireDistinct(procedure_.args, [](const ProcedureArg& a) -> std::string_view { return a.name; }, at["args"]);
    for (const ProcedureArg& a : procedure_.args) {
      using Kind = ProcedureArg::Kind;
      put(a.slot, a.kind == Kind::picture ? PICTURE : a.kind == Kind::text || a.kind == Kind::file ? TEXT : NUMBER);
    }
    fillAll(procedure_.body, at["body"]);
    useAll(procedure_.body, at["body"]);
  }

 private:
  void put(Slot slot, Held held) { held_[static_cast<size_t>(slot)] |= held; }
  static Held heldBy(const TensorType& type) { return type.shape.empty() ? NUMBER : TENSOR; }
  void holds(Slot slot, int wanted, std::string_view what, const Place& at) const {
    if ((held_[static_cast<size_t>(slot)] & wanted) == 0) at.refuse("a slot that holds " + std::string(what));
  }
  void list(Slot slot, const Place& at) const { holds(slot, LIST, "a list", at); }
  /** A tensor without axes is a number. */
  void tensor(Slot slot, const Place& at) const { holds(slot, TENSOR | NUMBER, "a tensor", at); }

  const Schedule* entryNamed(const std::string& name) const {
    const auto found = entries_.find(name);
    return found == entries_.end() ? nullptr : found->second;
  }
  static const Port* portNamed(const std::vector<Port>& ports, const std::string& name) {
    const auto found = std::find_if(ports.begin(), ports.end(), [&](const Port& p) { return p.name == name; });
    return found == ports.end() ? nullptr : &*found;
  }

  void fillAll(const std::vector<ProcedureStep>& steps, const Place& at) {
    for (size_t i = 0; i < steps.size(); i++) std::visit([&](const auto& s) { fill(s, at[i]); }, steps[i].as);
  }
  void fill(const SetStep& s, const Place&) { put(s.slot, NUMBER); }
  void fill(const CallStep& s, const Place& at) {
    const Schedule* const entry = entryNamed(s.entry);
    at["entry"].require(entry != nullptr, "an entry of the program");
    for (size_t i = 0; i < s.outputs.size(); i++) {
      const Port* const port = portNamed(entry->outputs, s.outputs[i].first);
      at["outputs"][i]["name"].require(port != nullptr, "an output of the entry");
      put(s.outputs[i].second, heldBy(port->type));
    }
  }
  void fill(const RepeatStep& s, const Place& at) {
    put(s.index, NUMBER);
    fillAll(s.body, at["body"]);
  }
  void fill(const WhileStep& s, const Place& at) { fillAll(s.body, at["body"]); }
  void fill(const IfStep& s, const Place& at) {
    fillAll(s.yes, at["yes"]);
    fillAll(s.no, at["no"]);
  }
  void fill(const ReadStep& s, const Place&) {
    for (const ReadStep::Tensor& t : s.tensors) put(t.slot, heldBy(t.type));
  }
  void fill(const PixelsStep& s, const Place&) { put(s.slot, TENSOR); }
  void fill(const ListNewStep& s, const Place&) { put(s.list, LIST); }
  void fill(const ListRangeStep& s, const Place&) { put(s.slot, TENSOR); }
  /** Puts nothing anywhere. */
  template <typename Other>
  void fill(const Other&, const Place&) {}

  void useAll(const std::vector<ProcedureStep>& steps, const Place& at) const {
    for (size_t i = 0; i < steps.size(); i++) std::visit([&](const auto& s) { use(s, at[i]); }, steps[i].as);
  }
  void use(const SetStep& s, const Place& at) const { scalar(s.value, at["value"]); }
  void use(const CallStep& s, const Place& at) const {
    const Schedule& entry = *entryNamed(s.entry);
    for (size_t i = 0; i < s.inputs.size(); i++) {
      const Place inputs = at["inputs"];
      const Place here = inputs[i];
      here["name"].require(portNamed(entry.inputs, s.inputs[i].first) != nullptr, "an input of the entry");
      if (const auto* ref = std::get_if<TensorRef>(&s.inputs[i].second)) tensor(ref->tensor, here["tensor"]);
      else scalar(std::get<ScalarExpr>(s.inputs[i].second), here["scalar"]);
    }
    for (size_t i = 0; i < s.sizes.size(); i++) {
      const bool isThere = std::any_of(entry.dims.begin(), entry.dims.end(), [&](const DimDecl& d) { return d.dim == s.sizes[i].first; });
      at["sizes"][i]["dim"].require(isThere, "a dim of the entry");
      scalar(s.sizes[i].second, at["sizes"][i]["value"]);
    }
  }
  void use(const RepeatStep& s, const Place& at) const {
    scalar(s.count, at["count"]);
    useAll(s.body, at["body"]);
  }
  void use(const WhileStep& s, const Place& at) const {
    scalar(s.condition, at["condition"]);
    useAll(s.body, at["body"]);
  }
  void use(const IfStep& s, const Place& at) const {
    scalar(s.condition, at["condition"]);
    useAll(s.yes, at["yes"]);
    useAll(s.no, at["no"]);
  }
  void use(const LogStep& s, const Place& at) const {
    for (size_t i = 0; i < s.values.size(); i++) scalar(s.values[i].second, at["values"][i]["value"]);
  }
  void use(const EmitStep& s, const Place& at) const {
    if (const auto* parts = std::get_if<TextExpr>(&s.value)) text(*parts, at["value"]["text"]);
    else if (const auto* ref = std::get_if<TensorRef>(&s.value)) tensor(ref->tensor, at["value"]["tensor"]);
    else scalar(std::get<ScalarExpr>(s.value), at["value"]["scalar"]);
  }
  void use(const WriteStep& s, const Place& at) const {
    text(s.path, at["path"]);
    tensor(s.tensor, at["tensor"]);
  }
  void use(const SaveStep& s, const Place& at) const { files(s.path, s.states, at); }
  void use(const LoadStep& s, const Place& at) const { files(s.path, s.states, at); }
  void files(const TextExpr& path, const StateNames& states, const Place& at) const {
    text(path, at["path"]);
    for (size_t i = 0; i < states.size(); i++) at["states"][i]["state"].require(states_.contains(states[i].second), "a state of the program");
  }
  void use(const ReadStep& s, const Place& at) const { text(s.path, at["path"]); }
  void use(const PixelsStep& s, const Place& at) const { holds(s.picture, PICTURE | TEXT, "a picture", at["picture"]); }
  void use(const ListNewStep&, const Place&) const {}
  void use(const ListPushStep& s, const Place& at) const {
    list(s.list, at["list"]);
    if (const auto* ref = std::get_if<TensorRef>(&s.value)) tensor(ref->tensor, at["value"]["tensor"]);
    else scalar(std::get<ScalarExpr>(s.value), at["value"]["scalar"]);
    if (s.count) scalar(*s.count, at["value"]["count"]);
  }
  void use(const ListClearStep& s, const Place& at) const { list(s.list, at["list"]); }
  void use(const ListRangeStep& s, const Place& at) const {
    list(s.list, at["list"]);
    scalar(s.start, at["start"]);
    scalar(s.length, at["length"]);
  }

  void text(const TextExpr& parts, const Place& at) const {
    for (size_t i = 0; i < parts.size(); i++) {
      if (const auto* part = std::get_if<SlotPart>(&parts[i])) holds(part->slot, TEXT | PICTURE | NUMBER, "text", at[i]["slot"]);
      else if (const auto* number = std::get_if<NumberPart>(&parts[i])) scalar(number->number, at[i]["number"]);
    }
  }
  void scalar(const ScalarExpr& e, const Place& at) const {
    using Kind = ScalarExpr::Kind;
    switch (e.kind) {
      case Kind::constant: case Kind::seconds: break;
      case Kind::slot: holds(e.slot, NUMBER, "a number", at["slot"]); break;
      case Kind::tensorSize: holds(e.slot, TENSOR, "a tensor", at["tensor"]); break;
      case Kind::unary: operands(e, {"x"}, at); break;
      case Kind::binary: operands(e, {"a", "b"}, at); break;
      case Kind::select: operands(e, {"condition", "yes", "no"}, at); break;
      case Kind::listLength: list(e.slot, at["list"]); break;
      case Kind::listAt:
        list(e.slot, at["list"]);
        operands(e, {"index"}, at);
        break;
      case Kind::listFind:
        list(e.slot, at["list"]);
        operands(e, {"value"}, at);
        break;
    }
  }
  void operands(const ScalarExpr& e, std::initializer_list<std::string_view> keys, const Place& at) const {
    size_t i = 0;
    for (const auto key : keys) scalar(e.operands[i++], at[key]);
  }

  const Entries& entries_;
  const States& states_;
  const Procedure& procedure_;
  std::vector<uint8_t> held_;
};

}  // namespace

void checkReferences(const Program& program, const std::vector<ModuleInfo>& modules) {
  const Place header("header");
  const Place at = header["program"];
  States states;
  for (const StateDecl& s : program.states) states.emplace(s.name, &s.type);
  requireDistinct(program.states, [](const StateDecl& s) -> std::string_view { return s.name; }, at["states"]);
  requireDistinct(program.procedures, [](const Procedure& p) -> std::string_view { return p.name; }, at["procedures"]);
  KnownDims dims(program);
  Entries first;
  for (size_t l = 0; l < program.lowerings.size(); l++) {
    const Lowering& lowering = program.lowerings[l];
    const Place lowerings = at["lowerings"];
    const Place here = lowerings[l];
    const Place schedules = here["schedules"];
    requireDistinct(lowering.schedules, [](const Schedule& s) -> std::string_view { return s.entry; }, schedules);
    const auto kernelDims = dimsOfKernels(lowering, dims);
    Entries byName;
    for (size_t i = 0; i < lowering.schedules.size(); i++) {
      ScheduleCheck(program, states, lowering, kernelDims, lowering.schedules[i], dims).check(schedules[i]);
      byName.emplace(lowering.schedules[i].entry, &lowering.schedules[i]);
    }
    for (size_t i = 0; i < program.states.size(); i++) {
      const StateDecl& state = program.states[i];
      if (!state.init) continue;
      const Place all = at["states"];
      const Place one = all[i];
      const auto entry = byName.find(*state.init);
      const Port* value = nullptr;
      if (entry != byName.end() && entry->second->inputs.empty())
        for (const Port& p : entry->second->outputs)
          if (p.name == "value") value = &p;
      one["init"].require(value != nullptr, "an entry without inputs that has an output value");
      requireType(value->type.dtype, value->type.shape.size(), state.type.dtype, state.type.shape.size(), one["init"]);
    }
    if (l == 0) first = std::move(byName);
  }
  for (size_t i = 0; i < program.procedures.size(); i++) ProcedureCheck(first, states, program.procedures[i]).check(at["procedures"][i]);
  for (size_t m = 0; m < modules.size(); m++) {
    if (modules[m].lowering >= program.lowerings.size()) continue;
    const auto& kernels = program.lowerings[modules[m].lowering].kernels;
    for (size_t k = 0; k < std::min(kernels.size(), modules[m].scratch.size()); k++) {
      dims.lookAt(kernels[k].dims);
      if (!usesOnly(modules[m].scratch[k], dims)) header["modules"][m]["scratch"][k].refuse("dims of the kernel");
    }
  }
}

}  // namespace sluice
