#include "base/error.h"

namespace sluice {

std::string text(const Diagnostic& d) {
  std::string out;
  if (d.span) out += d.span->file + ":" + std::to_string(d.span->line) + ":" + std::to_string(d.span->column) + ": ";
  out += "error " + d.code + ": " + d.message;
  const auto line = [&](const char* label, const std::string& value) {
    if (!value.empty()) out += "\n  " + std::string(label) + value;
  };
  line("found:    ", d.found);
  line("expected: ", d.expected);
  line("hint:     ", d.hint);
  return out;
}

}  // namespace sluice
