// What a PNG or JPEG file says beside its pixels. The decoder behind it trusts files more than we do: here every chunk and
// marker is walked to the end, so that a cut or flipped file is refused and never shown with grey where data is missing.
#pragma once
#include <cstdint>
#include <string>

#include "io/file.h"

namespace sluice {

struct PictureFile {
  enum class Format { png, jpeg } format;
  /** As EXIF numbers it, from 1 (upright) to 8. */
  int orientation = 1;
  /** As the file says, which has data enough for so many. */
  uint64_t pixels = 0;
};

/** Refuses with IMAGE001. */
PictureFile inspectPicture(const std::string& path, Bytes bytes);

}  // namespace sluice
