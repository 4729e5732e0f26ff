// What executes programs: memory, kernels, and streams of ordered work. The executor knows devices through this alone.
// An entry is bound once for the values of its dims and recorded as a tape; running it again costs no more than the walk.
#pragma once
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/trace.h"

namespace sluice {

/** A part of a device's memory. The address is what kernels get, and address + offset is an address too. */
struct Range {
  uint64_t address = 0;
  int64_t bytes = 0;
};

struct Command;

struct Operand {
  Range range;
  bool isWritten = false;
};
/** One kernel over tasks 0 … tasks - 1. */
struct LaunchCommand {
  int32_t kernel = 0;
  std::vector<Operand> operands;
  std::vector<int64_t> dims;
  int64_t tasks = 0;
  /** Bytes of local memory that each worker needs beside its registers. */
  int64_t scratch = 0;
  LabelId label = NO_LABEL;
};
/** Ranges of equal length that do not overlap. */
struct CopyCommand {
  Range from;
  Range to;
  LabelId label = NO_LABEL;
};
/** `index` (i32) counts 0 … trips - 1. A byte other than 0 in `until` after the body ends the loop. */
struct LoopCommand {
  int64_t trips = 0;
  Range index;
  std::optional<Range> until;
  std::vector<Command> body;
};
/** The host acts here: everything before it is done, nothing after it has begun. */
struct EffectCommand {
  int32_t effect = 0;
};
struct Command {
  std::variant<LaunchCommand, CopyCommand, LoopCommand, EffectCommand> as;
};

/** The host's side of a tape. What it throws ends the run there, and `run` throws it on. */
class Effects {
 public:
  virtual ~Effects() = default;
  virtual void perform(int32_t effect) = 0;
};

/** Kernels that were loaded. */
class Module {
 public:
  virtual ~Module() = default;
};
/** Commands in the form that a device runs. Holds addresses: it is valid while every range in it is. */
class Tape {
 public:
  virtual ~Tape() = default;
};

/** A point on a stream's own line of time; it is reached when everything that was queued before it is done. */
using Moment = uint64_t;

/**
 * Work in order. Everything is queued and may still be under way when the call returns; memory that it uses, on the device
 * and on the host, stays as it is until a moment recorded after it is reached. A device whose streams do their work at
 * once is one where every moment has been reached.
 */
class Stream {
 public:
  virtual ~Stream() = default;
  /** Runs a tape. Effects are performed on this thread, before the call returns if there are any. One tape at a time. */
  virtual void run(Tape& tape, Effects& effects, Trace* trace) = 0;
  virtual void copy(Range from, Range to) = 0;
  /** As many bytes as the range has. */
  virtual void upload(const std::byte* from, Range to) = 0;
  virtual void download(Range from, std::byte* to) = 0;
  virtual Moment record() = 0;
  /** What is queued from now on begins after that moment of the other stream. */
  virtual void after(const Stream& other, Moment moment) = 0;
  virtual bool reached(Moment moment) const = 0;
  /** Returns once it is reached; throws Error if the device has failed. */
  virtual void await(Moment moment) = 0;
};

/** The kernels of a program as a device's own code, k0, k1, … */
struct ModuleImage {
  std::span<const std::byte> bytes;
  int32_t kernels = 0;
};

enum class StreamKind : uint8_t { compute, upload, download };

class Device {
 public:
  virtual ~Device() = default;
  /** For people: "cpu, 2 threads, v3". */
  virtual std::string description() const = 0;
  /** So many bytes at a multiple of 64; what they hold is undefined. Throws MEM001, "not enough memory for <purpose>". */
  virtual Range allocate(int64_t bytes, std::string_view purpose) = 0;
  /** Of what was allocated, whole, when nothing that is queued uses it any more. An address of 0 is no memory. */
  virtual void release(Range range) = 0;
  /** Bytes that kernels read and nobody writes. They may be used where they lie, so they outlive the device. */
  virtual Range share(std::span<const std::byte> bytes, std::string_view purpose) = 0;
  /** Throws Error where the code does not run here. */
  virtual std::unique_ptr<Module> load(const ModuleImage& image) = 0;
  /** The module outlives the tape. */
  virtual std::unique_ptr<Tape> record(const Module& module, const std::vector<Command>& commands) = 0;
  /** Devices that have fewer give the same one several times. */
  virtual Stream& stream(StreamKind kind) = 0;
};

}  // namespace sluice
