#include "io/tensor-files.h"

#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "io/npy.h"
#include "io/pictures.h"

namespace sluice {
namespace {

std::string typeText(DType dtype, const std::vector<int64_t>& shape) {
  std::vector<std::string> extents;
  for (const int64_t extent : shape) extents.push_back(extent < 0 ? "?" : std::to_string(extent));
  return std::string(name(dtype)) + " [" + joined(extents) + "]";
}

}  // namespace

std::string listed(const std::string& what, std::vector<std::string> items) {
  constexpr size_t SHOWN = 8;
  if (items.empty()) return "";
  const std::string more = items.size() > SHOWN ? " and " + std::to_string(items.size() - SHOWN) + " more" : "";
  items.resize(std::min(items.size(), SHOWN));
  return (what.empty() ? "" : what + ": ") + joined(items) + more;
}

bool hasEnding(const std::string& path, std::string_view ending) {
  return path.size() >= ending.size() && std::equal(ending.rbegin(), ending.rend(), path.rbegin(), [](char a, char b) { return a == std::tolower(static_cast<unsigned char>(b)); });
}

TensorFile::TensorFile(const std::string& path) : path_(path) {
  if (hasEnding(path, ".npy")) npy_ = readFile(path);
  else if (hasEnding(path, ".safetensors")) safetensors_.emplace(path);
  else throw Error({.code = "FILE002", .message = path + ": tensors cannot be read from such a file", .expected = ".safetensors or .npy"});
}

std::vector<std::string> TensorFile::names() const { return safetensors_ ? safetensors_->names() : std::vector<std::string>(); }

std::optional<HostTensor> TensorFile::find(const std::string& name, DType wanted) const { return safetensors_ ? safetensors_->find(name) : readNpy(path_, npy_, wanted); }

std::vector<HostTensor> wantedTensors(const TensorFile& file, const std::vector<WantedTensor>& wanted, Strangers strangers) {
  std::vector<HostTensor> found;
  std::vector<std::string> missing, extra, misshapen;
  for (const WantedTensor& w : wanted) {
    std::optional<HostTensor> tensor = file.find(w.name, w.dtype);
    const auto fits = [&] {
      return tensor->dtype == w.dtype && std::equal(w.shape.begin(), w.shape.end(), tensor->shape.begin(), tensor->shape.end(), [](int64_t a, int64_t b) { return a < 0 || a == b; });
    };
    if (!tensor) missing.push_back("`" + w.name + "` " + typeText(w.dtype, w.shape));
    else if (!fits()) misshapen.push_back("`" + w.name + "` " + typeText(tensor->dtype, tensor->shape) + " instead of " + typeText(w.dtype, w.shape));
    else found.push_back(std::move(*tensor));
  }
  if (strangers == Strangers::refused) {
    for (const std::string& name : file.names()) {
      const bool known = std::any_of(wanted.begin(), wanted.end(), [&](const WantedTensor& w) { return w.name == name; });
      if (!known) extra.push_back("`" + name + "`");
    }
  }
  std::string problems;
  for (const std::string& part : {listed("missing", missing), listed("extra", extra), listed("misshapen", misshapen)})
    if (!part.empty()) problems += (problems.empty() ? "" : "; ") + part;
  if (!problems.empty()) throw Error({.code = "LOAD001", .message = file.path() + ": the file's tensors are not those that are wanted", .found = problems});
  return found;
}

void writeTensor(const std::string& path, const HostTensor& tensor, const std::optional<std::vector<std::byte>>& alpha) {
  if (hasEnding(path, ".png") || hasEnding(path, ".jpg") || hasEnding(path, ".jpeg")) {
    const std::vector<std::byte> file = encodePicture(path, tensorPicture(path, tensor, alpha));
    const Bytes parts[] = {file};
    replaceFile(path, parts);
  } else if (hasEnding(path, ".npy")) {
    const std::string header = npyHeader(path, tensor);
    const Bytes parts[] = {std::as_bytes(std::span(header)), tensor.bytes};
    replaceFile(path, parts);
  } else if (hasEnding(path, ".safetensors")) {
    writeSafetensors(path, {{"value", tensor}});
  } else {
    throw Error({.code = "FILE002", .message = path + ": a tensor cannot be written to such a file", .expected = ".png, .jpg, .npy or .safetensors"});
  }
}

}  // namespace sluice
