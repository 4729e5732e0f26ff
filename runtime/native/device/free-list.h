// The parts of a stretch of addresses that nobody uses. Neighbours merge, and the smallest part that is large enough is taken.
#pragma once
#include <cstdint>
#include <map>
#include <optional>

namespace sluice {

class FreeList {
 public:
  FreeList(uint64_t begin, uint64_t bytes) : begin_(begin), bytes_(bytes) { free_[begin] = bytes; }

  /** The address of so many bytes, or none if no part is that large. */
  std::optional<uint64_t> take(uint64_t bytes);
  /** Of what was taken. Throws std::logic_error where some of it is free, or was never here. */
  void give(uint64_t address, uint64_t bytes);
  bool isUnused() const { return free_.size() == 1 && free_.begin()->second == bytes_; }

 private:
  uint64_t begin_;
  uint64_t bytes_;
  /** Bytes by address. */
  std::map<uint64_t, uint64_t> free_;
};

}  // namespace sluice
