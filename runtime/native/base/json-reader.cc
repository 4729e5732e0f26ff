#include "base/json-reader.h"

#include <algorithm>
#include <array>

namespace sluice {
namespace {

constexpr int64_t LARGEST = (int64_t{1} << 53) - 1;

/** The digit's value, or 16 for what is none. */
unsigned hexadecimal(char c) {
  if (c >= '0' && c <= '9') return static_cast<unsigned>(c - '0');
  const char small = static_cast<char>(c | 0x20);
  return small >= 'a' && small <= 'f' ? static_cast<unsigned>(small - 'a') + 10 : 16;
}

void append(std::string& text, unsigned point) {
  const auto put = [&](unsigned byte) { text += static_cast<char>(byte); };
  if (point < 0x80) return put(point);
  if (point < 0x800) put(0xc0 | point >> 6);
  else if (point < 0x10000) put(0xe0 | point >> 12), put(0x80 | (point >> 6 & 63));
  else put(0xf0 | point >> 18), put(0x80 | (point >> 12 & 63)), put(0x80 | (point >> 6 & 63));
  put(0x80 | (point & 63));
}

/** The shortest form of each, and no half of a surrogate pair. */
bool isUtf8(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto first = static_cast<unsigned char>(text[i++]);
    if (first < 0x80) continue;
    const size_t more = first >= 0xc2 && first < 0xe0 ? 1 : first >= 0xe0 && first < 0xf0 ? 2 : first >= 0xf0 && first < 0xf5 ? 3 : 0;
    if (more == 0 || text.size() - i < more) return false;
    unsigned point = first & (0x3fU >> more);
    for (size_t k = 0; k < more; k++) {
      const auto byte = static_cast<unsigned char>(text[i++]);
      if ((byte & 0xc0) != 0x80) return false;
      point = point << 6 | (byte & 63);
    }
    constexpr std::array<unsigned, 4> LEAST{0, 0x80, 0x800, 0x10000};
    if (point < LEAST[more] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
  }
  return true;
}

}  // namespace

JsonSyntaxError::JsonSyntaxError(size_t at, const std::string& expected) : std::runtime_error("byte " + std::to_string(at) + ": expected " + expected) {}

std::string JsonText::value() const {
  if (!isEscaped_) return std::string(raw_);
  std::string text;
  text.reserve(raw_.size());
  const auto unit = [&](size_t at) {
    unsigned value = 0;
    for (size_t i = 0; i < 4; i++) value = value << 4 | hexadecimal(raw_[at + i]);
    return value;
  };
  for (size_t i = 0; i < raw_.size();) {
    if (raw_[i] != '\\') {
      text += raw_[i++];
      continue;
    }
    const char kind = raw_[i + 1];
    i += 2;
    switch (kind) {
      case 'b': text += '\b'; break;
      case 'f': text += '\f'; break;
      case 'n': text += '\n'; break;
      case 'r': text += '\r'; break;
      case 't': text += '\t'; break;
      case 'u': {
        unsigned point = unit(i);
        i += 4;
        if (point >= 0xd800 && point < 0xdc00) {
          point = 0x10000 + ((point - 0xd800) << 10) + (unit(i + 2) - 0xdc00);
          i += 6;
        }
        append(text, point);
        break;
      }
      default: text += kind;
    }
  }
  return text;
}

void JsonReader::expect(char c, const char* what) {
  if (next() != c) throw JsonSyntaxError(at_, what);
  at_++;
}

JsonText JsonReader::text(size_t longest) {
  expect('"', "a text");
  const size_t from = at_;
  bool isEscaped = false;
  bool isAscii = true;
  while (here() != '"') {
    if (at_ >= text_.size() || static_cast<unsigned char>(here()) < 0x20) throw JsonSyntaxError(at_, "the end of a text");
    if (here() == '\\') {
      isEscaped = true;
      escape();
    } else {
      isAscii = isAscii && static_cast<unsigned char>(here()) < 0x80;
      at_++;
    }
  }
  const std::string_view raw = text_.substr(from, at_ - from);
  at_++;
  if (!isAscii && !isUtf8(raw)) throw JsonSyntaxError(from, "a text in UTF-8");
  if (raw.size() > longest) throw JsonSyntaxError(from, "a text of at most " + std::to_string(longest) + " bytes");
  return {raw, isEscaped};
}

/** Halves of surrogate pairs stand together. */
void JsonReader::escape() {
  if (here(1) != 'u') {
    if (here(1) == '\0' || std::string_view("\"\\/bfnrt").find(here(1)) == std::string_view::npos) throw JsonSyntaxError(at_, "an escape of JSON");
    at_ += 2;
    return;
  }
  const unsigned first = unit();
  at_ += 6;
  if (first < 0xd800 || first > 0xdfff) return;
  const unsigned second = first < 0xdc00 && here() == '\\' && here(1) == 'u' ? unit() : 0;
  if (second < 0xdc00 || second > 0xdfff) throw JsonSyntaxError(at_, "the other half of a surrogate pair");
  at_ += 6;
}

unsigned JsonReader::unit() const {
  unsigned value = 0;
  for (size_t i = 2; i < 6; i++) {
    const unsigned digit = hexadecimal(here(i));
    if (digit > 15) throw JsonSyntaxError(at_, "an escape of JSON");
    value = value << 4 | digit;
  }
  return value;
}

void JsonReader::digits() {
  if (!isDigit(here())) throw JsonSyntaxError(at_, "a digit");
  while (isDigit(here())) at_++;
}

void JsonReader::number() {
  if (here() == '-') at_++;
  if (here() == '0') at_++;
  else digits();
  if (here() == '.') {
    at_++;
    digits();
  }
  if (here() == 'e' || here() == 'E') {
    at_++;
    if (here() == '+' || here() == '-') at_++;
    digits();
  }
}

std::optional<int64_t> JsonReader::natural() {
  const size_t from = position();
  number();
  int64_t value = 0;
  for (size_t at = from; at < at_; at++) {
    if (!isDigit(text_[at])) return std::nullopt;
    value = std::min(10 * value + (text_[at] - '0'), LARGEST + 1);
  }
  return value > LARGEST ? std::nullopt : std::optional(value);
}

void JsonReader::word() {
  for (const std::string_view known : {"true", "false", "null"}) {
    if (text_.substr(std::min(at_, text_.size())).starts_with(known)) {
      at_ += known.size();
      return;
    }
  }
  throw JsonSyntaxError(at_, "a value");
}

void JsonReader::skip() {
  if (isObject()) object([this](const JsonText&) { skip(); });
  else if (isList()) list([this] { skip(); });
  else if (isText()) text();
  else if (isNumber()) number();
  else word();
}

void JsonReader::end() {
  space();
  if (at_ < text_.size()) throw JsonSyntaxError(at_, "the end");
}

}  // namespace sluice
