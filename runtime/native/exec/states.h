// Whether each state of a program has a value: one without is made by its init or refused (STATE101), and one that an entry
// may have half written is refused until it is set (STATE102).
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "container/program.h"

namespace sluice {

class StateTable {
 public:
  explicit StateTable(const std::vector<StateDecl>& declared);

  /** By name. Throws STATE104. */
  size_t index(std::string_view name) const;
  bool isReady(size_t state) const { return status_[state].isReady; }
  /** Returns once the state has a value. `first` makes it and says whether it could; `reader` is empty outside entries. */
  void prepare(size_t state, std::string_view reader, const std::function<bool()>& first);
  void wrote(size_t state);
  void failed(std::string_view entry, size_t state);

 private:
  struct Status {
    bool isReady = false;
    /** The entry that failed while it wrote it. */
    std::string culprit;
  };
  const std::vector<StateDecl>& declared_;
  std::vector<Status> status_;
};

}  // namespace sluice
