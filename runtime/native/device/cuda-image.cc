// Reads module images, and trusts nothing in them that a driver would trust: bounds, counts, and how fat binaries are built.
#include <bit>
#include <cstring>

#include "base/error.h"
#include "device/cuda-module.h"

namespace sluice {
namespace {

constexpr size_t HEADER = 5;
constexpr size_t KERNEL_ROW = 3;
constexpr size_t BINARY_ROW = 2;
constexpr uint32_t MOST_THREADS = 1024;

// A fat binary: magic, version and length of its header, length of the rest; then parts, each with a header of its own.
constexpr uint32_t FAT_MAGIC = 0xba55ed50;
constexpr uint16_t FAT_VERSION = 1;
constexpr uint64_t FAT_HEADER = 16;
constexpr uint64_t PART_HEADER = 32;
constexpr uint64_t PART_ARCHITECTURE = 28;
constexpr uint16_t PTX = 1;
constexpr uint16_t CUBIN = 2;

static_assert(std::endian::native == std::endian::little);

Error damaged(std::string message, std::string found = "", std::string expected = "") {
  return Error({.code = "GPU003", .message = "the program's CUDA code is damaged: " + std::move(message), .found = std::move(found), .expected = std::move(expected), .hint = "build the program again"});
}

template <typename T>
T read(std::span<const std::byte> bytes, uint64_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

/** What is in a fat binary, all of which lies within it. */
std::vector<CudaBinary::Code> codesIn(std::span<const std::byte> fat, const std::string& name) {
  if (fat.size() < FAT_HEADER || read<uint32_t>(fat, 0) != FAT_MAGIC || read<uint16_t>(fat, 4) != FAT_VERSION) throw damaged(name + " is no fat binary");
  uint64_t at = read<uint16_t>(fat, 6);
  if (at < FAT_HEADER || at > fat.size() || read<uint64_t>(fat, 8) != fat.size() - at) throw damaged(name + " is a fat binary of another length");
  std::vector<CudaBinary::Code> codes;
  while (at < fat.size()) {
    if (fat.size() - at < PART_HEADER) throw damaged(name + " ends within the header of a part");
    const auto kind = read<uint16_t>(fat, at);
    const uint64_t header = read<uint32_t>(fat, at + 4);
    const auto length = read<uint64_t>(fat, at + 8);
    if (header < PART_HEADER || header > fat.size() - at || length > fat.size() - at - header) throw damaged(name + " has a part that does not fit");
    if (kind == PTX || kind == CUBIN) codes.push_back({kind == PTX, read<uint32_t>(fat, at + PART_ARCHITECTURE)});
    at += header + length;
  }
  if (codes.empty()) throw damaged(name + " has no code");
  return codes;
}

}  // namespace

CudaImage readCudaImage(std::span<const std::byte> bytes, int32_t kernels) {
  if (bytes.size() < HEADER * 4) throw damaged("it is too short", std::to_string(bytes.size()) + " bytes");
  const auto word = [&](size_t at) { return read<uint32_t>(bytes, at * 4); };
  const size_t words = bytes.size() / 4;
  if (word(0) != CUDA_IMAGE_MAGIC) throw damaged("it has another magic number");
  if (word(1) != CUDA_IMAGE_VERSION) throw damaged("it has another version", std::to_string(word(1)), std::to_string(CUDA_IMAGE_VERSION));
  const size_t count = word(3);
  const size_t binaries = word(4);
  if (kernels < 0 || count != static_cast<size_t>(kernels)) throw damaged("it has another number of kernels", std::to_string(count), std::to_string(kernels));
  if (count > (words - HEADER) / KERNEL_ROW || binaries > (words - HEADER - count * KERNEL_ROW) / BINARY_ROW) throw damaged("its table is cut short");
  const size_t binaryRows = HEADER + count * KERNEL_ROW;
  const size_t end = (binaryRows + binaries * BINARY_ROW) * 4;

  CudaImage image{.toolkit = static_cast<int>(word(2) & 0x7fffffff), .kernels = {}, .binaries = {}};
  for (size_t k = 0; k < count; k++) {
    const size_t row = HEADER + k * KERNEL_ROW;
    const CudaKernel kernel{word(row), word(row + 1), word(row + 2)};
    const std::string name = "k" + std::to_string(k);
    if (kernel.threads == 0 || kernel.tasks == 0) throw damaged(name + " has an empty block");
    if (kernel.threads > MOST_THREADS || (kernel.tasks != 1 && kernel.tasks != kernel.threads)) throw damaged(name + " has a block that no launch has", std::to_string(kernel.threads) + " threads for " + std::to_string(kernel.tasks) + " tasks");
    if (kernel.binary >= binaries) throw damaged(name + " lies in a fat binary that is not there", std::to_string(kernel.binary), "less than " + std::to_string(binaries));
    image.kernels.push_back(kernel);
  }
  for (size_t b = 0; b < binaries; b++) {
    const size_t row = binaryRows + b * BINARY_ROW;
    const size_t first = word(row);
    const size_t length = word(row + 1);
    const std::string name = "fat binary " + std::to_string(b);
    if (first > bytes.size() - end || length > bytes.size() - end - first) throw damaged(name + " does not lie in it", std::to_string(length) + " bytes at " + std::to_string(first), "at most " + std::to_string(bytes.size() - end));
    const auto fat = bytes.subspan(end + first, length);
    CudaBinary binary{std::vector<uint64_t>(length / 8 + 1), codesIn(fat, name)};
    std::memcpy(binary.words.data(), fat.data(), length);
    image.binaries.push_back(std::move(binary));
  }
  return image;
}

}  // namespace sluice
