// The CUDA device on a driver that does its work as late as it may: tapes do what they do on the cpu, handed over command by
// command, as graphs, or counted by the host; moments order streams; and what is downloaded is there when its moment is.
#include <numeric>
#include <stdexcept>

#include "tests/cuda-bench.h"

using namespace sluice;
using namespace sluice::test;

namespace {

std::vector<float> counting(size_t count) {
  std::vector<float> values(count);
  std::iota(values.begin(), values.end(), 1.0F);
  return values;
}

}  // namespace

TEST_CASE("cuda: launches and copies follow each other, and a tape that runs again is one graph") {
  CudaBench b;
  Witness effects;
  CHECK(b.device->description() == "cuda, Host shim 0, sm_90, driver for CUDA 13.0");
  for (const size_t n : {size_t{1}, size_t{63}, size_t{256}, size_t{257}, size_t{3000}}) {
    CAPTURE(n);
    const auto values = counting(n);
    const Range x = b.upload(values);
    const Range y = b.upload(std::vector<float>(n, -1));
    const Range z = b.upload(std::vector<float>(n, -1));
    const auto tasks = static_cast<int64_t>(n);
    const auto tape = b.device->record(*b.module, {launch(DOUBLE, {x, y}, tasks), {CopyCommand{y, z}}, launch(ADD_ONE, {z}, tasks), launch(DOUBLE, {z, y}, tasks), launch(ADD_ONE, {x}, tasks)});
    const int graphs = counts().graph_launches;
    // Without waiting between them.
    for (int i = 0; i < 4; i++) b.stream().run(*tape, effects, nullptr);
    CHECK(counts().graph_launches == graphs + 3);
    const auto result = b.download<float>(y);
    for (size_t i = 0; i < n; i++) REQUIRE(result[i] == ((values[i] + 3) * 2 + 1) * 2);
  }
}

TEST_CASE("cuda: workgroups have a task each, and a launch is cut where its scratch memory would be too large") {
  CudaBench b;
  Witness effects;
  const Range y = b.upload(std::vector<int32_t>(101, -1));
  b.run({launch(NUMBER, {y}, 100, {7})}, effects);
  const auto numbers = b.download<int32_t>(y);
  for (int32_t i = 0; i < 100; i++) REQUIRE(numbers[static_cast<size_t>(i)] == i + 7);
  CHECK(numbers.back() == -1);
  // Room for more than a block, for less than one, and for less than a task.
  for (const int64_t scratch : {int64_t{8}, SCRATCH_LIMIT / 100, SCRATCH_LIMIT + 4}) {
    CAPTURE(scratch);
    const int64_t tasks = scratch > SCRATCH_LIMIT ? 3 : 300;
    const auto values = counting(static_cast<size_t>(tasks));
    const Range x = b.upload(values);
    const Range z = b.upload(std::vector<float>(values.size(), -1));
    const int64_t count = scratch / 4 > 16 ? 16 : 2;
    b.run({launch(SPILLED, {x, z}, tasks, {count}, scratch)}, effects);
    const auto result = b.download<float>(z);
    for (size_t i = 0; i < values.size(); i++) REQUIRE(result[i] == values[i] * static_cast<float>(count) + static_cast<float>(count * (count - 1) / 2));
  }
}

TEST_CASE("cuda: loops count, written out or not, nested or not, and end when their end is written") {
  CudaBench b;
  Witness effects;
  const Range index = b.upload(std::vector<int32_t>{-1});
  const Range inner = b.upload(std::vector<int32_t>{-1});
  const Range until = b.upload(std::vector<uint8_t>{0});
  const auto noted = [&](const std::function<LoopCommand(Range list)>& loop) {
    const Range list = b.upload(std::vector<int32_t>(3000, 0));
    b.run({{loop(list)}}, effects);
    auto all = b.download<int32_t>(list);
    return std::vector<int32_t>(all.begin() + 1, all.begin() + 1 + all[0]);
  };
  const auto upTo = [](int32_t count) {
    std::vector<int32_t> all(static_cast<size_t>(count));
    std::iota(all.begin(), all.end(), 0);
    return all;
  };
  for (const int32_t trips : {0, 1, 20, 700}) CHECK(noted([&](Range list) { return LoopCommand{trips, index, std::nullopt, {launch(APPEND, {index, list}, 1)}}; }) == upTo(trips));
  CHECK(noted([&](Range list) { return LoopCommand{100, index, until, {launch(APPEND, {index, list}, 1), launch(COME_TO, {index, until}, 1, {4})}}; }) == upTo(5));
  for (const int32_t trips : {3, 400}) {
    std::vector<int32_t> expected;
    for (int32_t i = 0; i < trips; i++) expected.insert(expected.end(), {0, 1, i});
    CHECK(noted([&](Range list) {
      return LoopCommand{trips, index, std::nullopt, {{LoopCommand{2, inner, std::nullopt, {launch(APPEND, {inner, list}, 1)}}}, launch(APPEND, {index, list}, 1)}};
    }) == expected);
  }
  CHECK(noted([&](Range list) { return LoopCommand{3, index, std::nullopt, {launch(APPEND, {index, list}, 1), {EffectCommand{7}}}}; }) == upTo(3));
  CHECK(effects.seen == std::vector<int32_t>{7, 7, 7});
}

TEST_CASE("cuda: an effect sees everything before it and nothing after it, and what it throws ends the run") {
  CudaBench b;
  Witness effects;
  const Range s = b.upload(std::vector<float>(1000, 0));
  effects.onEffect = [&](int32_t effect) {
    CHECK(b.download<float>(s) == std::vector<float>(1000, static_cast<float>(effect)));
    if (effect == 3) throw std::runtime_error("three");
  };
  const Command work = launch(ADD_ONE, {s}, 1000);
  const auto tape = b.device->record(*b.module, {{EffectCommand{0}}, work, {EffectCommand{1}}, work, work, {EffectCommand{3}}, work});
  CHECK_THROWS_WITH(b.stream().run(*tape, effects, nullptr), "three");
  CHECK(effects.seen == std::vector<int32_t>{0, 1, 3});
  b.run({work}, effects);
  CHECK(b.download<float>(s)[999] == 4);
}

TEST_CASE("cuda: moments order streams, through pinned memory that serves again") {
  CudaBench b;
  Witness effects;
  Stream& compute = b.stream();
  Stream& up = b.device->stream(StreamKind::upload);
  Stream& down = b.device->stream(StreamKind::download);
  // More than three pieces of it.
  const size_t n = 7'000'000;
  const Range x = b.upload(std::vector<float>(n, -1));
  const Range y = b.upload(std::vector<float>(n, -1));
  const auto tape = b.device->record(*b.module, {{CopyCommand{x, y}}, launch(ADD_ONE, {y}, 1000)});
  std::vector<float> result(n);
  for (float round = 1; round <= 2; round++) {
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
    CHECK(result[999] == round + 1);
    CHECK(result[1000] == round);
    CHECK(result[n - 1] == round);
    compute.after(down, done);
  }
  CHECK_THROWS_AS(compute.await(compute.record() + 1), std::logic_error);
  // Seen to be reached, not awaited.
  float first = 0;
  down.download({y.address, 4}, reinterpret_cast<std::byte*>(&first));
  const Moment last = down.record();
  CHECK(!down.reached(last));
  CHECK(first == 0);
  while (!down.reached(last)) continue;
  CHECK(first == 3);
}

TEST_CASE("cuda: many small copies pass through one piece of pinned memory, and many moments are under way") {
  CudaBench b;
  const auto values = counting(5000);
  const Range x = b.upload(std::vector<float>(values.size(), 0));
  for (size_t i = 0; i < values.size(); i++) {
    b.stream().upload(reinterpret_cast<const std::byte*>(&values[i]), {x.address + 4 * i, 4});
    b.stream().record();
  }
  CHECK(b.download<float>(x) == values);
  CHECK(b.download<float>(b.device->share(std::as_bytes(std::span(values)), "constant 0")) == values);
}

TEST_CASE("cuda: a trace has every launch and copy, in order, within the time that it took") {
  CudaBench b;
  Witness effects;
  Trace trace;
  const LabelId label = trace.label("launch", "double", Span{"a.ts", 3, 4});
  const LabelId copy = trace.label("copy", "copy", std::nullopt);
  const LabelId whole = trace.label("call", "whole", std::nullopt);
  const Range x = b.upload(counting(1000));
  const Range y = b.upload(counting(1000));
  const Range index = b.upload(std::vector<int32_t>{0});
  Command first = launch(DOUBLE, {x, y}, 1000);
  std::get<LaunchCommand>(first.as).label = label;
  const auto tape = b.device->record(*b.module, {first, {LoopCommand{200, index, std::nullopt, {{CopyCommand{x, y, copy}}, launch(ADD_ONE, {y}, 8)}}}});
  const int64_t begin = Trace::now();
  b.stream().run(*tape, effects, &trace);
  trace.add(whole, begin, Trace::now());
  const Json events = Json::parse(trace.json())["traceEvents"];
  REQUIRE(events.size() == 202);
  CHECK(events[0]["name"] == "double");
  CHECK(events[0]["args"]["line"] == "a.ts:3:4");
  CHECK(events[2]["args"]["bytes"] == 4000);
  // The device counts in halves of microseconds.
  const double slack = 5;
  const auto end = [](const Json& e) { return e["ts"].get<double>() + e["dur"].get<double>(); };
  CHECK(events[0]["dur"].get<double>() > 0);
  for (size_t i = 0; i < 201; i++) {
    CHECK(events[i]["ts"] >= (i == 0 ? events[201]["ts"].get<double>() : end(events[i - 1])) - slack);
    CHECK(end(events[i]) <= end(events[201]) + slack);
  }
}
