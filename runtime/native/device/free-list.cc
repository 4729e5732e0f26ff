#include "device/free-list.h"

#include <stdexcept>

namespace sluice {

std::optional<uint64_t> FreeList::take(uint64_t bytes) {
  auto best = free_.end();
  for (auto part = free_.begin(); part != free_.end(); ++part)
    if (part->second >= bytes && (best == free_.end() || part->second < best->second)) best = part;
  if (best == free_.end()) return std::nullopt;
  const auto [address, length] = *best;
  free_.erase(best);
  if (length > bytes) free_[address + bytes] = length - bytes;
  return address;
}

void FreeList::give(uint64_t address, uint64_t bytes) {
  auto next = free_.lower_bound(address);
  const bool isHere = address >= begin_ && bytes <= bytes_ && address - begin_ <= bytes_ - bytes;
  const bool isFree = (next != free_.end() && next->first < address + bytes) || (next != free_.begin() && std::prev(next)->first + std::prev(next)->second > address);
  if (!isHere || isFree) throw std::logic_error("memory is given back that was not taken");
  if (next != free_.end() && next->first == address + bytes) {
    bytes += next->second;
    next = free_.erase(next);
  }
  if (next != free_.begin() && std::prev(next)->first + std::prev(next)->second == address) std::prev(next)->second += bytes;
  else free_[address] = bytes;
}

}  // namespace sluice
