// Names that were perhaps meant: what an error offers when a name matches nothing, as in compiler/base/names.ts.
#pragma once
#include <string>
#include <vector>

namespace sluice {

/** Up to `most` of the known names, the most similar first. */
std::vector<std::string> nearestNames(const std::string& name, const std::vector<std::string>& known, size_t most = 4);
/** The most similar names as an error lists them, and that there are more. */
std::string nearestText(const std::string& name, const std::vector<std::string>& known, size_t most = 4);

}  // namespace sluice
