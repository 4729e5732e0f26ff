// Devices: tapes do the same whoever walks them, failures end a run for everyone, and the null device sees what is wrong.
#include <doctest/doctest.h>

#include <chrono>
#include <cmath>
#include <numeric>
#include <stdexcept>
#include <thread>

#include "device/cpu.h"
#include "device/crew.h"
#include "device/features.h"
#include "device/null.h"
#include "tests/sample.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/** Kernels of sample-kernels.c. */
enum Kernel : int32_t { DOUBLE, SUM, INCREMENT, ROOT, ENOUGH, TEN };

class Recorder final : public Effects {
 public:
  void perform(int32_t effect) override {
    seen.push_back(effect);
    if (effect < 0) throw std::runtime_error("effect " + std::to_string(effect));
  }
  std::vector<int32_t> seen;
};

/** A device with the sample's kernels and memory that frees itself. */
class Bench {
 public:
  explicit Bench(std::unique_ptr<Device> opened) : device(std::move(opened)), code_(bytesOfFile(SAMPLE_KERNELS)), module(device->load({std::as_bytes(std::span(code_)), 6})) {}
  ~Bench() {
    for (const Range r : ranges_) device->release(r);
  }
  Range floats(const std::vector<float>& values) {
    ranges_.push_back(device->allocate(static_cast<int64_t>(values.size() * 4), "a test"));
    stream().upload(reinterpret_cast<const std::byte*>(values.data()), ranges_.back());
    return ranges_.back();
  }
  std::vector<float> read(Range range) {
    std::vector<float> values(static_cast<size_t>(range.bytes) / 4);
    stream().download(range, reinterpret_cast<std::byte*>(values.data()));
    return values;
  }
  Stream& stream() { return device->stream(StreamKind::compute); }
  void run(const std::vector<Command>& commands, Effects& effects, Trace* trace = nullptr) {
    const auto tape = device->record(*module, commands);
    stream().run(*tape, effects, trace);
  }

  std::unique_ptr<Device> device;

 private:
  std::string code_;
  std::vector<Range> ranges_;

 public:
  std::unique_ptr<Module> module;
};

Command launch(Kernel kernel, const std::vector<Range>& operands, int64_t tasks, const std::vector<int64_t>& dims = {}) {
  LaunchCommand l{.kernel = kernel, .operands = {}, .dims = dims, .tasks = tasks, .scratch = 16};
  for (size_t i = 0; i < operands.size(); i++) l.operands.push_back({operands[i], i + 1 == operands.size()});
  return {l};
}

/** Floats whose launches are shared. */
constexpr int64_t MANY = SHARED_LAUNCH / 4;

std::vector<float> counting(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

}  // namespace

TEST_CASE("launches, copies and loops give the same for any number of workers") {
  for (const int workers : {1, 2, 3, 5}) {
    CAPTURE(workers);
    Bench b(openCpu(workers, "v3"));
    Recorder effects;
    for (const size_t n : {size_t{1}, size_t{7}, size_t{1000}, size_t{100'000}}) {
      const auto values = counting(n);
      const Range x = b.floats(values);
      const Range y = b.floats(std::vector<float>(n, -1));
      const Range z = b.floats(std::vector<float>(n, -1));
      b.run({launch(DOUBLE, {x, y}, static_cast<int64_t>(n)), {CopyCommand{y, z}}, launch(INCREMENT, {z}, static_cast<int64_t>(n)), launch(DOUBLE, {z, y}, static_cast<int64_t>(n))}, effects);
      const auto result = b.read(y);
      for (size_t i = 0; i < n; i++) REQUIRE(result[i] == (values[i] * 2 + 1) * 2);
    }
  }
}

TEST_CASE("a loop counts, and ends when its end is written") {
  for (const int workers : {1, 2, 3}) {
    CAPTURE(workers);
    Bench b(openCpu(workers, "v3"));
    Recorder effects;
    // Shared, for the first sum has many tasks; and the leader's alone.
    for (const int64_t tasks : {MANY, int64_t{1}}) {
      const Range s = b.floats(std::vector<float>(static_cast<size_t>(tasks), 0));
      const Range index = b.floats({-1});
      Range until = b.floats({0});
      until.bytes = 1;
      b.run({{LoopCommand{100, index, until, {launch(INCREMENT, {s}, tasks), launch(ENOUGH, {index, until}, 1), {EffectCommand{7}}}}}}, effects);
      CHECK(b.read(s) == std::vector<float>(static_cast<size_t>(tasks), 4));
      b.run({{LoopCommand{10, index, std::nullopt, {launch(INCREMENT, {s}, tasks)}}}, {LoopCommand{0, index, std::nullopt, {launch(INCREMENT, {s}, tasks)}}}}, effects);
      CHECK(b.read(s)[0] == 14);
      // Nested loops, of which the inner is not shared.
      b.run({{LoopCommand{3, index, std::nullopt, {{LoopCommand{4, index, std::nullopt, {launch(INCREMENT, {s}, 1)}}}, launch(INCREMENT, {s}, tasks)}}}}, effects);
      CHECK(b.read(s)[0] == 14 + 3 * 5);
    }
    CHECK(effects.seen == std::vector<int32_t>(8, 7));
  }
}

TEST_CASE("an effect that fails ends the run for everyone, and the next run is whole") {
  for (const int workers : {1, 2, 3}) {
    CAPTURE(workers);
    Bench b(openCpu(workers, "v3"));
    const Range s = b.floats(std::vector<float>(MANY, 0));
    const Range index = b.floats({0});
    const Command work = launch(INCREMENT, {s}, MANY);
    const Command alone = launch(INCREMENT, {s}, 1);
    const Command fail = {EffectCommand{-1}};
    const std::vector<std::vector<Command>> failing = {
        {fail}, {work, fail, work}, {fail, alone, work}, {work, fail}, {work, fail, alone}, {work, alone, fail, alone, alone, work},
        {work, {LoopCommand{9, index, std::nullopt, {work, fail, alone}}}, work}, {work, {LoopCommand{9, index, std::nullopt, {alone, fail}}}, alone, work},
        {{LoopCommand{9, index, std::nullopt, {fail, work}}}}, {work, {LoopCommand{9, index, std::nullopt, {{LoopCommand{2, index, std::nullopt, {fail}}}, work}}}, work}};
    for (int round = 0; round < 50; round++)
      for (const auto& commands : failing) {
        Recorder effects;
        CHECK_THROWS_WITH(b.run(commands, effects), "effect -1");
        CHECK(effects.seen.size() == 1);
        const float before = b.read(s)[MANY - 1];
        b.run({work, work}, effects);
        REQUIRE(b.read(s)[MANY - 1] == before + 2);
      }
  }
}

TEST_CASE("runs follow each other as fast as they can, with and without sleep between them") {
  Bench b(openCpu(3, "v3"));
  Recorder effects;
  const Range s = b.floats(std::vector<float>(MANY, 0));
  const auto tape = b.device->record(*b.module, {launch(INCREMENT, {s}, MANY), launch(INCREMENT, {s}, 1), launch(INCREMENT, {s}, MANY)});
  for (int i = 0; i < 3000; i++) {
    b.stream().run(*tape, effects, nullptr);
    if (i % 1000 == 0) std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  CHECK(b.read(s)[0] == 9000);
  CHECK(b.read(s)[MANY - 1] == 6000);
}

TEST_CASE("large copies are shared and whole") {
  Bench b(openCpu(3, "v3"));
  Recorder effects;
  const auto values = counting(1'000'003);
  const Range x = b.floats(values);
  const Range y = b.floats(std::vector<float>(values.size(), 0));
  b.run({{CopyCommand{x, y}}}, effects);
  CHECK(b.read(y) == values);
}

TEST_CASE("a trace has every launch and copy with its line") {
  Bench b(openCpu(2, "v3"));
  Recorder effects;
  Trace trace;
  const LabelId label = trace.label("launch", "say \"hi\"\n", Span{"a.ts", 3, 4});
  const LabelId copy = trace.label("copy", "copy", std::nullopt);
  const Range x = b.floats(counting(8));
  const Range y = b.floats(counting(8));
  Command first = launch(DOUBLE, {x, y}, 8);
  std::get<LaunchCommand>(first.as).label = label;
  b.run({first, {CopyCommand{x, y, copy}}, launch(INCREMENT, {y}, 8)}, effects, &trace);
  const Json json = Json::parse(trace.json());
  REQUIRE(json["traceEvents"].size() == 2);
  CHECK(json["traceEvents"][0]["name"] == "say \"hi\"\n");
  CHECK(json["traceEvents"][0]["args"]["line"] == "a.ts:3:4");
  CHECK(json["traceEvents"][1]["args"]["bytes"] == 32);
  CHECK(json["traceEvents"][1]["ts"] >= json["traceEvents"][0]["ts"]);
}

TEST_CASE("memory that the machine does not have is refused with the bytes it takes") {
  const auto device = openCpu(1, "v3");
  const std::string found = messageOf([&] { device->allocate(int64_t{1} << 50, "`huge` at N = 7"); });
  CHECK(found.find("error MEM001: not enough memory for `huge` at N = 7\n  found:    it needs 1125899906842624 bytes (1073741824.0 MiB); 0 bytes (0.0 MiB) are in use") == 0);
}

TEST_CASE("code that is none, or lacks a kernel, is refused") {
  const auto device = openCpu(1, "v3");
  const std::string text = "this is no shared object";
  CHECK(messageOf([&] { device->load({std::as_bytes(std::span(text)), 1}); }).starts_with("error CPU006: the program's native code cannot be loaded"));
  const std::string code = bytesOfFile(SAMPLE_KERNELS);
  CHECK(messageOf([&] { device->load({std::as_bytes(std::span(code)), 10}); }).starts_with("error CPU006: the program's native code has no kernel k9"));
}

TEST_CASE("the first module that the processor runs is chosen") {
  const auto module = [](std::string level, std::vector<std::string> features) { return ModuleInfo{.kind = ModuleInfo::Kind::cpu, .level = std::move(level), .features = std::move(features)}; };
  const std::vector<ModuleInfo> modules{{}, module("v4", {"vnni", "bf16"}), module("v4", {"vnni"}), module("v3", {})};
  CHECK(&chooseModule(modules, {.v3 = true, .v4 = true, .vnni = true, .bf16 = true}) == &modules[1]);
  CHECK(&chooseModule(modules, {.v3 = true, .v4 = true, .vnni = true}) == &modules[2]);
  CHECK(&chooseModule(modules, {.v3 = true, .v4 = true}) == &modules[3]);
  CHECK(messageOf([&] { chooseModule(modules, {}); }) ==
        "error CPU005: this machine cannot run the program's native code\n  found:    a processor with less than v3\n  expected: v4+vnni+bf16, v4+vnni, v3\n"
        "  hint:     build it for a lower level, or with several: --target cpu:v3,v4");
  CHECK(messageOf([&] { chooseModule({{}}, {}); }).starts_with("error CPU005: the program has no native code"));
  CHECK(cpuFeatures().v3 == (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi2")));
  CHECK(cpuFeatures().v4 == (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq")));
}

TEST_CASE("the null device refuses ranges that are not in memory, and poisons what is freed or would be written") {
  Bench b(openNull());
  Recorder effects;
  const Range x = b.floats(counting(16));
  const Range y = b.floats(counting(16));
  b.run({launch(DOUBLE, {x, y}, 16), {EffectCommand{1}}}, effects);
  CHECK(b.read(x) == counting(16));
  CHECK(std::isnan(b.read(y)[15]));
  CHECK(effects.seen == std::vector<int32_t>{1});
  CHECK_THROWS_AS(b.run({launch(DOUBLE, {{x.address + 4, x.bytes}, y}, 16)}, effects), std::logic_error);
  CHECK_THROWS_AS(b.run({launch(static_cast<Kernel>(6), {x}, 1)}, effects), std::logic_error);
  const Range gone = b.device->allocate(64, "a test");
  b.device->release(gone);
  CHECK_THROWS_AS(b.run({{CopyCommand{gone, gone}}}, effects), std::logic_error);
  CHECK_THROWS_AS(b.device->release(gone), std::logic_error);
}
