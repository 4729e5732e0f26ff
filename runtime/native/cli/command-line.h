// What the command line of an executable asks for. Its commands are the program's own: a subcommand for each entry and each
// procedure, whose inputs and arguments are flags; the runner's own options stand beside them.
#pragma once
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "container/read.h"

namespace sluice {

/** A flag of the program's: what was given for an input or an argument. */
using Given = std::map<std::string, std::string>;

struct CommandLine {
  /** One of them, or neither: then `text` is printed. */
  const Schedule* entry = nullptr;
  const Procedure* procedure = nullptr;
  std::string text;
  Given given;

  std::vector<std::string> states;
  /** Names in files, and what the states are called. */
  std::vector<std::pair<std::string, std::string>> renamed;
  /** A part of a module's states is meant. */
  bool partial = false;
  std::optional<uint32_t> seed;
  std::string target;
  int threads = 1;
  std::vector<std::pair<std::string, int64_t>> dims;
  bool checkNan = false;
  bool json = false;
  std::string trace;
  /** Of an entry. */
  std::string out;
  bool bench = false;
  int runs = 0;
};

/** Entries are the schedules that are no state's first value; every lowering has the same. */
std::vector<const Schedule*> entriesOf(const Program& program);

/** `name` is the command as it was called. Throws Error CLI00x. */
CommandLine parseCommandLine(const Container& container, int count, const char* const* arguments);

/** As numbers are written, or CLI002. */
double numberOf(const std::string& what, const std::string& text);

}  // namespace sluice
