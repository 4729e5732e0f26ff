#include "cli/usage.h"

#include <set>

#include "base/text.h"
#include "cli/command-line.h"
#include "device/features.h"
#include "device/target.h"

namespace sluice {
namespace {

std::string padded(const std::string& text, size_t width) { return text + std::string(width > text.size() ? width - text.size() : 0, ' '); }

/** Two columns. */
std::string table(const std::vector<std::pair<std::string, std::string>>& rows, const std::string& indent) {
  size_t width = 0;
  for (const auto& [left, _] : rows) width = std::max(width, left.size());
  std::string out;
  for (const auto& [left, right] : rows) out += indent + (right.empty() ? left : padded(left, width) + "  " + right) + "\n";
  return out;
}

/** The module that is taken without --target; null if this machine runs none. */
const ModuleInfo* taken(const Container& container) {
  try {
    return &moduleFor(container.modules, "");
  } catch (const Error&) {
    return nullptr;
  }
}

}  // namespace

std::string kindText(ProcedureArg::Kind kind) {
  switch (kind) {
    case ProcedureArg::Kind::integer: return "int";
    case ProcedureArg::Kind::real: return "real";
    case ProcedureArg::Kind::flag: return "flag";
    case ProcedureArg::Kind::text: return "text";
    case ProcedureArg::Kind::file: return "file";
    case ProcedureArg::Kind::picture: return "picture";
  }
  return "";
}

std::string defaultText(const ProcedureArg& arg) {
  if (!arg.init) return "";
  const auto* number = std::get_if<double>(&*arg.init);
  return " (" + (number != nullptr ? numberText(*number) : std::get<std::string>(*arg.init)) + ")";
}

std::string usageText(const std::string& command, const Container& container) {
  const Program& program = container.program;
  std::string out = program.name + ", made by Sluice\n";
  if (!program.procedures.empty()) out += "\nProcedures\n";
  for (const Procedure& p : program.procedures) {
    out += "  " + command + " " + p.name + "\n";
    std::vector<std::pair<std::string, std::string>> rows;
    for (const ProcedureArg& a : p.args) rows.emplace_back("--" + a.name + (a.kind == ProcedureArg::Kind::flag ? "" : " <" + kindText(a.kind) + ">"), a.help + defaultText(a));
    out += table(rows, "    ");
  }
  out += "\nEntries\n";
  for (const Schedule* e : entriesOf(program)) {
    out += "  " + command + " " + e->entry;
    for (const Port& i : e->inputs) out += " --" + i.name + " <" + typeText(i.type, program.dimNames) + ">";
    std::vector<std::string> outputs;
    for (const Port& o : e->outputs) outputs.push_back(o.name + ": " + typeText(o.type, program.dimNames));
    out += "  → " + (outputs.empty() ? "nothing" : joined(outputs)) + "\n";
  }
  if (!program.states.empty()) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const StateDecl& s : program.states) rows.emplace_back(s.name, typeText(s.type, program.dimNames));
    out += "\nStates\n" + table(rows, "  ");
  }
  if (!program.dims.empty()) {
    std::vector<std::pair<std::string, std::string>> rows;
    for (const DimDecl& d : program.dims) rows.emplace_back(program.dimNames[static_cast<size_t>(d.dim)], boundsText(d) + (d.binding == DimDecl::Binding::instance ? ", bound when it is loaded" : ""));
    out += "\nDims\n" + table(rows, "  ");
  }
  out += "\nMade for\n";
  const ModuleInfo* const first = taken(container);
  for (const ModuleInfo& m : container.modules) out += "  " + moduleText(m) + (&m == first ? "  (taken on this machine" + (m.kind == ModuleInfo::Kind::cpu ? ": " + cpuFeatures().text() : "") + ")" : "") + "\n";
  return out + "\nEach command has a --help of its own: " + command + " <command> --help\n";
}

}  // namespace sluice
