#include "exec/arguments.h"

#include <algorithm>

#include "base/text.h"

namespace sluice {

void checkDims(std::string_view where, const std::vector<DimDecl>& decls, const DimValues& values, const std::vector<std::string>& names) {
  for (const DimDecl& d : decls) {
    const int64_t value = values[static_cast<size_t>(d.dim)];
    if (value != UNBOUND && value >= d.min && value <= d.max && value % d.multipleOf == 0) continue;
    const std::string& name = names[static_cast<size_t>(d.dim)];
    const std::string bounds = name + ": " + boundsText(d);
    if (value == UNBOUND) {
      throw Error({.code = "DIM002", .message = "dim " + name + " of `" + std::string(where) + "` has no value", .expected = bounds,
          .hint = d.binding == DimDecl::Binding::instance ? "it is bound when the program is loaded: dims: { " + name + ": … }" : "no input has it as a size; give it in sizes"});
    }
    throw Error({.code = "DIM001", .message = "dim " + name + " of `" + std::string(where) + "` is out of bounds", .found = name + " = " + std::to_string(value), .expected = bounds});
  }
}

DimValues instanceDims(const Program& program, const std::vector<std::pair<std::string, int64_t>>& given) {
  DimValues values(program.dimNames.size(), UNBOUND);
  std::vector<DimDecl> decls;
  std::copy_if(program.dims.begin(), program.dims.end(), std::back_inserter(decls), [](const DimDecl& d) { return d.binding == DimDecl::Binding::instance; });
  for (const DimDecl& d : decls)
    if (d.min == d.max) values[static_cast<size_t>(d.dim)] = d.min;
  for (const auto& [name, value] : given) {
    const auto decl = std::find_if(decls.begin(), decls.end(), [&, &dim = name](const DimDecl& d) { return program.dimNames[static_cast<size_t>(d.dim)] == dim; });
    if (decl == decls.end()) {
      std::vector<std::string> known;
      for (const DimDecl& d : decls) known.push_back(program.dimNames[static_cast<size_t>(d.dim)] + ": " + boundsText(d));
      throw Error({.code = "DIM003", .message = "`" + program.name + "` has no dim " + name + " that is bound when it is loaded", .found = name,
          .expected = known.empty() ? "none" : joined(known, "; ")});
    }
    values[static_cast<size_t>(decl->dim)] = value;
  }
  std::erase_if(decls, [&](const DimDecl& d) { return values[static_cast<size_t>(d.dim)] == UNBOUND; });
  checkDims(program.name, decls, values, program.dimNames);
  return values;
}

}  // namespace sluice
