// Headers that were changed at random, with checksums that fit: each is refused by name, or binds to commands that stay
// within memory, which the null device watches.
#include <doctest/doctest.h>

#include <random>

#include "device/null.h"
#include "exec/machine.h"
#include "tests/sample.h"

using namespace sluice;
using namespace sluice::test;

namespace {

constexpr int64_t MEMORY = 1 << 20;
constexpr int64_t N = 3;

/** One number becomes another, or two values change places, somewhere in the header. */
void mutate(Json& header, std::mt19937_64& random) {
  std::vector<Json*> places;
  const std::function<void(Json&)> collect = [&](Json& json) {
    places.push_back(&json);
    if (json.is_structured())
      for (Json& child : json) collect(child);
  };
  collect(header["program"]["lowerings"]);
  const auto any = [&] { return places[random() % places.size()]; };
  Json* place = any();
  while (!place->is_number()) place = any();
  static constexpr int64_t NUMBERS[] = {-1, 0, 1, 2, 3, 4, 5, 7, 8, 63, 64, 65, 128, 4096, 1 << 30, int64_t{1} << 32, (int64_t{1} << 53) - 1, -64, 1000};
  if (random() % 4 != 0) *place = NUMBERS[random() % std::size(NUMBERS)];
  else *place = *any();
}

/** Runs every entry with inputs of its own types. */
void runAll(const Container& container) {
  const auto device = openNull(MEMORY);
  Machine machine({.device = *device, .container = container, .module = container.modules[0], .dims = {{"C", 5}}, .print = [](const std::string&) {}});
  const auto& schedules = machine.lowering().schedules;
  for (size_t i = 0; i < schedules.size(); i++) {
    DimValues dims = machine.dims();
    for (const DimDecl& d : schedules[i].dims) dims[static_cast<size_t>(d.dim)] = N;
    std::vector<HostTensor> tensors;
    for (const Port& p : schedules[i].inputs) {
      HostTensor t{p.type.dtype, {}, {}};
      for (const Size& s : p.type.shape) t.shape.push_back(std::clamp<int64_t>(evaluate(s, dims).value_or(0), 0, 64));
      t.bytes.resize(static_cast<size_t>(byteLength(t.dtype, elementCount(t.shape))));
      tensors.push_back(std::move(t));
    }
    std::vector<NamedInput> inputs;
    for (size_t k = 0; k < tensors.size(); k++) inputs.push_back({schedules[i].inputs[k].name, &tensors[k]});
    std::vector<DimValue> sizes;
    for (const DimDecl& d : schedules[i].dims) sizes.push_back({d.dim, N});
    try {
      for (const Placed& output : machine.run(i, inputs, sizes)) machine.toHost(output);
    } catch (const Error&) {
      // Refused by name.
    }
  }
}

}  // namespace

TEST_CASE("a header changed anywhere is refused by name, or stays within memory") {
  const Json whole = expanded(sampleHeader());
  int ran = 0;
  for (uint64_t seed = 0; seed < 3000; seed++) {
    CAPTURE(seed);
    std::mt19937_64 random(seed);
    Json header = whole;
    for (uint64_t i = random() % 3; i < 3; i++) mutate(header, random);
    const auto file = containerFile(header, {std::string(16, '\1'), "[[]]", "code"});
    try {
      const Container container = readContainer(file);
      runAll(container);
      ran++;
    } catch (const Error&) {
      // Refused by name.
    }
  }
  CHECK(ran > 300);
}
