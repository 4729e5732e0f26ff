// The decoder of a container's header: what compiler/container/codec.ts lets pass, and slots that a procedure does have.
#pragma once
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "container/read.h"

namespace sluice {

struct SectionInfo {
  std::string name;
  int64_t bytes = 0;
  uint32_t crc = 0;
};
struct ContainerHeader {
  Program program;
  std::vector<ModuleInfo> modules;
  std::vector<SectionInfo> sections;
};

/** What is no header: the place in it, and what was expected there. */
struct JsonError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/** Throws JsonError and nothing else. */
ContainerHeader decodeHeader(std::string_view json);

}  // namespace sluice
