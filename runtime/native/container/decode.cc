#include "container/decode.h"

#include <limits>
#include <unordered_map>

#include "container/json.h"
#include "container/references.h"

namespace sluice {
namespace {

/** More than any procedure has; each is a place in memory. */
constexpr int64_t SLOT_LIMIT = 1 << 20;
/** Deeper than any program nests. */
constexpr int DEPTH_LIMIT = 500;

bool isTooDeep(std::string_view json) {
  int depth = 0;
  bool inText = false;
  for (size_t i = 0; i < json.size(); i++) {
    const char c = json[i];
    if (inText) {
      if (c == '\\') i++;
      else if (c == '"') inText = false;
    } else if (c == '"') {
      inText = true;
    } else if (c == '[' || c == '{') {
      if (++depth > DEPTH_LIMIT) return true;
    } else if (c == ']' || c == '}') {
      depth--;
    }
  }
  return false;
}

class Decoder {
 public:
  ContainerHeader header(const Cursor& c) {
    c.record({"spans", "program", "modules", "sections"});
    spans_ = c["spans"].list([](const Cursor& s) {
      if (s.size() != 3) s.refuse("a file, a line and a column");
      return SpanRef(std::make_shared<const Span>(s[size_t{0}].text(), s[1].integer(), s[2].integer()));
    });
    ContainerHeader h;
    decodeProgram(c["program"], h.program);
    h.modules = c["modules"].list([&](const Cursor& m) { return module(m); });
    h.sections = c["sections"].list([](const Cursor& s) {
      s.record({"name", "bytes", "crc"});
      return SectionInfo{s["name"].text(), s["bytes"].count(), static_cast<uint32_t>(s["crc"].index(int64_t{1} << 32))};
    });
    h.program.dimNames = std::move(names_);
    checkReferences(h.program, h.modules);
    return h;
  }

 private:
  DimId dimNamed(const std::string& name) {
    const auto [at, isNew] = ids_.try_emplace(name, static_cast<DimId>(names_.size()));
    if (isNew) names_.push_back(name);
    return at->second;
  }

  // Sizes

  Size size(const Cursor& c) {
    if (c.isNumber()) return {c.integer(), {}};
    c.record({"sum"});
    Size s;
    const Cursor sum = c["sum"];
    for (size_t i = 0; i < sum.size(); i++) {
      const Cursor product = sum[i];
      if (product.size() == 0) product.refuse("a coefficient");
      Term term{product[0].integer(), {}};
      for (size_t k = 1; k < product.size(); k++) term.atoms.push_back(atom(product[k]));
      if (!term.atoms.empty()) s.terms.push_back(std::move(term));
      else if (__builtin_add_overflow(s.constant, term.coefficient, &s.constant)) product.refuse("a constant that fits");
    }
    return s;
  }
  Atom atom(const Cursor& c) {
    if (c.isText()) return {Atom::Kind::dim, dimNamed(c.text()), {}};
    if (c.size() != 3) c.refuse("an operation and two sizes");
    const auto kind = static_cast<Atom::Kind>(1 + c[size_t{0}].oneOf({"floordiv", "mod", "min", "max"}));
    Atom a{kind, 0, {}};
    a.operands.push_back(size(c[1]));
    a.operands.push_back(size(c[2]));
    return a;
  }
  std::vector<Size> sizes(const Cursor& c) {
    return c.list([&](const Cursor& s) { return size(s); });
  }

  // What many forms share

  static DType dtype(const Cursor& c) {
    if (c.isText())
      if (const auto found = dtypeNamed(c.text())) return *found;
    c.refuse("one of f64, f32, f16, bf16, i32, i16, i8, i4, u32, u16, u8, bool");
  }
  /** By its number in the table. */
  SpanRef span(const Cursor& c) const { return spans_[static_cast<size_t>(c.index(static_cast<int64_t>(spans_.size())))]; }
  SpanRef spanOrNull(const Cursor& c) const { return c.isNull() ? SpanRef() : span(c); }
  /** Of a form where traces alone ask for it. */
  SpanRef tracedSpan(const Cursor& c) const { return c.has("span") ? spanOrNull(c["span"]) : SpanRef(); }
  static std::vector<std::string> texts(const Cursor& c) {
    return c.list([](const Cursor& t) { return t.text(); });
  }
  std::vector<DimDecl> dims(const Cursor& c) {
    return c.list([&](const Cursor& d) {
      d.record({"name", "binding", "min", "max", "multipleOf"});
      const auto binding = static_cast<DimDecl::Binding>(d["binding"].oneOf({"instance", "call"}));
      DimDecl decl{dimNamed(d["name"].text()), binding, d["min"].integer(), d["max"].integer(), d["multipleOf"].integer()};
      if (decl.multipleOf < 1) d["multipleOf"].refuse("an integer of at least 1");
      return decl;
    });
  }
  TensorType tensorType(const Cursor& c) {
    c.record({"dtype", "shape", "axes"});
    c["axes"].list([](const Cursor& a) { return a.nullable([](const Cursor& n) { return n.text(); }); });
    return {dtype(c["dtype"]), sizes(c["shape"])};
  }

  // Schedules

  ScheduleBuffer buffer(const Cursor& c) {
    c.record({"dtype", "shape", "place"});
    const Cursor p = c["place"];
    ScheduleBuffer b{dtype(c["dtype"]), sizes(c["shape"]), {}};
    switch (p.kind({"slot", "state", "constant"})) {
      case 0: b.place = SlotPlace{p.record({"kind", "slot"})["slot"].count()}; break;
      case 1: b.place = StatePlace{p.record({"kind", "name"})["name"].text()}; break;
      default: b.place = ConstantPlace{p.record({"kind", "index"})["index"].count()};
    }
    return b;
  }
  std::vector<Step> steps(const Cursor& c) {
    return c.list([&](const Cursor& s) { return step(s); });
  }
  BufferId bufferId(const Cursor& c) const { return static_cast<BufferId>(c.index(buffers_)); }
  Step step(const Cursor& c) {
    switch (c.kind({"launch", "copy", "loop", "print", "assert"})) {
      case 0: {
        c.record({"kind", "kernel", "buffers", "tasks", "spans"});
        const auto kernel = static_cast<int32_t>(c["kernel"].index(kernels_));
        return {LaunchStep{kernel, c["buffers"].list([&](const Cursor& b) { return bufferId(b); }), size(c["tasks"]),
            c["spans"].list([&](const Cursor& at) { return span(at); })}};
      }
      case 1:
        c.record({"kind", "from", "to"}, {"span"});
        return {CopyStep{bufferId(c["from"]), bufferId(c["to"]), tracedSpan(c)}};
      case 2:
        c.record({"kind", "trips", "index", "until", "body"});
        return {LoopStep{size(c["trips"]), bufferId(c["index"]), c["until"].nullable([&](const Cursor& b) { return bufferId(b); }), steps(c["body"])}};
      case 3:
        c.record({"kind", "buffer", "label", "span"});
        return {PrintStep{bufferId(c["buffer"]), c["label"].text(), spanOrNull(c["span"])}};
      default:
        c.record({"kind", "buffer", "message", "span"});
        return {AssertStep{bufferId(c["buffer"]), c["message"].text(), spanOrNull(c["span"])}};
    }
  }
  std::vector<Port> ports(const Cursor& c) {
    return c.list([&](const Cursor& p) {
      p.record({"name", "type", "buffer"});
      return Port{p["name"].text(), tensorType(p["type"]), bufferId(p["buffer"])};
    });
  }
  Schedule schedule(const Cursor& c) {
    c.record({"entry", "dims", "inputs", "outputs", "reads", "writes", "buffers", "steps", "slots"}, {"span", "counts"});
    // Indices have 64 bits where they need them: only WebAssembly asks how many elements there are.
    if (c.has("counts")) c["counts"].list([&](const Cursor& count) {
      count.record({"elements", "span"});
      size(count["elements"]);
      return spanOrNull(count["span"]);
    });
    Schedule s;
    s.buffers = c["buffers"].list([&](const Cursor& b) { return buffer(b); });
    buffers_ = static_cast<int64_t>(s.buffers.size());
    s.entry = c["entry"].text();
    s.dims = dims(c["dims"]);
    s.inputs = ports(c["inputs"]);
    s.outputs = ports(c["outputs"]);
    s.reads = texts(c["reads"]);
    s.writes = texts(c["writes"]);
    s.steps = steps(c["steps"]);
    s.slots = sizes(c["slots"]);
    s.span = tracedSpan(c);
    return s;
  }
  KernelInfo kernel(const Cursor& c) {
    c.record({"name", "params", "dims", "summary"});
    KernelInfo k;
    k.name = c["name"].text();
    k.params = c["params"].list([&](const Cursor& p) {
      p.record({"name", "dtype", "shape", "lanes", "swizzle", "space", "access"});
      p["lanes"].integer();
      p["swizzle"].integer();
      p["space"].oneOf({"global"});
      return KernelParam{p["name"].text(), dtype(p["dtype"]), sizes(p["shape"]), static_cast<KernelParam::Access>(p["access"].oneOf({"read", "write", "readwrite"}))};
    });
    k.dims = dims(c["dims"]);
    k.summary = c["summary"].text();
    return k;
  }

  // Procedures

  Slot slot(const Cursor& c) const { return c.index(slots_); }
  ScalarExpr scalar(const Cursor& c) {
    ScalarExpr e;
    e.kind = static_cast<ScalarExpr::Kind>(
        c.kind({"const", "slot", "unary", "binary", "select", "list_length", "list_at", "list_find", "tensor_size", "seconds"}));
    const auto operands = [&](std::initializer_list<std::string_view> keys) {
      e.operands.reserve(keys.size());
      for (const auto key : keys) e.operands.push_back(scalar(c[key]));
    };
    switch (e.kind) {
      case ScalarExpr::Kind::constant:
        e.value = c.record({"kind", "value"})["value"].real();
        break;
      case ScalarExpr::Kind::slot:
        e.slot = slot(c.record({"kind", "slot"})["slot"]);
        break;
      case ScalarExpr::Kind::unary:
        c.record({"kind", "op", "x"});
        e.unary = static_cast<ScalarUnary>(c["op"].oneOf({"neg", "abs", "not", "floor", "sqrt", "exp", "log", "to_i32", "to_f32"}));
        operands({"x"});
        break;
      case ScalarExpr::Kind::binary:
        c.record({"kind", "op", "a", "b"});
        e.binary = static_cast<ScalarBinary>(
            c["op"].oneOf({"add", "sub", "mul", "div", "mod", "pow", "max", "min", "eq", "ne", "lt", "le", "gt", "ge", "and", "or"}));
        operands({"a", "b"});
        break;
      case ScalarExpr::Kind::select:
        c.record({"kind", "condition", "yes", "no"});
        operands({"condition", "yes", "no"});
        break;
      case ScalarExpr::Kind::listLength:
        e.slot = slot(c.record({"kind", "list"})["list"]);
        break;
      case ScalarExpr::Kind::listAt:
        e.slot = slot(c.record({"kind", "list", "index"})["list"]);
        operands({"index"});
        break;
      case ScalarExpr::Kind::listFind:
        e.slot = slot(c.record({"kind", "list", "value"})["list"]);
        operands({"value"});
        break;
      case ScalarExpr::Kind::tensorSize:
        c.record({"kind", "tensor", "axis"});
        e.slot = slot(c["tensor"]);
        e.axis = c["axis"].count();
        break;
      case ScalarExpr::Kind::seconds:
        c.record({"kind"});
        break;
    }
    return e;
  }
  TextExpr textExpr(const Cursor& c) {
    return c.list([&](const Cursor& part) -> TextExpr::value_type {
      if (part.isText()) return part.text();
      if (part.has("slot")) return SlotPart{slot(part.record({"slot"})["slot"])};
      return NumberPart{scalar(part.record({"number"})["number"])};
    });
  }
  StateNames stateNames(const Cursor& c) {
    return c.list([](const Cursor& s) {
      s.record({"name", "state"});
      return std::pair(s["name"].text(), s["state"].text());
    });
  }
  std::vector<ProcedureStep> body(const Cursor& c) {
    return c.list([&](const Cursor& s) { return procedureStep(s); });
  }
  CallStep call(const Cursor& c) {
    c.record({"kind", "entry", "inputs", "sizes", "outputs"}, {"span"});
    CallStep s;
    s.entry = c["entry"].text();
    s.inputs = c["inputs"].list([&](const Cursor& i) -> decltype(s.inputs)::value_type {
      if (i.has("tensor")) return {i.record({"name", "tensor"})["name"].text(), TensorRef{slot(i["tensor"])}};
      return {i.record({"name", "scalar"})["name"].text(), scalar(i["scalar"])};
    });
    s.sizes = c["sizes"].list([&](const Cursor& d) {
      d.record({"dim", "value"});
      return std::pair(dimNamed(d["dim"].text()), scalar(d["value"]));
    });
    s.outputs = c["outputs"].list([&](const Cursor& o) {
      o.record({"name", "slot"});
      return std::pair(o["name"].text(), slot(o["slot"]));
    });
    s.span = tracedSpan(c);
    return s;
  }
  ProcedureStep procedureStep(const Cursor& c) {
    switch (c.kind({"set", "call", "repeat", "while", "if", "log", "emit", "write", "save", "load", "read", "pixels", "list_new", "list_push", "list_clear", "list_range"})) {
      case 0: c.record({"kind", "slot", "value"}); return {SetStep{slot(c["slot"]), scalar(c["value"])}};
      case 1: return {call(c)};
      case 2: c.record({"kind", "count", "index", "body"}); return {RepeatStep{scalar(c["count"]), slot(c["index"]), body(c["body"])}};
      case 3: c.record({"kind", "condition", "body"}); return {WhileStep{scalar(c["condition"]), body(c["body"])}};
      case 4: c.record({"kind", "condition", "yes", "no"}); return {IfStep{scalar(c["condition"]), body(c["yes"]), body(c["no"])}};
      case 5:
        c.record({"kind", "values"});
        return {LogStep{c["values"].list([&](const Cursor& v) {
          v.record({"name", "value"});
          return std::pair(v["name"].text(), scalar(v["value"]));
        })}};
      case 6: {
        c.record({"kind", "name", "value"});
        EmitStep s{c["name"].text(), {}};
        const Cursor v = c["value"];
        if (v.has("text")) s.value = textExpr(v.record({"text"})["text"]);
        else if (v.has("tensor")) s.value = TensorRef{slot(v.record({"tensor"})["tensor"])};
        else s.value = scalar(v.record({"scalar"})["scalar"]);
        return {std::move(s)};
      }
      case 7: c.record({"kind", "path", "tensor"}, {"span"}); return {WriteStep{textExpr(c["path"]), slot(c["tensor"]), tracedSpan(c)}};
      case 8: c.record({"kind", "path", "states"}, {"span"}); return {SaveStep{textExpr(c["path"]), stateNames(c["states"]), tracedSpan(c)}};
      case 9: c.record({"kind", "path", "states"}, {"span"}); return {LoadStep{textExpr(c["path"]), stateNames(c["states"]), tracedSpan(c)}};
      case 10: {
        c.record({"kind", "path", "tensors"}, {"span"});
        return {ReadStep{textExpr(c["path"]), c["tensors"].list([&](const Cursor& t) {
          t.record({"name", "dtype", "shape", "slot"});
          return ReadStep::Tensor{t["name"].text(), {dtype(t["dtype"]), sizes(t["shape"])}, slot(t["slot"])};
        }), tracedSpan(c)}};
      }
      case 11: {
        c.record({"kind", "picture", "dtype", "slot"}, {"resize", "span"});
        PixelsStep s{slot(c["picture"]), c["dtype"].oneOf({"u8", "f32"}) == 0 ? DType::u8 : DType::f32, std::nullopt, slot(c["slot"]), tracedSpan(c)};
        if (c.has("resize")) {
          const Cursor r = c["resize"];
          if (r.size() != 2) r.refuse("two items");
          s.resize = {r[size_t{0}].integer(), r[1].integer()};
        }
        return {s};
      }
      case 12: c.record({"kind", "list", "dtype"}); return {ListNewStep{slot(c["list"]), dtype(c["dtype"])}};
      case 13: {
        c.record({"kind", "list", "value"});
        ListPushStep s{slot(c["list"]), TensorRef{}, std::nullopt};
        const Cursor v = c["value"];
        if (v.has("scalar")) s.value = scalar(v.record({"scalar"})["scalar"]);
        else {
          s.value = TensorRef{slot(v.record({"tensor"}, {"count"})["tensor"])};
          if (v.has("count")) s.count = scalar(v["count"]);
        }
        return {std::move(s)};
      }
      case 14: return {ListClearStep{slot(c.record({"kind", "list"})["list"])}};
      default:
        c.record({"kind", "list", "start", "length", "slot"});
        return {ListRangeStep{slot(c["list"]), scalar(c["start"]), scalar(c["length"]), slot(c["slot"])}};
    }
  }
  Procedure procedure(const Cursor& c) {
    c.record({"name", "args", "slots", "body"});
    slots_ = c["slots"].index(SLOT_LIMIT);
    Procedure p;
    p.name = c["name"].text();
    p.slots = slots_;
    p.args = c["args"].list([&](const Cursor& a) {
      a.record({"name", "kind", "help", "slot"}, {"init", "min", "max"});
      ProcedureArg arg{a["name"].text(), static_cast<ProcedureArg::Kind>(a["kind"].oneOf({"int", "real", "flag", "text", "file", "picture"})), a["help"].text(), std::nullopt, 0, 0, slot(a["slot"])};
      // Where the container says nothing: what i32 holds, and the finite numbers of f32.
      const bool isInt = arg.kind == ProcedureArg::Kind::integer;
      arg.min = a.has("min") ? a["min"].real() : isInt ? double{std::numeric_limits<int32_t>::min()} : double{std::numeric_limits<float>::lowest()};
      arg.max = a.has("max") ? a["max"].real() : isInt ? double{std::numeric_limits<int32_t>::max()} : double{std::numeric_limits<float>::max()};
      if (a.has("init")) {
        const Cursor init = a["init"];
        if (init.isText()) arg.init = init.text();
        else arg.init = init.real();
      }
      return arg;
    });
    p.body = body(c["body"]);
    return p;
  }

  // Programs

  void decodeProgram(const Cursor& c, Program& p) {
    c.record({"name", "dims", "states", "constants", "procedures", "lowerings"});
    p.name = c["name"].text();
    p.dims = dims(c["dims"]);
    p.states = c["states"].list([&](const Cursor& s) {
      s.record({"name", "type", "init", "span"});
      return StateDecl{s["name"].text(), tensorType(s["type"]), s["init"].nullable([](const Cursor& t) { return t.text(); }), spanOrNull(s["span"])};
    });
    p.constants = c["constants"].list([](const Cursor& k) {
      k.record({"dtype", "shape"});
      return ConstantInfo{dtype(k["dtype"]), k["shape"].list([](const Cursor& n) { return n.count(); })};
    });
    p.lowerings = c["lowerings"].list([&](const Cursor& l) {
      l.record({"machine", "kernels", "schedules"});
      l["machine"].oneOf({"simd128", "v3", "v4", "gpu"});
      Lowering lowering{l["machine"].text(), l["kernels"].list([&](const Cursor& k) { return kernel(k); }), {}};
      kernels_ = static_cast<int64_t>(lowering.kernels.size());
      lowering.schedules = l["schedules"].list([&](const Cursor& s) { return schedule(s); });
      return lowering;
    });
    p.procedures = c["procedures"].list([&](const Cursor& s) { return procedure(s); });
  }

  ModuleInfo module(const Cursor& c) {
    ModuleInfo m;
    m.kind = static_cast<ModuleInfo::Kind>(c.kind({"wasm", "cpu", "vulkan", "cuda"}));
    if (m.kind == ModuleInfo::Kind::wasm) {
      c.record({"kind", "lowering", "relaxed", "shared", "scratch"});
      c["relaxed"].flag();
      c["shared"].flag();
    } else if (m.kind == ModuleInfo::Kind::vulkan) {
      c.record({"kind", "lowering", "scratch"});
    } else if (m.kind == ModuleInfo::Kind::cuda) {
      c.record({"kind", "lowering", "architectures", "scratch"});
      m.architectures = texts(c["architectures"]);
    } else {
      c.record({"kind", "lowering", "level", "features", "scratch"});
      static constexpr const char* LEVELS[] = {"v3", "v4"};
      static constexpr const char* FEATURES[] = {"vnni", "bf16"};
      m.level = LEVELS[c["level"].oneOf({"v3", "v4"})];
      m.features = c["features"].list([](const Cursor& f) { return std::string(FEATURES[f.oneOf({"vnni", "bf16"})]); });
    }
    m.lowering = static_cast<size_t>(c["lowering"].count());
    m.scratch = sizes(c["scratch"]);
    return m;
  }

  std::vector<std::string> names_;
  std::unordered_map<std::string, DimId> ids_;
  std::vector<SpanRef> spans_;
  /** Of the lowering, the schedule and the procedure that are being read: how many there are to refer to. */
  int64_t kernels_ = 0;
  int64_t buffers_ = 0;
  int64_t slots_ = 0;
};

}  // namespace

ContainerHeader decodeHeader(std::string_view json) {
  if (isTooDeep(json)) throw JsonError("it is nested too deeply");
  try {
    return Decoder().header(Cursor(nlohmann::json::parse(json), "header"));
  } catch (const nlohmann::json::exception& error) {
    throw JsonError(error.what());
  }
}

}  // namespace sluice
