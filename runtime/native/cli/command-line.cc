#include "cli/command-line.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>
#include <optional>
#include <set>

#include "base/cgroup.h"
#include "base/text.h"
#include "cli/usage.h"

namespace sluice {
namespace {

constexpr int DEFAULT_RUNS = 20;

/** `a=1` as a pair. */
std::pair<std::string, std::string> assignment(const std::string& option, const std::string& text) {
  const size_t at = text.find('=');
  if (at == std::string::npos || at == 0) throw Error({.code = "CLI001", .message = option + " takes name=value", .found = text});
  return {text.substr(0, at), text.substr(at + 1)};
}

int64_t integerOf(const std::string& what, const std::string& text, double least, double most) {
  const double value = numberOf(what, text);
  if (value != std::floor(value) || value < least || value > most) {
    throw Error({.code = "CLI002", .message = what + " takes an integer from " + numberText(least) + " to " + numberText(most), .found = text});
  }
  return static_cast<int64_t>(value);
}

/** The options as texts; what they mean is read once they are all there. */
struct Texts {
  std::vector<std::string> rename;
  std::vector<std::string> dims;
  std::optional<std::string> seed;
  std::optional<std::string> threads;
  std::optional<std::string> check;
  std::optional<std::string> runs;
};

/** The runner's options for one command. One whose name the program has taken goes by `--run-` and its name. */
void addOptions(CLI::App& command, bool isEntry, CommandLine& line, Texts& texts) {
  const auto name = [&](const std::string& plain) { return (command.get_option_no_throw("--" + plain) == nullptr ? "--" : "--run-") + plain; };
  const std::string group = "Options";
  if (isEntry) {
    command.add_option(name("out"), line.out, "a file for the only output, or a folder: pictures as .png, other tensors as .npy")->type_name("<path>")->group(group);
    command.add_flag(name("bench"), line.bench, "time it, on random inputs where none are given")->group(group);
    command.add_option(name("runs"), texts.runs, "of --bench (" + std::to_string(DEFAULT_RUNS) + ")")->type_name("<n>")->group(group);
  }
  command.add_option(name("states"), line.states, "states to start from, .safetensors, perhaps as module=file; a module may lie in several")->type_name("<file>")->take_all()->allow_extra_args(false)->group(group);
  command.add_option(name("rename"), texts.rename, "the state that a tensor of such a file is: name=state")->type_name("<name=state>")->take_all()->allow_extra_args(false)->group(group);
  command.add_flag(name("partial"), line.partial, "a part of a module's states is meant")->group(group);
  command.add_option(name("seed"), texts.seed, "of the random streams")->type_name("<n>")->group(group);
  command.add_option(name("target"), line.target, "cpu, vulkan or cuda; of these perhaps with a device's number or a part of its name: cuda:0")->type_name("<target>")->group(group);
  command.add_option(name("threads"), texts.threads, "at most, from 1 to " + std::to_string(MOST_THREADS) + "; as many as this process may run at once by default")->type_name("<n>")->group(group);
  command.add_option(name("dim"), texts.dims, "a dim's value: name=value")->type_name("<name=value>")->take_all()->allow_extra_args(false)->group(group);
  command.add_option(name("check"), texts.check, "stop at the first NaN and name its line")->type_name("nan")->group(group);
  command.add_flag(name("json"), line.json, "one JSON object a line")->group(group);
  command.add_option(name("trace"), line.trace, "where to write what happened when, for Perfetto or chrome://tracing")->type_name("<file>")->group(group);
}

/** CLI11's refusals in our words. */
[[noreturn]] void refuse(const CLI::ParseError& error) {
  std::string text = error.what();
  std::replace(text.begin(), text.end(), '\n', ' ');
  throw Error({.code = "CLI004", .message = "the command line is not understood", .found = text, .hint = "--help lists what there is"});
}

/** A flag that the command does not have. */
[[noreturn]] void refuseStranger(const CLI::App& command, const Schedule* entry, const Procedure* procedure) {
  const std::vector<std::string> strangers = command.remaining();
  const auto flag = std::find_if(strangers.begin(), strangers.end(), [](const std::string& s) { return s.starts_with("--"); });
  const std::string found = flag == strangers.end() ? strangers.at(0) : flag->substr(2, flag->find('=') - 2);
  std::vector<std::string> known;
  if (procedure != nullptr)
    for (const ProcedureArg& a : procedure->args) known.push_back(a.name);
  else
    for (const Port& i : entry->inputs) known.push_back(i.name);
  const bool isProcedure = procedure != nullptr;
  throw Error({.code = isProcedure ? "ARG002" : "INPUT002", .message = "`" + command.get_name() + "` has no " + (isProcedure ? "argument" : "input") + " `" + found + "`", .found = found,
               .expected = known.empty() ? "none" : joined(known), .hint = "--help lists all options too"});
}

/** A dim's value: within its bounds, or refused with them. */
int64_t dimValue(const Program& program, const Schedule* entry, const std::string& dim, const std::string& text) {
  const double value = numberOf("dim " + dim, text);
  const auto find = [&](const std::vector<DimDecl>& decls) {
    const auto found = std::find_if(decls.begin(), decls.end(), [&](const DimDecl& d) { return program.dimNames[static_cast<size_t>(d.dim)] == dim; });
    return found == decls.end() ? nullptr : &*found;
  };
  const DimDecl* const ofEntry = entry == nullptr ? nullptr : find(entry->dims);
  const DimDecl* const decl = ofEntry != nullptr ? ofEntry : find(program.dims);
  if (decl == nullptr) return integerOf("dim " + dim, text, 0, 1e15);
  const bool isWhole = value == std::floor(value) && std::fabs(value) <= static_cast<double>(LARGEST_SIZE);
  if (isWhole && value >= static_cast<double>(decl->min) && value <= static_cast<double>(decl->max) && static_cast<int64_t>(value) % decl->multipleOf == 0) return static_cast<int64_t>(value);
  throw Error({.code = "DIM001", .message = "dim " + dim + " of `" + (ofEntry != nullptr ? entry->entry : program.name) + "` is out of bounds", .found = dim + " = " + numberText(value),
      .expected = dim + ": " + boundsText(*decl)});
}

}  // namespace

double numberOf(const std::string& what, const std::string& text) {
  // What strtod takes besides: spaces, hexadecimal, names of NaN and of infinity.
  const bool isWord = text == "Infinity" || text == "-Infinity";
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  if (text.empty() || *end != '\0' || (!isWord && text.find_first_not_of("0123456789+-.eE") != std::string::npos)) {
    throw Error({.code = "CLI002", .message = what + " is no number", .found = text});
  }
  return value;
}

std::vector<const Schedule*> entriesOf(const Program& program) {
  std::set<std::string> inits;
  for (const StateDecl& s : program.states)
    if (s.init) inits.insert(*s.init);
  std::vector<const Schedule*> entries;
  for (const Schedule& s : program.lowerings[0].schedules)
    if (!inits.contains(s.entry)) entries.push_back(&s);
  return entries;
}

CommandLine parseCommandLine(const Container& container, int count, const char* const* arguments) {
  const Program& program = container.program;
  const auto entries = entriesOf(program);
  const std::string command = arguments[0];
  CommandLine line;
  Texts texts;
  CLI::App app;
  app.set_help_flag();
  bool wantsHelp = false;
  app.add_flag("-h,--help", wantsHelp);
  app.require_subcommand(0, 1);
  std::map<const CLI::App*, std::map<std::string, CLI::Option*>> flags;
  std::map<const CLI::App*, std::pair<const Schedule*, const Procedure*>> commands;
  const auto add = [&](const std::string& name, const Schedule* entry, const Procedure* procedure) {
    CLI::App* sub = app.add_subcommand(name, (entry != nullptr ? "an entry of " : "a procedure of ") + program.name);
    sub->set_help_flag("--help", "this text");
    commands[sub] = {entry, procedure};
    return sub;
  };
  const std::string own = "Flags of the program";
  for (const Procedure& p : program.procedures) {
    CLI::App* sub = add(p.name, nullptr, &p);
    for (const ProcedureArg& a : p.args) {
      std::string& value = line.given[p.name + " " + a.name];
      const std::string help = a.help + defaultText(a);
      CLI::Option* option = a.kind == ProcedureArg::Kind::flag ? sub->add_flag("--" + a.name + "{true}", value, help) : sub->add_option("--" + a.name, value, help)->type_name("<" + kindText(a.kind) + ">");
      flags[sub][a.name] = option->group(own);
    }
    addOptions(*sub, false, line, texts);
  }
  for (const Schedule* e : entries) {
    CLI::App* sub = add(e->entry, e, nullptr);
    for (const Port& i : e->inputs) {
      std::string& value = line.given[e->entry + " " + i.name];
      flags[sub][i.name] = sub->add_option("--" + i.name, value, "a picture, .npy, .safetensors or a number")->type_name("<" + typeText(i.type, program.dimNames) + ">")->group(own);
    }
    addOptions(*sub, true, line, texts);
  }

  // The first word that is no option is the command.
  const std::string first = count > 1 ? arguments[1] : "";
  if (!first.empty() && !first.starts_with("-") && std::none_of(commands.begin(), commands.end(), [&](const auto& c) { return c.first->get_name() == first; })) {
    std::vector<std::string> names;
    for (const Procedure& p : program.procedures) names.push_back(p.name);
    for (const Schedule* e : entries) names.push_back(e->entry);
    throw Error({.code = "ENTRY001", .message = command + " has no entry or procedure `" + first + "`", .found = first, .expected = names.empty() ? "none" : "one of " + joined(names)});
  }
  try {
    app.parse(count, const_cast<char**>(arguments));
  } catch (const CLI::CallForHelp&) {
    const CLI::App* sub = app.get_subcommands().at(0);
    line.text = sub->help(command);
    return line;
  } catch (const CLI::ExtrasError& error) {
    if (app.get_subcommands().empty()) refuse(error);
    const CLI::App* sub = app.get_subcommands()[0];
    refuseStranger(*sub, commands[sub].first, commands[sub].second);
  } catch (const CLI::ParseError& error) {
    refuse(error);
  }
  if (wantsHelp || app.get_subcommands().empty()) {
    line.text = usageText(command, container);
    return line;
  }

  const CLI::App* sub = app.get_subcommands()[0];
  std::tie(line.entry, line.procedure) = commands[sub];
  Given given;
  for (const auto& [name, option] : flags[sub])
    if (option->count() > 0) given[name] = line.given[sub->get_name() + " " + name];
  line.given = std::move(given);
  for (const std::string& text : texts.rename) line.renamed.push_back(assignment("--rename", text));
  for (const std::string& text : texts.dims) {
    const auto [name, value] = assignment("--dim", text);
    line.dims.emplace_back(name, dimValue(program, line.entry, name, value));
  }
  if (texts.seed) {
    const double seed = numberOf("--seed", *texts.seed);
    if (seed != std::floor(seed) || seed < 0 || seed > std::numeric_limits<uint32_t>::max()) throw Error({.code = "SEED001", .message = "a seed is an integer from 0 to 2^32 - 1", .found = *texts.seed});
    line.seed = static_cast<uint32_t>(seed);
  }
  line.threads = texts.threads ? static_cast<int>(integerOf("--threads", *texts.threads, 1, MOST_THREADS)) : usableThreads();
  line.runs = texts.runs ? static_cast<int>(integerOf("--runs", *texts.runs, 1, 1e9)) : DEFAULT_RUNS;
  line.checkNan = texts.check == "nan";
  if (texts.check && !line.checkNan) throw Error({.code = "CLI004", .message = "--check checks for one thing", .found = *texts.check, .expected = "nan"});
  return line;
}

}  // namespace sluice
