#include "exec/states.h"

#include "base/text.h"

namespace sluice {

StateTable::StateTable(const std::vector<StateDecl>& declared) : declared_(declared), status_(declared.size()) {}

size_t StateTable::index(std::string_view name) const {
  for (size_t i = 0; i < declared_.size(); i++)
    if (declared_[i].name == name) return i;
  std::vector<std::string> names;
  for (const StateDecl& s : declared_) names.push_back(s.name);
  throw unknownName("state", "STATE104", name, names);
}

void StateTable::prepare(size_t state, std::string_view reader, const std::function<bool()>& first) {
  const Status& status = status_[state];
  if (status.isReady) return;
  const StateDecl& decl = declared_[state];
  if (!status.culprit.empty()) {
    throw Error({.code = "STATE102", .message = "state `" + decl.name + "` may be half written, because `" + status.culprit + "` failed while it ran",
        .hint = "load it again, or open the program anew", .span = decl.span.copy()});
  }
  if (!first()) {
    const std::string who = reader.empty() ? "reading" : "`" + std::string(reader) + "` reads";
    throw Error({.code = "STATE101", .message = who + " state `" + decl.name + "` before it has a value", .expected = "a first value, or a load or write before it", .span = decl.span.copy()});
  }
  wrote(state);
}

void StateTable::wrote(size_t state) { status_[state] = {.isReady = true, .culprit = ""}; }

void StateTable::failed(std::string_view entry, size_t state) { status_[state] = {.isReady = false, .culprit = std::string(entry)}; }

}  // namespace sluice
