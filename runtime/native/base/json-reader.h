// Reads JSON that nobody vouches for from its text, value by value: nothing is kept of what was passed, so that a header of many
// megabytes takes no more memory than its file, and nesting is bounded, so that none is too deep for the stack. The words are
// those of runtime/io/json-reader.ts.
#pragma once
#include <cstdint>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>

namespace sluice {

/** Says at which byte the text stops being JSON. */
struct JsonSyntaxError : std::runtime_error {
  JsonSyntaxError(size_t at, const std::string& expected);
};

/** A text as it stands between its quotes, checked. */
class JsonText {
 public:
  JsonText(std::string_view raw, bool isEscaped) : raw_(raw), isEscaped_(isEscaped) {}
  /** Without escapes, in UTF-8. */
  std::string value() const;
  bool operator==(std::string_view wanted) const { return isEscaped_ ? value() == wanted : raw_ == wanted; }
  std::string_view raw() const { return raw_; }
  bool isEscaped() const { return isEscaped_; }

 private:
  std::string_view raw_;
  bool isEscaped_;
};

class JsonReader {
 public:
  /** The text outlives the reader and what it gives. */
  explicit JsonReader(std::string_view text, size_t start = 0) : text_(text), at_(start) {}

  /** Of the next value. */
  size_t position() {
    space();
    return at_;
  }
  bool isText() { return next() == '"'; }
  bool isList() { return next() == '['; }
  bool isObject() { return next() == '{'; }
  bool isNumber() {
    const char c = next();
    return c == '-' || isDigit(c);
  }

  /** `member` reads or skips the value of each, whose key it is given. Texts longer than `longest` bytes are no keys. */
  template <typename Member>
  void object(Member&& member, size_t longest = SIZE_MAX) {
    nested('{', '}', [&] {
      const JsonText key = text(longest);
      expect(':', "a colon");
      member(key);
    });
  }
  /** `item` reads or skips each. */
  template <typename Item>
  void list(Item&& item) {
    nested('[', ']', item);
  }
  JsonText text(size_t longest = SIZE_MAX);
  /** Nothing, with the number passed, for one that is no integer from 0 to 2^53 - 1. */
  std::optional<int64_t> natural();
  /** Past a value of any kind, which is checked all the same. */
  void skip();
  /** Refuses what follows, unless it is space. */
  void end();

 private:
  /** Deeper than any header that we read. */
  static constexpr int DEPTH_LIMIT = 32;

  template <typename Each>
  void nested(char open, char close, Each&& each) {
    expect(open, open == '{' ? "an object" : "a list");
    if (++depth_ > DEPTH_LIMIT) throw JsonSyntaxError(at_ - 1, "values nested at most " + std::to_string(DEPTH_LIMIT) + " deep");
    if (next() != close) {
      for (;;) {
        each();
        if (next() == close) break;
        expect(',', "a comma");
      }
    }
    at_++;
    depth_--;
  }
  static bool isDigit(char c) { return c >= '0' && c <= '9'; }
  /** 0, which no JSON has, past the end. */
  char here(size_t ahead = 0) const { return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0'; }
  char next() {
    space();
    return here();
  }
  void space() {
    while (here() == ' ' || here() == '\n' || here() == '\r' || here() == '\t') at_++;
  }
  void expect(char c, const char* what);
  void digits();
  void number();
  void word();
  void escape();
  unsigned unit() const;

  std::string_view text_;
  size_t at_;
  int depth_ = 0;
};

}  // namespace sluice
