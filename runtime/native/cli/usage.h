// What an executable offers, as `--help` shows it.
#pragma once
#include <string>

#include "container/read.h"

namespace sluice {

/** `int`, `file`. */
std::string kindText(ProcedureArg::Kind kind);
/** ` (2000)`, or nothing. */
std::string defaultText(const ProcedureArg& arg);
/** Procedures with their arguments, entries with inputs and outputs, states, dims, and the machines it is made for. */
std::string usageText(const std::string& command, const Container& container);

}  // namespace sluice
