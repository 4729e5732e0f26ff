#include "device/memory-error.h"

#include <cstdio>

namespace sluice {
namespace {

std::string mebibytes(int64_t bytes) {
  char text[32];
  std::snprintf(text, sizeof text, "%.1f", static_cast<double>(bytes) / (1 << 20));
  return std::to_string(bytes) + " bytes (" + text + " MiB)";
}

}  // namespace

Error notEnoughMemory(std::string_view purpose, int64_t wanted, int64_t used, int64_t limit) {
  return Error({.code = "MEM001", .message = "not enough memory for " + std::string(purpose), .found = "it needs " + mebibytes(wanted) + "; " + mebibytes(used) + " are in use",
      .expected = "at most " + mebibytes(limit) + " in all", .hint = "use smaller sizes, or close programs that are no longer needed"});
}

}  // namespace sluice
