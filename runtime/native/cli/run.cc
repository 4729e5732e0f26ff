#include "cli/run.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>

#include "base/text.h"
#include "cli/inputs.h"
#include "cli/progress.h"
#include "cli/states.h"
#include "cli/usage.h"
#include "device/target.h"
#include "exec/procedure.h"
#include "io/file-host.h"
#include "io/file.h"

namespace sluice {
namespace {

constexpr const char* SEED_STATE = "seed";

double milliseconds(std::chrono::steady_clock::time_point since) { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - since).count(); }

Error wrongKind(const Procedure& procedure, const ProcedureArg& arg, const std::string& found, const std::string& expected) {
  return Error({.code = "ARG003", .message = "argument `" + arg.name + "` of `" + procedure.name + "` has the wrong kind", .found = found, .expected = expected});
}

/** The flags in their slots; missing ones take their first value, and a required one is asked for by name. */
Arguments argumentsOf(const Procedure& procedure, const Given& given) {
  Arguments arguments;
  for (const ProcedureArg& arg : procedure.args) {
    const auto text = given.find(arg.name);
    ArgumentValue& value = arguments[arg.slot];
    if (text == given.end()) {
      if (arg.init) std::visit([&](const auto& init) { value = init; }, *arg.init);
      else if (arg.kind == ProcedureArg::Kind::flag) value = 0.0;
      else throw Error({.code = "ARG001", .message = "`" + procedure.name + "` needs an argument `" + arg.name + "`", .expected = arg.name + ": " + kindText(arg.kind) + (arg.help.empty() ? "" : ", " + arg.help)});
      continue;
    }
    switch (arg.kind) {
      case ProcedureArg::Kind::integer: case ProcedureArg::Kind::real: {
        const double number = numberOf("--" + arg.name, text->second);
        if (arg.kind == ProcedureArg::Kind::integer && number != std::floor(number)) throw wrongKind(procedure, arg, text->second, "an integer");
        if (number < arg.min || number > arg.max) {
          throw Error({.code = "ARG004", .message = "argument `" + arg.name + "` of `" + procedure.name + "` is out of bounds", .found = numberText(number),
              .expected = numberText(arg.min) + " … " + numberText(arg.max)});
        }
        value = number;
        break;
      }
      case ProcedureArg::Kind::flag: value = text->second == "false" || text->second == "0" ? 0.0 : 1.0; break;
      default: value = text->second;
    }
  }
  return arguments;
}

void runProcedureCommand(Machine& machine, const CommandLine& line) {
  const Arguments arguments = argumentsOf(*line.procedure, line.given);
  FileHost host;
  ProgressView view(line.json);
  cancelWhenInterrupted();
  bool finished = false;
  try {
    finished = runProcedure(*line.procedure, arguments, machine, host, view);
  } catch (...) {
    view.finish();
    throw;
  }
  view.finish();
  if (!finished) throw interruption();
}

std::vector<NamedInput> named(const Schedule& entry, const EntryInputs& inputs) {
  std::vector<NamedInput> all;
  for (size_t i = 0; i < inputs.values.size(); i++) all.push_back({entry.inputs[i].name, &inputs.values[i]});
  return all;
}

/** Times an entry on inputs that are there already: the best and the median of warm runs. */
void benchEntry(Machine& machine, const CommandLine& line, std::vector<DimValue> sizes) {
  const Schedule& entry = *line.entry;
  const EntryInputs inputs = inventInputs(machine, entry, line.given, sizes);
  const auto all = named(entry, inputs);
  const size_t index = machine.entry(entry.entry);
  constexpr int WARM = 3;
  for (int i = 0; i < WARM; i++) machine.run(index, all, sizes);
  cancelWhenInterrupted();
  std::vector<double> times;
  for (int i = 0; i < line.runs && !wasInterrupted(); i++) {
    const auto start = std::chrono::steady_clock::now();
    machine.run(index, all, sizes);
    times.push_back(milliseconds(start));
  }
  std::sort(times.begin(), times.end());
  if (times.empty()) throw interruption();
  const double median = times[times.size() / 2];
  std::vector<std::string> shapes;
  for (size_t i = 0; i < inputs.values.size(); i++) shapes.push_back(entry.inputs[i].name + " " + std::string(name(inputs.values[i].dtype)) + " " + shapeText(inputs.values[i].shape));
  if (line.json) std::printf("{\"entry\":%s,\"best\":%.4f,\"median\":%.4f,\"unit\":\"ms\",\"runs\":%zu,\"threads\":%d}\n", jsonString(entry.entry).c_str(), times[0], median, times.size(), line.threads);
  else std::printf("%s(%s): best %.3f ms, median %.3f ms of %zu runs\n", entry.entry.c_str(), joined(shapes).c_str(), times[0], median, times.size());
}

void runEntryCommand(Machine& machine, const CommandLine& line, const std::vector<DimValue>& sizes) {
  const Schedule& entry = *line.entry;
  const EntryInputs inputs = readInputs(machine, entry, line.given);
  const size_t index = machine.entry(entry.entry);
  const auto start = std::chrono::steady_clock::now();
  const std::vector<Placed>& placed = machine.run(index, named(entry, inputs), sizes);
  std::vector<NamedOutput> outputs;
  for (size_t i = 0; i < placed.size(); i++) outputs.push_back({entry.outputs[i].name, machine.toHost(placed[i])});
  const double took = milliseconds(start);
  showOutputs(outputs, line.out, inputs, line.json);
  std::fflush(stdout);
  if (!line.json) std::fprintf(stderr, "took %.1f ms\n", took);
}

}  // namespace

void runCommand(const Container& container, const CommandLine& line) {
  const Program& program = container.program;
  // A dim that is bound at each call is a size; the rest are bound now, or refused by the machine.
  std::vector<std::pair<std::string, int64_t>> instance;
  std::vector<DimValue> sizes;
  for (const auto& [name, value] : line.dims) {
    const DimDecl* decl = line.entry == nullptr ? nullptr : dimNamed(program, *line.entry, name);
    if (decl != nullptr && decl->binding == DimDecl::Binding::call) sizes.push_back({decl->dim, value});
    else instance.emplace_back(name, value);
  }
  Trace trace;
  const ModuleInfo& module = moduleFor(container.modules, line.target);
  const auto device = openDevice(module, line.target, {.threads = line.threads});
  const auto print = [&](const std::string& text) {
    std::fprintf(line.json ? stderr : stdout, "%s\n", text.c_str());
    // What runs on may take minutes.
    std::fflush(stdout);
  };
  Machine machine({.device = *device, .container = container, .module = module, .dims = instance, .checkNan = line.checkNan, .print = print, .trace = line.trace.empty() ? nullptr : &trace});
  if (!line.json) std::fprintf(stderr, "%s\n", device->description().c_str());

  if (line.seed && std::any_of(program.states.begin(), program.states.end(), [](const StateDecl& s) { return s.name == SEED_STATE; })) {
    const Placed& type = machine.stateType(SEED_STATE);
    machine.setState(SEED_STATE, tensorOf(type.dtype, {2}, {static_cast<double>(*line.seed), 0}));
  }
  if (!line.states.empty() || !line.renamed.empty()) {
    const std::vector<std::string> loaded = loadStates(machine, line.states, line.renamed, line.partial);
    if (!line.json) std::fprintf(stderr, "%s\n", joined(loaded, "\n").c_str());
  }

  const auto writeTrace = [&] {
    if (line.trace.empty()) return;
    const std::string json = trace.json();
    const Bytes parts[] = {std::as_bytes(std::span(json))};
    replaceFile(line.trace, parts);
  };
  try {
    if (line.procedure != nullptr) runProcedureCommand(machine, line);
    else if (line.bench) benchEntry(machine, line, sizes);
    else runEntryCommand(machine, line, sizes);
  } catch (...) {
    // A run that failed has a trace too, but what is said is why it failed.
    try {
      writeTrace();
    } catch (const Error&) {
    }
    throw;
  }
  writeTrace();
}

}  // namespace sluice
