// Sizes: integer polynomials in named dims with floor division, remainder, minimum and maximum, as compiler/base/sizes.ts
// has them. Dims are numbers in a program's table of names, so that a value is found without a search.
#pragma once
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <vector>

namespace sluice {

/** A dim's place in the program's table of names. */
using DimId = int32_t;

struct Size;

struct Atom {
  enum class Kind : uint8_t { dim, floordiv, mod, min, max };
  Kind kind = Kind::dim;
  DimId dim = 0;
  /** None for a dim, otherwise two. */
  std::vector<Size> operands;
};

struct Term {
  int64_t coefficient = 0;
  std::vector<Atom> atoms;
};

struct Size {
  int64_t constant = 0;
  std::vector<Term> terms;

  bool isConstant() const { return terms.empty(); }
  /** The dim, of a size that is one and nothing else. */
  std::optional<DimId> loneDim() const;
};

/** Sizes are integers that a double holds exactly, as where programs are compiled. */
constexpr int64_t LARGEST_SIZE = (int64_t{1} << 53) - 1;
constexpr int64_t UNBOUND = std::numeric_limits<int64_t>::min();
/** By DimId; UNBOUND where a dim has no value. */
using DimValues = std::vector<int64_t>;

/** The value; none if a dim in it has none, a divisor is 0, or any step leaves ±LARGEST_SIZE. */
std::optional<int64_t> evaluate(const Size& size, const DimValues& values);

/** As people write it: `2*H - 1`. */
std::string text(const Size& size, const std::vector<std::string>& dimNames);

struct DimDecl {
  enum class Binding : uint8_t { instance, call };
  DimId dim = 0;
  Binding binding = Binding::call;
  int64_t min = 0;
  int64_t max = 0;
  /** Every value is a multiple of this. */
  int64_t multipleOf = 1;
};

/** `1 … 64, a multiple of 8`. */
std::string boundsText(const DimDecl& decl);

}  // namespace sluice
