// Runs recorded cases on a device and says which of them it computes otherwise than the reference:
//
//   conformance FOLDER [--target vulkan | cuda[:device]] [--suite NAME] [--json FILE]
//
// The device, a line for each case that fails, and at the end the number that passed of each suite. Exit codes: 0 all passed, 1 some
// did not, or what was asked for is not there.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "conformance/cases.h"
#include "container/read.h"
#include "device/target.h"
#include "exec/machine.h"

namespace sluice {
namespace {

struct Options {
  std::string folder;
  std::string target;
  std::string suite;
  std::string json;
};
struct Count {
  int ran = 0;
  int passed = 0;
};

std::vector<DimValue> sizesOf(const Program& program, const Case& c) {
  std::vector<DimValue> sizes;
  for (const auto& [name, value] : c.sizes) {
    const auto found = std::find(program.dimNames.begin(), program.dimNames.end(), name);
    if (found != program.dimNames.end()) sizes.push_back({static_cast<DimId>(found - program.dimNames.begin()), value});
  }
  return sizes;
}

/** What the device makes otherwise; empty if nothing. */
std::string run(Machine& machine, const Case& c) {
  for (const GivenTensor& s : c.states) machine.setState(s.name, s.value);
  std::vector<NamedInput> inputs;
  for (const GivenTensor& i : c.inputs) inputs.push_back({i.name, &i.value});
  const size_t entry = machine.entry(c.entry);
  const std::vector<Placed>& outputs = machine.run(entry, inputs, sizesOf(machine.program(), c));
  for (const ExpectedTensor& e : c.outputs)
    if (const std::string wrong = difference(machine.toHost(outputs[machine.output(entry, e.name)]), e); !wrong.empty()) return wrong;
  for (const ExpectedTensor& e : c.updates)
    if (const std::string wrong = difference(machine.getState(e.name), e); !wrong.empty()) return "state " + wrong;
  return "";
}

class Suites {
 public:
  explicit Suites(Options options) : options_(std::move(options)) {}

  int run() {
    const std::string kind = options_.target.substr(0, options_.target.find(':'));
    for (const CaseGroup& group : readCases(options_.folder)) {
      const bool isAsked = options_.suite.empty() || group.suite == options_.suite;
      if (isAsked && std::find(group.targets.begin(), group.targets.end(), kind) != group.targets.end()) run(group);
    }
    if (counts_.empty()) throw Error({.code = "CASES002", .message = options_.folder + " has no cases for --target " + options_.target + (options_.suite.empty() ? "" : " in the suite " + options_.suite)});
    return report();
  }

 private:
  void run(const CaseGroup& group) {
    Count& count = counts_[group.suite];
    count.ran += static_cast<int>(group.cases.size());
    const auto failed = [&](const std::string& name, const std::string& why) { std::printf("FAILED %s: %s: %s\n", group.suite.c_str(), name.c_str(), why.c_str()); };
    try {
      const MappedFile& file = files_.emplace_back(options_.folder + "/" + group.container);
      const Container container = readContainer(file.bytes());
      const ModuleInfo& module = moduleFor(container.modules, options_.target);
      if (!device_) {
        device_ = openDevice(module, options_.target, {});
        std::printf("%s\n", device_->description().c_str());
      }
      Machine machine({.device = *device_, .container = container, .module = module, .dims = group.dims, .print = [](const std::string&) {}});
      for (const Case& c : group.cases) {
        try {
          const std::string wrong = sluice::run(machine, c);
          if (wrong.empty()) count.passed++;
          else failed(c.name, wrong);
        } catch (const Error& error) {
          failed(c.name, error.what());
        }
      }
    } catch (const Error& error) {
      if (!device_) throw;
      failed(group.container, error.what());
    }
    std::fflush(stdout);
  }

  int report() const {
    bool passed = true;
    nlohmann::json rows = nlohmann::json::array();
    for (const auto& [suite, count] : counts_) {
      std::printf("%s: %d of %d passed\n", suite.c_str(), count.passed, count.ran);
      rows.push_back({{"suite", suite}, {"device", device_->description()}, {"ran", count.ran}, {"passed", count.passed}});
      passed = passed && count.passed == count.ran;
    }
    if (!options_.json.empty()) {
      const std::string text = rows.dump() + "\n";
      const Bytes parts[] = {std::as_bytes(std::span(text))};
      replaceFile(options_.json, parts);
    }
    return passed ? 0 : 1;
  }

  Options options_;
  /** Constants may be used where they lie, as long as the device is open. */
  std::deque<MappedFile> files_;
  std::unique_ptr<Device> device_;
  std::map<std::string, Count> counts_;
};

}  // namespace
}  // namespace sluice

int main(int count, char** arguments) {
  sluice::Options options;
  CLI::App app("recorded cases on a device, against what the reference made of them");
  app.add_option("folder", options.folder, "with cases.json")->required();
  app.add_option("--target", options.target, "vulkan or cuda, with a device's number or a part of its name after a colon")->required();
  app.add_option("--suite", options.suite, "only this one");
  app.add_option("--json", options.json, "where to write the counts");
  CLI11_PARSE(app, count, arguments);
  try {
    return sluice::Suites(options).run();
  } catch (const std::exception& error) {
    std::fflush(stdout);
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
