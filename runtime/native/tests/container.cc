// Containers: what is there is read, and what is damaged anywhere is refused by name.
#include <doctest/doctest.h>

#include "tests/sample.h"

using namespace sluice;
using namespace sluice::test;

namespace {

/** Small enough to damage it everywhere. */
std::vector<std::byte> smallFile(const std::function<void(std::string&)>& edit = [](std::string&) {}) {
  std::string text = R"({"spans":[],"program":{"name":"small","dims":[],"states":[],"constants":[{"dtype":"u8","shape":[3]},{"dtype":"f32","shape":[1]}],"procedures":[],)"
                     R"("lowerings":[{"machine":"v3","kernels":[],"schedules":[]}]},"modules":[{"kind":"cpu","lowering":0,"level":"v3","features":[],"scratch":[]}]})";
  edit(text);
  std::string constants(68, '\0');
  constants.replace(0, 3, "\x01\x02\x03");
  constants.replace(64, 4, std::string("\0\0\x80\x3f", 4));
  return containerFile(Json::parse(text), {constants, "[[]]", "code"});
}

/** Of a copy in memory of its own length, so that nothing may be read past its end. */
std::string read(const std::vector<std::byte>& file, size_t length) {
  const std::vector<std::byte> exact(file.begin(), file.begin() + static_cast<ptrdiff_t>(length));
  return messageOf([&] { readContainer(exact); });
}

}  // namespace

TEST_CASE("the checksum is CRC-32C") {
  const std::string digits = "123456789";
  CHECK(crc32c({reinterpret_cast<const std::byte*>(digits.data()), digits.size()}) == 0xe3069283);
}

TEST_CASE("a container is read: constants, modules, entries, procedures") {
  const auto file = sampleFile();
  const Container c = readContainer(file);
  CHECK(c.program.name == "sample");
  CHECK(c.program.dimNames == std::vector<std::string>{"N", "C"});
  REQUIRE(c.constants.size() == 1);
  float second = 0;
  std::memcpy(&second, c.constants[0].data() + 4, 4);
  CHECK(second == 2);
  REQUIRE(c.modules.size() == 1);
  CHECK(c.modules[0].level == "v3");
  CHECK(c.modules[0].bytes.size() == bytesOfFile(SAMPLE_KERNELS).size());
  const Lowering& l = c.program.lowerings[0];
  CHECK(std::get<LaunchStep>(l.schedules[1].steps[0].as).spans[0].get()->line == 11);
  CHECK(l.schedules[0].entry == "double");
  CHECK(typeText(l.schedules[0].inputs[0].type, c.program.dimNames) == "f32 [N]");
  REQUIRE(l.schedules[0].slots.size() == 2);
  CHECK(text(l.schedules[0].slots[1], c.program.dimNames) == "64*floordiv(4*N + 63, 64)");
  CHECK(std::get<SlotPlace>(l.schedules[0].buffers[1].place).slot == 1);
  CHECK(c.program.procedures[0].args[1].kind == ProcedureArg::Kind::file);
  const Schedule& count = l.schedules[5];
  REQUIRE(count.entry == "count");
  CHECK(count.span.get() == nullptr);
  CHECK(std::get<LaunchStep>(count.steps[0].as).spans.at(0).get()->line == 19);
  CHECK(std::get<CopyStep>(count.steps[1].as).span.get()->line == 20);
  CHECK(std::get<SaveStep>(c.program.procedures[0].body[4].as).span.get()->line == 42);
}

TEST_CASE("every truncation is refused") {
  const auto file = smallFile();
  for (size_t length = 0; length < file.size(); length++) {
    CAPTURE(length);
    REQUIRE(read(file, length).starts_with("error SLX001: "));
  }
  auto longer = file;
  longer.resize(file.size() + 4096);
  CHECK(read(longer, longer.size()).starts_with("error SLX001: the container is cut short or has bytes after its end"));
}

TEST_CASE("every flipped byte is refused") {
  auto file = smallFile();
  for (size_t at = 0; at < file.size(); at++) {
    CAPTURE(at);
    const std::byte before = file[at];
    file[at] ^= static_cast<std::byte>(1 + at % 255);
    REQUIRE(messageOf([&] { readContainer(file); }).starts_with("error SLX001: "));
    file[at] = before;
  }
  CHECK(messageOf([&] { readContainer(file); }) == "nothing was refused");
}

TEST_CASE("a header whose checksum fits but whose content does not is refused, naming the place") {
  const std::tuple<const char*, std::string, const char*> edits[] = {
      {R"("name":"small")", R"("name":7)", "header.program.name: expected text"},
      {R"("dims":[])", R"("dims":{})", "header.program.dims: expected a list"},
      {R"("dtype":"u8")", R"("dtype":"u9")", "header.program.constants[0].dtype: expected one of f64, f32"},
      {R"("shape":[3])", R"("shape":[2e15])", "the constants have another length"},
      {R"("shape":[3])", R"("shape":[9007199254740991,9007199254740991])", "the constants have another length"},
      {R"("shape":[3])", R"("shape":[-3])", "header.program.constants[0].shape[0]: expected an integer from 0"},
      {R"("shape":[3])", R"("shape":[1])", "the padding after constant 0 is not zero"},
      {R"("shape":[3])", R"("shape":[0.5])", "shape[0]: expected an integer"},
      {R"("states":[])", R"("state":[])", "header.program: expected a field \"states\""},
      {R"("states":[])", R"("states":[],"more":0)", "header.program: expected no field \"more\""},
      {R"("procedures":[])", R"("procedures":)" + std::string(600, '[') + std::string(600, ']'), "the header cannot be read"},
      {R"("lowering":0)", R"("lowering":1)", "a module is for a lowering that is not there"},
      {R"("scratch":[])", R"("scratch":[0])", "a module has scratch sizes for another number of kernels"},
      {R"("level":"v3")", R"("level":"v5")", "header.modules[0].level: expected one of v3, v4"},
      {R"("lowerings":[{"machine":"v3","kernels":[],"schedules":[]}])", R"("lowerings":[])", "the program is lowered for no machine"},
      {R"("kind":"cpu")", R"("kind":"gpu")", "header.modules[0].kind: expected one of wasm, cpu"},
  };
  for (const auto& [from, to, message] : edits) {
    const auto file = smallFile([&, &f = from, &t = to](std::string& text) { text.replace(text.find(f), std::strlen(f), t); });
    const std::string found = messageOf([&] { readContainer(file); });
    CAPTURE(found);
    CHECK(found.find("SLX001") != std::string::npos);
    CHECK(found.find(message) != std::string::npos);
  }
}

TEST_CASE("references to what is not there, and lines that are none, are refused") {
  const std::tuple<std::function<void(Json&)>, const char*> edits[] = {
      {[](Json& h) { scheduleOf(h, "double")["steps"][0]["kernel"] = 6; }, "steps[0].kernel: expected an integer from 0 to 5"},
      {[](Json& h) { scheduleOf(h, "double")["steps"][0]["buffers"][0] = 2; }, "steps[0].buffers[0]: expected an integer from 0 to 1"},
      {[](Json& h) { scheduleOf(h, "loop")["steps"][0]["index"] = -1; }, "steps[0].index: expected an integer"},
      {[](Json& h) { h["program"]["procedures"][0]["args"][0]["slot"] = 6; }, "args[0].slot: expected an integer from 0 to 5"},
      {[](Json& h) { h["program"]["procedures"][0]["slots"] = 1e15; }, "slots: expected an integer from 0"},
      {[](Json& h) { scheduleOf(h, "double")["slots"][0] = Json{{"sum", {{1, {"pow", 2, 3}}}}}; }, "slots[0].sum[0][1][0]: expected one of floordiv, mod, min, max"},
      {[](Json& h) { h["program"]["dims"][0]["multipleOf"] = 0; }, "dims[0].multipleOf: expected an integer of at least 1"},
      {[](Json& h) { scheduleOf(h, "count")["steps"][1]["span"] = 1000; }, "steps[1].span: expected an integer from 0 to "},
      {[](Json& h) { scheduleOf(h, "count")["span"] = "a.ts:1:2"; }, ".span: expected an integer"},
      {[](Json& h) { h["spans"][0][1] = "1"; }, "header.spans[0][1]: expected an integer"},
      {[](Json& h) { h["spans"][0].push_back(1); }, "header.spans[0]: expected a file, a line and a column"},
      {[](Json& h) { scheduleOf(h, "double")["buffers"][0]["place"]["slot"] = 2; }, "buffers[0].place.slot: expected an integer from 0 to 1"},
      {[](Json& h) { scheduleOf(h, "count")["buffers"][0]["place"]["name"] = "contour"; }, "buffers[0].place.name: expected a state of the program"},
      {[](Json& h) { scheduleOf(h, "count")["buffers"][0]["dtype"] = "i32"; }, "buffers[0]: expected f32 with 1 axis"},
      {[](Json& h) { scheduleOf(h, "constant")["buffers"][0]["place"]["index"] = 1; }, "buffers[0].place.index: expected a constant of the program"},
      {[](Json& h) { scheduleOf(h, "constant")["steps"][0] = {{"kind", "copy"}, {"from", 1}, {"to", 0}}; }, "steps[0].to: expected a buffer that is no constant"},
      {[](Json& h) { scheduleOf(h, "constant")["outputs"][0]["buffer"] = 0; }, "outputs[0].buffer: expected a buffer in a slot"},
      {[](Json& h) { scheduleOf(h, "count")["steps"][0]["buffers"] = Json::array(); }, "steps[0].buffers: expected 1 buffers"},
      {[](Json& h) { scheduleOf(h, "double")["steps"][0]["kernel"] = 4; }, "steps[0].buffers[0]: expected a buffer of i32"},
      {[](Json& h) { scheduleOf(h, "constant")["steps"][0] = {{"kind", "launch"}, {"kernel", 3}, {"buffers", {0, 1}}, {"tasks", 4}, {"spans", Json::array()}}; },
          "steps[0].kernel: expected a kernel of the entry's dims"},
      {[](Json& h) { scheduleOf(h, "count")["steps"][0]["tasks"] = Json{{"sum", {{1, "M"}}}}; }, "steps[0].tasks: expected dims of the entry"},
      {[](Json& h) { scheduleOf(h, "double")["slots"][0] = Json{{"sum", {{1, {"min", {{"sum", {{1, "M"}}}}, 3}}}}}; }, "slots[0]: expected dims of the entry"},
      {[](Json& h) { scheduleOf(h, "loop")["steps"][0]["index"] = 1; }, "steps[0].index: expected i32 with 0 axes"},
      {[](Json& h) { scheduleOf(h, "loop")["steps"][0]["until"] = 2; }, "steps[0].until: expected bool with 0 axes"},
      {[](Json& h) { scheduleOf(h, "fails")["steps"][1]["buffer"] = 0; }, "steps[1].buffer: expected bool with 0 axes"},
      {[](Json& h) { scheduleOf(h, "double")["inputs"][0]["type"]["dtype"] = "i32"; }, "inputs[0].buffer: expected i32 with 1 axis"},
      {[](Json& h) { scheduleOf(h, "count")["reads"][0] = "contour"; }, "reads[0]: expected a state of the program"},
      {[](Json& h) { scheduleOf(h, "total")["entry"] = "double"; }, "schedules[1]: expected a name of its own"},
      {[](Json& h) { h["program"]["states"][0]["init"] = "double"; }, "states[0].init: expected an entry without inputs that has an output value"},
      {[](Json& h) { h["program"]["procedures"][0]["body"][1]["body"][0]["entry"] = "discount"; }, "body[1].body[0].entry: expected an entry of the program"},
      {[](Json& h) { h["program"]["procedures"][0]["body"][1]["body"][0]["outputs"][0]["name"] = "y"; }, "outputs[0].name: expected an output of the entry"},
      {[](Json& h) { h["program"]["procedures"][0]["body"][1]["body"][1]["inputs"][0]["name"] = "y"; }, "inputs[0].name: expected an input of the entry"},
      {[](Json& h) { h["program"]["procedures"][0]["body"][1]["body"][1]["inputs"][0]["tensor"] = 5; }, "inputs[0].tensor: expected a slot that holds a tensor"},
      {[](Json& h) { h["program"]["procedures"][0]["body"][1]["count"]["slot"] = 5; }, "body[1].count.slot: expected a slot that holds a number"},
      {[](Json& h) { h["program"]["procedures"][0]["body"][1]["body"][3]["list"] = 0; }, "body[1].body[3].list: expected a slot that holds a list"},
      {[](Json& h) { h["program"]["procedures"][0]["body"][4]["path"][0]["slot"] = 5; }, "body[4].path[0].slot: expected a slot that holds text"},
      {[](Json& h) { h["program"]["procedures"][0]["body"][4]["states"][0]["state"] = "contour"; }, "body[4].states[0].state: expected a state of the program"},
      {[](Json& h) { h["modules"][0]["scratch"][3] = Json{{"sum", {{1, "M"}}}}; }, "modules[0].scratch[3]: expected dims of the kernel"},
  };
  for (const auto& [edit, message] : edits) {
    const auto file = sampleFile(edit);
    const std::string found = messageOf([&] { readContainer(file); });
    CAPTURE(found);
    CHECK(found.find(message) != std::string::npos);
  }
}
