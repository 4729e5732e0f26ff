#include "base/names.h"

#include <algorithm>
#include <numeric>

#include "base/text.h"

namespace sluice {
namespace {

std::string small(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  return text;
}

/** How many single characters differ. */
int64_t distance(const std::string& name, const std::string& known) {
  std::vector<int64_t> before(known.size() + 1);
  std::iota(before.begin(), before.end(), 0);
  for (const char c : name) {
    std::vector<int64_t> row{before[0] + 1};
    for (size_t i = 1; i <= known.size(); i++) row.push_back(std::min({before[i] + 1, row[i - 1] + 1, before[i - 1] + (c == known[i - 1] ? 0 : 1)}));
    before = std::move(row);
  }
  return before[known.size()];
}

/** The name's last part alone is compared too, since what is missing is often the path before it. */
int64_t strangeness(const std::string& name, const std::string& known) {
  const int64_t whole = distance(name, known);
  const auto last = [](const std::string& text) { return text.substr(text.rfind('.') + 1); };
  const auto parts = [](const std::string& text) { return std::count(text.begin(), text.end(), '.'); };
  return last(name) == last(known) ? std::min(whole, 1 + std::abs(parts(known) - parts(name))) : whole;
}

}  // namespace

std::vector<std::string> nearestNames(const std::string& name, const std::vector<std::string>& known, size_t most) {
  std::vector<std::pair<int64_t, size_t>> ranked;
  for (size_t i = 0; i < known.size(); i++) ranked.emplace_back(strangeness(small(name), small(known[i])), i);
  std::sort(ranked.begin(), ranked.end());
  std::vector<std::string> nearest;
  for (size_t i = 0; i < std::min(most, ranked.size()); i++) nearest.push_back(known[ranked[i].second]);
  return nearest;
}

std::string nearestText(const std::string& name, const std::vector<std::string>& known, size_t most) {
  if (known.empty()) return "none";
  return joined(nearestNames(name, known, most)) + (known.size() > most ? ", … (" + std::to_string(known.size() - most) + " more)" : "");
}

}  // namespace sluice
