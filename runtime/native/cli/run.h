// Runs what a command line asks for.
#pragma once
#include "cli/command-line.h"

namespace sluice {

/** Throws Error where it cannot. */
void runCommand(const Container& container, const CommandLine& line);

}  // namespace sluice
