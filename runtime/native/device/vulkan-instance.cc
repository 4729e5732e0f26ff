#include "device/vulkan-instance.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <mutex>

#include "base/error.h"
#include "base/text.h"

namespace sluice {
namespace {

constexpr const char* VALIDATION = "VK_LAYER_KHRONOS_validation";
/** Kinds from the best on. */
constexpr std::array KINDS{VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU, VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU, VK_PHYSICAL_DEVICE_TYPE_CPU, VK_PHYSICAL_DEVICE_TYPE_OTHER};

Error unusable(std::string message, std::string found, std::string expected, std::string hint) {
  return Error({.code = "GPU001", .message = std::move(message), .found = std::move(found), .expected = std::move(expected), .hint = std::move(hint)});
}
Error notInstalled(std::string found) {
  return unusable("Vulkan cannot be used here", std::move(found), "libvulkan.so.1 1.2 or newer, and a driver", "apt-get install libvulkan1 mesa-vulkan-drivers, or install the driver of your GPU");
}

void loadOnce() {
  static const VkResult loaded = volkInitialize();
  if (loaded != VK_SUCCESS) throw notInstalled("no libvulkan.so.1");
}

VKAPI_ATTR VkBool32 VKAPI_CALL forward(VkDebugUtilsMessageSeverityFlagBitsEXT, VkDebugUtilsMessageTypeFlagsEXT, const VkDebugUtilsMessengerCallbackDataEXT* data, void* to) {
  (*static_cast<std::function<void(const std::string&)>*>(to))(data->pMessage);
  return VK_FALSE;
}

bool hasValidation() {
  uint32_t count = 0;
  vkEnumerateInstanceLayerProperties(&count, nullptr);
  std::vector<VkLayerProperties> layers(count);
  vkEnumerateInstanceLayerProperties(&count, layers.data());
  return std::any_of(layers.begin(), layers.end(), [](const VkLayerProperties& l) { return std::strcmp(l.layerName, VALIDATION) == 0; });
}

std::string lowerCase(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : c); });
  return text;
}

/** Asks a device about itself, and about what an extension adds only where it has that. */
class Interview {
 public:
  explicit Interview(VkPhysicalDevice handle) { a_.handle = handle; }

  Adapter ask() {
    VkPhysicalDeviceProperties plain{};
    vkGetPhysicalDeviceProperties(a_.handle, &plain);
    a_.name = plain.deviceName;
    a_.type = plain.deviceType;
    a_.limits = plain.limits;
    vkGetPhysicalDeviceMemoryProperties(a_.handle, &a_.memory);
    uint32_t count = 0;
    vkGetPhysicalDeviceQueueFamilyProperties(a_.handle, &count, nullptr);
    a_.families.resize(count);
    vkGetPhysicalDeviceQueueFamilyProperties(a_.handle, &count, a_.families.data());
    a_.features.threads = std::min(plain.limits.maxComputeWorkGroupInvocations, plain.limits.maxComputeWorkGroupSize[0]);
    a_.features.sharedBytes = plain.limits.maxComputeSharedMemorySize;
    if (plain.apiVersion < VK_API_VERSION_1_2) {
      a_.driver = "driver " + std::to_string(plain.driverVersion);
      a_.missing.push_back("Vulkan 1.2 (it has " + std::to_string(VK_API_VERSION_MAJOR(plain.apiVersion)) + "." + std::to_string(VK_API_VERSION_MINOR(plain.apiVersion)) + ")");
      return std::move(a_);
    }
    count = 0;
    vkEnumerateDeviceExtensionProperties(a_.handle, nullptr, &count, nullptr);
    known_.resize(count);
    vkEnumerateDeviceExtensionProperties(a_.handle, nullptr, &count, known_.data());
    askProperties();
    askFeatures();
    if (std::none_of(a_.families.begin(), a_.families.end(), [](const VkQueueFamilyProperties& f) { return (f.queueFlags & VK_QUEUE_COMPUTE_BIT) != 0; })) a_.missing.emplace_back("a queue for compute");
    return std::move(a_);
  }

 private:
  bool has(const char* extension) const {
    return std::any_of(known_.begin(), known_.end(), [&](const VkExtensionProperties& e) { return std::strcmp(e.extensionName, extension) == 0; });
  }
  bool use(const char* extension) {
    if (!has(extension)) return false;
    a_.extensions.push_back(extension);
    return true;
  }
  void use(const char* extension, bool& feature, VkBool32 supported) {
    feature = supported == VK_TRUE && use(extension);
  }

  void askProperties() {
    VkPhysicalDeviceSubgroupSizeControlPropertiesEXT sizes{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_PROPERTIES_EXT};
    VkPhysicalDeviceVulkan11Properties v11{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_PROPERTIES, .pNext = has(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME) ? &sizes : nullptr};
    VkPhysicalDeviceVulkan12Properties v12{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_PROPERTIES, .pNext = &v11};
    VkPhysicalDeviceProperties2 all{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_PROPERTIES_2, .pNext = &v12};
    vkGetPhysicalDeviceProperties2(a_.handle, &all);
    a_.driver = std::string(v12.driverName) + " " + v12.driverInfo;
    a_.pipelineKey.clear();
    for (const uint8_t byte : all.properties.pipelineCacheUUID) {
      constexpr const char* DIGITS = "0123456789abcdef";
      a_.pipelineKey += {DIGITS[byte >> 4], DIGITS[byte & 15]};
    }
    a_.pipelineKey += "-" + std::to_string(all.properties.driverVersion);
    VulkanFeatures& f = a_.features;
    f.denormals = v12.shaderDenormPreserveFloat32 == VK_TRUE;
    f.specialFloats = v12.shaderSignedZeroInfNanPreserveFloat32 == VK_TRUE;
    f.roundToNearest = v12.shaderRoundingModeRTEFloat32 == VK_TRUE;
    f.subgroupSize = v11.subgroupSize;
    f.subgroupOperations = (v11.subgroupSupportedStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0 ? v11.subgroupSupportedOperations : 0;
    f.subgroup32 = sizes.minSubgroupSize <= 32 && sizes.maxSubgroupSize >= 32 && (sizes.requiredSubgroupSizeStages & VK_SHADER_STAGE_COMPUTE_BIT) != 0;
  }

  void askFeatures() {
    VkPhysicalDeviceSubgroupSizeControlFeaturesEXT sizes{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SUBGROUP_SIZE_CONTROL_FEATURES_EXT};
    VkPhysicalDeviceShaderIntegerDotProductFeaturesKHR dot{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_INTEGER_DOT_PRODUCT_FEATURES_KHR};
    VkPhysicalDeviceShaderAtomicFloatFeaturesEXT atomic{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_SHADER_ATOMIC_FLOAT_FEATURES_EXT};
    VkPhysicalDeviceCooperativeMatrixFeaturesNV matrix{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_COOPERATIVE_MATRIX_FEATURES_NV};
    CooperativeMatrixFeaturesKhr matrixKhr;
    VkPhysicalDeviceVulkan11Features v11{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_1_FEATURES};
    VkPhysicalDeviceVulkan12Features v12{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_VULKAN_1_2_FEATURES, .pNext = &v11};
    VkPhysicalDeviceFeatures2 all{.sType = VK_STRUCTURE_TYPE_PHYSICAL_DEVICE_FEATURES_2, .pNext = &v12};
    const auto chain = [&](const char* extension, auto& structure) {
      if (!has(extension)) return;
      structure.pNext = all.pNext;
      all.pNext = &structure;
    };
    chain(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME, sizes);
    chain(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, dot);
    chain(VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME, atomic);
    chain(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME, matrix);
    chain(COOPERATIVE_MATRIX_KHR, matrixKhr);
    vkGetPhysicalDeviceFeatures2(a_.handle, &all);

    const std::pair<VkBool32, const char*> needed[] = {{v12.bufferDeviceAddress, "bufferDeviceAddress"}, {v12.timelineSemaphore, "timelineSemaphore"}, {all.features.shaderInt64, "shaderInt64"},
        {v12.storageBuffer8BitAccess, "storageBuffer8BitAccess"}, {v11.storageBuffer16BitAccess, "storageBuffer16BitAccess"}};
    for (const auto& [supported, name] : needed)
      if (supported != VK_TRUE) a_.missing.emplace_back(name);

    VulkanFeatures& f = a_.features;
    f.int8 = v12.shaderInt8 == VK_TRUE;
    f.int16 = all.features.shaderInt16 == VK_TRUE;
    f.float16 = v12.shaderFloat16 == VK_TRUE;
    f.float64 = all.features.shaderFloat64 == VK_TRUE;
    f.memoryModel = v12.vulkanMemoryModel == VK_TRUE && v12.vulkanMemoryModelDeviceScope == VK_TRUE;
    use(VK_KHR_SHADER_INTEGER_DOT_PRODUCT_EXTENSION_NAME, f.dot8, dot.shaderIntegerDotProduct);
    use(VK_EXT_SHADER_ATOMIC_FLOAT_EXTENSION_NAME, f.atomicAddF32, atomic.shaderBufferFloat32AtomicAdd);
    use(VK_NV_COOPERATIVE_MATRIX_EXTENSION_NAME, f.cooperativeMatrixNv, matrix.cooperativeMatrix);
    use(COOPERATIVE_MATRIX_KHR, f.cooperativeMatrixKhr, matrixKhr.cooperativeMatrix);
    f.subgroup32 = f.subgroup32 && sizes.subgroupSizeControl == VK_TRUE && sizes.computeFullSubgroups == VK_TRUE && use(VK_EXT_SUBGROUP_SIZE_CONTROL_EXTENSION_NAME);
    a_.hasCalibratedTimestamps = use(VK_EXT_CALIBRATED_TIMESTAMPS_EXTENSION_NAME);
  }

  Adapter a_;
  std::vector<VkExtensionProperties> known_;
};

}  // namespace

int64_t Adapter::memoryBytes() const {
  VkDeviceSize largest = 0;
  for (uint32_t i = 0; i < memory.memoryHeapCount; i++)
    if ((memory.memoryHeaps[i].flags & VK_MEMORY_HEAP_DEVICE_LOCAL_BIT) != 0) largest = std::max(largest, memory.memoryHeaps[i].size);
  return static_cast<int64_t>(largest);
}

VulkanInstance::VulkanInstance(std::function<void(const std::string&)> onMessage) : onMessage_(std::move(onMessage)) {
  loadOnce();
  if (const uint32_t version = volkGetInstanceVersion(); version < VK_API_VERSION_1_2) {
    throw notInstalled("a libvulkan.so.1 of Vulkan " + std::to_string(VK_API_VERSION_MAJOR(version)) + "." + std::to_string(VK_API_VERSION_MINOR(version)));
  }
  if (onMessage_ && !hasValidation()) throw unusable("Vulkan's validation layers are not installed", "no " + std::string(VALIDATION), "", "apt-get install vulkan-validationlayers");
  const VkApplicationInfo application{.sType = VK_STRUCTURE_TYPE_APPLICATION_INFO, .pApplicationName = "sluice", .pEngineName = "sluice", .apiVersion = VK_API_VERSION_1_2};
  const char* const layers[] = {VALIDATION};
  const char* const extensions[] = {VK_EXT_DEBUG_UTILS_EXTENSION_NAME, VK_EXT_VALIDATION_FEATURES_EXTENSION_NAME};
  const VkValidationFeatureEnableEXT checks[] = {VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT};
  VkDebugUtilsMessengerCreateInfoEXT messages{.sType = VK_STRUCTURE_TYPE_DEBUG_UTILS_MESSENGER_CREATE_INFO_EXT,
      .messageSeverity = VK_DEBUG_UTILS_MESSAGE_SEVERITY_WARNING_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_SEVERITY_ERROR_BIT_EXT,
      .messageType = VK_DEBUG_UTILS_MESSAGE_TYPE_GENERAL_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_VALIDATION_BIT_EXT | VK_DEBUG_UTILS_MESSAGE_TYPE_PERFORMANCE_BIT_EXT,
      .pfnUserCallback = forward, .pUserData = &onMessage_};
  const VkValidationFeaturesEXT features{.sType = VK_STRUCTURE_TYPE_VALIDATION_FEATURES_EXT, .pNext = &messages, .enabledValidationFeatureCount = 1, .pEnabledValidationFeatures = checks};
  VkInstanceCreateInfo info{.sType = VK_STRUCTURE_TYPE_INSTANCE_CREATE_INFO, .pApplicationInfo = &application};
  if (onMessage_) {
    info.pNext = &features;
    info.enabledLayerCount = 1;
    info.ppEnabledLayerNames = layers;
    info.enabledExtensionCount = 2;
    info.ppEnabledExtensionNames = extensions;
  }
  if (vkCreateInstance(&info, nullptr, &instance_) != VK_SUCCESS) throw notInstalled("no driver that works");
  // The functions are the loader's own: they serve every instance.
  static std::once_flag functions;
  std::call_once(functions, [&] { volkLoadInstanceOnly(instance_); });
  if (onMessage_) {
    const auto create = reinterpret_cast<PFN_vkCreateDebugUtilsMessengerEXT>(vkGetInstanceProcAddr(instance_, "vkCreateDebugUtilsMessengerEXT"));
    create(instance_, &messages, nullptr, &messenger_);
  }
}

VulkanInstance::~VulkanInstance() {
  if (messenger_ != VK_NULL_HANDLE) reinterpret_cast<PFN_vkDestroyDebugUtilsMessengerEXT>(vkGetInstanceProcAddr(instance_, "vkDestroyDebugUtilsMessengerEXT"))(instance_, messenger_, nullptr);
  vkDestroyInstance(instance_, nullptr);
}

std::vector<Adapter> VulkanInstance::adapters() const {
  uint32_t count = 0;
  vkEnumeratePhysicalDevices(instance_, &count, nullptr);
  std::vector<VkPhysicalDevice> handles(count);
  vkEnumeratePhysicalDevices(instance_, &count, handles.data());
  std::vector<Adapter> all;
  for (uint32_t i = 0; i < count; i++) all.push_back(Interview(handles[i]).ask());
  return all;
}

std::string kindText(VkPhysicalDeviceType type) {
  switch (type) {
    case VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU: return "discrete";
    case VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU: return "integrated";
    case VK_PHYSICAL_DEVICE_TYPE_VIRTUAL_GPU: return "virtual";
    case VK_PHYSICAL_DEVICE_TYPE_CPU: return "cpu";
    default: return "other";
  }
}

const Adapter& chooseAdapter(const std::vector<Adapter>& adapters, const std::string& choice) {
  if (adapters.empty()) throw unusable("there is no Vulkan device here", "", "a GPU with a driver, or Mesa's driver for the processor", "apt-get install mesa-vulkan-drivers, or install the driver of your GPU");
  const Adapter* chosen = nullptr;
  if (choice.empty()) {
    // Of several that are alike, one that can be used.
    const auto rank = [](const Adapter& a) { return (a.missing.empty() ? 0 : KINDS.size()) + static_cast<size_t>(std::find(KINDS.begin(), KINDS.end(), a.type) - KINDS.begin()); };
    chosen = &*std::min_element(adapters.begin(), adapters.end(), [&](const Adapter& a, const Adapter& b) { return rank(a) < rank(b); });
  } else if (choice.size() < 4 && std::all_of(choice.begin(), choice.end(), [](char c) { return c >= '0' && c <= '9'; })) {
    const auto number = static_cast<size_t>(std::stoi(choice));
    if (number < adapters.size()) chosen = &adapters[number];
  } else {
    for (const Adapter& a : adapters)
      if (chosen == nullptr && lowerCase(a.name).find(lowerCase(choice)) != std::string::npos) chosen = &a;
  }
  if (chosen == nullptr) {
    std::vector<std::string> names;
    for (size_t i = 0; i < adapters.size(); i++) names.push_back(std::to_string(i) + ", " + adapters[i].name);
    throw unusable("there is no Vulkan device `" + choice + "`", choice, "a number or a part of a name: " + joined(names, "; "), "sluice doctor lists them");
  }
  if (!chosen->missing.empty()) {
    throw unusable("the Vulkan device " + chosen->name + " lacks what kernels need", chosen->driver + ", without " + joined(chosen->missing), "Vulkan 1.2 with all of it", "update the driver, or choose another device: sluice doctor lists them");
  }
  return *chosen;
}

}  // namespace sluice
