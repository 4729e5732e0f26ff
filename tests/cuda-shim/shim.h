// Runs emitted CUDA C++ without a GPU, for tests: each thread of a block is a fiber, blocks go one after the other. What the
// code does to memory is told by the hooks that g++ -fsanitize=thread puts before every access; the sanitizer's own library
// is not used. The first fault ends the launch with a sentence about it.
#pragma once
#include <stddef.h>
#include <stdint.h>

namespace shim {

struct Index {
  unsigned x;
};
Index thread_index();
Index block_index();
Index block_size();

/** Memory of the block, the same for all of its threads; `site` tells declarations apart. */
void *shared(const char *name, size_t bytes, int site);

/** Until all threads of the block, or of the warp, are here. */
void block_barrier();
void warp_barrier();
/** What thread `from` of the warp gives. */
void shuffle(unsigned mask, const void *mine, void *theirs, size_t bytes, int from);

/** A fault if the address is no multiple of so many bytes. */
void need_aligned(const void *address, size_t bytes);
/** Before an atomic operation; bytes that the mask leaves out are not touched. */
void atomic_access(const void *address, size_t bytes, unsigned mask = ~0u);

void async_copy(void *to, const void *from, size_t bytes);
void async_commit();
void async_wait(int pending);

struct Buffer {
  const char *name;
  char *data;
  int64_t bytes;
  bool is_written;
};
struct Launch {
  const Buffer *buffers;
  int buffer_count;
  int64_t blocks;
  int64_t threads;
  int64_t scratch_bytes;
  /** Whether the last block and the last thread go first. */
  bool is_reversed;
};
using Kernel = void (*)(void *context, char *const *buffers, char *scratch);

/** Runs all blocks; what the kernel writes is copied back. The report is empty, or what went wrong. */
void launch(const Launch &launch, Kernel kernel, void *context, char *report, size_t report_bytes);

/** A kernel as the driver finds it: `entry_<name>`, which ENTRY makes. Every parameter has 8 bytes. */
struct Entry {
  const char *name;
  /** Of a block, at most. */
  int threads;
  int parameters;
  /** Bit i: parameter i is a pointer. */
  uint64_t pointers;
  void (*call)(void *const *parameters);
};

}  // namespace shim
