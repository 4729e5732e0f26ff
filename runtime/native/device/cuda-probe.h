// The self-test of a CUDA device: a small kernel in PTX, which the driver compiles, whose every result is known.
#pragma once
#include "device/cuda-stream.h"

namespace sluice {

/** Throws GPU001 where the device computes wrong numbers, naming what with, or GPU008 where its driver does not take the kernel. */
void requireRightNumbers(const CudaGpu& gpu, CudaMemory& memory, CudaStream& stream);

}  // namespace sluice
