// Sizes evaluate as where programs are compiled, and refuse what no memory could have.
#include "base/size.h"

#include <doctest/doctest.h>

#include "base/text.h"

using namespace sluice;

namespace {
Size dim(DimId id) { return {0, {{1, {{Atom::Kind::dim, id, {}}}}}}; }
Size of(Atom::Kind kind, Size a, Size b) {
  Atom atom{kind, 0, {}};
  atom.operands = {std::move(a), std::move(b)};
  return {0, {{1, {std::move(atom)}}}};
}
Size constant(int64_t n) { return {n, {}}; }
const std::vector<std::string> NAMES{"H", "W"};
}  // namespace

TEST_CASE("a polynomial has its value and its text") {
  // 2·H·W + H - 7
  const Size s{-7, {{2, {{Atom::Kind::dim, 0, {}}, {Atom::Kind::dim, 1, {}}}}, {1, {{Atom::Kind::dim, 0, {}}}}}};
  CHECK(evaluate(s, {3, 5}) == 26);
  CHECK(text(s, NAMES) == "2*H*W + H - 7");
  CHECK(text(constant(0), NAMES) == "0");
  CHECK(text(Size{0, {{-1, {{Atom::Kind::dim, 1, {}}}}}}, NAMES) == "-W");
}

TEST_CASE("division and remainder round down, for every sign") {
  for (int64_t a = -9; a <= 9; a++)
    for (int64_t b = -4; b <= 4; b++) {
      if (b == 0) continue;
      const auto quotient = evaluate(of(Atom::Kind::floordiv, dim(0), dim(1)), {a, b});
      const auto rest = evaluate(of(Atom::Kind::mod, dim(0), dim(1)), {a, b});
      CAPTURE(a);
      CAPTURE(b);
      REQUIRE(quotient);
      REQUIRE(rest);
      CHECK(*quotient * b + *rest == a);
      CHECK((b > 0 ? *rest >= 0 && *rest < b : *rest <= 0 && *rest > b));
    }
  CHECK(evaluate(of(Atom::Kind::min, dim(0), constant(4)), {9, 0}) == 4);
  CHECK(evaluate(of(Atom::Kind::max, dim(0), constant(4)), {9, 0}) == 9);
  CHECK(text(of(Atom::Kind::floordiv, dim(0), constant(4)), NAMES) == "floordiv(H, 4)");
}

TEST_CASE("what has no value is refused: an unbound dim, a zero divisor, anything past 2^53") {
  CHECK_FALSE(evaluate(dim(0), {UNBOUND, 1}));
  CHECK_FALSE(evaluate(dim(7), {1, 1}));
  CHECK_FALSE(evaluate(of(Atom::Kind::mod, dim(0), dim(1)), {5, 0}));
  CHECK_FALSE(evaluate(of(Atom::Kind::floordiv, dim(0), dim(1)), {5, 0}));
  const Size square{0, {{1, {{Atom::Kind::dim, 0, {}}, {Atom::Kind::dim, 0, {}}}}}};
  CHECK(evaluate(square, {94906265, 1}) == 9007199136250225);
  CHECK_FALSE(evaluate(square, {94906266, 1}));
  CHECK_FALSE(evaluate(Size{LARGEST_SIZE, {{1, {{Atom::Kind::dim, 0, {}}}}}}, {1, 1}));
}

TEST_CASE("numbers are printed as JavaScript prints them") {
  const std::pair<double, const char*> cases[] = {{0, "0"}, {-0.0, "0"}, {1, "1"}, {-2.5, "-2.5"}, {0.1, "0.1"}, {1e21, "1e+21"}, {123456789012345680000.0, "123456789012345680000"},
      {1e-7, "1e-7"}, {0.000001, "0.000001"}, {1.5e-9, "1.5e-9"}, {1.0 / 3, "0.3333333333333333"}, {-1e300, "-1e+300"}, {100, "100"}};
  for (const auto& [x, wanted] : cases) CHECK(numberText(x) == wanted);
  CHECK(numberText(std::numeric_limits<double>::quiet_NaN()) == "NaN");
  CHECK(numberText(-std::numeric_limits<double>::infinity()) == "-Infinity");
}

TEST_CASE("tensors are printed with seven digits, halves away from zero, and twelve elements at most") {
  CHECK(tensorText(tensorOf(DType::f64, {3}, {1.0 / 3, 1234566.5, -1234566.5})) == "f64 [3] [0.3333333, 1234567, -1234567]");
  CHECK(tensorText(tensorOf(DType::f32, {}, {0.1})) == "0.1");
  CHECK(tensorText(tensorOf(DType::i8, {2, 7}, std::vector<double>(14, -3))) == "i8 [2, 7] [-3, -3, -3, -3, -3, -3, -3, -3, -3, -3, -3, -3] …");
}
