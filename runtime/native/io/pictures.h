// Pictures in and out: PNG and JPEG as 8-bit sRGB pixels. Grey becomes RGB, 16 bits become 8, alpha is kept aside, a JPEG is
// turned as its EXIF orientation says. What would need guessing is refused by name (IMAGE001): other formats, CMYK, colour
// profiles that are not sRGB, damaged or cut files.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "host/host.h"
#include "io/file.h"

namespace sluice {

/** `path` is named in errors. */
Picture decodePicture(const std::string& path, Bytes bytes);
/** PNG, or JPEG where the path's ending says so; a JPEG has no alpha and lies on black. */
std::vector<std::byte> encodePicture(const std::string& path, const Picture& picture);
/** Each channel for itself; a level or two from what sharp makes of it. */
Picture resizePicture(const Picture& picture, int64_t height, int64_t width);

/** [H, W, 3], as u8 or as f32 from 0 to 1. */
HostTensor pictureTensor(const Picture& picture, DType dtype);
/** Whether a tensor can be shown: [H, W, 3] or grey [H, W, 1] or [H, W], in 8 bits or f32; of an axis that is not known yet, -1. */
bool isPictureShape(DType dtype, const std::vector<int64_t>& shape);
/** f32 is cut to 0 … 1 and rounded. IMAGE002 for what is no picture. The alpha is kept if it fits. */
Picture tensorPicture(const std::string& path, const HostTensor& tensor, std::optional<std::vector<std::byte>> alpha);

}  // namespace sluice
