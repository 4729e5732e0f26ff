#include "base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace sluice {
namespace {

constexpr int64_t SHOWN = 12;
constexpr size_t DIGITS = 7;

/** The nearest number of seven digits; halves go away from zero, as in JavaScript's toPrecision. */
double toPrecision(double x) {
  if (!std::isfinite(x) || x == 0) return x;
  // So many digits that a half is followed by zeros alone.
  char text[80];
  std::snprintf(text, sizeof text, "%.50e", std::fabs(x));
  const std::string_view all(text);
  std::string digits{all[0]};
  digits += all.substr(2, DIGITS);
  int64_t exponent = std::strtol(text + all.find('e') + 1, nullptr, 10);
  const bool roundsUp = digits.back() >= '5';
  digits.pop_back();
  int64_t whole = std::strtoll(digits.c_str(), nullptr, 10) + (roundsUp ? 1 : 0);
  exponent -= static_cast<int64_t>(DIGITS) - 1;
  const std::string rounded = std::to_string(whole) + "e" + std::to_string(exponent);
  return std::copysign(std::strtod(rounded.c_str(), nullptr), x);
}

}  // namespace

std::string numberText(double x) {
  if (std::isnan(x)) return "NaN";
  if (std::isinf(x)) return x < 0 ? "-Infinity" : "Infinity";
  if (x == 0) return "0";
  char buffer[40];
  const auto [end, _] = std::to_chars(buffer, buffer + sizeof buffer, std::fabs(x), std::chars_format::scientific);
  const std::string_view all(buffer, static_cast<size_t>(end - buffer));
  const size_t e = all.find('e');
  std::string digits{all[0]};
  if (e > 2) digits += all.substr(2, e - 2);
  const int exponent = std::atoi(std::string(all.substr(e + 1)).c_str());
  const int count = static_cast<int>(digits.size());
  const std::string sign = x < 0 ? "-" : "";
  // Where the point is, counted from the first digit.
  const int point = exponent + 1;
  if (count <= point && point <= 21) return sign + digits + std::string(static_cast<size_t>(point - count), '0');
  if (0 < point && point <= 21) return sign + digits.substr(0, static_cast<size_t>(point)) + "." + digits.substr(static_cast<size_t>(point));
  if (-6 < point && point <= 0) return sign + "0." + std::string(static_cast<size_t>(-point), '0') + digits;
  const std::string power = (exponent < 0 ? "-" : "+") + std::to_string(std::abs(exponent));
  return sign + digits.substr(0, 1) + (count > 1 ? "." + digits.substr(1) : "") + "e" + power;
}

std::string tensorText(const HostTensor& tensor) {
  const int64_t elements = elementCount(tensor.shape);
  std::vector<std::string> shown;
  for (int64_t i = 0; i < std::min(elements, SHOWN); i++) shown.push_back(numberText(toPrecision(elementAt(tensor, i))));
  if (tensor.shape.empty()) return shown[0];
  return std::string(name(tensor.dtype)) + " " + shapeText(tensor.shape) + " [" + joined(shown) + "]" + (elements > SHOWN ? " …" : "");
}

std::string spanText(const Span& span) { return span.file + ":" + std::to_string(span.line) + ":" + std::to_string(span.column); }

std::string joined(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (size_t i = 0; i < parts.size(); i++) {
    if (i > 0) out += separator;
    out += parts[i];
  }
  return out;
}

Error unknownName(std::string_view what, std::string code, std::string_view name, const std::vector<std::string>& known) {
  return Error({.code = std::move(code), .message = "there is no " + std::string(what) + " `" + std::string(name) + "`", .found = std::string(name),
      .expected = known.empty() ? "no " + std::string(what) + " at all" : "one of " + joined(known)});
}

}  // namespace sluice
