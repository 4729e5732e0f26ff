#include "device/cpu.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "base/cgroup.h"
#include "base/error.h"
#include "device/crew.h"
#include "device/memory-error.h"

namespace sluice {
namespace {

constexpr int64_t ALIGNMENT = 64;
/** Memory from this size on is aligned to huge pages, and asks for them. */
constexpr int64_t HUGE_PAGE = int64_t{2} << 20;
/** Tasks claimed at once are so few that each worker comes back about this many times. */
constexpr int64_t PIECES_PER_WORKER = 4;

template <typename T>
T* pointer(uint64_t address) { return reinterpret_cast<T*>(address); }

// Modules

/** A shared object in memory, loaded under a path that names it. */
class KernelModule final : public Module {
 public:
  explicit KernelModule(const ModuleImage& image) {
    if (!loadFromMemory(image) && !loadFromFile(image)) fail("the program's native code cannot be loaded", dlerror());
    for (int32_t k = 0; k < image.kernels; k++) {
      const std::string symbol = "k" + std::to_string(k);
      auto* const run = reinterpret_cast<KernelFunction>(dlsym(library_, symbol.c_str()));
      if (run == nullptr) fail("the program's native code has no kernel " + symbol, nullptr);
      kernels_.push_back(run);
    }
  }
  ~KernelModule() override { close(); }
  KernelModule(const KernelModule&) = delete;
  KernelModule& operator=(const KernelModule&) = delete;

  KernelFunction kernel(int32_t k) const { return kernels_.at(static_cast<size_t>(k)); }

 private:
  [[noreturn]] void fail(std::string message, const char* found) {
    Error error({.code = "CPU006", .message = std::move(message), .found = found == nullptr ? "" : found, .hint = "build the program again"});
    close();
    throw error;
  }
  void close() {
    if (library_ != nullptr) dlclose(library_);
    // Only now: while it is open, no other library gets the same path.
    if (file_ >= 0) ::close(file_);
  }
  bool load(int file, const ModuleImage& image, const std::string& path) {
    for (size_t at = 0; at < image.bytes.size();) {
      const ssize_t written = write(file, image.bytes.data() + at, image.bytes.size() - at);
      if (written < 0 && errno != EINTR) return false;
      if (written > 0) at += static_cast<size_t>(written);
    }
    library_ = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    return library_ != nullptr;
  }
  bool loadFromMemory(const ModuleImage& image) {
    file_ = memfd_create("sluice-kernels", MFD_CLOEXEC);
    return file_ >= 0 && load(file_, image, "/proc/self/fd/" + std::to_string(file_));
  }
  /** Where /proc is not there. */
  bool loadFromFile(const ModuleImage& image) {
    for (const char* folder : {"/dev/shm", "/tmp", "."}) {
      std::string path = std::string(folder) + "/sluice-kernels-XXXXXX";
      const int file = mkostemp(path.data(), O_CLOEXEC);
      if (file < 0) continue;
      const bool isLoaded = load(file, image, path);
      unlink(path.c_str());
      ::close(file);
      if (isLoaded) return true;
    }
    return false;
  }

  int file_ = -1;
  void* library_ = nullptr;
  std::vector<KernelFunction> kernels_;
};

// Tapes

class CpuTape final : public Tape {
 public:
  CpuTape(const KernelModule& module, const std::vector<Command>& commands, int workers) : module_(module), workers_(workers) {
    append(commands, true);
    // The vectors lie where they will stay.
    for (size_t i = 0; i < operations.size(); i++) {
      if (operations[i].kind != Operation::Kind::launch) continue;
      operations[i].launch.params = params_.data() + places_[i].params;
      operations[i].launch.dims = dims_.data() + places_[i].dims;
    }
  }

  std::vector<Operation> operations;
  /** Operations from here on are the leader's alone. */
  size_t shared = 0;
  int64_t scratch = 0;

 private:
  struct Place {
    size_t params = 0;
    size_t dims = 0;
  };

  Operation& add(Operation::Kind kind) {
    places_.push_back({params_.size(), dims_.size()});
    Operation operation{.kind = kind, .effect = 0};
    return operations.emplace_back(operation);
  }
  /** Whether any of them is shared. */
  bool append(const std::vector<Command>& commands, bool isOutermost) {
    bool anyShared = false;
    bool previousIsShared = false;
    size_t previous = operations.size();
    for (size_t i = 0; i < commands.size(); i++) {
      const size_t at = operations.size();
      std::visit([&](const auto& command) { append(command); }, commands[i].as);
      const bool isShared = operations[at].isShared;
      // Whoever meets may go on with something that others read or write.
      if (i > 0) operations[previous].meets = previousIsShared || isShared;
      if (isOutermost && (i > 0 && operations[previous].meets)) shared = at;
      anyShared = anyShared || isShared;
      previousIsShared = isShared;
      previous = at;
    }
    if (isOutermost && previousIsShared) {
      operations[previous].meets = true;
      shared = operations.size();
    }
    return anyShared;
  }
  void append(const LaunchCommand& c) {
    Operation& operation = add(Operation::Kind::launch);
    operation.label = c.label;
    operation.launch = {module_.kernel(c.kernel), nullptr, nullptr, c.tasks, std::max<int64_t>(1, c.tasks / (workers_ * PIECES_PER_WORKER))};
    int64_t bytes = 0;
    for (const Operand& o : c.operands) {
      params_.push_back(pointer<char>(o.range.address));
      bytes += o.range.bytes;
    }
    operation.isShared = workers_ > 1 && c.tasks > 1 && bytes >= SHARED_LAUNCH;
    dims_.insert(dims_.end(), c.dims.begin(), c.dims.end());
    scratch = std::max(scratch, c.scratch);
  }
  void append(const CopyCommand& c) {
    Operation& operation = add(Operation::Kind::copy);
    operation.label = c.label;
    operation.isShared = workers_ > 1 && c.from.bytes >= SHARED_COPY;
    operation.copy = {pointer<const char>(c.from.address), pointer<char>(c.to.address), c.from.bytes};
  }
  void append(const LoopCommand& c) {
    const size_t at = operations.size();
    add(Operation::Kind::loop);
    const bool isShared = append(c.body, false);
    operations[at].isShared = isShared;
    operations[at].loop = {c.trips, pointer<int32_t>(c.index.address), c.until ? pointer<const uint8_t>(c.until->address) : nullptr, operations.size() - at - 1};
  }
  void append(const EffectCommand& c) { add(Operation::Kind::effect).effect = c.effect; }

  const KernelModule& module_;
  const int workers_;
  std::vector<Place> places_;
  std::vector<char*> params_;
  std::vector<int64_t> dims_;
};

// The device

class Cpu final : public Device, public Stream {
 public:
  Cpu(int threads, std::string level) : crew_(threads), level_(std::move(level)), limit_(usableMemory()) {}
  ~Cpu() override {
    for (const Range copy : copies_) release(copy);
  }

  std::string description() const override {
    return "cpu, " + std::to_string(crew_.workers()) + (crew_.workers() == 1 ? " thread, " : " threads, ") + level_;
  }

  Range allocate(int64_t wanted, std::string_view purpose) override {
    if (wanted > limit_ - used_) refuse(wanted, purpose);
    const int64_t bytes = taken(wanted);
    void* const memory = std::aligned_alloc(static_cast<size_t>(alignmentOf(wanted)), static_cast<size_t>(bytes));
    if (memory == nullptr) refuse(wanted, purpose);
    if (wanted >= HUGE_PAGE) madvise(memory, static_cast<size_t>(bytes), MADV_HUGEPAGE);
    used_ += bytes;
    return {reinterpret_cast<uint64_t>(memory), wanted};
  }
  void release(Range range) override {
    if (range.address == 0) return;
    std::free(pointer<void>(range.address));
    used_ -= taken(range.bytes);
  }
  Range share(std::span<const std::byte> bytes, std::string_view purpose) override {
    const auto address = reinterpret_cast<uint64_t>(bytes.data());
    const auto length = static_cast<int64_t>(bytes.size());
    if (address % ALIGNMENT == 0) return {address, length};
    copies_.push_back(allocate(length, purpose));
    upload(bytes.data(), copies_.back());
    return copies_.back();
  }
  std::unique_ptr<Module> load(const ModuleImage& image) override { return std::make_unique<KernelModule>(image); }
  std::unique_ptr<Tape> record(const Module& module, const std::vector<Command>& commands) override {
    auto tape = std::make_unique<CpuTape>(dynamic_cast<const KernelModule&>(module), commands, crew_.workers());
    if (!crew_.reserveScratch(tape->scratch)) refuse(tape->scratch * crew_.workers(), "scratch");
    return tape;
  }
  Stream& stream(StreamKind) override { return *this; }

  void run(Tape& tape, Effects& effects, Trace* trace) override {
    const auto& t = static_cast<const CpuTape&>(tape);
    crew_.lead(t.operations, t.shared, effects, trace);
  }
  void copy(Range from, Range to) override { std::memcpy(pointer<void>(to.address), pointer<void>(from.address), static_cast<size_t>(from.bytes)); }
  void upload(const std::byte* from, Range to) override { std::memcpy(pointer<void>(to.address), from, static_cast<size_t>(to.bytes)); }
  void download(Range from, std::byte* to) override { std::memcpy(to, pointer<void>(from.address), static_cast<size_t>(from.bytes)); }
  Moment record() override { return 0; }
  void after(const Stream&, Moment) override {}
  bool reached(Moment) const override { return true; }
  void await(Moment) override {}

 private:
  static int64_t alignmentOf(int64_t wanted) { return wanted >= HUGE_PAGE ? HUGE_PAGE : ALIGNMENT; }
  /** Bytes that an allocation takes. */
  static int64_t taken(int64_t wanted) {
    const int64_t alignment = alignmentOf(wanted);
    return std::max(ALIGNMENT, (wanted + alignment - 1) / alignment * alignment);
  }
  [[noreturn]] void refuse(int64_t wanted, std::string_view purpose) const { throw notEnoughMemory(purpose, wanted, used_, limit_); }

  Crew crew_;
  const std::string level_;
  /** What this process may have: more is granted, and the process killed when it is used. */
  const int64_t limit_;
  int64_t used_ = 0;
  std::vector<Range> copies_;
};

}  // namespace

std::unique_ptr<Device> openCpu(int threads, std::string level) { return std::make_unique<Cpu>(threads, std::move(level)); }

}  // namespace sluice
