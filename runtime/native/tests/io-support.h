// A folder of a test's own, and what an action is refused with.
#pragma once
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <set>
#include <string>

#include "io/file.h"

namespace sluice::test {

class Folder {
 public:
  Folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "sluice-XXXXXX").string();
    path_ = ::mkdtemp(pattern.data());
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  std::string at(const std::string& name) const { return path_ + "/" + name; }
  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : std::filesystem::directory_iterator(path_)) found.insert(entry.path().filename().string());
    return found;
  }

 private:
  std::string path_;
};

inline Bytes bytesOf(const std::string& text) { return std::as_bytes(std::span(text)); }
inline std::string textOf(const std::vector<std::byte>& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

inline void put(const std::string& path, const std::string& text, Disk& disk = systemDisk()) {
  const Bytes parts[] = {bytesOf(text)};
  replaceFile(path, parts, disk);
}

/** The error as printed; empty if there was none. */
inline std::string refusal(const std::function<void()>& action) {
  try {
    action();
    return "";
  } catch (const Error& error) {
    return error.what();
  }
}

}  // namespace sluice::test
