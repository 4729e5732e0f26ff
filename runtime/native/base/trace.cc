#include "base/trace.h"

#include <algorithm>
#include <chrono>
#include <cstdio>

#include "base/text.h"

namespace sluice {
namespace {

/** As a JSON text. */
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    if (static_cast<unsigned char>(c) >= 0x20) {
      out += c;
    } else {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", static_cast<unsigned>(c));
      out += escaped;
    }
  }
  return out + "\"";
}

}  // namespace

int64_t Trace::now() { return std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

LabelId Trace::label(const std::string& kind, const std::string& name, const std::optional<Span>& span) {
  const auto [at, isNew] = known_.try_emplace(kind + '\0' + name + '\0' + (span ? spanText(*span) : ""), static_cast<LabelId>(labels_.size()));
  if (isNew) labels_.push_back({kind, name, span});
  return at->second;
}

void Trace::add(LabelId label, int64_t begin, int64_t end, int64_t bytes) { events_.push_back({label, begin, end, bytes}); }

std::string Trace::json() const {
  int64_t first = events_.empty() ? 0 : events_[0].begin;
  for (const Event& e : events_) first = std::min(first, e.begin);
  const auto microseconds = [](int64_t nanoseconds) {
    char text[32];
    std::snprintf(text, sizeof text, "%.3f", static_cast<double>(nanoseconds) / 1000);
    return std::string(text);
  };
  std::string out = "{\"traceEvents\":[";
  for (size_t i = 0; i < events_.size(); i++) {
    const Event& e = events_[i];
    const Label& l = labels_[static_cast<size_t>(e.label)];
    if (i > 0) out += ",\n";
    out += "{\"ph\":\"X\",\"pid\":1,\"tid\":1,\"cat\":" + quoted(l.kind) + ",\"name\":" + quoted(l.name) + ",\"ts\":" + microseconds(e.begin - first) +
           ",\"dur\":" + microseconds(e.end - e.begin) + ",\"args\":{" + (l.span ? "\"line\":" + quoted(spanText(*l.span)) : "") + (l.span && e.bytes > 0 ? "," : "") +
           (e.bytes > 0 ? "\"bytes\":" + std::to_string(e.bytes) : "") + "}}";
  }
  return out + "],\"displayTimeUnit\":\"ns\"}\n";
}

}  // namespace sluice
