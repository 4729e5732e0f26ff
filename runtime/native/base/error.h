// Errors for people, as in compiler/base/diagnostics.ts: a stable code, one sentence, and what was found, what was
// expected and what to do. Whatever else is thrown is a fault of ours.
#pragma once
#include <cstdint>
#include <exception>
#include <optional>
#include <string>

namespace sluice {

/** The user's line that something comes from. */
struct Span {
  std::string file;
  int64_t line = 0;
  int64_t column = 0;
};

struct Diagnostic {
  std::string code;
  std::string message;
  std::string found = "";
  std::string expected = "";
  std::string hint = "";
  std::optional<Span> span = std::nullopt;
};

/** The message as printed: `file:line:column: error CODE: …` and the lines found, expected and hint that are known. */
std::string text(const Diagnostic& diagnostic);

/** Copies have texts of their own: those of std::runtime_error share one, counted where ThreadSanitizer cannot see it. */
class Error : public std::exception {
 public:
  explicit Error(Diagnostic d) : diagnostic(std::move(d)), text_(text(diagnostic)) {}
  const char* what() const noexcept override { return text_.c_str(); }
  Diagnostic diagnostic;

 private:
  std::string text_;
};

}  // namespace sluice
