// Reads module images, and trusts nothing in them that a driver would trust: bounds, counts, and what SPIR-V declares.
#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <unordered_map>

#include "base/error.h"
#include "base/text.h"
#include "device/vulkan-module.h"

namespace sluice {
namespace {

constexpr size_t HEADER = 4;
constexpr size_t ROW = 6;
constexpr uint32_t SPIRV_MAGIC = 0x07230203;
constexpr uint32_t SPIRV_VERSION = 0x00010500;
constexpr size_t SPIRV_HEADER = 5;
enum Opcode : uint32_t {
  ENTRY_POINT = 15, EXECUTION_MODE = 16, CAPABILITY = 17, TYPE_BOOL = 20, TYPE_INT = 21, TYPE_FLOAT = 22, TYPE_VECTOR = 23, TYPE_ARRAY = 28, TYPE_STRUCT = 30, TYPE_POINTER = 32, CONSTANT = 43,
  VARIABLE = 59
};
constexpr uint32_t GL_COMPUTE = 5;
constexpr uint32_t LOCAL_SIZE = 17;
constexpr uint32_t WORKGROUP = 4;

static_assert(std::endian::native == std::endian::little);

Error damaged(std::string message, std::string found = "", std::string expected = "") {
  return Error({.code = "GPU003", .message = "the program's Vulkan code is damaged: " + std::move(message), .found = std::move(found), .expected = std::move(expected), .hint = "build the program again"});
}

/** Adds up what a workgroup shares, from the declarations of types and variables. */
class SharedMemory {
 public:
  void read(uint32_t opcode, const uint32_t* operand, uint32_t words) {
    switch (opcode) {
      case TYPE_BOOL: if (words == 2) bytes_[operand[0]] = 4; break;
      case TYPE_INT: case TYPE_FLOAT: if (words >= 3) bytes_[operand[0]] = operand[1] / 8; break;
      case TYPE_VECTOR: if (words == 4) bytes_[operand[0]] = times(bytes_[operand[1]], operand[2]); break;
      case TYPE_ARRAY: if (words == 4) bytes_[operand[0]] = times(bytes_[operand[1]], constants_[operand[2]]); break;
      case TYPE_STRUCT:
        if (words < 2) break;
        for (uint32_t i = 1; i + 1 < words; i++) bytes_[operand[0]] = plus(bytes_[operand[0]], bytes_[operand[i]]);
        break;
      case TYPE_POINTER: if (words == 4) bytes_[operand[0]] = bytes_[operand[2]]; break;
      case CONSTANT: if (words == 4) constants_[operand[1]] = operand[2]; break;
      case VARIABLE: if (words >= 4 && operand[2] == WORKGROUP) sum = plus(sum, bytes_[operand[0]]); break;
      default: break;
    }
  }
  uint64_t sum = 0;

 private:
  /** More than any device has. */
  static constexpr uint64_t MOST = uint64_t{1} << 32;
  static uint64_t times(uint64_t a, uint64_t b) { return b != 0 && a > MOST / b ? MOST : a * b; }
  static uint64_t plus(uint64_t a, uint64_t b) { return std::min(a + b, MOST); }

  /** Of types; of a pointer, those of what it points to. */
  std::unordered_map<uint32_t, uint64_t> bytes_;
  std::unordered_map<uint32_t, uint64_t> constants_;
};

/** What a module declares before its functions; each instruction lies within it. */
void readDeclarations(VulkanKernel& kernel, const std::string& name) {
  const std::vector<uint32_t>& code = kernel.code;
  if (code.size() < SPIRV_HEADER || code[0] != SPIRV_MAGIC) throw damaged(name + " is no SPIR-V");
  if (code[1] > SPIRV_VERSION) throw damaged(name + " is SPIR-V of another version", "1." + std::to_string((code[1] >> 8) & 0xff), "1.5 or older");
  bool hasEntry = false;
  std::optional<std::array<uint32_t, 3>> size;
  SharedMemory shared;
  for (size_t at = SPIRV_HEADER; at < code.size();) {
    const uint32_t words = code[at] >> 16;
    if (words == 0 || words > code.size() - at) throw damaged(name + " has an instruction that does not fit", std::to_string(words) + " words at " + std::to_string(at));
    const uint32_t* const operand = code.data() + at + 1;
    switch (code[at] & 0xffff) {
      case CAPABILITY:
        if (words == 2) kernel.capabilities.push_back(operand[0]);
        break;
      case ENTRY_POINT: {
        constexpr char MAIN[8] = "main";
        hasEntry = hasEntry || (words >= 5 && operand[0] == GL_COMPUTE && std::memcmp(operand + 2, MAIN, sizeof MAIN) == 0);
        break;
      }
      case EXECUTION_MODE:
        if (words == 6 && operand[1] == LOCAL_SIZE) size = {operand[2], operand[3], operand[4]};
        break;
      default: shared.read(code[at] & 0xffff, operand, words);
    }
    at += words;
  }
  kernel.sharedBytes = shared.sum;
  if (!hasEntry) throw damaged(name + " has no entry point `main`");
  if (!size || *size != std::array<uint32_t, 3>{kernel.threads, 1, 1}) {
    throw damaged(name + " has another workgroup", size ? std::to_string((*size)[0]) + " × " + std::to_string((*size)[1]) + " × " + std::to_string((*size)[2]) + " threads" : "no LocalSize",
        std::to_string(kernel.threads) + " threads");
  }
}

/** Why a device does not take a capability; empty if it does. */
std::string lacking(uint32_t capability, const VulkanFeatures& f) {
  struct Row {
    uint32_t capability;
    const char* name;
    bool isThere;
  };
  const auto subgroup = [&](VkSubgroupFeatureFlags bit) { return (f.subgroupOperations & bit) != 0; };
  const Row rows[] = {{0, "matrices", true}, {1, "shaders", true}, {9, "float16", f.float16}, {10, "float64", f.float64}, {11, "int64", true}, {22, "int16", f.int16}, {39, "int8", f.int8},
      {61, "subgroups", subgroup(VK_SUBGROUP_FEATURE_BASIC_BIT)}, {62, "subgroup votes", subgroup(VK_SUBGROUP_FEATURE_VOTE_BIT)}, {63, "subgroup arithmetic", subgroup(VK_SUBGROUP_FEATURE_ARITHMETIC_BIT)},
      {64, "subgroup ballots", subgroup(VK_SUBGROUP_FEATURE_BALLOT_BIT)}, {65, "subgroup shuffles", subgroup(VK_SUBGROUP_FEATURE_SHUFFLE_BIT)},
      {66, "relative subgroup shuffles", subgroup(VK_SUBGROUP_FEATURE_SHUFFLE_RELATIVE_BIT)}, {67, "clustered subgroups", subgroup(VK_SUBGROUP_FEATURE_CLUSTERED_BIT)},
      {68, "subgroup quads", subgroup(VK_SUBGROUP_FEATURE_QUAD_BIT)}, {4433, "16-bit storage", true}, {4448, "8-bit storage", true}, {4464, "denormal floats", f.denormals},
      {4466, "signed zeros, infinities and NaN", f.specialFloats}, {4467, "rounding to nearest", f.roundToNearest}, {5345, "Vulkan memory model", f.memoryModel},
      {5346, "Vulkan memory model", f.memoryModel}, {5347, "buffer addresses", true}, {5357, "cooperative matrices", f.cooperativeMatrixNv},
      {6016, "8-bit dot products", f.dot8}, {6017, "8-bit dot products", f.dot8}, {6018, "8-bit dot products", f.dot8}, {6019, "8-bit dot products", f.dot8},
      {6022, "cooperative matrices", f.cooperativeMatrixKhr}, {6033, "atomic addition of floats", f.atomicAddF32}};
  for (const Row& row : rows)
    if (row.capability == capability) return row.isThere ? "" : row.name;
  return "SPIR-V capability " + std::to_string(capability);
}

/** What a device has not that a module needs. */
struct Lack {
  std::string what;
  std::string limit;
};
std::optional<Lack> lackOf(const VulkanKernel& kernel, const VulkanFeatures& f) {
  std::vector<std::string> missing;
  if (kernel.subgroup != 0 && !f.subgroup32) missing.emplace_back("subgroups of 32");
  for (const uint32_t capability : kernel.capabilities) {
    const std::string name = lacking(capability, f);
    if (!name.empty() && std::find(missing.begin(), missing.end(), name) == missing.end()) missing.push_back(name);
  }
  if (!missing.empty()) return Lack{joined(missing), ""};
  if (kernel.threads > f.threads) return Lack{"workgroups of " + std::to_string(kernel.threads) + " threads", "at most " + std::to_string(f.threads)};
  if (kernel.sharedBytes > f.sharedBytes) return Lack{std::to_string(kernel.sharedBytes) + " bytes of shared memory", "at most " + std::to_string(f.sharedBytes)};
  return std::nullopt;
}

}  // namespace

std::vector<std::vector<VulkanKernel>> readVulkanImage(std::span<const std::byte> bytes, int32_t kernels) {
  if (bytes.size() % 4 != 0 || bytes.size() < HEADER * 4) throw damaged("it is no list of words", std::to_string(bytes.size()) + " bytes");
  const auto word = [&](size_t at) {
    uint32_t value = 0;
    std::memcpy(&value, bytes.data() + at * 4, sizeof value);
    return value;
  };
  const size_t words = bytes.size() / 4;
  if (word(0) != VULKAN_IMAGE_MAGIC) throw damaged("it has another magic number");
  if (word(1) != VULKAN_IMAGE_VERSION) throw damaged("it has another version", std::to_string(word(1)), std::to_string(VULKAN_IMAGE_VERSION));
  if (kernels < 0 || word(2) != static_cast<size_t>(kernels)) throw damaged("it has another number of kernels", std::to_string(word(2)), std::to_string(kernels));
  const size_t modules = word(3);
  if (modules > (words - HEADER) / ROW) throw damaged("its table is cut short");
  const size_t codeBegin = HEADER + modules * ROW;
  std::vector<std::vector<VulkanKernel>> all;
  for (size_t row = HEADER; row < codeBegin; row += ROW) {
    // Those of a kernel stand together.
    const size_t k = word(row);
    if (k == all.size()) all.emplace_back();
    else if (k + 1 != all.size()) throw damaged("its kernels are not in order", std::to_string(k), "at most " + std::to_string(all.size()));
    const std::string name = "k" + std::to_string(k);
    VulkanKernel& kernel = all[k].emplace_back();
    kernel.threads = word(row + 1);
    kernel.tasks = word(row + 2);
    kernel.subgroup = word(row + 3);
    const size_t first = word(row + 4);
    const size_t length = word(row + 5);
    if (kernel.subgroup != 0 && kernel.subgroup != 32) throw damaged(name + " needs subgroups of another size", std::to_string(kernel.subgroup), "32, or 0 for any");
    if (kernel.subgroup != 0 && kernel.threads % kernel.subgroup != 0) throw damaged(name + " has a workgroup of no whole subgroups", std::to_string(kernel.threads) + " threads");
    if (kernel.threads == 0 || kernel.tasks == 0) throw damaged(name + " has an empty workgroup");
    if (first > words - codeBegin || length > words - codeBegin - first) throw damaged(name + " does not lie in it", std::to_string(length) + " words at " + std::to_string(first), "at most " + std::to_string(words - codeBegin));
    kernel.code.resize(length);
    if (length > 0) std::memcpy(kernel.code.data(), bytes.data() + (codeBegin + first) * 4, length * 4);
    readDeclarations(kernel, name);
  }
  if (all.size() != static_cast<size_t>(kernels)) throw damaged("it has no code for k" + std::to_string(all.size()));
  return all;
}

std::vector<VulkanKernel> chooseKernels(std::vector<std::vector<VulkanKernel>> kernels, const Adapter& adapter) {
  std::vector<VulkanKernel> chosen;
  for (auto& modules : kernels) {
    std::optional<Lack> lack;
    for (VulkanKernel& module : modules) {
      lack = lackOf(module, adapter.features);
      if (lack) continue;
      chosen.push_back(std::move(module));
      break;
    }
    if (!lack) continue;
    throw Error({.code = "GPU004", .message = "kernel k" + std::to_string(chosen.size()) + " does not run on the Vulkan device " + adapter.name + ", which has no " + lack->what, .found = adapter.driver,
        .expected = lack->limit, .hint = "build the program for this device, update its driver, or choose another: sluice doctor lists what each has"});
  }
  return chosen;
}

}  // namespace sluice
