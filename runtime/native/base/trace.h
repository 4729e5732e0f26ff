// What happened when: every launch, copy, read and write of a run with its times and the user's line, as Chrome-trace JSON,
// which Perfetto and chrome://tracing open. Recording costs two clock readings and one append.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/error.h"

namespace sluice {

/** Names something that a trace shows many times. */
using LabelId = int32_t;
/** Of what is not shown. */
constexpr LabelId NO_LABEL = -1;

class Trace {
 public:
  /** Nanoseconds on the clock that events are recorded with. */
  static int64_t now();

  /** `kind` groups: launch, copy, read, write, call. What was asked for before keeps its label. */
  LabelId label(const std::string& kind, const std::string& name, const std::optional<Span>& span);
  void add(LabelId label, int64_t begin, int64_t end, int64_t bytes = 0);
  /** All of it; times are microseconds since the first event. */
  std::string json() const;

 private:
  struct Label {
    std::string kind;
    std::string name;
    std::optional<Span> span;
  };
  struct Event {
    LabelId label;
    int64_t begin;
    int64_t end;
    int64_t bytes;
  };
  std::vector<Label> labels_;
  std::unordered_map<std::string, LabelId> known_;
  std::vector<Event> events_;
};

}  // namespace sluice
