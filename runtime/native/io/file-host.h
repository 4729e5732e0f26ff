// A procedure's surroundings where there is no Node: files and pictures of the machine. Pictures that were read lend their
// alpha to results of the same size.
#pragma once
#include <array>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/host.h"

namespace sluice {

class FileHost : public Host {
 public:
  void write(const std::string& path, const HostTensor& tensor) override;
  void save(const std::string& path, const NamedTensors& tensors) override;
  std::vector<HostTensor> load(const std::string& path, const std::vector<WantedTensor>& wanted) override;
  std::vector<HostTensor> read(const std::string& path, const std::vector<WantedTensor>& wanted) override;
  HostTensor pixels(const PictureSource& picture, DType dtype, std::optional<std::array<int64_t, 2>> resize) override;

 private:
  /** By height and width. */
  std::map<std::pair<int64_t, int64_t>, std::vector<std::byte>> alphas_;
};

}  // namespace sluice
