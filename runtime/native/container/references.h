// What a program's parts say of each other: every name and number refers to something that is there and is of the kind that is
// wanted, so that what was read can be bound and run without asking again. compiler/container/references.ts refuses the
// same, in the same words.
#pragma once
#include <vector>

#include "container/read.h"

namespace sluice {

/** Throws JsonError, which names the place. */
void checkReferences(const Program& program, const std::vector<ModuleInfo>& modules);

}  // namespace sluice
