#include "exec/procedure.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <optional>

#include "base/text.h"
#include "exec/scalars.h"

namespace sluice {
namespace {

/** A tensor that a slot holds; its memory is used again for the next one of that size. */
class Kept {
 public:
  explicit Kept(Machine& machine) : machine_(&machine) {}
  ~Kept() { machine_->release(handle); }
  Kept(const Kept&) = delete;
  Kept& operator=(const Kept&) = delete;
  Handle handle;

 private:
  Machine* machine_;
};

struct List {
  DType dtype = DType::f32;
  std::vector<double> values;
};

using Value = std::variant<std::monostate, double, std::string, std::shared_ptr<const Picture>, std::unique_ptr<Kept>, List>;

class Interpreter {
 public:
  Interpreter(const Procedure& procedure, const Arguments& arguments, Machine& machine, Host& host, Sink& sink)
      : procedure_(procedure), machine_(machine), host_(host), sink_(sink), slots_(static_cast<size_t>(procedure.slots)) {
    for (const auto& [slot, value] : arguments) {
      if (slot >= 0 && slot < procedure.slots) std::visit([&, &to = at(slot)](const auto& v) { to = v; }, value);
    }
  }

  bool run() { return run(procedure_.body); }

 private:
  [[noreturn]] void fail(const std::string& what) const { throw Error({.code = "PROC001", .message = "`" + procedure_.name + "` " + what}); }
  Value& at(Slot slot) { return slots_[static_cast<size_t>(slot)]; }

  // Slots

  double number(Slot slot) {
    if (const auto* x = std::get_if<double>(&at(slot))) return *x;
    fail("uses slot " + std::to_string(slot) + " as a number before it has one");
  }
  List& list(Slot slot) {
    if (auto* values = std::get_if<List>(&at(slot))) return *values;
    fail("uses slot " + std::to_string(slot) + " as a list before it is one");
  }
  /** A tensor without axes is a number. */
  Input tensor(Slot slot) {
    if (const auto* x = std::get_if<double>(&at(slot))) return *x;
    if (const auto* kept = std::get_if<std::unique_ptr<Kept>>(&at(slot))) return &(*kept)->handle;
    fail("uses slot " + std::to_string(slot) + " as a tensor before it is one");
  }
  HostTensor toHost(Slot slot) {
    const Input value = tensor(slot);
    if (const auto* handle = std::get_if<const Handle*>(&value)) return machine_.toHost(**handle);
    return tensorOf(DType::f32, {}, {std::get<double>(value)});
  }
  /** The tensor that the slot is to hold, with the memory that it had. */
  Handle& handleAt(Slot slot) {
    if (!std::holds_alternative<std::unique_ptr<Kept>>(at(slot))) at(slot) = std::make_unique<Kept>(machine_);
    return std::get<std::unique_ptr<Kept>>(at(slot))->handle;
  }
  void put(Slot slot, const HostTensor& t) {
    if (t.shape.empty()) at(slot) = elementAt(t, 0);
    else {
      at(slot) = std::make_unique<Kept>(machine_);
      handleAt(slot) = machine_.fromHost(t);
    }
  }

  // Expressions

  double scalar(const ScalarExpr& e) {
    switch (e.kind) {
      case ScalarExpr::Kind::constant: return e.value;
      case ScalarExpr::Kind::slot: return number(e.slot);
      case ScalarExpr::Kind::unary: return applyUnary(e.unary, scalar(e.operands[0]));
      case ScalarExpr::Kind::binary: {
        const double a = scalar(e.operands[0]);
        return applyBinary(e.binary, a, scalar(e.operands[1]));
      }
      case ScalarExpr::Kind::select: return scalar(e.operands[scalar(e.operands[0]) != 0 ? 1 : 2]);
      case ScalarExpr::Kind::listLength: return static_cast<double>(list(e.slot).values.size());
      case ScalarExpr::Kind::listAt: {
        const double i = scalar(e.operands[0]);
        const auto& values = list(e.slot).values;
        if (i >= 0 && i < static_cast<double>(values.size()) && i == std::floor(i)) return values[static_cast<size_t>(i)];
        fail("reads item " + numberText(i) + " of a list of " + std::to_string(values.size()));
      }
      case ScalarExpr::Kind::listFind: {
        const double wanted = scalar(e.operands[0]);
        const auto& values = list(e.slot).values;
        const auto found = std::find(values.begin(), values.end(), wanted);
        return found == values.end() ? -1 : static_cast<double>(found - values.begin());
      }
      case ScalarExpr::Kind::tensorSize: {
        const Input value = tensor(e.slot);
        if (const auto* handle = std::get_if<const Handle*>(&value); handle != nullptr && static_cast<size_t>(e.axis) < (*handle)->shape.size()) {
          return static_cast<double>((*handle)->shape[static_cast<size_t>(e.axis)]);
        }
        fail("asks for axis " + std::to_string(e.axis) + " of a tensor that has none");
      }
      case ScalarExpr::Kind::seconds: return static_cast<double>(Trace::now()) / 1e9;
    }
    return 0;
  }
  std::string text(const TextExpr& parts) {
    std::string out;
    for (const auto& part : parts) {
      if (const auto* words = std::get_if<std::string>(&part)) {
        out += *words;
      } else if (const auto* computed = std::get_if<NumberPart>(&part)) {
        out += numberText(scalar(computed->number));
      } else {
        const Value& value = at(std::get<SlotPart>(part).slot);
        if (const auto* words2 = std::get_if<std::string>(&value)) out += *words2;
        else if (const auto* x = std::get_if<double>(&value)) out += numberText(*x);
        else fail("joins something that is no text");
      }
    }
    return out;
  }

  // Steps. False once the run is cancelled.

  bool run(const std::vector<ProcedureStep>& steps) {
    for (const ProcedureStep& step : steps)
      if (!std::visit([&](const auto& s) { return perform(s); }, step.as)) return false;
    return true;
  }
  bool perform(const SetStep& s) {
    at(s.slot) = scalar(s.value);
    return true;
  }
  bool perform(const CallStep& s) {
    if (sink_.cancelled()) return false;
    const size_t entry = machine_.entry(s.entry);
    inputs_.clear();
    for (const auto& [name, value] : s.inputs) {
      const auto* ref = std::get_if<TensorRef>(&value);
      inputs_.push_back({name, ref != nullptr ? tensor(ref->tensor) : Input(scalar(std::get<ScalarExpr>(value)))});
    }
    sizes_.clear();
    for (const auto& [dim, value] : s.sizes) {
      const double x = scalar(value);
      // What is no integer in any bounds is refused as out of them.
      sizes_.push_back({dim, x == std::floor(x) && std::fabs(x) <= static_cast<double>(LARGEST_SIZE) ? static_cast<int64_t>(x) : -1});
    }
    const std::vector<Placed>& outputs = machine_.run(entry, inputs_, sizes_, s.span);
    for (const auto& [name, slot] : s.outputs) {
      const Placed& placed = outputs[machine_.output(entry, name)];
      if (placed.shape.empty()) at(slot) = machine_.number(placed);
      else machine_.keep(placed, handleAt(slot));
    }
    return true;
  }
  bool perform(const RepeatStep& s) {
    const double trips = scalar(s.count);
    depth_++;
    for (double trip = 0; trip < trips; trip++) {
      if (sink_.cancelled()) return false;
      at(s.index) = trip;
      if (!run(s.body)) return false;
      if (depth_ == 1) sink_.progress(trip + 1, trips);
    }
    depth_--;
    return true;
  }
  bool perform(const WhileStep& s) {
    while (scalar(s.condition) != 0)
      if (sink_.cancelled() || !run(s.body)) return false;
    return true;
  }
  bool perform(const IfStep& s) { return run(scalar(s.condition) != 0 ? s.yes : s.no); }
  bool perform(const LogStep& s) {
    Row row{Row::Kind::log, depth_ > 0, {}};
    for (const auto& [name, value] : s.values) row.values.emplace_back(name, scalar(value));
    sink_.row(std::move(row));
    return true;
  }
  bool perform(const EmitStep& s) {
    RowValue value;
    if (const auto* parts = std::get_if<TextExpr>(&s.value)) value = text(*parts);
    else if (const auto* e = std::get_if<ScalarExpr>(&s.value)) value = scalar(*e);
    else {
      const Slot slot = std::get<TensorRef>(s.value).tensor;
      const Input held = tensor(slot);
      if (const auto* x = std::get_if<double>(&held)) value = *x;
      else value = toHost(slot);
    }
    Row row{Row::Kind::emit, depth_ > 0, {}};
    row.values.emplace_back(s.name, std::move(value));
    sink_.row(std::move(row));
    return true;
  }
  bool perform(const WriteStep& s) {
    const std::string path = text(s.path);
    const HostTensor value = toHost(s.tensor);
    timed("write", path, s.span, [&] { host_.write(path, value); });
    return true;
  }
  bool perform(const SaveStep& s) {
    const std::string path = text(s.path);
    NamedTensors tensors;
    for (const auto& [name, state] : s.states) tensors.emplace_back(name, machine_.getState(state));
    timed("write", path, s.span, [&] { host_.save(path, tensors); });
    return true;
  }
  bool perform(const LoadStep& s) {
    const std::string path = text(s.path);
    std::vector<WantedTensor> wanted;
    for (const auto& [name, state] : s.states) {
      const Placed& type = machine_.stateType(state);
      wanted.push_back({name, type.dtype, type.shape});
    }
    std::vector<HostTensor> found;
    timed("read", path, s.span, [&] { found = host_.load(path, wanted); });
    for (size_t i = 0; i < s.states.size(); i++) machine_.setState(s.states[i].second, found.at(i));
    return true;
  }
  bool perform(const ReadStep& s) {
    const std::string path = text(s.path);
    std::vector<WantedTensor> wanted;
    for (const ReadStep::Tensor& t : s.tensors) {
      WantedTensor w{t.name, t.type.dtype, {}};
      for (const Size& size : t.type.shape) w.shape.push_back(evaluate(size, machine_.dims()).value_or(-1));
      wanted.push_back(std::move(w));
    }
    std::vector<HostTensor> found;
    timed("read", path, s.span, [&] { found = host_.read(path, wanted); });
    for (size_t i = 0; i < s.tensors.size(); i++) put(s.tensors[i].slot, found.at(i));
    return true;
  }
  bool perform(const PixelsStep& s) {
    const Value& value = at(s.picture);
    PictureSource source;
    if (const auto* path = std::get_if<std::string>(&value)) source = *path;
    else if (const auto* picture = std::get_if<std::shared_ptr<const Picture>>(&value)) source = *picture;
    else fail("uses slot " + std::to_string(s.picture) + " as a picture before it is one");
    HostTensor pixels;
    timed("read", source.index() == 0 ? std::get<std::string>(source) : "picture", s.span, [&] { pixels = host_.pixels(source, s.dtype, s.resize); });
    put(s.slot, pixels);
    return true;
  }
  bool perform(const ListNewStep& s) {
    at(s.list) = List{s.dtype, {}};
    return true;
  }
  bool perform(const ListPushStep& s) {
    if (const auto* e = std::get_if<ScalarExpr>(&s.value)) {
      const double x = scalar(*e);
      list(s.list).values.push_back(x);
      return true;
    }
    const HostTensor t = toHost(std::get<TensorRef>(s.value).tensor);
    const auto elements = static_cast<double>(elementCount(t.shape));
    const double length = s.count ? std::min(scalar(*s.count), elements) : elements;
    auto& values = list(s.list).values;
    for (int64_t i = 0; static_cast<double>(i) < length; i++) values.push_back(elementAt(t, i));
    return true;
  }
  bool perform(const ListClearStep& s) {
    list(s.list).values.clear();
    return true;
  }
  bool perform(const ListRangeStep& s) {
    const double start = scalar(s.start);
    const double end = start + scalar(s.length);
    const List& from = list(s.list);
    const auto [low, high] = sliceBounds(from.values.size(), start, end);
    const std::vector<double> part(from.values.begin() + static_cast<ptrdiff_t>(low), from.values.begin() + static_cast<ptrdiff_t>(high));
    put(s.slot, tensorOf(from.dtype, {static_cast<int64_t>(part.size())}, part));
    return true;
  }

  template <typename Work>
  void timed(const char* kind, const std::string& name, const SpanRef& span, Work&& work) {
    Trace* const trace = machine_.trace();
    const int64_t begin = trace == nullptr ? 0 : Trace::now();
    work();
    if (trace != nullptr) trace->add(trace->label(kind, name, span.copy()), begin, Trace::now());
  }

  const Procedure& procedure_;
  Machine& machine_;
  Host& host_;
  Sink& sink_;
  std::vector<Value> slots_;
  int depth_ = 0;
  /** Of the call that is being made; kept for their memory. */
  std::vector<NamedInput> inputs_;
  std::vector<DimValue> sizes_;
};

}  // namespace

const Procedure& procedureNamed(const Program& program, std::string_view name) {
  std::vector<std::string> names;
  for (const Procedure& p : program.procedures) {
    if (p.name == name) return p;
    names.push_back(p.name);
  }
  throw unknownName("procedure", "ENTRY001", name, names);
}

bool runProcedure(const Procedure& procedure, const Arguments& arguments, Machine& machine, Host& host, Sink& sink) {
  return Interpreter(procedure, arguments, machine, host, sink).run();
}

}  // namespace sluice
