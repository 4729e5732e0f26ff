#include "device/null.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <stdexcept>
#include <vector>

#include "base/error.h"

namespace sluice {
namespace {

constexpr int64_t TRIPS = 2;

class NullModule final : public Module {
 public:
  explicit NullModule(int32_t count) : kernels(count) {}
  const int32_t kernels;
};

class NullTape final : public Tape {
 public:
  explicit NullTape(std::vector<Command> list) : commands(std::move(list)) {}
  const std::vector<Command> commands;
};

class NullDevice final : public Device, public Stream {
 public:
  explicit NullDevice(int64_t limit) : left_(limit) {}

  std::string description() const override { return "null, computes nothing"; }

  Range allocate(int64_t bytes, std::string_view purpose) override {
    if (bytes > left_) throw Error({.code = "MEM001", .message = "not enough memory for " + std::string(purpose), .found = "it needs " + std::to_string(bytes) + " bytes"});
    left_ -= bytes;
    auto memory = std::make_unique<std::byte[]>(static_cast<size_t>(std::max<int64_t>(bytes, 1)) + 64);
    const uint64_t address = (reinterpret_cast<uint64_t>(memory.get()) + 63) / 64 * 64;
    std::memset(reinterpret_cast<void*>(address), static_cast<int>(POISON), static_cast<size_t>(bytes));
    live_[address] = {bytes, std::move(memory)};
    return {address, bytes};
  }
  void release(Range range) override {
    if (range.address == 0) return;
    const auto found = live_.find(range.address);
    if (found == live_.end() || found->second.bytes != range.bytes) throw std::logic_error("a range is released that was not allocated");
    poison(range);
    left_ += range.bytes;
    live_.erase(found);
  }
  Range share(std::span<const std::byte> bytes, std::string_view purpose) override {
    const Range range = allocate(static_cast<int64_t>(bytes.size()), purpose);
    upload(bytes.data(), range);
    return range;
  }
  std::unique_ptr<Module> load(const ModuleImage& image) override { return std::make_unique<NullModule>(image.kernels); }
  std::unique_ptr<Tape> record(const Module& module, const std::vector<Command>& commands) override {
    check(commands, dynamic_cast<const NullModule&>(module).kernels);
    return std::make_unique<NullTape>(commands);
  }
  Stream& stream(StreamKind) override { return *this; }

  void run(Tape& tape, Effects& effects, Trace*) override { run(dynamic_cast<const NullTape&>(tape).commands, effects); }
  void copy(Range from, Range to) override {
    if (from.bytes != to.bytes) throw std::logic_error("a copy is between ranges of different lengths");
    check(from);
    check(to);
    std::memmove(at(to), at(from), static_cast<size_t>(from.bytes));
  }
  void upload(const std::byte* from, Range to) override {
    check(to);
    std::memcpy(at(to), from, static_cast<size_t>(to.bytes));
  }
  void download(Range from, std::byte* to) override {
    check(from);
    std::memcpy(to, at(from), static_cast<size_t>(from.bytes));
  }
  Moment record() override { return 0; }
  void after(const Stream&, Moment) override {}
  bool reached(Moment) const override { return true; }
  void await(Moment) override {}

 private:
  struct Block {
    int64_t bytes = 0;
    std::unique_ptr<std::byte[]> memory;
  };

  static void* at(Range range) { return reinterpret_cast<void*>(range.address); }
  static void poison(Range range) { std::memset(at(range), static_cast<int>(POISON), static_cast<size_t>(range.bytes)); }

  /** It lies in one block that is allocated now. */
  void check(Range range) const {
    const auto above = live_.upper_bound(range.address);
    if (above != live_.begin()) {
      const auto& [start, block] = *std::prev(above);
      if (range.bytes >= 0 && range.address - start <= static_cast<uint64_t>(block.bytes) && range.bytes <= block.bytes - static_cast<int64_t>(range.address - start)) return;
    }
    throw std::logic_error("a range of " + std::to_string(range.bytes) + " bytes is not in memory");
  }
  static void check(const std::vector<Command>& commands, int32_t kernels) {
    for (const Command& c : commands) {
      if (const auto* launch = std::get_if<LaunchCommand>(&c.as); launch != nullptr && (launch->kernel < 0 || launch->kernel >= kernels)) {
        throw std::logic_error("a launch of a kernel that is not in the module");
      }
      if (const auto* loop = std::get_if<LoopCommand>(&c.as)) check(loop->body, kernels);
    }
  }

  void run(const std::vector<Command>& commands, Effects& effects) {
    for (const Command& c : commands) {
      if (const auto* launch = std::get_if<LaunchCommand>(&c.as)) {
        for (const Operand& o : launch->operands) check(o.range);
        for (const Operand& o : launch->operands)
          if (o.isWritten) poison(o.range);
      } else if (const auto* copied = std::get_if<CopyCommand>(&c.as)) {
        copy(copied->from, copied->to);
      } else if (const auto* effect = std::get_if<EffectCommand>(&c.as)) {
        effects.perform(effect->effect);
      } else {
        run(std::get<LoopCommand>(c.as), effects);
      }
    }
  }
  void run(const LoopCommand& loop, Effects& effects) {
    check(loop.index);
    if (loop.until) check(*loop.until);
    for (int64_t trip = 0; trip < std::min(loop.trips, TRIPS); trip++) {
      const auto index = static_cast<int32_t>(trip);
      std::memcpy(at(loop.index), &index, sizeof index);
      run(loop.body, effects);
      if (loop.until && *static_cast<const std::byte*>(at(*loop.until)) != std::byte{0}) break;
    }
  }

  int64_t left_;
  std::map<uint64_t, Block> live_;
};

}  // namespace

std::unique_ptr<Device> openNull(int64_t limit) { return std::make_unique<NullDevice>(limit); }

}  // namespace sluice
