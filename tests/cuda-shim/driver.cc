#include "driver.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>

namespace shim {
namespace {

constexpr std::size_t RESERVED = std::size_t{1} << 40;
constexpr std::size_t GUARD = 4096;
constexpr std::uint8_t POISON = 0xa5;

/** Addresses are given out once, so that what was freed is known for good. */
char *take(std::size_t bytes) {
  static char *const base = static_cast<char *>(mmap(nullptr, RESERVED, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0));
  static std::size_t used = 0;
  driver().shadow.arena(reinterpret_cast<std::uintptr_t>(base), RESERVED);
  char *const taken = base + used + GUARD;
  used += (GUARD + bytes + GUARD - 1) / GUARD * GUARD;
  return taken;
}

double now() { return std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

/** Does what the stream was given, as long as `until` says so. */
template <class Until> void drive(Stream &stream, Until until) {
  while (!stream.queue.empty() && driver().failure == SUCCESS && !until()) {
    const Work work = std::move(stream.queue.front());
    stream.queue.pop_front();
    work();
  }
}
void drive_to(Event &event) {
  if (event.stream != nullptr) drive(*event.stream, [&] { return event.is_reached; });
}

int give(Stream *stream, Work work) {
  Driver &d = driver();
  if (d.failure != SUCCESS) return d.failure;
  if (stream->is_capturing) stream->captured.push_back(std::move(work));
  else stream->queue.push_back(std::move(work));
  return SUCCESS;
}

}  // namespace

Driver &driver() {
  static Driver d;
  return d;
}

int Driver::fail(int result, std::string text) {
  if (failure != SUCCESS) return failure;
  failure = result;
  fault = std::move(text);
  return result;
}

bool Driver::has(std::uint64_t address, std::size_t bytes, const char *what) {
  auto place = memory.upper_bound(address);
  if (place != memory.begin()) {
    --place;
    if (address - place->first <= place->second && bytes <= place->second - (address - place->first)) return true;
  }
  fail(ILLEGAL_ADDRESS, std::string(what) + " uses memory that is not allocated");
  return false;
}

bool Driver::has_pinned(const void *address, std::size_t bytes) {
  const char *const at = static_cast<const char *>(address);
  for (const auto &[base, length] : pinned) if (at >= base && at + bytes <= base + length) return true;
  fail(INVALID_VALUE, "a copy of host memory that is not pinned");
  return false;
}

}  // namespace shim

using namespace shim;
using Address = unsigned long long;

extern "C" {

int cuInit(unsigned) { return driver().switches.devices > 0 ? SUCCESS : NO_DEVICE; }
int cuDriverGetVersion(int *version) {
  *version = driver().switches.version;
  return SUCCESS;
}
int cuGetErrorName(int error, const char **text) {
  static const std::map<int, const char *> names{{SUCCESS, "CUDA_SUCCESS"}, {INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE"}, {OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY"}, {NO_DEVICE, "CUDA_ERROR_NO_DEVICE"},
    {INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE"}, {NO_BINARY, "CUDA_ERROR_NO_BINARY_FOR_GPU"}, {INVALID_PTX, "CUDA_ERROR_INVALID_PTX"}, {UNSUPPORTED_PTX, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION"},
    {NOT_FOUND, "CUDA_ERROR_NOT_FOUND"}, {ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS"}, {716, "CUDA_ERROR_MISALIGNED_ADDRESS"}, {719, "CUDA_ERROR_LAUNCH_FAILED"}, {CAPTURE_UNSUPPORTED, "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"}};
  const auto known = names.find(error);
  *text = known == names.end() ? nullptr : known->second;
  return known == names.end() ? INVALID_VALUE : SUCCESS;
}
int cuGetErrorString(int error, const char **text) {
  static const std::map<int, const char *> texts{{INVALID_IMAGE, "device kernel image is invalid"}, {NO_BINARY, "no kernel image is available for execution on the device"}, {OUT_OF_MEMORY, "out of memory"}};
  const auto known = texts.find(error);
  *text = error == driver().failure ? driver().fault.c_str() : known == texts.end() ? "an error" : known->second;
  return SUCCESS;
}

int cuDeviceGetCount(int *count) {
  *count = driver().switches.devices;
  return SUCCESS;
}
int cuDeviceGet(int *device, int number) {
  *device = number;
  return number < driver().switches.devices ? SUCCESS : INVALID_VALUE;
}
int cuDeviceGetName(char *name, int bytes, int device) {
  std::strncpy(name, ("Host shim " + std::to_string(device)).c_str(), static_cast<std::size_t>(bytes));
  return SUCCESS;
}
int cuDeviceGetAttribute(int *value, int attribute, int) {
  const int architecture = driver().switches.architecture;
  switch (attribute) {
    case 16: *value = 2; return SUCCESS;
    case 75: *value = architecture / 10; return SUCCESS;
    case 76: *value = architecture % 10; return SUCCESS;
    default: return INVALID_VALUE;
  }
}
int cuDeviceTotalMem_v2(std::size_t *bytes, int) {
  *bytes = driver().switches.memory;
  return SUCCESS;
}
int cuDevicePrimaryCtxRetain(void **context, int) {
  Driver &d = driver();
  if (d.users++ == 0) {
    d.failure = SUCCESS;
    d.fault.clear();
  }
  *context = &d;
  return SUCCESS;
}
int cuDevicePrimaryCtxRelease_v2(int) {
  driver().users--;
  return SUCCESS;
}
int cuCtxSetCurrent(void *) { return SUCCESS; }

int cuMemGetInfo_v2(std::size_t *free, std::size_t *total) {
  *total = driver().switches.memory;
  // Some of it is another's.
  *free = *total - driver().used - (*total >> 3);
  return SUCCESS;
}
int cuMemAlloc_v2(Address *address, std::size_t bytes) {
  Driver &d = driver();
  if (d.failure != SUCCESS) return d.failure;
  if (bytes == 0) return INVALID_VALUE;
  if (++d.counts.allocations == d.switches.failing_allocation || d.used + bytes > d.switches.memory) return OUT_OF_MEMORY;
  char *const memory = take(bytes);
  std::memset(memory, POISON, std::min<std::size_t>(bytes, 1 << 20));
  d.used += bytes;
  *address = reinterpret_cast<Address>(memory);
  d.memory[*address] = bytes;
  d.shadow.region("memory " + std::to_string(d.counts.allocations), memory, bytes, true, Content::WRITTEN);
  return SUCCESS;
}
int cuMemFree_v2(Address address) {
  Driver &d = driver();
  const auto known = d.memory.find(address);
  if (known == d.memory.end()) return d.fail(INVALID_VALUE, "memory is freed that is not allocated");
  d.used -= known->second;
  d.shadow.forget(reinterpret_cast<void *>(address));
  madvise(reinterpret_cast<void *>(address), known->second, MADV_DONTNEED);
  d.memory.erase(known);
  return SUCCESS;
}
int cuMemHostAlloc(void **memory, std::size_t bytes, unsigned) {
  *memory = std::malloc(bytes);
  driver().pinned[static_cast<char *>(*memory)] = bytes;
  return SUCCESS;
}
int cuMemFreeHost(void *memory) {
  if (driver().pinned.erase(static_cast<char *>(memory)) == 0) return INVALID_VALUE;
  std::free(memory);
  return SUCCESS;
}

int cuMemcpyHtoDAsync_v2(Address to, const void *from, std::size_t bytes, Stream *stream) {
  return give(stream, [=] {
    if (driver().has(to, bytes, "a copy") && driver().has_pinned(from, bytes)) std::memcpy(reinterpret_cast<void *>(to), from, bytes);
  });
}
int cuMemcpyDtoHAsync_v2(void *to, Address from, std::size_t bytes, Stream *stream) {
  return give(stream, [=] {
    if (driver().has(from, bytes, "a copy") && driver().has_pinned(to, bytes)) std::memcpy(to, reinterpret_cast<const void *>(from), bytes);
  });
}
int cuMemcpyDtoDAsync_v2(Address to, Address from, std::size_t bytes, Stream *stream) {
  return give(stream, [=] {
    if (driver().has(from, bytes, "a copy") && driver().has(to, bytes, "a copy")) std::memmove(reinterpret_cast<void *>(to), reinterpret_cast<const void *>(from), bytes);
  });
}
int cuMemsetD32Async(Address to, unsigned value, std::size_t count, Stream *stream) {
  return give(stream, [=] {
    if (driver().has(to, 4 * count, "a memset")) std::fill_n(reinterpret_cast<unsigned *>(to), count, value);
  });
}

int cuStreamCreate(Stream **stream, unsigned flags) {
  *stream = new Stream;
  return flags == 1 ? SUCCESS : INVALID_VALUE;
}
int cuStreamSynchronize(Stream *stream) {
  if (stream->is_capturing) return CAPTURE_UNSUPPORTED;
  drive(*stream, [] { return false; });
  return driver().failure;
}
int cuStreamDestroy_v2(Stream *stream) {
  delete stream;
  return SUCCESS;
}
int cuStreamWaitEvent(Stream *stream, Event *event, unsigned) {
  return give(stream, [=] { drive_to(*event); });
}
int cuStreamBeginCapture_v2(Stream *stream, int) {
  if (stream->is_capturing) return CAPTURE_UNSUPPORTED;
  stream->is_capturing = true;
  return SUCCESS;
}
int cuStreamEndCapture(Stream *stream, Graph **graph) {
  if (!stream->is_capturing) return CAPTURE_UNSUPPORTED;
  stream->is_capturing = false;
  *graph = new Graph{std::move(stream->captured)};
  stream->captured.clear();
  return SUCCESS;
}
int cuGraphInstantiateWithFlags(Graph **exec, const Graph *graph, unsigned long long) {
  *exec = new Graph(*graph);
  return SUCCESS;
}
int cuGraphLaunch(const Graph *exec, Stream *stream) {
  driver().counts.graph_launches++;
  return give(stream, [=] {
    for (const Work &work : exec->works) if (driver().failure == SUCCESS) work();
  });
}
int cuGraphExecDestroy(Graph *exec) {
  delete exec;
  return SUCCESS;
}
int cuGraphDestroy(Graph *graph) {
  delete graph;
  return SUCCESS;
}

int cuEventCreate(Event **event, unsigned) {
  *event = new Event;
  return SUCCESS;
}
int cuEventDestroy_v2(Event *event) {
  delete event;
  return SUCCESS;
}
int cuEventRecord(Event *event, Stream *stream) {
  if (stream->is_capturing) return CAPTURE_UNSUPPORTED;
  *event = {stream, false, false, 0};
  return give(stream, [=] {
    event->is_reached = true;
    event->milliseconds = now();
  });
}
int cuEventQuery(Event *event) {
  // What was never asked for is not there yet; who asks again gets it in the end.
  if (!event->is_reached && event->was_asked) drive_to(*event);
  event->was_asked = true;
  return driver().failure != SUCCESS ? driver().failure : event->is_reached ? SUCCESS : NOT_READY;
}
int cuEventSynchronize(Event *event) {
  if (event->stream != nullptr && event->stream->is_capturing) return CAPTURE_UNSUPPORTED;
  drive_to(*event);
  return driver().failure;
}
int cuEventElapsedTime(float *milliseconds, const Event *begin, const Event *end) {
  if (!begin->is_reached || !end->is_reached) return NOT_READY;
  *milliseconds = static_cast<float>(end->milliseconds - begin->milliseconds);
  return SUCCESS;
}

int cuModuleLoadData(Module **module, const void *image) {
  auto loaded = std::make_unique<Module>();
  const int result = load_module(image, *loaded);
  if (result == SUCCESS) *module = loaded.release();
  return result;
}
int cuModuleUnload(Module *module) {
  if (module->library != nullptr) dlclose(module->library);
  delete module;
  return SUCCESS;
}
int cuModuleGetFunction(Function **function, Module *module, const char *name) {
  auto &known = module->functions[name];
  if (!known) {
    const void *const entry = module->library == nullptr ? nullptr : dlsym(module->library, (std::string("entry_") + name).c_str());
    if (entry == nullptr) return NOT_FOUND;
    known = std::make_unique<Function>(Function{static_cast<const Entry *>(entry)});
  }
  *function = known.get();
  return SUCCESS;
}
int cuFuncGetAttribute(int *value, int, const Function *function) {
  *value = function->entry == nullptr ? 32 : function->entry->threads;
  return SUCCESS;
}
int cuLaunchKernel(const Function *function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned yThreads, unsigned zThreads, unsigned shared, Stream *stream, void **parameters, void **extra) {
  const bool is_flat = y == 1 && z == 1 && yThreads == 1 && zThreads == 1 && shared == 0 && extra == nullptr;
  int most = 0;
  cuFuncGetAttribute(&most, 0, function);
  if (!is_flat || x == 0 || x > 0x7fffffffu || threads == 0 || static_cast<int>(threads) > most) return INVALID_VALUE;
  return give(stream, launch_of(*function, x, static_cast<int>(threads), parameters));
}

// What tests ask for.
Switches *shim_switches() {
  static_assert(std::is_trivially_copyable<Switches>::value, "tests assign them");
  return &driver().switches;
}
Counts *shim_counts() { return &driver().counts; }
}
