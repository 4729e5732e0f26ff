#include "cli/states.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "io/tensor-files.h"

namespace sluice {
namespace {

std::string within(const std::string& module, const std::string& name) { return module.empty() ? name : module + "." + name; }
int64_t depth(const std::string& module) { return module.empty() ? 0 : 1 + std::count(module.begin(), module.end(), '.'); }

/** The module whose states the names are: "" if they are whole names. Of several the outermost. */
std::string moduleOf(const Program& program, const std::string& path, const std::vector<std::string>& names) {
  std::vector<std::string> states;
  for (const StateDecl& s : program.states) states.push_back(s.name);
  const auto has = [&](const std::string& name) { return std::find(states.begin(), states.end(), name) != states.end(); };
  std::set<std::string> fitting;
  for (const std::string& state : states) {
    if (names.empty() || (state != names[0] && !state.ends_with("." + names[0]))) continue;
    const std::string module = state == names[0] ? "" : state.substr(0, state.size() - names[0].size() - 1);
    if (std::all_of(names.begin(), names.end(), [&](const std::string& n) { return has(within(module, n)); })) fitting.insert(module);
  }
  int64_t least = INT64_MAX;
  for (const std::string& module : fitting) least = std::min(least, depth(module));
  std::vector<std::string> outermost;
  std::copy_if(fitting.begin(), fitting.end(), std::back_inserter(outermost), [&](const std::string& m) { return depth(m) == least; });
  if (outermost.size() == 1) return outermost[0];
  states.resize(std::min<size_t>(states.size(), 6));
  throw Error({.code = "STATE105", .message = path + " fits " + (outermost.empty() ? "no module" : "several modules") + " of `" + program.name + "`",
               .found = joined(std::vector<std::string>(names.begin(), names.begin() + static_cast<int64_t>(std::min<size_t>(names.size(), 4)))),
               .expected = outermost.empty() ? "names of " + joined(states) : "one of " + joined(outermost), .hint = "name the module: --states net=file.safetensors; or single tensors: --rename name=state"});
}

}  // namespace

std::string loadStates(Machine& machine, const std::string& given, const Renamed& renamed) {
  const Program& program = machine.program();
  const size_t at = given.find('=');
  const std::string path = at == std::string::npos ? given : given.substr(at + 1);
  const Safetensors file(path);
  // A tensor that is renamed has its state's whole name; the others are a module's.
  std::vector<std::pair<std::string, std::string>> targets;
  std::vector<std::string> plain;
  for (const std::string& name : file.names()) {
    const auto rename = std::find_if(renamed.begin(), renamed.end(), [&](const auto& r) { return r.first == name; });
    targets.emplace_back(name, rename == renamed.end() ? "" : rename->second);
    if (rename == renamed.end()) plain.push_back(name);
  }
  const std::string module = at != std::string::npos ? given.substr(0, at) : plain.empty() ? "" : moduleOf(program, path, plain);
  std::vector<std::string> extra;
  std::vector<WantedTensor> wanted;
  for (auto& [tensor, state] : targets) {
    if (state.empty()) state = within(module, tensor);
    const bool isState = std::any_of(program.states.begin(), program.states.end(), [&, &name = state](const StateDecl& s) { return s.name == name; });
    if (!isState) extra.push_back("`" + tensor + "` for `" + state + "`");
    else wanted.push_back({tensor, machine.stateType(state).dtype, machine.stateType(state).shape});
  }
  if (!extra.empty()) throw Error({.code = "LOAD001", .message = path + ": the file has tensors that are no states of `" + program.name + "`", .found = joined(extra)});
  // All of them fit before the first is set.
  const std::vector<HostTensor> tensors = wantedTensors(TensorFile(path), wanted, Strangers::allowed);
  for (size_t i = 0; i < tensors.size(); i++) machine.setState(targets[i].second, tensors[i]);
  return (module.empty() ? "states" : module) + " from " + path;
}

}  // namespace sluice
