// One launch: the blocks of a grid one after the other, their threads as fibers.
#pragma once
#include <cstdint>
#include <string>

#include "shadow.h"

namespace shim {

struct Grid {
  std::int64_t blocks;
  /** Of a block. */
  std::int64_t threads;
  /** Whether the last block and the last thread go first. */
  bool is_reversed;
};

/** Calls `thread` as every thread of the grid, which reaches what lies in regions of `shadow`. Empty, or what went wrong. */
std::string run(Shadow &shadow, const Grid &grid, void (*thread)(void *context), void *context);

}  // namespace shim
