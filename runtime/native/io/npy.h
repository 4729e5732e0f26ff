// NumPy's .npy, versions 1 to 3: one tensor, little-endian, row-major. Anything else in one is refused by name (NPY001).
#pragma once
#include <string>

#include "base/tensor.h"
#include "io/file.h"

namespace sluice {

HostTensor readNpy(const std::string& path, Bytes bytes);
/** The file up to the tensor's own bytes, which follow it. */
std::string npyHeader(const std::string& path, const HostTensor& tensor);

}  // namespace sluice
