// Reads a container (.slx, version 3; compiler/container/layout.ts says how it lies in a file) and trusts nothing in it:
// lengths, checksums, padding and every field of the header are checked before anything is used. What is not a container
// is refused with SLX001; nothing else is thrown, whatever the bytes are.
#pragma once
#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "container/program.h"

namespace sluice {

/** The kernels of one lowering as code for one kind of machine. */
struct ModuleInfo {
  enum class Kind : uint8_t { wasm, cpu, vulkan, cuda };
  Kind kind = Kind::wasm;
  size_t lowering = 0;
  /** Of a cpu module: `v3` or `v4`, and what it uses beyond. */
  std::string level;
  std::vector<std::string> features;
  /** Of a cuda module: what it has code for, as nvcc names it. */
  std::vector<std::string> architectures;
  /** Bytes of local memory that a worker needs, kernel by kernel. */
  std::vector<Size> scratch;
  std::span<const std::byte> bytes;
};

/** Views into the file's bytes, which outlive it. */
struct Container {
  Program program;
  /** By the index of the constant. */
  std::vector<std::span<const std::byte>> constants;
  std::vector<ModuleInfo> modules;
};

Container readContainer(std::span<const std::byte> file);

/** CRC-32C (Castagnoli). */
uint32_t crc32c(std::span<const std::byte> bytes);

}  // namespace sluice
