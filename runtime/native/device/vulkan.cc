#include "device/vulkan.h"

#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "device/vulkan-device.h"
#include "device/vulkan-probe.h"

namespace sluice {
namespace {

constexpr int64_t BLOCK = int64_t{64} << 20;
constexpr int64_t ARGUMENT_BLOCK = int64_t{1} << 20;
constexpr int64_t STAGING_BLOCK = int64_t{16} << 20;
/** Memory that is kept though nothing lies in it. */
constexpr int64_t SPARE = int64_t{256} << 20;

std::string featureText(const VulkanFeatures& f) {
  const std::pair<bool, const char*> rows[] = {{f.int8, "int8"}, {f.int16, "int16"}, {f.float16, "float16"}, {f.float64, "float64"}, {f.dot8, "dot8"}, {f.atomicAddF32, "atomicAddF32"},
      {f.memoryModel, "memoryModel"}, {f.fusedMultiplyAdd, "fusedMultiplyAdd"}, {f.denormals, "denormals"}, {f.cooperativeMatrixKhr, "cooperativeMatrixKhr"}, {f.cooperativeMatrixNv, "cooperativeMatrixNv"}};
  std::string text = "subgroups of " + std::to_string(f.subgroup32 ? 32 : f.subgroupSize) + ",";
  for (const auto& [isThere, name] : rows)
    if (isThere) text += std::string(" ") + name;
  return text;
}

std::unique_ptr<VulkanDevice> openAndTest(std::unique_ptr<VulkanInstance> instance, Adapter adapter, const std::string& pipelines) {
  auto device = std::make_unique<VulkanDevice>(std::move(instance), std::move(adapter), pipelines);
  device->selfTest();
  return device;
}

}  // namespace

VulkanDevice::VulkanDevice(std::unique_ptr<VulkanInstance> instance, Adapter adapter, const std::string& pipelines)
    : gpu_(std::move(instance), std::move(adapter)),
      memory_(gpu_, MemoryUse::device, BLOCK),
      arguments_(gpu_, MemoryUse::arguments, ARGUMENT_BLOCK),
      uploads_(gpu_, MemoryUse::upload, STAGING_BLOCK),
      downloads_(gpu_, MemoryUse::download, STAGING_BLOCK),
      pipelines_(gpu_, pipelines),
      compute_(gpu_, gpu_.compute, memory_, uploads_, downloads_),
      upload_(gpu_, gpu_.upload, memory_, uploads_, downloads_),
      download_(gpu_, gpu_.download, memory_, uploads_, downloads_) {}

std::string VulkanDevice::description() const {
  const Adapter& a = gpu_.adapter;
  return "vulkan, " + a.name + ", " + a.driver + ", " + featureText(a.features) + (failed_.empty() ? "" : "; switched off, since their self-tests gave wrong numbers: " + joined(failed_));
}

void VulkanDevice::selfTest() {
  VulkanFeatures& features = gpu_.adapter.features;
  features.fusedMultiplyAdd = true;
  const SelfTests tests = runSelfTests(*this, vulkanProbes(features), features);
  passed_ = tests.passed;
  failed_ = tests.failed;
}

Range VulkanDevice::allocate(int64_t bytes, std::string_view purpose) {
  try {
    return memory_.allocate(bytes, purpose);
  } catch (const Error&) {
    if (!memory_.hasUnused()) throw;
  }
  trim();
  return memory_.allocate(bytes, purpose);
}

void VulkanDevice::release(Range range) {
  if (range.address == 0) return;
  memory_.release(range);
  if (memory_.reserved() - memory_.used() <= SPARE || !memory_.hasUnused()) return;
  try {
    trim();
  } catch (const Error&) {
    // The memory of a device that was lost goes with it.
  }
}

void VulkanDevice::trim() {
  for (VulkanStream* s : {&compute_, &upload_, &download_}) s->await(s->record());
  memory_.trim();
}

Range VulkanDevice::share(std::span<const std::byte> bytes, std::string_view purpose) {
  const Range range = allocate(static_cast<int64_t>(bytes.size()), purpose);
  compute_.upload(bytes.data(), range);
  return range;
}

std::unique_ptr<Module> VulkanDevice::load(const ModuleImage& image) { return std::make_unique<VulkanModule>(gpu_, pipelines_, image); }

std::unique_ptr<Tape> VulkanDevice::record(const Module& module, const std::vector<Command>& commands) {
  auto tape = std::make_unique<VulkanTape>(TapeHome{gpu_, memory_, arguments_, pipelines_}, dynamic_cast<const VulkanModule&>(module), commands);
  if (tape->scratchBytes() > (scratch_ ? scratch_->bytes : 0)) {
    scratch_.reset();
    const Range range = allocate(tape->scratchBytes(), "scratch");
    scratch_ = std::shared_ptr<const Range>(new Range(range), [this](const Range* r) {
      release(*r);
      delete r;
    });
  }
  tape->prepare(scratch_);
  return tape;
}

Stream& VulkanDevice::stream(StreamKind kind) {
  switch (kind) {
    case StreamKind::upload: return upload_;
    case StreamKind::download: return download_;
    default: return compute_;
  }
}

std::unique_ptr<Device> openVulkan(const VulkanOptions& options) {
  auto instance = std::make_unique<VulkanInstance>(options.onMessage);
  const Adapter adapter = chooseAdapter(instance->adapters(), options.choice);
  return openAndTest(std::move(instance), adapter, options.pipelines);
}

std::vector<VulkanDeviceInfo> listVulkanDevices() {
  const size_t count = VulkanInstance({}).adapters().size();
  std::vector<VulkanDeviceInfo> all;
  for (size_t i = 0; i < count; i++) {
    auto instance = std::make_unique<VulkanInstance>(nullptr);
    const std::vector<Adapter> adapters = instance->adapters();
    const Adapter& a = adapters.at(i);
    VulkanDeviceInfo info{.name = a.name, .kind = kindText(a.type), .driver = a.driver, .memoryBytes = a.memoryBytes(), .features = a.features};
    try {
      const auto device = openAndTest(std::move(instance), chooseAdapter(adapters, std::to_string(i)), "");
      info.features = device->gpu().adapter.features;
      info.description = device->description();
      info.passed = device->passed();
    } catch (const Error& error) {
      info.problem = error.what();
    }
    all.push_back(std::move(info));
  }
  return all;
}

}  // namespace sluice
