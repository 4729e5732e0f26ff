// What a procedure asks of its surroundings: a closed list of effects on files and pictures (`Host`), and where its rows
// and its progress go (`Sink`). The runner performs effects itself (io/), the addon asks Node.
#pragma once
#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "base/tensor.h"

namespace sluice {

/** Three 8-bit channels a pixel, row by row, and the alpha channel if there was one. */
struct Picture {
  int64_t width = 0;
  int64_t height = 0;
  std::vector<std::byte> rgb;
  std::optional<std::vector<std::byte>> alpha;
};
/** A path, or the picture itself. */
using PictureSource = std::variant<std::string, std::shared_ptr<const Picture>>;

/** A tensor that a file must hold; an extent of -1 may be any. */
struct WantedTensor {
  std::string name;
  DType dtype = DType::f32;
  std::vector<int64_t> shape;
};

using NamedTensors = std::vector<std::pair<std::string, HostTensor>>;

/** Every effect completes or throws Error, and a file that could not be written is as it was before. */
class Host {
 public:
  virtual ~Host() = default;
  /** One tensor; the format goes by the path's ending: .png, .jpg, .npy or .safetensors. */
  virtual void write(const std::string& path, const HostTensor& tensor) = 0;
  /** Tensors by name, .safetensors. */
  virtual void save(const std::string& path, const NamedTensors& tensors) = 0;
  /** The wanted tensors in order. The file holds no others (LOAD001 names them). */
  virtual std::vector<HostTensor> load(const std::string& path, const std::vector<WantedTensor>& wanted) = 0;
  /** The wanted tensors in order, from a file that may hold others too. */
  virtual std::vector<HostTensor> read(const std::string& path, const std::vector<WantedTensor>& wanted) = 0;
  /** [H, W, 3] as u8, or as f32 from 0 to 1. `resize`: height and width. */
  virtual HostTensor pixels(const PictureSource& picture, DType dtype, std::optional<std::array<int64_t, 2>> resize) = 0;
};

using RowValue = std::variant<double, std::string, HostTensor>;

/** Values that belong together. */
struct Row {
  enum class Kind : uint8_t { log, emit };
  Kind kind = Kind::log;
  /** Whether a loop whose progress is told was running. */
  bool inLoop = false;
  std::vector<std::pair<std::string, RowValue>> values;
};

class Sink {
 public:
  virtual ~Sink() = default;
  virtual void row(Row row) = 0;
  /** How far the outermost loop has come. */
  virtual void progress(double done, double total) = 0;
  /** Asked before entries are called and before each trip of a loop. */
  virtual bool cancelled() = 0;
};

}  // namespace sluice
