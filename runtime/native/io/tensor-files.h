// Tensors in files, the format by the path's ending. Shared by what procedures do and by the command line of executables.
#pragma once
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "host/host.h"
#include "io/safetensors.h"

namespace sluice {

/** The tensors of a .safetensors or .npy file; an .npy holds one, of any name. Others are refused (FILE002). */
class TensorFile {
 public:
  explicit TensorFile(const std::string& path);
  const std::string& path() const { return path_; }
  /** The names it has; none for an .npy. */
  std::vector<std::string> names() const;
  /** An .npy is made the dtype that is wanted. */
  std::optional<HostTensor> find(const std::string& name, DType wanted) const;

 private:
  std::string path_;
  std::optional<Safetensors> safetensors_;
  /** Of an .npy. */
  std::vector<std::byte> npy_;
};

enum class Strangers : uint8_t { allowed, refused };
/** The wanted tensors in order, or LOAD001 with all that are missing, extra and misshapen. */
std::vector<HostTensor> wantedTensors(const TensorFile& file, const std::vector<WantedTensor>& wanted, Strangers strangers);

/** As .png or .jpg, .npy or .safetensors, or FILE002. The alpha is put on a picture that it fits. */
void writeTensor(const std::string& path, const HostTensor& tensor, const std::optional<std::vector<std::byte>>& alpha = std::nullopt);

/** `missing: a, b`, with a count instead of what is past the eighth; empty for none. */
std::string listed(const std::string& what, std::vector<std::string> items);

/** Whether the path ends so; `ending` in small letters. */
bool hasEnding(const std::string& path, std::string_view ending);

}  // namespace sluice
