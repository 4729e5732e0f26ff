#include "cli/inputs.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <random>

#include "base/text.h"
#include "cli/progress.h"
#include "io/pictures.h"
#include "io/tensor-files.h"

namespace sluice {
namespace {

/** More elements than this are a file's business. */
constexpr int64_t MOST_PRINTED = 64;
/** An axis of a picture that is timed, where its dims allow it. */
constexpr int64_t USUAL_SIZE = 512;

bool isPicturePath(const std::string& path) { return hasEnding(path, ".png") || hasEnding(path, ".jpg") || hasEnding(path, ".jpeg") || hasEnding(path, ".webp"); }

/** What the command line knows of an entry. */
struct Signature {
  const Program& program;
  const Schedule& entry;

  std::string type(const Port& port) const { return typeText(port.type, program.dimNames); }
  std::string input(const Port& port) const { return "input `" + port.name + "` of `" + entry.entry + "`"; }
};

HostTensor readInput(const Signature& signature, const Port& port, const std::string& source, std::vector<Picture>& pictures) {
  const DType dtype = port.type.dtype;
  if (isPicturePath(source)) {
    const auto& shape = port.type.shape;
    const bool isPicture = (dtype == DType::u8 || dtype == DType::f32) && shape.size() == 3 && shape[2].isConstant() && shape[2].constant == 3;
    if (!isPicture) throw Error({.code = "INPUT004", .message = "input `" + port.name + "` is no picture", .found = source, .expected = signature.type(port) + ", from an .npy or .safetensors file"});
    pictures.push_back(decodePicture(source, readFile(source)));
    return pictureTensor(pictures.back(), dtype);
  }
  if (hasEnding(source, ".npy") || hasEnding(source, ".safetensors")) {
    const TensorFile file(source);
    auto tensor = file.find(port.name, dtype);
    if (!tensor) throw Error({.code = "LOAD001", .message = source + ": the file has no tensor `" + port.name + "`", .found = joined(file.names())});
    return std::move(*tensor);
  }
  const double value = numberOf("input `" + port.name + "`", source);
  HostTensor tensor = tensorOf(dtype, {}, {value});
  if (!isFloat(dtype) && elementAt(tensor, 0) != value) {
    throw Error({.code = "INPUT003", .message = signature.input(port) + " holds a number that " + std::string(name(dtype)) + " cannot", .found = source, .expected = signature.type(port)});
  }
  return tensor;
}

/** Refuses a dtype or a shape that the entry cannot take; `dims` collects what axes say. */
void check(const Signature& signature, const Port& port, const HostTensor& tensor, DimValues& dims) {
  const std::string expected = signature.type(port);
  if (tensor.dtype != port.type.dtype) {
    throw Error({.code = "INPUT003", .message = signature.input(port) + " has the wrong dtype", .found = std::string(name(tensor.dtype)), .expected = expected, .hint = "convert it to " + std::string(name(port.type.dtype)) + ", or cast inside the entry"});
  }
  const auto refuse = [&](const std::string& hint) {
    throw Error({.code = "INPUT004", .message = signature.input(port) + " has the wrong shape", .found = std::string(name(tensor.dtype)) + " " + shapeText(tensor.shape), .expected = expected, .hint = hint});
  };
  if (tensor.shape.size() != port.type.shape.size()) refuse("it has " + std::to_string(tensor.shape.size()) + " axes instead of " + std::to_string(port.type.shape.size()));
  for (size_t axis = 0; axis < tensor.shape.size(); axis++) {
    const Size& size = port.type.shape[axis];
    const int64_t extent = tensor.shape[axis];
    if (const auto dim = size.loneDim()) {
      int64_t& value = dims[static_cast<size_t>(*dim)];
      if (value == UNBOUND) value = extent;
      if (value != extent) refuse(signature.program.dimNames[static_cast<size_t>(*dim)] + " is " + std::to_string(value) + ", but axis " + std::to_string(axis) + " is " + std::to_string(extent));
    } else if (const auto wanted = evaluate(size, dims); wanted && *wanted != extent) {
      refuse("axis " + std::to_string(axis) + " is " + std::to_string(extent) + " instead of " + text(size, signature.program.dimNames));
    }
  }
}

EntryInputs checked(const Signature& signature, const Machine& machine, std::vector<HostTensor> values, const std::vector<Picture>& pictures) {
  DimValues dims = machine.dims();
  for (size_t i = 0; i < values.size(); i++) check(signature, signature.entry.inputs[i], values[i], dims);
  return {std::move(values), pictures.size() == 1 ? pictures[0].alpha : std::nullopt};
}

/** The dim's usual size, cut to its bounds. */
int64_t usualValue(const DimDecl& d) {
  const int64_t value = std::clamp(USUAL_SIZE, d.min, d.max) / d.multipleOf * d.multipleOf;
  return value < d.min ? value + d.multipleOf : value;
}

HostTensor randomTensor(const TensorType& type, const DimValues& dims, uint32_t seed) {
  std::vector<int64_t> shape;
  for (const Size& s : type.shape) shape.push_back(evaluate(s, dims).value_or(1));
  std::mt19937 generator(seed);
  std::vector<double> values(static_cast<size_t>(elementCount(shape)));
  // Levels of a byte fit most integers; an index that is too large is the entry's to clamp.
  const double most = type.dtype == DType::boolean ? 2 : type.dtype == DType::i4 ? 8 : type.dtype == DType::i8 ? 128 : 256;
  for (double& v : values) {
    const double unit = static_cast<double>(generator()) / 4294967296.0;
    v = isFloat(type.dtype) ? 2 * unit - 1 : std::floor(most * unit);
  }
  return tensorOf(type.dtype, shape, values);
}

std::string outputPath(const std::string& folder, const NamedOutput& output) {
  const bool isPicture = isPictureShape(output.value.dtype, output.value.shape) && output.value.shape.size() == 3;
  return folder + (folder.ends_with('/') ? "" : "/") + output.name + (isPicture ? ".png" : ".npy");
}

}  // namespace

const DimDecl* dimNamed(const Program& program, const Schedule& entry, const std::string& name) {
  for (const auto* decls : {&entry.dims, &program.dims})
    for (const DimDecl& d : *decls)
      if (program.dimNames[static_cast<size_t>(d.dim)] == name) return &d;
  return nullptr;
}

EntryInputs readInputs(const Machine& machine, const Schedule& entry, const Given& given) {
  const Signature signature{machine.program(), entry};
  std::vector<HostTensor> values;
  std::vector<Picture> pictures;
  for (const Port& port : entry.inputs) {
    const auto source = given.find(port.name);
    if (source == given.end()) {
      std::vector<std::string> names;
      for (const auto& [name, _] : given) names.push_back(name);
      throw Error({.code = "INPUT001", .message = "`" + entry.entry + "` needs an input `" + port.name + "`", .found = names.empty() ? "none" : joined(names), .expected = port.name + ": " + signature.type(port)});
    }
    values.push_back(readInput(signature, port, source->second, pictures));
  }
  return checked(signature, machine, std::move(values), pictures);
}

EntryInputs inventInputs(const Machine& machine, const Schedule& entry, const Given& given, std::vector<DimValue>& sizes) {
  const Signature signature{machine.program(), entry};
  DimValues dims = machine.dims();
  for (const DimValue& size : sizes) dims[static_cast<size_t>(size.dim)] = size.value;
  std::vector<std::optional<HostTensor>> read;
  std::vector<Picture> pictures;
  for (const Port& port : entry.inputs) {
    const auto source = given.find(port.name);
    read.push_back(source == given.end() ? std::nullopt : std::optional(readInput(signature, port, source->second, pictures)));
    if (read.back()) check(signature, port, *read.back(), dims);
  }
  for (const DimDecl& d : entry.dims) {
    int64_t& value = dims[static_cast<size_t>(d.dim)];
    if (value != UNBOUND) continue;
    value = usualValue(d);
    sizes.push_back({d.dim, value});
  }
  std::vector<HostTensor> values;
  for (size_t i = 0; i < read.size(); i++) values.push_back(read[i] ? std::move(*read[i]) : randomTensor(entry.inputs[i].type, dims, static_cast<uint32_t>(i)));
  return checked(signature, machine, std::move(values), pictures);
}

void showOutputs(const std::vector<NamedOutput>& outputs, const std::string& out, const EntryInputs& inputs, bool json) {
  const bool isFile = isPicturePath(out) || hasEnding(out, ".npy") || hasEnding(out, ".safetensors");
  const auto written = std::count_if(outputs.begin(), outputs.end(), [](const NamedOutput& o) { return !o.value.shape.empty(); });
  const bool isTogether = hasEnding(out, ".safetensors");
  if (isFile && !isTogether && written != 1) {
    throw Error({.code = "CLI003", .message = "one file cannot hold " + std::to_string(written) + " outputs", .found = "--out " + out, .hint = "name a folder, or a .safetensors file"});
  }
  if (isTogether) {
    NamedTensors tensors;
    for (const NamedOutput& o : outputs) tensors.emplace_back(o.name, o.value);
    writeSafetensors(out, tensors);
  }
  for (const NamedOutput& o : outputs) {
    std::string path;
    if (isTogether) path = out;
    else if (!out.empty() && !o.value.shape.empty()) {
      path = isFile ? out : outputPath(out, o);
      writeTensor(path, o.value, inputs.alpha);
    } else if (elementCount(o.value.shape) > MOST_PRINTED) {
      throw Error({.code = "CLI003", .message = "output `" + o.name + "` is too large to print", .found = std::to_string(elementCount(o.value.shape)) + " elements", .hint = "say where it goes: --out file or folder"});
    }
    std::string line = o.name + ": " + (path.empty() ? tensorText(o.value) : path);
    if (json && path.empty()) line = "{\"output\":" + jsonString(o.name) + "," + jsonText(o.value).substr(1);
    else if (json) line = "{\"output\":" + jsonString(o.name) + ",\"dtype\":\"" + std::string(name(o.value.dtype)) + "\",\"shape\":" + shapeText(o.value.shape) + ",\"path\":" + jsonString(path) + "}";
    std::printf("%s\n", line.c_str());
  }
}

}  // namespace sluice
