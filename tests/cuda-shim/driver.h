// A CUDA driver for tests, libcuda.so.1 without a GPU: kernels that g++ made for the host run as fibers, in memory that is
// watched. Streams do their work as late as they may: not before somebody waits for it, or for what comes after it. So
// memory that is freed, overwritten or read too early shows. Every fault ends the context, and the text of its error says
// what was wrong.
#pragma once
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shadow.h"
#include "shim.h"

namespace shim {

constexpr int SUCCESS = 0;
constexpr int INVALID_VALUE = 1;
constexpr int OUT_OF_MEMORY = 2;
constexpr int NO_DEVICE = 100;
constexpr int INVALID_IMAGE = 200;
constexpr int NO_BINARY = 209;
constexpr int INVALID_PTX = 218;
constexpr int UNSUPPORTED_PTX = 222;
constexpr int NOT_FOUND = 500;
constexpr int NOT_READY = 600;
constexpr int ILLEGAL_ADDRESS = 700;
constexpr int CAPTURE_UNSUPPORTED = 900;

/** What tests set; a test begins with these. */
struct Switches {
  int version = 13000;
  int devices = 1;
  int architecture = 90;
  std::size_t memory = std::size_t{1} << 30;
  /** The allocation, counted from 1, that finds no memory; and the launch after which the device is lost. 0: none. */
  int failing_allocation = 0;
  int failing_launch = 0;
  /** The row of the self-test that is wrong; -1: none. */
  int wrong_row = -1;
};
struct Counts {
  int allocations = 0;
  int launches = 0;
  int graph_launches = 0;
};

using Work = std::function<void()>;

struct Stream {
  std::deque<Work> queue;
  bool is_capturing = false;
  std::vector<Work> captured;
};
struct Event {
  /** That it was recorded in last, and whether that stream has come to it. */
  Stream *stream = nullptr;
  bool is_reached = true;
  bool was_asked = false;
  double milliseconds = 0;
};
struct Graph {
  std::vector<Work> works;
};
struct Function {
  /** Null: that of the self-test. */
  const Entry *entry = nullptr;
};
struct Module {
  void *library = nullptr;
  std::map<std::string, std::unique_ptr<Function>> functions;
};

struct Driver {
  Switches switches;
  Counts counts;
  int users = 0;
  /** The first thing that went wrong since the context was opened. */
  int failure = SUCCESS;
  std::string fault;
  std::size_t used = 0;
  std::map<std::uint64_t, std::size_t> memory;
  std::map<const char *, std::size_t> pinned;
  Shadow shadow;

  /** The context does nothing more. */
  int fail(int result, std::string text);
  /** Whether all of it is memory that was allocated and not freed; else a fault. */
  bool has(std::uint64_t address, std::size_t bytes, const char *what);
  bool has_pinned(const void *address, std::size_t bytes);
};
Driver &driver();

int load_module(const void *image, Module &module);
/** With a copy of its parameters. */
Work launch_of(const Function &function, std::int64_t blocks, int threads, void **parameters);

}  // namespace shim
