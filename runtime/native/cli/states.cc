#include "cli/states.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "base/names.h"
#include "base/text.h"
#include "io/tensor-files.h"

namespace sluice {
namespace {

struct Opened {
  std::string path;
  /** Of `module=file`. */
  std::optional<std::string> prefix;
  std::vector<std::string> names;
};

/** One file and the states that its tensors are. */
struct Source {
  std::string path;
  /** The module whose states the file's names are; "" if they are whole names. */
  std::string module;
  /** Names in the file and of states. */
  Renamed states;
};

std::string within(const std::string& module, const std::string& name) { return module.empty() ? name : module + "." + name; }
int64_t depth(const std::string& module) { return module.empty() ? 0 : 1 + std::count(module.begin(), module.end(), '.'); }
std::string quoted(const std::string& name) { return "`" + name + "`"; }

std::vector<std::string> statesOf(const Program& program) {
  std::vector<std::string> states;
  for (const StateDecl& s : program.states) states.push_back(s.name);
  return states;
}

/** The module whose states the names are: "" if they are whole names. Of several the outermost. */
std::string moduleOf(const Program& program, const std::string& path, const std::vector<std::string>& names) {
  const std::vector<std::string> states = statesOf(program);
  const std::set<std::string> known(states.begin(), states.end());
  std::vector<std::string> fitting;
  for (const std::string& state : states) {
    if (state != names[0] && !state.ends_with("." + names[0])) continue;
    const std::string module = state == names[0] ? "" : state.substr(0, state.size() - names[0].size() - 1);
    if (std::all_of(names.begin(), names.end(), [&](const std::string& n) { return known.contains(within(module, n)); })) fitting.push_back(module);
  }
  int64_t least = INT64_MAX;
  for (const std::string& module : fitting) least = std::min(least, depth(module));
  std::vector<std::string> outermost;
  std::copy_if(fitting.begin(), fitting.end(), std::back_inserter(outermost), [&](const std::string& m) { return depth(m) == least && std::find(outermost.begin(), outermost.end(), m) == outermost.end(); });
  if (outermost.size() == 1) return outermost[0];
  throw Error({.code = "STATE105", .message = path + " fits " + (outermost.empty() ? "no module" : "several modules") + " of `" + program.name + "`",
               .found = joined(std::vector<std::string>(names.begin(), names.begin() + static_cast<int64_t>(std::min<size_t>(names.size(), 4)))),
               .expected = outermost.empty() ? "names of " + joined(nearestNames(names[0], states, 6)) : "one of " + joined(outermost), .hint = "name the module: --states net=file.safetensors; or single tensors: --rename name=state"});
}

Opened openedFile(const std::string& given) {
  const size_t at = given.find('=');
  const std::string path = at == std::string::npos ? given : given.substr(at + 1);
  return {path, at == std::string::npos ? std::nullopt : std::optional(given.substr(0, at)), Safetensors(path).names()};
}

Source sourceOf(const Program& program, const Opened& file, const Renamed& renamed) {
  Source source{file.path, "", {}};
  // A tensor that is renamed has its state's whole name; the others are a module's.
  std::vector<std::string> plain;
  for (const std::string& name : file.names) {
    const auto rename = std::find_if(renamed.begin(), renamed.end(), [&](const auto& r) { return r.first == name; });
    source.states.emplace_back(name, rename == renamed.end() ? "" : rename->second);
    if (rename == renamed.end()) plain.push_back(name);
  }
  source.module = file.prefix ? *file.prefix : plain.empty() ? "" : moduleOf(program, source.path, plain);
  const std::vector<std::string> known = statesOf(program);
  const std::set<std::string> states(known.begin(), known.end());
  std::vector<std::string> extra;
  std::string first;
  for (auto& [tensor, state] : source.states) {
    if (state.empty()) state = within(source.module, tensor);
    if (states.contains(state)) continue;
    if (extra.empty()) first = state;
    extra.push_back(quoted(tensor) + " for " + quoted(state));
  }
  if (!extra.empty()) {
    throw Error({.code = "LOAD001", .message = source.path + ": the file has tensors that are no states of `" + program.name + "`", .found = listed("", extra), .expected = nearestText(first, known)});
  }
  return source;
}

template <typename Files>
std::string pathsOf(const Files& files) {
  std::vector<std::string> paths;
  for (const auto& file : files) paths.push_back(file.path);
  return joined(paths);
}

void refuseUnusedNames(const std::vector<Opened>& files, const Renamed& renamed) {
  std::vector<std::string> names;
  for (const Opened& file : files) names.insert(names.end(), file.names.begin(), file.names.end());
  for (const auto& [tensor, state] : renamed) {
    if (std::find(names.begin(), names.end(), tensor) != names.end()) continue;
    throw Error({.code = "LOAD002", .message = "--rename " + tensor + "=" + state + " names no tensor of " + (files.empty() ? "a file, since there is none" : pathsOf(files)), .found = tensor, .expected = nearestText(tensor, names)});
  }
}

/** A module that a file names, or one of whose states it does, is there as a whole. */
void refuseParts(const Program& program, const std::vector<Source>& sources) {
  std::set<std::string> loaded;
  std::vector<std::string> modules;
  const auto touch = [&](const std::string& module) {
    if (std::find(modules.begin(), modules.end(), module) == modules.end()) modules.push_back(module);
  };
  for (const Source& s : sources) {
    for (const auto& [_, state] : s.states) {
      loaded.insert(state);
      touch(s.module.empty() ? state.substr(0, state.find('.')) : s.module);
    }
  }
  for (const std::string& module : modules) {
    std::vector<std::string> missing;
    for (const std::string& state : statesOf(program))
      if ((state == module || state.starts_with(module + ".")) && !loaded.contains(state)) missing.push_back(quoted(state));
    if (missing.empty()) continue;
    throw Error({.code = "LOAD004", .message = pathsOf(sources) + ": only a part of " + quoted(module) + " is there", .found = listed("missing", missing),
                 .hint = "--partial says that a part is meant; what is missing keeps its first value"});
  }
}

}  // namespace

std::vector<std::string> loadStates(Machine& machine, const std::vector<std::string>& given, const Renamed& renamed, bool isPartial) {
  std::vector<Opened> files;
  for (const std::string& text : given) files.push_back(openedFile(text));
  refuseUnusedNames(files, renamed);
  std::vector<Source> sources;
  for (const Opened& file : files) sources.push_back(sourceOf(machine.program(), file, renamed));
  if (!isPartial) refuseParts(machine.program(), sources);
  // All of them fit before the first is set.
  std::map<std::string, HostTensor> found;
  std::vector<std::string> said;
  for (const Source& source : sources) {
    std::vector<WantedTensor> wanted;
    for (const auto& [tensor, state] : source.states) wanted.push_back({tensor, machine.stateType(state).dtype, machine.stateType(state).shape});
    std::vector<HostTensor> tensors = wantedTensors(TensorFile(source.path), wanted, Strangers::allowed);
    for (size_t i = 0; i < tensors.size(); i++) {
      const auto& [tensor, state] = source.states[i];
      if (!found.emplace(state, std::move(tensors[i])).second) throw Error({.code = "LOAD003", .message = source.path + ": state `" + state + "` is given twice", .found = quoted(tensor)});
    }
    said.push_back((source.module.empty() ? "states" : source.module) + " from " + source.path);
  }
  for (const auto& [state, tensor] : found) machine.setState(state, tensor);
  return said;
}

}  // namespace sluice
