// Numbers and lists as people read them, in the words of the TypeScript runtime.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/tensor.h"

namespace sluice {

/** As JavaScript prints a number: the shortest text that reads back the same. */
std::string numberText(double x);
/** A tensor as print shows it: its type and the first elements to seven digits. */
std::string tensorText(const HostTensor& tensor);
/** `file:line:column`. */
std::string spanText(const Span& span);
std::string joined(const std::vector<std::string>& parts, std::string_view separator = ", ");
/** "there is no <what> `name`", and what there is. */
Error unknownName(std::string_view what, std::string code, std::string_view name, const std::vector<std::string>& known);

}  // namespace sluice
