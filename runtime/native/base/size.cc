#include "base/size.h"

#include <algorithm>

namespace sluice {
namespace {

/** False where the value leaves what a double holds exactly. */
bool add(int64_t a, int64_t b, int64_t& sum) { return !__builtin_add_overflow(a, b, &sum) && sum >= -LARGEST_SIZE && sum <= LARGEST_SIZE; }
bool multiply(int64_t a, int64_t b, int64_t& product) {
  return !__builtin_mul_overflow(a, b, &product) && product >= -LARGEST_SIZE && product <= LARGEST_SIZE;
}

int64_t floorDivide(int64_t a, int64_t b) { return a / b - (a % b != 0 && (a < 0) != (b < 0) ? 1 : 0); }

std::optional<int64_t> evaluate(const Atom& atom, const DimValues& values) {
  if (atom.kind == Atom::Kind::dim) {
    const auto at = static_cast<size_t>(atom.dim);
    if (at >= values.size() || values[at] == UNBOUND) return std::nullopt;
    return values[at];
  }
  const auto a = evaluate(atom.operands[0], values);
  const auto b = evaluate(atom.operands[1], values);
  if (!a || !b) return std::nullopt;
  switch (atom.kind) {
    case Atom::Kind::min: return std::min(*a, *b);
    case Atom::Kind::max: return std::max(*a, *b);
    case Atom::Kind::floordiv: return *b == 0 ? std::nullopt : std::optional(floorDivide(*a, *b));
    default: return *b == 0 ? std::nullopt : std::optional(*a - floorDivide(*a, *b) * *b);
  }
}

std::string atomText(const Atom& atom, const std::vector<std::string>& names) {
  if (atom.kind == Atom::Kind::dim) return names[static_cast<size_t>(atom.dim)];
  static constexpr const char* NAMES[] = {"dim", "floordiv", "mod", "min", "max"};
  return std::string(NAMES[static_cast<size_t>(atom.kind)]) + "(" + text(atom.operands[0], names) + ", " + text(atom.operands[1], names) + ")";
}

}  // namespace

std::optional<DimId> Size::loneDim() const {
  if (constant != 0 || terms.size() != 1 || terms[0].coefficient != 1 || terms[0].atoms.size() != 1) return std::nullopt;
  const Atom& atom = terms[0].atoms[0];
  return atom.kind == Atom::Kind::dim ? std::optional(atom.dim) : std::nullopt;
}

std::optional<int64_t> evaluate(const Size& size, const DimValues& values) {
  int64_t sum = size.constant;
  for (const Term& term : size.terms) {
    int64_t product = term.coefficient;
    for (const Atom& atom : term.atoms) {
      const auto value = evaluate(atom, values);
      if (!value || !multiply(product, *value, product)) return std::nullopt;
    }
    if (!add(sum, product, sum)) return std::nullopt;
  }
  return sum;
}

std::string text(const Size& size, const std::vector<std::string>& dimNames) {
  std::string out;
  const auto append = [&](int64_t coefficient, const std::string& product) {
    const int64_t magnitude = coefficient < 0 ? -coefficient : coefficient;
    out += out.empty() ? (coefficient < 0 ? "-" : "") : (coefficient < 0 ? " - " : " + ");
    if (product.empty()) out += std::to_string(magnitude);
    else out += (magnitude == 1 ? "" : std::to_string(magnitude) + "*") + product;
  };
  for (const Term& term : size.terms) {
    std::string product;
    for (const Atom& atom : term.atoms) product += (product.empty() ? "" : "*") + atomText(atom, dimNames);
    append(term.coefficient, product);
  }
  if (size.constant != 0 || size.terms.empty()) append(size.constant, "");
  return out;
}

std::string boundsText(const DimDecl& decl) {
  return std::to_string(decl.min) + " … " + std::to_string(decl.max) + (decl.multipleOf > 1 ? ", a multiple of " + std::to_string(decl.multipleOf) : "");
}

}  // namespace sluice
