// Interprets procedures: scalars, calls, loops, lists, and effects on a Host. What runtime/procedure.ts does, with the same
// results and refusals. Cancellation takes effect before an entry is called and before each trip of a loop.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <variant>

#include "exec/machine.h"
#include "host/host.h"

namespace sluice {

/** What an argument of a procedure may be; checked by whoever takes it from the user. */
using ArgumentValue = std::variant<double, std::string, std::shared_ptr<const Picture>>;
using Arguments = std::map<Slot, ArgumentValue>;

/** By name. Throws ENTRY001. */
const Procedure& procedureNamed(const Program& program, std::string_view name);

/** False if the sink cancelled it before a call or a trip of a loop. */
bool runProcedure(const Procedure& procedure, const Arguments& arguments, Machine& machine, Host& host, Sink& sink);

}  // namespace sluice
