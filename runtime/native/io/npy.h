// NumPy's .npy, versions 1 to 3: one tensor of integers, floats or bools, in either byte order and in row-major or column-major
// order, made the dtype that is wanted. Integers are kept exactly or refused; floats are rounded, and what is finite stays so.
#pragma once
#include <optional>
#include <string>

#include "base/tensor.h"
#include "io/file.h"

namespace sluice {

/** As `wanted`, or without it as the dtype that the file has, if it is one of ours. NPY002 for a number that does not fit. */
HostTensor readNpy(const std::string& path, Bytes bytes, std::optional<DType> wanted = std::nullopt);
/** The file up to the tensor's own bytes, which follow it. */
std::string npyHeader(const std::string& path, const HostTensor& tensor);

}  // namespace sluice
