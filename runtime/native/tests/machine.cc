// Programs on a machine: entries, states, procedures, and every refusal, in the words of the TypeScript runtime.
#include <doctest/doctest.h>
#include <malloc.h>

#include <cmath>
#include <map>

#include "base/text.h"
#include "exec/machine.h"
#include "exec/procedure.h"
#include "tests/runners.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/** The sample, opened on a device. */
class Opened {
 public:
  struct Options {
    Runner runner = onCpu(1);
    bool checkNan = false;
    std::function<void(Json&)> edit = [](Json&) {};
    std::vector<std::pair<std::string, int64_t>> dims = {{"C", 5}};
    Trace* trace = nullptr;
  };
  explicit Opened(const Options& o)
      : file_(o.runner.file(o.edit)),
        container_(readContainer(file_)),
        device_(o.runner.open()),
        machine({.device = *device_, .container = container_, .module = o.runner.module(container_.modules), .dims = o.dims, .checkNan = o.checkNan,
            .print = [this](const std::string& text) { printed.push_back(text); }, .trace = o.trace}) {}

  /** The first output of an entry. */
  std::vector<float> call(std::string_view entry, const std::vector<std::pair<std::string, HostTensor>>& inputs = {}) {
    std::vector<NamedInput> named;
    for (const auto& [name, value] : inputs) named.push_back({name, &value});
    const auto& outputs = machine.run(machine.entry(entry), named, {});
    return outputs.empty() ? std::vector<float>{} : floats(machine.toHost(outputs[0]));
  }
  std::vector<float> state(std::string_view name) { return floats(machine.getState(name)); }
  static std::vector<float> floats(const HostTensor& t) {
    std::vector<float> values;
    for (int64_t i = 0; i < elementCount(t.shape); i++) values.push_back(static_cast<float>(elementAt(t, i)));
    return values;
  }

 private:
  std::vector<std::byte> file_;
  Container container_;
  std::unique_ptr<Device> device_;

 public:
  std::vector<std::string> printed;
  Machine machine;
};

HostTensor vectorOf(const std::vector<double>& values) { return tensorOf(DType::f32, {static_cast<int64_t>(values.size())}, values); }
HostTensor flagOf(bool ok) { return tensorOf(DType::boolean, {}, {ok ? 1.0 : 0.0}); }

using Floats = std::vector<float>;

/** Keeps what procedures save, and what they say. */
class Memory final : public Host, public Sink {
 public:
  void write(const std::string& path, const HostTensor& tensor) override { files[path] = {{"value", tensor}}; }
  void save(const std::string& path, const NamedTensors& tensors) override { files[path] = tensors; }
  std::vector<HostTensor> load(const std::string& path, const std::vector<WantedTensor>& wanted) override { return read(path, wanted); }
  std::vector<HostTensor> read(const std::string& path, const std::vector<WantedTensor>& wanted) override {
    asked = wanted;
    std::vector<HostTensor> found;
    for (const auto& [_, tensor] : files.at(path)) found.push_back(tensor);
    return found;
  }
  HostTensor pixels(const PictureSource&, DType dtype, std::optional<std::array<int64_t, 2>>) override { return tensorOf(dtype, {1, 1, 3}, {1, 2, 3}); }
  void row(Row row) override {
    for (const auto& [name, value] : row.values) {
      const auto* x = std::get_if<double>(&value);
      const auto* text = std::get_if<std::string>(&value);
      said.push_back(name + ": " + (x != nullptr ? std::to_string(static_cast<int>(*x)) : text != nullptr ? *text : tensorText(std::get<HostTensor>(value))));
    }
  }
  void progress(double done, double total) override { last = {done, total}; }
  bool cancelled() override { return cancelAfter >= 0 && cancelAfter-- == 0; }

  std::map<std::string, NamedTensors> files;
  std::vector<WantedTensor> asked;
  std::vector<std::string> said;
  std::pair<double, double> last;
  int cancelAfter = -1;
};

}  // namespace

TEST_CASE("an entry serves any size, and the workspace grows for it") {
  for (const Runner& runner : runners()) {
    CAPTURE(runner.name);
    Opened p({.runner = runner});
    for (const int64_t n : {1, 7, 64, 50'000, 3, 700'000, 7}) {
      std::vector<double> x(static_cast<size_t>(n));
      for (size_t i = 0; i < x.size(); i++) x[i] = static_cast<double>(i % 1000);
      const auto y = p.call("double", {{"x", vectorOf(x)}});
      REQUIRE(y.size() == x.size());
      for (size_t i = 0; i < x.size(); i++) REQUIRE(y[i] == static_cast<float>(x[i] * 2));
    }
  }
}

TEST_CASE("constants, states and loops with an early end") {
  for (const Runner& runner : runners()) {
    CAPTURE(runner.name);
    Opened p({.runner = runner});
    CHECK(p.call("constant") == Floats{1, 2, 3, 4});
    CHECK(p.state("counter") == Floats(4, 10));
    p.call("count");
    CHECK(p.call("loop") == Floats(4, 15));
    p.machine.setState("counter", vectorOf({1, 2, 3, 4}));
    CHECK(p.call("count") == Floats{2, 3, 4, 5});
    CHECK(p.machine.stateType("unset").shape == std::vector<int64_t>{5});
  }
}

TEST_CASE("an assert that fails names the line and leaves written states unusable until they are set") {
  for (const Runner& runner : runners()) {
    CAPTURE(runner.name);
    Opened p({.runner = runner});
    p.call("fails", {{"ok", flagOf(true)}});
    for (int round = 0; round < 100; round++) {
      CHECK(messageOf([&] { p.call("fails", {{"ok", flagOf(false)}}); }) == "sample.ts:30:5: error ASSERT001: ok must hold");
      CHECK(messageOf([&] { p.call("count"); }) ==
            "sample.ts:2:1: error STATE102: state `counter` may be half written, because `fails` failed while it ran\n  hint:     load it again, or open the program anew");
      p.machine.setState("counter", vectorOf({1, 1, 1, 1}));
      CHECK(p.call("count")[0] == 2);
    }
  }
}

TEST_CASE("NaN is found where it is made, and print prints") {
  for (const Runner& runner : runners()) {
    CAPTURE(runner.name);
    Opened p({.runner = runner, .checkNan = true});
    p.call("root", {{"x", vectorOf({4, 9})}});
    CHECK(p.printed == std::vector<std::string>{"roots: f32 [2] [2, 3]"});
    CHECK(messageOf([&] { p.call("root", {{"x", vectorOf({1, -1, -4, 16})}}); }) ==
          "sample.ts:13:3: error NAN001: NaN in `root`, made by root\n  found:    2 of 4 elements of f32 [4], the first at [1]");
    Opened unchecked({.runner = runner});
    CHECK(std::isnan(unchecked.call("root", {{"x", vectorOf({-1})}})[0]));
  }
}

TEST_CASE("what does not fit is refused with what was found and expected") {
  Opened p({});
  CHECK(messageOf([&] { p.call("dubble"); }) ==
        "error ENTRY001: there is no entry `dubble`\n  found:    dubble\n  expected: one of double, total, root, counter.init, constant, count, loop, fails, needs_unset");
  CHECK(messageOf([&] { p.call("double"); }) == "error DIM002: dim N of `double` has no value\n  expected: N: 1 … 3000000000\n  hint:     no input has it as a size; give it in sizes");
  CHECK(messageOf([&] { p.call("fails"); }) == "error INPUT001: `fails` needs an input `ok`\n  expected: bool []");
  CHECK(messageOf([&] { p.call("double", {{"x", tensorOf(DType::i32, {1}, {1})}}); }) ==
        "error INPUT003: input `x` of `double` has the wrong dtype\n  found:    i32 [1]\n  expected: f32 [1]");
  CHECK(messageOf([&] { p.call("double", {{"x", tensorOf(DType::f32, {2, 1}, {1, 2})}}); }) ==
        "error INPUT004: input `x` of `double` has the wrong shape\n  found:    f32 [2, 1]\n  expected: f32 [2]");
  CHECK(messageOf([&] { p.call("double", {{"x", vectorOf({})}}); }) == "error DIM001: dim N of `double` is out of bounds\n  found:    N = 0\n  expected: N: 1 … 3000000000");
  CHECK(messageOf([&] { p.call("needs_unset"); }) ==
        "sample.ts:7:1: error STATE101: `needs_unset` reads state `unset` before it has a value\n  expected: a first value, or a load or write before it");
  CHECK(messageOf([&] { p.state("contour"); }) == "error STATE104: there is no state `contour`\n  found:    contour\n  expected: one of counter, unset");
  CHECK(messageOf([&] { p.machine.setState("counter", vectorOf({1, 2})); }) == "error STATE103: state `counter` has another type\n  found:    f32 [2]\n  expected: f32 [4]");
  CHECK(messageOf([&] { Opened({.dims = {{"C", 65}}}); }) == "error DIM001: dim C of `sample` is out of bounds\n  found:    C = 65\n  expected: C: 1 … 64");
  CHECK(messageOf([&] { Opened({.dims = {{"N", 1}}}); }) == "error DIM003: `sample` has no dim N that is bound when it is loaded\n  found:    N\n  expected: C: 1 … 64");
  CHECK(messageOf([&] { Opened({.dims = {}}).machine.stateType("unset"); }).find("error DIM002: the size of state `unset` depends on a dim that has no value") != std::string::npos);
}

TEST_CASE("a schedule that does not fit its places or its kernels is refused before anything runs") {
  const std::tuple<const char*, std::function<void(Json&)>, const char*> cases[] = {
      {"count", [](Json& s) { s["slots"][0] = 0; }, "buffer 1 does not fit its place"},
      {"count", [](Json& s) { s["slots"][0] = -64; }, "a size is -64"},
      {"count", [](Json& s) { s["slots"] = {9007199254740928, 9007199254740928}; }, "its workspace is larger than any memory"},
      {"count", [](Json& s) { s["buffers"][1]["shape"] = s["outputs"][0]["type"]["shape"] = {94906265, 94906265, 9}; }, "buffer 1 does not fit its place"},
      {"count", [](Json& s) { s["buffers"][0]["shape"] = {5}; }, "buffer 0 does not fit its place"},
      {"count", [](Json& s) { s["buffers"][0]["shape"] = {3}; }, "buffer 0 is smaller than increment takes it to be"},
      {"count", [](Json& s) { s["steps"][1]["to"] = 0; s["steps"][1]["from"] = 1; s["buffers"][1]["shape"] = {2}; }, "a copy is between buffers of different sizes"},
      {"loop", [](Json& s) { s["slots"][1] = 0; }, "buffer 2 does not fit its place"},
  };
  for (const auto& [entry, edit, message] : cases) {
    Opened p({.edit = [&, &e = entry, &change = edit](Json& h) { change(scheduleOf(h, e)); }});
    const std::string found = messageOf([&, &e = entry] { p.call(e); });
    CAPTURE(message);
    CHECK(found == std::string("error PLAN001: the schedule of `") + entry + "` is malformed: " + message + "\n  hint:     build the program again");
  }
}

TEST_CASE("an init that needs its own state makes no value") {
  Opened p({.edit = [](Json& h) { h["program"]["states"][0]["init"] = "count"; }});
  CHECK(messageOf([&] { p.call("loop"); }).find("error STATE101: `count` reads state `counter` before it has a value") != std::string::npos);
  CHECK(messageOf([&] { p.state("counter"); }).find("error STATE101") != std::string::npos);
}

TEST_CASE("a procedure loops, logs, emits and saves; another loads") {
  for (const Runner& runner : runners()) {
    CAPTURE(runner.name);
    Opened p({.runner = runner});
    Memory memory;
    const auto& train = procedureNamed(p.machine.program(), "train");
    CHECK(runProcedure(train, {{0, 4.0}, {4, std::string("w")}}, p.machine, memory, memory));
    CHECK(memory.said == std::vector<std::string>{"sum: 44", "sum: 48", "sum: 52", "sum: 56", "last: f32 [4] [14, 14, 14, 14]", "note: after 4 steps"});
    CHECK(memory.last == std::pair(4.0, 4.0));
    CHECK(Opened::floats(memory.files["w"][0].second) == Floats(4, 14));
    p.call("count");
    CHECK(runProcedure(procedureNamed(p.machine.program(), "resume"), {{0, std::string("w")}}, p.machine, memory, memory));
    CHECK(memory.asked[0].shape == std::vector<int64_t>{4});
    CHECK(p.state("counter") == Floats(4, 14));
    // It is asked before each trip and before each call.
    memory.cancelAfter = 20;
    CHECK_FALSE(runProcedure(procedureNamed(p.machine.program(), "forever"), {}, p.machine, memory, memory));
    CHECK(p.state("counter") == Floats(4, 24));
    CHECK(messageOf([&] { procedureNamed(p.machine.program(), "trian"); }).starts_with("error ENTRY001: there is no procedure `trian`"));
  }
}

TEST_CASE("a loop without calls is cancelled too") {
  const Json one = {{"kind", "const"}, {"value", 1}};
  const Json empty = Json::array({{{"kind", "set"}, {"slot", 0}, {"value", one}}});
  for (const Json& loop : {Json{{"kind", "while"}, {"condition", one}, {"body", empty}}, Json{{"kind", "repeat"}, {"count", {{"kind", "const"}, {"value", 1e15}}}, {"index", 1}, {"body", empty}}}) {
    Opened p({.edit = [&](Json& h) { h["program"]["procedures"] = Json::array({{{"name", "spin"}, {"slots", 2}, {"args", Json::array()}, {"body", Json::array({loop})}}}); }});
    Memory memory;
    memory.cancelAfter = 1000;
    CHECK_FALSE(runProcedure(procedureNamed(p.machine.program(), "spin"), {}, p.machine, memory, memory));
  }
}

TEST_CASE("a procedure that uses a slot before it holds what is wanted is refused by name") {
  const auto refusal = [](Json body) {
    Opened p({.edit = [&](Json& h) { h["program"]["procedures"] = Json::array({{{"name", "odd"}, {"slots", 3}, {"args", Json::array()}, {"body", body}}}); }});
    Memory memory;
    return messageOf([&] { runProcedure(procedureNamed(p.machine.program(), "odd"), {}, p.machine, memory, memory); });
  };
  const Json slot = {{"kind", "slot"}, {"slot", 1}};
  const Json one = {{"kind", "const"}, {"value", 1}};
  const Json later = {{"kind", "set"}, {"slot", 1}, {"value", one}};
  CHECK(refusal({{{"kind", "set"}, {"slot", 0}, {"value", slot}}, later}) == "error PROC001: `odd` uses slot 1 as a number before it has one");
  CHECK(refusal({{{"kind", "list_clear"}, {"list", 0}}, {{"kind", "list_new"}, {"list", 0}, {"dtype", "f32"}}}) == "error PROC001: `odd` uses slot 0 as a list before it is one");
  CHECK(refusal({{{"kind", "emit"}, {"name", "x"}, {"value", {{"tensor", 2}}}}, {{"kind", "set"}, {"slot", 2}, {"value", one}}}) == "error PROC001: `odd` uses slot 2 as a tensor before it is one");
  CHECK(refusal({{{"kind", "list_new"}, {"list", 0}, {"dtype", "f32"}}, {{"kind", "set"}, {"slot", 1}, {"value", {{"kind", "list_at"}, {"list", 0}, {"index", one}}}}}) ==
        "error PROC001: `odd` reads item 1 of a list of 0");
}

TEST_CASE("scalars are JavaScript's numbers") {
  const auto value = [](Json e) {
    Opened p({.edit = [&](Json& h) {
      h["program"]["procedures"] = Json::array({{{"name", "p"}, {"slots", 1}, {"args", Json::array()}, {"body", Json::array({{{"kind", "emit"}, {"name", "x"}, {"value", {{"text", Json::array({{{"number", e}}})}}}}})}}});
    }});
    Memory memory;
    runProcedure(procedureNamed(p.machine.program(), "p"), {}, p.machine, memory, memory);
    return memory.said[0].substr(3);
  };
  const auto number = [](Json x) { return Json{{"kind", "const"}, {"value", x}}; };
  const auto binary = [&](const char* op, Json a, Json b) { return value({{"kind", "binary"}, {"op", op}, {"a", number(a)}, {"b", number(b)}}); };
  const auto unary = [&](const char* op, Json x) { return value({{"kind", "unary"}, {"op", op}, {"x", number(x)}}); };
  CHECK(binary("mod", -7, 3) == "2");
  CHECK(binary("pow", 1, {{"number", "inf"}}) == "NaN");
  CHECK(binary("max", 1, {{"number", "nan"}}) == "NaN");
  CHECK(binary("min", 2, -3) == "-3");
  CHECK(binary("div", 1, 3) == "0.3333333333333333");
  CHECK(binary("or", 0, {{"number", "nan"}}) == "1");
  CHECK(unary("to_i32", 4294967298.5) == "2");
  CHECK(unary("to_i32", -2147483649.0) == "2147483647");
  CHECK(unary("to_f32", 0.1) == "0.10000000149011612");
  CHECK(unary("floor", -0.5) == "-1");
}

TEST_CASE("on the null device every entry binds and stays in memory") {
  Opened p({.runner = onNull()});
  for (const int64_t n : {5, 1, 900, 5}) CHECK(p.call("double", {{"x", vectorOf(std::vector<double>(static_cast<size_t>(n), 1))}}).size() == static_cast<size_t>(n));
  CHECK(p.call("constant") == Floats{1, 2, 3, 4});
  CHECK(std::isnan(p.call("count")[0]));
  CHECK(std::isnan(p.call("loop")[3]));
}

TEST_CASE("a trace shows calls, launches, copies and files, with the lines that the container has") {
  Trace trace;
  Opened p({.runner = onCpu(2), .trace = &trace});
  Memory memory;
  runProcedure(procedureNamed(p.machine.program(), "train"), {{0, 1.0}, {4, std::string("w.safetensors")}}, p.machine, memory, memory);
  runProcedure(procedureNamed(p.machine.program(), "resume"), {{0, std::string("w.safetensors")}}, p.machine, memory, memory);
  std::string seen;
  const Json json = Json::parse(trace.json());
  for (const Json& e : json["traceEvents"]) seen += e["cat"].get<std::string>() + " " + e["name"].get<std::string>() + " " + e["args"].value("line", "") + "\n";
  CHECK(seen ==
        "launch ten sample.ts:15:3\ncall counter.init sample.ts:2:1\nlaunch increment sample.ts:19:3\ncopy copy sample.ts:20:3\ncall count sample.ts:40:3\n"
        "launch sum sample.ts:11:3\ncall total \nwrite w.safetensors sample.ts:42:3\nread w.safetensors sample.ts:50:3\n");
}

TEST_CASE("ten thousand runs leave no memory behind") {
  Opened p({.runner = onCpu(2)});
  Memory memory;
  const HostTensor x = vectorOf({1, 2, 3});
  const auto work = [&](int runs) {
    for (int i = 0; i < runs; i++) {
      p.call("double", {{"x", x}});
      memory.said.clear();
      runProcedure(procedureNamed(p.machine.program(), "train"), {{0, 1.0}, {4, std::string("w")}}, p.machine, memory, memory);
    }
  };
  work(100);
  const size_t before = mallinfo2().uordblks;
  work(10'000);
  CHECK(mallinfo2().uordblks <= before + 4096);
}
