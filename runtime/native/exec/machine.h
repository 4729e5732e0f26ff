// A program in a device's memory: constants, states and workspace, and entries that run there. States are allocated when
// something that is run first needs them and get their first value by running their init; an entry that fails leaves the
// states that it writes unusable until they are given a value again. One thread at a time. A call whose sizes came before
// allocates nothing but the outputs that are kept.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <variant>
#include <vector>

#include "container/read.h"
#include "device/device.h"
#include "exec/bind.h"
#include "exec/states.h"

namespace sluice {

/** A tensor kept outside the workspace until it is released; only what this machine made. */
using Handle = Placed;

/** Borrowed for the length of a call. A number becomes a tensor without axes, of the dtype that is asked for. */
using Input = std::variant<const Handle*, const HostTensor*, double>;
struct NamedInput {
  std::string_view name;
  Input value;
};
struct DimValue {
  DimId dim = 0;
  int64_t value = 0;
};

struct MachineOptions {
  Device& device;
  /** Outlives the machine, with the bytes that it views. */
  const Container& container;
  const ModuleInfo& module;
  /** Of the dims that are bound when a program is loaded. */
  std::vector<std::pair<std::string, int64_t>> dims;
  bool checkNan = false;
  std::function<void(const std::string&)> print;
  /** Null: nothing is recorded. */
  Trace* trace = nullptr;
};

class Machine {
 public:
  explicit Machine(MachineOptions options);
  ~Machine();
  Machine(const Machine&) = delete;
  Machine& operator=(const Machine&) = delete;

  const Program& program() const { return options_.container.program; }
  const Lowering& lowering() const { return lowering_; }
  const DimValues& dims() const { return dims_; }
  Trace* trace() const { return options_.trace; }

  /** By the name of the entry. Throws ENTRY001. */
  size_t entry(std::string_view name) const;
  /** Runs it; dims that inputs bind need not be in `sizes`. The outputs, in the order of its ports, lie there until the next run. `caller`: the line of a procedure. */
  const std::vector<Placed>& run(size_t entry, std::span<const NamedInput> inputs, std::span<const DimValue> sizes, const SpanRef& caller = {});
  /** The position of an output among an entry's. Throws OUTPUT001. */
  size_t output(size_t entry, std::string_view name) const;

  /** Copies a result to where it stays until it is released: the handle's own memory if it has that size. */
  void keep(const Placed& placed, Handle& into);
  Handle fromHost(const HostTensor& tensor);
  void release(const Handle& handle);
  HostTensor toHost(const Placed& placed) const;
  double number(const Placed& scalar) const;

  HostTensor getState(std::string_view name);
  /** The dtype, and the shape with every size bound. */
  const Placed& stateType(std::string_view name);
  void setState(std::string_view name, const HostTensor& value);

 private:
  struct Binding {
    DimValues values;
    uint64_t arena = 0;
    Bound bound;
    std::unique_ptr<Tape> tape;
  };
  struct Entry {
    /** By recency: the last used first. */
    std::vector<std::unique_ptr<Binding>> bindings;
    /** States by number. */
    std::vector<size_t> reads;
    std::vector<size_t> writes;
  };
  class Performer;

  Binding& bind(size_t entry);
  void bindDims(const Schedule& schedule, std::span<const NamedInput> inputs, std::span<const DimValue> sizes);
  Range reserveArena(const Schedule& schedule, int64_t bytes);
  /** Once nothing that is queued uses it. */
  void free(Range range);
  void put(const Schedule& schedule, size_t input, const Placed& to, std::span<const NamedInput> inputs);
  void upload(const HostTensor& tensor, Range to);
  Placed& cell(size_t state);
  void prepareState(size_t state, const Schedule* reader);
  void refuseNan(const Schedule& schedule, const NanEffect& effect) const;

  MachineOptions options_;
  const Lowering& lowering_;
  Stream& stream_;
  std::unique_ptr<Module> module_;
  StateTable states_;
  /** By state; without bytes until it is needed. */
  std::vector<std::optional<Placed>> cells_;
  /** By state: its first value is being made. */
  std::vector<bool> isPreparing_;
  std::vector<Range> constants_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, size_t> byName_;
  DimValues dims_;
  /** Of the call that is being made. */
  DimValues callDims_;
  Range arena_;
};

}  // namespace sluice
