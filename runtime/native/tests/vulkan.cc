// The Vulkan device, under the validation layers: tapes do what they do on the cpu, whatever is cut, written out or counted
// by the host; moments order streams; memory is given out in parts; and what fails is named.
#include <chrono>
#include <numeric>
#include <stdexcept>

#include "device/vulkan-probe.h"
#include "tests/vulkan-bench.h"

using namespace sluice;
using namespace sluice::test;

namespace {

std::vector<float> counting(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

}  // namespace

TEST_CASE("vulkan: launches and copies follow each other, and a tape runs again") {
  if (!isHere()) return;
  VulkanBench b;
  Witness effects;
  for (const size_t n : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{100'000}}) {
    CAPTURE(n);
    const auto values = counting(n);
    const Range x = b.upload(values);
    const Range y = b.upload(std::vector<float>(n, -1));
    const Range z = b.upload(std::vector<float>(n, -1));
    const auto tasks = static_cast<int64_t>(n);
    const auto tape = b.device->record(*b.module, {launch(TWICE, {x, y}, tasks), {CopyCommand{y, z}}, launch(INCREMENT, {z}, tasks), launch(TWICE, {z, y}, tasks), launch(INCREMENT, {x}, tasks)});
    // Without waiting between them.
    for (int i = 0; i < 3; i++) b.stream().run(*tape, effects, nullptr);
    const auto result = b.download<float>(y);
    for (size_t i = 0; i < n; i++) REQUIRE(result[i] == ((values[i] + 2) * 2 + 1) * 2);
  }
}

TEST_CASE("vulkan: a barrier stands before a command that depends on one before it, and nowhere else") {
  if (!isHere()) return;
  VulkanBench b;
  static PFN_vkCmdPipelineBarrier barrier;
  static int barriers;
  VolkDeviceTable& vk = b.device->gpu().vk;
  barrier = vk.vkCmdPipelineBarrier;
  vk.vkCmdPipelineBarrier = [](VkCommandBuffer commands, VkPipelineStageFlags from, VkPipelineStageFlags to, VkDependencyFlags flags, uint32_t memory, const VkMemoryBarrier* all, uint32_t buffers,
                                const VkBufferMemoryBarrier* each, uint32_t images, const VkImageMemoryBarrier* image) {
    barriers++;
    barrier(commands, from, to, flags, memory, all, buffers, each, images, image);
  };
  std::vector<Range> r;
  for (int i = 0; i < 6; i++) r.push_back(b.upload(counting(100)));
  const Range half{r[0].address + 200, 200};
  const auto barriersIn = [&](const std::vector<Command>& commands) {
    barriers = 0;
    const auto tape = b.device->record(*b.module, commands);
    // The first of a command buffer, and the one for the host at its end.
    return barriers - 2;
  };
  const auto twice = [&](const Range& from, const Range& to) { return launch(TWICE, {from, to}, 50); };
  CHECK(barriersIn({twice(r[0], r[1]), twice(r[2], r[3]), twice(r[0], r[4])}) == 0);
  CHECK(barriersIn({twice(r[0], r[1]), twice(r[1], r[2])}) == 1);
  CHECK(barriersIn({twice(r[0], r[1]), twice(r[2], r[0])}) == 1);
  CHECK(barriersIn({twice(r[0], r[1]), twice(r[2], r[1])}) == 1);
  CHECK(barriersIn({twice(r[1], r[0]), {CopyCommand{half, {r[2].address, 200}}}, twice(r[2], r[3])}) == 2);
  CHECK(barriersIn({twice(r[1], {r[0].address, 200}), {CopyCommand{half, {r[2].address, 200}}}}) == 0);
  // Through scratch memory that they share.
  CHECK(barriersIn({launch(SPILL, {r[0], r[1]}, 50, {2}, 8), launch(SPILL, {r[2], r[3]}, 50, {2}, 8)}) == 1);
  // The index of each round is written after it was read, and read after it was written.
  CHECK(barriersIn({{LoopCommand{3, r[5], std::nullopt, {launch(NOTE, {r[5], r[4]}, 1)}}}}) == 5);
}

TEST_CASE("vulkan: more workgroups than one dimension has") {
  if (!isHere()) return;
  VulkanBench b;
  Witness effects;
  for (const int64_t tasks : {int64_t{65535}, int64_t{65536}, int64_t{200'001}}) {
    const Range y = b.upload(std::vector<int32_t>(static_cast<size_t>(tasks) + 1, -1));
    b.run({launch(MARK, {y}, tasks, {7})}, effects);
    const auto result = b.download<int32_t>(y);
    for (int32_t i = 0; i < tasks; i++) REQUIRE(result[static_cast<size_t>(i)] == i + 7);
    CHECK(result.back() == -1);
  }
}

TEST_CASE("vulkan: a launch is cut where its scratch memory would be too large") {
  if (!isHere()) return;
  VulkanBench b;
  Witness effects;
  // Room for three workgroups, for less than one, and for less than a task.
  for (const int64_t scratch : {int64_t{8}, SCRATCH_LIMIT / 200, SCRATCH_LIMIT / 10, SCRATCH_LIMIT + 4}) {
    CAPTURE(scratch);
    const int64_t tasks = scratch > SCRATCH_LIMIT ? 3 : 500;
    const auto values = counting(static_cast<size_t>(tasks));
    const Range x = b.upload(values);
    const Range y = b.upload(std::vector<float>(values.size(), -1));
    const int64_t count = std::min<int64_t>(scratch / 4, 16);
    b.run({launch(SPILL, {x, y}, tasks, {count}, scratch), launch(SPILL, {y, x}, tasks, {2}, 8)}, effects);
    const auto result = b.download<float>(x);
    for (size_t i = 0; i < values.size(); i++) REQUIRE(result[i] == 2 * (values[i] * static_cast<float>(count) + static_cast<float>(count * (count - 1) / 2)) + 1);
  }
}

TEST_CASE("vulkan: loops count, written out or not, nested or not, and end when their end is written") {
  if (!isHere()) return;
  VulkanBench b;
  Witness effects;
  const Range index = b.upload(std::vector<int32_t>{-1});
  const Range inner = b.upload(std::vector<int32_t>{-1});
  const Range until = b.upload(std::vector<uint8_t>{0});
  const auto rounds = [&](const LoopCommand& loop, const Range& list) {
    b.run({{loop}}, effects);
    auto noted = b.download<int32_t>(list);
    noted.resize(static_cast<size_t>(noted[0]) + 1);
    return std::vector<int32_t>(noted.begin() + 1, noted.end());
  };
  const auto list = [&](size_t length) { return b.upload(std::vector<int32_t>(length + 1, 0)); };
  const auto upTo = [](int32_t count) {
    std::vector<int32_t> all(static_cast<size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
  };
  for (const int32_t trips : {0, 1, 20, 700}) {
    CAPTURE(trips);
    const Range noted = list(1000);
    CHECK(rounds({trips, index, std::nullopt, {launch(NOTE, {index, noted}, 1)}}, noted) == upTo(trips));
  }
  const Range ended = list(100);
  CHECK(rounds({100, index, until, {launch(NOTE, {index, ended}, 1), launch(ENOUGH, {index, until}, 1, {4})}}, ended) == upTo(5));
  for (const int32_t trips : {3, 400}) {
    const Range nested = list(3000);
    std::vector<int32_t> expected;
    for (int32_t i = 0; i < trips; i++) expected.insert(expected.end(), {0, 1, i});
    CHECK(rounds({trips, index, std::nullopt, {{LoopCommand{2, inner, std::nullopt, {launch(NOTE, {inner, nested}, 1)}}}, launch(NOTE, {index, nested}, 1)}}, nested) == expected);
  }
  const Range seen = list(100);
  CHECK(rounds({3, index, std::nullopt, {launch(NOTE, {index, seen}, 1), {EffectCommand{7}}}}, seen) == upTo(3));
  CHECK(effects.seen == std::vector<int32_t>{7, 7, 7});
}

TEST_CASE("vulkan: an effect sees everything before it and nothing after it, and what it throws ends the run") {
  if (!isHere()) return;
  VulkanBench b;
  Witness effects;
  const Range s = b.upload(std::vector<float>(1000, 0));
  effects.onEffect = [&](int32_t effect) {
    CHECK(b.download<float>(s) == std::vector<float>(1000, static_cast<float>(effect)));
    if (effect == 3) throw std::runtime_error("three");
  };
  const Command work = launch(INCREMENT, {s}, 1000);
  const auto tape = b.device->record(*b.module, {{EffectCommand{0}}, work, {EffectCommand{1}}, work, work, {EffectCommand{3}}, work});
  CHECK_THROWS_WITH(b.stream().run(*tape, effects, nullptr), "three");
  CHECK(effects.seen == std::vector<int32_t>{0, 1, 3});
  b.run({work}, effects);
  CHECK(b.download<float>(s)[999] == 4);
}

TEST_CASE("vulkan: moments order streams, and what is downloaded is there when its moment is") {
  if (!isHere()) return;
  VulkanBench b;
  Witness effects;
  Stream& compute = b.stream();
  Stream& up = b.device->stream(StreamKind::upload);
  Stream& down = b.device->stream(StreamKind::download);
  const size_t n = 5'000'000;
  const Range x = b.upload(std::vector<float>(n, -1));
  const Range y = b.upload(std::vector<float>(n, -1));
  const auto tape = b.device->record(*b.module, {launch(TWICE, {x, y}, static_cast<int64_t>(n))});
  std::vector<float> result(n);
  for (float round = 1; round <= 3; round++) {
    const std::vector<float> values(n, round);
    up.after(compute, compute.record());
    up.upload(reinterpret_cast<const std::byte*>(values.data()), x);
    compute.after(up, up.record());
    compute.run(*tape, effects, nullptr);
    down.after(compute, compute.record());
    down.download(y, reinterpret_cast<std::byte*>(result.data()));
    const Moment done = down.record();
    down.await(done);
    CHECK(down.reached(done));
    CHECK(result == std::vector<float>(n, 2 * round));
    compute.after(down, done);
  }
  CHECK_THROWS_AS(compute.await(compute.record() + 1), std::logic_error);
  // Seen to be reached, not awaited.
  float first = 0;
  down.download({y.address, 4}, reinterpret_cast<std::byte*>(&first));
  const Moment last = down.record();
  while (!down.reached(last)) continue;
  CHECK(first == 6);
}

TEST_CASE("vulkan: many small copies pass through one piece of mapped memory") {
  if (!isHere()) return;
  VulkanBench b;
  const auto values = counting(5000);
  const Range x = b.upload(std::vector<float>(values.size(), 0));
  for (size_t i = 0; i < values.size(); i++) b.stream().upload(reinterpret_cast<const std::byte*>(&values[i]), {x.address + 4 * i, 4});
  CHECK(b.download<float>(x) == values);
  const Range y = b.upload(std::vector<float>(values.size(), 0));
  for (size_t i = 0; i < values.size(); i++) b.stream().copy({x.address + 4 * i, 4}, {y.address + 4 * (values.size() - 1 - i), 4});
  CHECK(b.download<float>(y) == std::vector<float>(values.rbegin(), values.rend()));
}

TEST_CASE("vulkan: memory is given out in parts that do not overlap, and blocks without parts are given back") {
  if (!isHere()) return;
  VulkanBench b;
  const VulkanMemory& memory = b.device->memory();
  std::vector<Range> ranges;
  for (int64_t i = 0; i < 300; i++) ranges.push_back(b.device->allocate(1 + i * 5003, "a test"));
  for (size_t i = 0; i < ranges.size(); i++) {
    CHECK(ranges[i].address % 256 == 0);
    const auto bytes = std::vector<std::byte>(static_cast<size_t>(ranges[i].bytes), static_cast<std::byte>(i));
    b.stream().upload(bytes.data(), ranges[i]);
  }
  for (size_t i = 0; i < ranges.size(); i++) REQUIRE(b.download<uint8_t>(ranges[i]) == std::vector<uint8_t>(static_cast<size_t>(ranges[i].bytes), static_cast<uint8_t>(i)));
  for (const Range r : ranges) b.device->release(r);
  CHECK(memory.used() == 0);
  CHECK_THROWS_AS(b.device->release(ranges[0]), std::logic_error);
  const Range large = b.device->allocate(int64_t{600} << 20, "a test");
  CHECK(memory.reserved() >= int64_t{600} << 20);
  b.device->release(large);
  CHECK(memory.reserved() <= int64_t{256} << 20);
  b.device->release({});
}

TEST_CASE("vulkan: constants are shared for as long as the device is open") {
  if (!isHere()) return;
  VulkanBench b;
  const auto values = counting(100);
  CHECK(b.download<float>(b.device->share(std::as_bytes(std::span(values)), "constant 0")) == values);
}

TEST_CASE("vulkan: a trace has every launch and copy, in order, within the time that it took") {
  if (!isHere()) return;
  VulkanBench b;
  Witness effects;
  Trace trace;
  const LabelId label = trace.label("launch", "twice", Span{"a.ts", 3, 4});
  const LabelId copy = trace.label("copy", "copy", std::nullopt);
  const LabelId whole = trace.label("call", "whole", std::nullopt);
  const Range x = b.upload(counting(100'000));
  const Range y = b.upload(counting(100'000));
  const Range index = b.upload(std::vector<int32_t>{0});
  Command first = launch(TWICE, {x, y}, 100'000);
  std::get<LaunchCommand>(first.as).label = label;
  const auto tape = b.device->record(*b.module, {first, {LoopCommand{2, index, std::nullopt, {{CopyCommand{x, y, copy}}, launch(INCREMENT, {y}, 8)}}}});
  const int64_t begin = Trace::now();
  b.stream().run(*tape, effects, &trace);
  b.stream().await(b.stream().record());
  trace.add(whole, begin, Trace::now());
  const Json events = Json::parse(trace.json())["traceEvents"];
  REQUIRE(events.size() == 4);
  CHECK(events[0]["name"] == "twice");
  CHECK(events[0]["args"]["line"] == "a.ts:3:4");
  CHECK(events[2]["args"]["bytes"] == 400'000);
  const auto end = [](const Json& e) { return e["ts"].get<double>() + e["dur"].get<double>(); };
  CHECK(events[0]["dur"].get<double>() > 0);
  for (size_t i = 0; i < 3; i++) {
    CHECK(events[i]["ts"] >= (i == 0 ? events[3]["ts"].get<double>() : end(events[i - 1])));
    CHECK(end(events[i]) <= end(events[3]));
  }
}
