// A compiled program as a runtime needs it: everything that a container's header holds, with references by number where the
// header has them. The TypeScript forms are in compiler/plan/schedule.ts, compiler/plan/procedure.ts and runtime/program.ts.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/error.h"
#include "base/size.h"
#include "base/tensor.h"

namespace sluice {

struct TensorType {
  DType dtype = DType::f32;
  std::vector<Size> shape;
};

/** One of the lines that a container's table holds, or none. What refers to a line shares it, however many do. */
class SpanRef {
 public:
  SpanRef() = default;
  explicit SpanRef(std::shared_ptr<const Span> at) : at_(std::move(at)) {}
  const Span* get() const { return at_.get(); }
  std::optional<Span> copy() const { return at_ == nullptr ? std::nullopt : std::optional(*at_); }

 private:
  std::shared_ptr<const Span> at_;
};

// Schedules

using BufferId = int32_t;

struct SlotPlace {
  int64_t slot = 0;
};
struct StatePlace {
  std::string name;
};
struct ConstantPlace {
  int64_t index = 0;
};
struct ScheduleBuffer {
  DType dtype = DType::f32;
  std::vector<Size> shape;
  std::variant<SlotPlace, StatePlace, ConstantPlace> place;
};

struct Step;
struct LaunchStep {
  int32_t kernel = 0;
  std::vector<BufferId> buffers;
  Size tasks;
  /** The user's lines that it computes, since equal kernels are one. Those of other steps are for traces. */
  std::vector<SpanRef> spans;
};
struct CopyStep {
  BufferId from = 0;
  BufferId to = 0;
  SpanRef span;
};
struct LoopStep {
  Size trips;
  BufferId index = 0;
  std::optional<BufferId> until;
  std::vector<Step> body;
};
struct PrintStep {
  BufferId buffer = 0;
  std::string label;
  SpanRef span;
};
struct AssertStep {
  BufferId buffer = 0;
  std::string message;
  SpanRef span;
};
struct Step {
  std::variant<LaunchStep, CopyStep, LoopStep, PrintStep, AssertStep> as;
};

struct Port {
  std::string name;
  TensorType type;
  BufferId buffer = 0;
};

struct Schedule {
  std::string entry;
  std::vector<DimDecl> dims;
  std::vector<Port> inputs;
  std::vector<Port> outputs;
  std::vector<std::string> reads;
  std::vector<std::string> writes;
  std::vector<ScheduleBuffer> buffers;
  std::vector<Step> steps;
  /** Bytes of the places that buffers share one after the other. */
  std::vector<Size> slots;
  SpanRef span;
};

// Procedures

using Slot = int64_t;

enum class ScalarUnary : uint8_t { neg, abs, logicalNot, floor, sqrt, exp, log, toI32, toF32 };
enum class ScalarBinary : uint8_t { add, sub, mul, div, mod, pow, max, min, eq, ne, lt, le, gt, ge, logicalAnd, logicalOr };

struct ScalarExpr {
  enum class Kind : uint8_t { constant, slot, unary, binary, select, listLength, listAt, listFind, tensorSize, seconds };
  Kind kind = Kind::constant;
  ScalarUnary unary = ScalarUnary::neg;
  ScalarBinary binary = ScalarBinary::add;
  /** Of a constant. */
  double value = 0;
  /** Of slot, list_* and tensor_size. */
  Slot slot = 0;
  /** Of tensor_size. */
  int64_t axis = 0;
  /** As many as the kind takes, in the order of the TypeScript fields. */
  std::vector<ScalarExpr> operands;
};

struct NumberPart {
  ScalarExpr number;
};
struct SlotPart {
  Slot slot = 0;
};
/** Parts that are joined. */
using TextExpr = std::vector<std::variant<std::string, SlotPart, NumberPart>>;

struct ProcedureStep;
struct SetStep {
  Slot slot = 0;
  ScalarExpr value;
};
struct TensorRef {
  Slot tensor = 0;
};
struct CallStep {
  std::string entry;
  std::vector<std::pair<std::string, std::variant<TensorRef, ScalarExpr>>> inputs;
  std::vector<std::pair<DimId, ScalarExpr>> sizes;
  std::vector<std::pair<std::string, Slot>> outputs;
  SpanRef span;
};
struct RepeatStep {
  ScalarExpr count;
  Slot index = 0;
  std::vector<ProcedureStep> body;
};
struct WhileStep {
  ScalarExpr condition;
  std::vector<ProcedureStep> body;
};
struct IfStep {
  ScalarExpr condition;
  std::vector<ProcedureStep> yes;
  std::vector<ProcedureStep> no;
};
struct LogStep {
  std::vector<std::pair<std::string, ScalarExpr>> values;
};
struct EmitStep {
  std::string name;
  std::variant<TextExpr, TensorRef, ScalarExpr> value;
};
struct WriteStep {
  TextExpr path;
  Slot tensor = 0;
  SpanRef span;
};
/** Names in the file, and the states that they are. */
using StateNames = std::vector<std::pair<std::string, std::string>>;
struct SaveStep {
  TextExpr path;
  StateNames states;
  SpanRef span;
};
struct LoadStep {
  TextExpr path;
  StateNames states;
  SpanRef span;
};
struct ReadStep {
  struct Tensor {
    std::string name;
    TensorType type;
    Slot slot = 0;
  };
  TextExpr path;
  std::vector<Tensor> tensors;
  SpanRef span;
};
struct PixelsStep {
  Slot picture = 0;
  DType dtype = DType::u8;
  std::optional<std::array<int64_t, 2>> resize;
  Slot slot = 0;
  SpanRef span;
};
struct ListNewStep {
  Slot list = 0;
  DType dtype = DType::f32;
};
struct ListPushStep {
  Slot list = 0;
  /** One number, or the elements of a tensor. */
  std::variant<ScalarExpr, TensorRef> value;
  /** Of a tensor: at most so many. */
  std::optional<ScalarExpr> count;
};
struct ListClearStep {
  Slot list = 0;
};
struct ListRangeStep {
  Slot list = 0;
  ScalarExpr start;
  ScalarExpr length;
  Slot slot = 0;
};
struct ProcedureStep {
  std::variant<SetStep, CallStep, RepeatStep, WhileStep, IfStep, LogStep, EmitStep, WriteStep, SaveStep, LoadStep, ReadStep, PixelsStep, ListNewStep, ListPushStep,
      ListClearStep, ListRangeStep>
      as;
};

struct ProcedureArg {
  enum class Kind : uint8_t { integer, real, flag, text, file, picture };
  std::string name;
  Kind kind = Kind::integer;
  std::string help;
  /** Without one the argument is required; a flag is then 0. */
  std::optional<std::variant<double, std::string>> init;
  /** What numbers an int or a real may be, both ends included. */
  double min = 0, max = 0;
  Slot slot = 0;
};

struct Procedure {
  std::string name;
  std::vector<ProcedureArg> args;
  int64_t slots = 0;
  std::vector<ProcedureStep> body;
};

// Programs

struct KernelParam {
  std::string name;
  DType dtype = DType::f32;
  std::vector<Size> shape;
  enum class Access : uint8_t { read, write, readwrite } access = Access::read;
};
struct KernelInfo {
  std::string name;
  std::vector<KernelParam> params;
  std::vector<DimDecl> dims;
  std::string summary;
};

/** The program's entries for one machine profile. */
struct Lowering {
  std::string machine;
  std::vector<KernelInfo> kernels;
  std::vector<Schedule> schedules;
};

struct StateDecl {
  std::string name;
  TensorType type;
  /** The schedule whose output `value` is its first value. */
  std::optional<std::string> init;
  SpanRef span;
};

struct ConstantInfo {
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
};

struct Program {
  std::string name;
  /** Of every dim that the program mentions, by DimId. */
  std::vector<std::string> dimNames;
  std::vector<DimDecl> dims;
  std::vector<StateDecl> states;
  std::vector<ConstantInfo> constants;
  std::vector<Procedure> procedures;
  std::vector<Lowering> lowerings;
};

/** `f32 [N, 3]`. */
std::string typeText(const TensorType& type, const std::vector<std::string>& dimNames);

}  // namespace sluice
