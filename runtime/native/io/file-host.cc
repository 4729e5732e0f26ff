#include "io/file-host.h"

#include "io/pictures.h"
#include "io/tensor-files.h"

namespace sluice {

void FileHost::write(const std::string& path, const HostTensor& tensor) {
  std::optional<std::vector<std::byte>> alpha;
  if (tensor.shape.size() >= 2) {
    const auto found = alphas_.find({tensor.shape[0], tensor.shape[1]});
    if (found != alphas_.end()) alpha = found->second;
  }
  writeTensor(path, tensor, alpha);
}

void FileHost::save(const std::string& path, const NamedTensors& tensors) { writeSafetensors(path, tensors); }

std::vector<HostTensor> FileHost::load(const std::string& path, const std::vector<WantedTensor>& wanted) { return wantedTensors(TensorFile(path), wanted, Strangers::refused); }

std::vector<HostTensor> FileHost::read(const std::string& path, const std::vector<WantedTensor>& wanted) { return wantedTensors(TensorFile(path), wanted, Strangers::allowed); }

HostTensor FileHost::pixels(const PictureSource& source, DType dtype, std::optional<std::array<int64_t, 2>> resize) {
  const auto* path = std::get_if<std::string>(&source);
  Picture picture = path ? decodePicture(*path, readFile(*path)) : *std::get<std::shared_ptr<const Picture>>(source);
  if (resize) picture = resizePicture(picture, (*resize)[0], (*resize)[1]);
  if (picture.alpha) alphas_[{picture.height, picture.width}] = *picture.alpha;
  return pictureTensor(picture, dtype);
}

}  // namespace sluice
