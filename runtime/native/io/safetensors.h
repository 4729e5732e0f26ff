// Safetensors: named tensors in one file. Reading checks what the reference implementation checks: the header is at most
// 100 MB of JSON that starts with `{`, tensors lie one after another from the first byte of data to the last, without
// overlap or holes, and each has the length that its dtype and shape say. A tensor whose element type we lack is refused when
// it is asked for, and the others are read. Of the header is kept where each tensor is described, and no more; the data is
// mapped, and copied when asked for.
#pragma once
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/host.h"
#include "io/file.h"

namespace sluice {

class Safetensors {
 public:
  /** Refuses what is not valid with Error SAFE001. */
  explicit Safetensors(const std::string& path);

  const std::string& path() const { return file_.path(); }
  /** In the order of the header. */
  std::vector<std::string> names() const;
  /** Nothing if there is none of that name; SAFE001 for one whose elements are of a type that we lack. */
  std::optional<HostTensor> find(const std::string& name) const;
  std::map<std::string, std::string> metadata() const;

 private:
  /** Where the header has a tensor's name and what it says of it. */
  struct Place {
    uint32_t name;
    uint32_t entry;
  };
  void readPlaces();
  void checkNames();
  void checkOrder() const;
  std::string nameAt(const Place& place) const;
  bool isBefore(const Place& a, const Place& b) const;

  MappedFile file_;
  std::string header_;
  std::vector<Place> places_;
  /** Of places, sorted by name. */
  std::vector<uint32_t> byName_;
};

/** Widest elements first and then by name, as the reference implementation orders them; data starts at a multiple of 8. */
void writeSafetensors(const std::string& path, const NamedTensors& tensors, const std::map<std::string, std::string>& metadata = {}, Disk& disk = systemDisk());

}  // namespace sluice
