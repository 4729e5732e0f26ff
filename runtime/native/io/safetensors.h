// Safetensors: named tensors in one file. Reading checks what the reference implementation checks: the header is at most
// 100 MB of JSON that starts with `{`, tensors lie one after another from the first byte of data to the last, without
// overlap or holes, and each has the length that its dtype and shape say. The data is mapped, and copied when asked for.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "host/host.h"
#include "io/file.h"

namespace sluice {

class Safetensors {
 public:
  struct Entry {
    std::string name;
    DType dtype;
    std::vector<int64_t> shape;
    /** In the file. */
    int64_t offset;
    int64_t bytes;
  };

  /** Refuses what is not valid with Error SAFE001. */
  explicit Safetensors(const std::string& path);

  const std::string& path() const { return file_.path(); }
  /** In the order of the data. */
  const std::vector<Entry>& entries() const { return entries_; }
  /** Null if there is none of that name. */
  const Entry* find(const std::string& name) const;
  HostTensor read(const Entry& entry) const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }

 private:
  MappedFile file_;
  std::vector<Entry> entries_;
  std::map<std::string, std::string> metadata_;
};

/** Widest elements first and then by name, as the reference implementation orders them; data starts at a multiple of 8. */
void writeSafetensors(const std::string& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {}, Disk& disk = systemDisk());

}  // namespace sluice
