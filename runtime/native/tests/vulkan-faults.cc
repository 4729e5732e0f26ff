// What is wrong with a device, its driver, its memory or a program's code for it is named; nothing of it ends in wrong numbers.
#include <cstdlib>
#include <fstream>
#include <random>

#include "device/free-list.h"
#include "device/vulkan-probe.h"
#include "tests/vulkan-bench.h"

using namespace sluice;
using namespace sluice::test;

namespace {

std::string refusalOf(const std::vector<uint32_t>& image, int32_t kernels = KERNELS, size_t bytesLess = 0) {
  const auto bytes = std::as_bytes(std::span(image));
  return messageOf([&] { readVulkanImage(bytes.first(bytes.size() - bytesLess), kernels); });
}

Adapter adapter(std::string name, VkPhysicalDeviceType type, std::vector<std::string> missing = {}) {
  Adapter a;
  a.name = std::move(name);
  a.driver = "Driver 1.2";
  a.type = type;
  a.missing = std::move(missing);
  return a;
}

}  // namespace

TEST_CASE("a list of free addresses gives out what does not overlap, and merges what is given back") {
  std::mt19937 random(1);
  FreeList list(4096, 1 << 20);
  std::vector<bool> isTaken(1 << 12);
  std::vector<std::pair<uint64_t, uint64_t>> taken;
  for (int round = 0; round < 20'000; round++) {
    if (random() % 2 == 0) {
      const uint64_t bytes = 256 * (1 + random() % 40);
      const auto address = list.take(bytes);
      if (!address) continue;
      REQUIRE((*address >= 4096 && *address + bytes <= 4096 + (1 << 20)));
      for (uint64_t at = (*address - 4096) / 256; at < (*address - 4096 + bytes) / 256; at++) {
        REQUIRE(!isTaken[at]);
        isTaken[at] = true;
      }
      taken.emplace_back(*address, bytes);
    } else if (!taken.empty()) {
      std::swap(taken[random() % taken.size()], taken.back());
      const auto [address, bytes] = taken.back();
      taken.pop_back();
      for (uint64_t at = (address - 4096) / 256; at < (address - 4096 + bytes) / 256; at++) isTaken[at] = false;
      list.give(address, bytes);
      CHECK_THROWS_AS(list.give(address, bytes), std::logic_error);
    }
  }
  for (const auto& [address, bytes] : taken) list.give(address, bytes);
  CHECK(list.isUnused());
  CHECK(list.take(1 << 20) == 4096);
  CHECK(list.take(256) == std::nullopt);
  CHECK_THROWS_AS(list.give(0, 256), std::logic_error);
}

TEST_CASE("a Vulkan image is read, and what is damaged in it is refused by name") {
  const auto image = vulkanImage();
  const auto kernels = readVulkanImage(std::as_bytes(std::span(image)), KERNELS);
  REQUIRE(kernels.size() == KERNELS);
  CHECK(kernels[MARK][0].tasks == 1);
  CHECK(kernels[SPILL][0].code == codeOf("SPILL"));
  CHECK(kernels[SPILL][0].sharedBytes == 0);
  const auto shared = vulkanImage({"SHARED"});
  CHECK(readVulkanImage(std::as_bytes(std::span(shared)), 1)[0][0].sharedBytes == 64 * 16 + 3 * 8);
  const size_t code = 4 + 6 * KERNELS;
  const std::tuple<size_t, uint32_t, const char*> edits[] = {{0, 1, "it has another magic number"}, {1, 1, "it has another version"}, {2, 7, "it has another number of kernels"}, {3, 0x7fffffff, "its table is cut short"},
      {4, 1, "its kernels are not in order"}, {10, 2, "its kernels are not in order"}, {16, 1, "its kernels are not in order"}, {4 + 6 * 5, 4, "it has no code for k5"},
      {5, 0, "k0 has an empty workgroup"}, {5, 32, "k0 has another workgroup"}, {6, 0, "k0 has an empty workgroup"}, {7, 64, "k0 needs subgroups of another size"}, {7, 1, "k0 needs subgroups of another size"}, {8, 0xffffffff, "k0 does not lie in it"},
      {9, 0xffffffff, "k0 does not lie in it"}, {9, 3, "k0 is no SPIR-V"}, {14, 1, "k1 is no SPIR-V"}, {code, 7, "k0 is no SPIR-V"}, {code + 1, 0x10600, "k0 is SPIR-V of another version"}, {code + 5, 17, "k0 has an instruction that does not fit"},
      {code + 5, 0xffff0011, "k0 has an instruction that does not fit"}};
  for (const auto& [at, value, message] : edits) {
    CAPTURE(message);
    auto changed = image;
    changed[at] = value;
    CHECK(refusalOf(changed).starts_with(std::string("error GPU003: the program's Vulkan code is damaged: ") + message));
  }
  CHECK(refusalOf(image, KERNELS, 1).find("it is no list of words") != std::string::npos);
  CHECK(refusalOf(image, KERNELS, 4).find("k5 does not lie in it") != std::string::npos);
  CHECK(refusalOf({VULKAN_IMAGE_MAGIC, 2, 1, 1}, 1).find("its table is cut short") != std::string::npos);
  CHECK(refusalOf({VULKAN_IMAGE_MAGIC, 2, 0}, 0).find("it is no list of words") != std::string::npos);
  CHECK(refusalOf({VULKAN_IMAGE_MAGIC, 2, 0, 0}, 0) == "nothing was refused");
  CHECK(refusalOf({VULKAN_IMAGE_MAGIC, 2, 1, 0}, 1).find("it has no code for k0") != std::string::npos);
  // Whatever word is changed, to whatever: refused by name or read.
  std::mt19937 random(2);
  for (int round = 0; round < 20'000; round++) {
    auto changed = image;
    changed[random() % changed.size()] = random() % 3 == 0 ? random() % 64 : static_cast<uint32_t>(random());
    const std::string refusal = refusalOf(changed);
    REQUIRE((refusal == "nothing was refused" || refusal.starts_with("error GPU003: ")));
  }
}

TEST_CASE("a kernel that needs what the device lacks is refused, naming it") {
  std::vector<std::vector<VulkanKernel>> kernels{{{.threads = 64, .tasks = 64, .code = {}, .capabilities = {1, 11, 5347, 4448}}}, {{.threads = 256, .tasks = 1, .code = {}, .capabilities = {1, 10, 6019, 6018, 4242}}}};
  const auto refusal = [&](const Adapter& adapter) { return messageOf([&] { chooseKernels(kernels, adapter); }); };
  Adapter a = adapter("Thing", VK_PHYSICAL_DEVICE_TYPE_CPU);
  a.features.threads = 1024;
  CHECK(refusal(a).starts_with("error GPU004: kernel k1 does not run on the Vulkan device Thing, which has no float64, 8-bit dot products, SPIR-V capability 4242\n  found:    Driver 1.2"));
  a.features.float64 = a.features.dot8 = true;
  kernels[1][0].capabilities.pop_back();
  CHECK(refusal(a) == "nothing was refused");
  a.features.threads = 128;
  CHECK(refusal(a).find("which has no workgroups of 256 threads") != std::string::npos);
  a.features.threads = 1024;
  a.features.sharedBytes = 1000;
  kernels[0][0].sharedBytes = 1001;
  CHECK(refusal(a).find("kernel k0 does not run on the Vulkan device Thing, which has no 1001 bytes of shared memory") != std::string::npos);
}

TEST_CASE("of a kernel's modules the first that the device can run is taken, and a refusal names what the last lacks") {
  const VulkanKernel subgroups{.threads = 64, .tasks = 1, .subgroup = 32, .code = {}, .capabilities = {1, 61, 65}};
  const VulkanKernel dots{.threads = 32, .tasks = 1, .code = {}, .capabilities = {1, 6018, 6019}};
  const VulkanKernel plain{.threads = 16, .tasks = 1, .code = {}, .capabilities = {1}};
  const VulkanKernel matrices{.threads = 16, .tasks = 1, .subgroup = 32, .code = {}, .capabilities = {1, 5345, 6022}};
  Adapter a = adapter("Thing", VK_PHYSICAL_DEVICE_TYPE_CPU);
  a.features.threads = 1024;
  const auto threads = [&](const std::vector<VulkanKernel>& modules) { return chooseKernels({modules}, a)[0].threads; };
  CHECK(threads({subgroups, dots, plain}) == 16);
  a.features.dot8 = true;
  CHECK(threads({subgroups, dots, plain}) == 32);
  a.features.subgroup32 = true;
  CHECK(threads({subgroups, dots, plain}) == 32);
  a.features.subgroupOperations = VK_SUBGROUP_FEATURE_BASIC_BIT | VK_SUBGROUP_FEATURE_SHUFFLE_BIT;
  CHECK(threads({subgroups, dots, plain}) == 64);
  CHECK(messageOf([&] { chooseKernels({{plain}, {matrices}}, a); })
            .starts_with("error GPU004: kernel k1 does not run on the Vulkan device Thing, which has no Vulkan memory model, cooperative matrices\n"));
  a.features = {.memoryModel = true, .threads = 1024};
  CHECK(messageOf([&] { chooseKernels({{subgroups, matrices}}, a); })
            .starts_with("error GPU004: kernel k0 does not run on the Vulkan device Thing, which has no subgroups of 32, cooperative matrices\n"));
}

TEST_CASE("a Vulkan device is chosen by kind, by number and by name, and what it lacks is named") {
  const std::vector<Adapter> all{adapter("llvmpipe", VK_PHYSICAL_DEVICE_TYPE_CPU), adapter("Iris", VK_PHYSICAL_DEVICE_TYPE_INTEGRATED_GPU), adapter("GeForce RTX 2080 Ti", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU),
      adapter("GeForce GTX 680", VK_PHYSICAL_DEVICE_TYPE_DISCRETE_GPU, {"bufferDeviceAddress", "shaderInt64"})};
  CHECK(&chooseAdapter(all, "") == &all[2]);
  CHECK(chooseAdapter({all[0], all[1]}, "").name == "Iris");
  CHECK(&chooseAdapter(all, "0") == &all[0]);
  CHECK(&chooseAdapter(all, "rtx 2080") == &all[2]);
  CHECK(&chooseAdapter(all, "IRIS") == &all[1]);
  CHECK(messageOf([&] { chooseAdapter(all, "radeon"); }).starts_with("error GPU001: there is no Vulkan device `radeon`"));
  CHECK(messageOf([&] { chooseAdapter(all, "4"); }).find("expected: a number or a part of a name: 0, llvmpipe; 1, Iris; 2, GeForce RTX 2080 Ti; 3, GeForce GTX 680") != std::string::npos);
  CHECK(messageOf([&] { chooseAdapter(all, "680"); }).starts_with("error GPU001: there is no Vulkan device `680`"));
  CHECK(messageOf([&] { chooseAdapter(all, "gtx 680"); }) ==
        "error GPU001: the Vulkan device GeForce GTX 680 lacks what kernels need\n  found:    Driver 1.2, without bufferDeviceAddress, shaderInt64\n  expected: Vulkan 1.2 with all of it\n"
        "  hint:     update the driver, or choose another device: sluice doctor lists them");
  CHECK(messageOf([&] { chooseAdapter({}, ""); }).starts_with("error GPU001: there is no Vulkan device here"));
}

TEST_CASE("vulkan: a loader, a driver and a device that are too old are refused, with what they have") {
  if (!isHere()) return;
  const auto opening = [] { return messageOf([] { openVulkan({}); }); };
  const auto version = vkEnumerateInstanceVersion;
  vkEnumerateInstanceVersion = [](uint32_t* found) {
    *found = VK_API_VERSION_1_1;
    return VK_SUCCESS;
  };
  CHECK(opening().starts_with("error GPU001: Vulkan cannot be used here\n  found:    a libvulkan.so.1 of Vulkan 1.1\n  expected: libvulkan.so.1 1.2 or newer, and a driver\n  hint:     apt-get install libvulkan1"));
  vkEnumerateInstanceVersion = version;
  const auto create = vkCreateInstance;
  vkCreateInstance = [](const VkInstanceCreateInfo*, const VkAllocationCallbacks*, VkInstance*) { return VK_ERROR_INCOMPATIBLE_DRIVER; };
  CHECK(opening().starts_with("error GPU001: Vulkan cannot be used here\n  found:    no driver that works\n"));
  vkCreateInstance = create;
  static PFN_vkGetPhysicalDeviceProperties properties;
  properties = vkGetPhysicalDeviceProperties;
  vkGetPhysicalDeviceProperties = [](VkPhysicalDevice device, VkPhysicalDeviceProperties* found) {
    properties(device, found);
    found->apiVersion = VK_API_VERSION_1_1;
  };
  const std::string old = opening();
  CHECK(old.starts_with("error GPU001: the Vulkan device "));
  CHECK(old.find(", without Vulkan 1.2 (it has 1.1)\n  expected: Vulkan 1.2 with all of it\n  hint:     update the driver, or choose another device") != std::string::npos);
  vkGetPhysicalDeviceProperties = properties;
}

TEST_CASE("vulkan: the validation layers see what is wrong") {
  if (!isHere()) return;
  Messages messages;
  {
    const auto device = VulkanBench::open(messages);
    const VkBufferCreateInfo nothing{.sType = VK_STRUCTURE_TYPE_BUFFER_CREATE_INFO, .size = 0, .usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT};
    VkBuffer buffer = VK_NULL_HANDLE;
    device->gpu().vk.vkCreateBuffer(device->gpu().device, &nothing, nullptr, &buffer);
    REQUIRE(messages.all.size() == 1);
    CHECK(messages.all[0].find("VUID-VkBufferCreateInfo-size-00912") != std::string::npos);
    device->gpu().vk.vkDestroyBuffer(device->gpu().device, buffer, nullptr);
  }
  messages.all.clear();
}

TEST_CASE("vulkan: self-tests pass, and what gives wrong numbers is switched off or refused") {
  if (!isHere()) return;
  VulkanBench b;
  b.device->selfTest();
  CHECK(b.device->description().starts_with("vulkan, "));
  CHECK(b.device->description().find("switched off") == std::string::npos);
  CHECK(b.device->passed().size() >= 2);
  VulkanFeatures features = b.device->gpu().adapter.features;
  auto probes = vulkanProbes(features);
  REQUIRE(probes.size() >= 2);
  for (Probe& p : probes) {
    CAPTURE(p.name);
    if (!p.isQuestion) CHECK(passes(*b.device, p));
    if (!p.wide.empty()) p.wide.back() ^= 1;
    else p.real.back() += 1;
    CHECK(!passes(*b.device, p));
  }
  CHECK(messageOf([&] { runSelfTests(*b.device, probes, features); }).starts_with("error GPU001: a Vulkan device computes wrong numbers\n  found:    vulkan, "));
  const auto wrong = std::find_if(probes.begin(), probes.end(), [](const Probe& p) { return p.name == "int8 and int16"; });
  REQUIRE(wrong != probes.end());
  CHECK(features.int8);
  const SelfTests tests = runSelfTests(*b.device, {*wrong}, features);
  CHECK(tests.failed == std::vector<std::string>{"int8 and int16"});
  CHECK(tests.passed.empty());
  CHECK(!features.int8);
}

TEST_CASE("vulkan: memory that the device does not have is refused with the bytes it takes") {
  if (!isHere()) return;
  VulkanBench b;
  const std::string limit = std::to_string(b.device->gpu().adapter.memoryBytes()) + " bytes";
  const std::string never = messageOf([&] { b.device->allocate(int64_t{1} << 50, "`huge` at N = 7"); });
  CHECK(never.starts_with("error MEM001: not enough memory for `huge` at N = 7\n  found:    it needs 1125899906842624 bytes (1073741824.0 MiB); 0 bytes (0.0 MiB) are in use\n  expected: at most " + limit));
  const Range kept = b.device->allocate(1000, "a test");
  b.device->gpu().vk.vkAllocateMemory = [](VkDevice, const VkMemoryAllocateInfo*, const VkAllocationCallbacks*, VkDeviceMemory*) { return VK_ERROR_OUT_OF_DEVICE_MEMORY; };
  const std::string now = messageOf([&] { b.device->allocate(int64_t{100} << 20, "state `w`"); });
  CHECK(now.starts_with("error MEM001: not enough memory for state `w`\n  found:    it needs 104857600 bytes (100.0 MiB); 1024 bytes"));
  b.device->release(kept);
}

TEST_CASE("vulkan: where there is no room, memory in which nothing lies is given back first") {
  if (!isHere()) return;
  VulkanBench b;
  static PFN_vkAllocateMemory allocate;
  static PFN_vkFreeMemory free;
  static bool isFull;
  VolkDeviceTable& vk = b.device->gpu().vk;
  allocate = vk.vkAllocateMemory;
  free = vk.vkFreeMemory;
  isFull = true;
  b.device->release(b.device->allocate(int64_t{100} << 20, "a test"));
  vk.vkAllocateMemory = [](VkDevice device, const VkMemoryAllocateInfo* info, const VkAllocationCallbacks* callbacks, VkDeviceMemory* memory) {
    return isFull ? VK_ERROR_OUT_OF_DEVICE_MEMORY : allocate(device, info, callbacks, memory);
  };
  vk.vkFreeMemory = [](VkDevice device, VkDeviceMemory memory, const VkAllocationCallbacks* callbacks) {
    if (memory != VK_NULL_HANDLE) isFull = false;
    free(device, memory, callbacks);
  };
  b.device->release(b.device->allocate(int64_t{150} << 20, "a test"));
  CHECK(!isFull);
}

TEST_CASE("vulkan: what a driver refuses is named, with the driver") {
  if (!isHere()) return;
  VulkanBench b;
  const Range x = b.upload(std::vector<float>(10, 1));
  const auto refused = [&](PFN_vkCreateComputePipelines create) {
    b.device->gpu().vk.vkCreateComputePipelines = create;
    return messageOf([&] { b.device->record(*b.module, {launch(INCREMENT, {x}, 10)}); });
  };
  const std::string name = b.device->gpu().adapter.name;
  CHECK(refused([](VkDevice, VkPipelineCache, uint32_t, const VkComputePipelineCreateInfo*, const VkAllocationCallbacks*, VkPipeline*) { return VK_ERROR_INITIALIZATION_FAILED; }) ==
        "error GPU006: the Vulkan device " + name + " cannot compile kernel k1\n  found:    VK_ERROR_INITIALIZATION_FAILED, " + b.device->gpu().adapter.driver + "\n  hint:     update the driver");
  CHECK(refused([](VkDevice, VkPipelineCache, uint32_t, const VkComputePipelineCreateInfo*, const VkAllocationCallbacks*, VkPipeline*) { return VK_ERROR_OUT_OF_HOST_MEMORY; })
            .starts_with("error MEM001: the Vulkan device " + name + " cannot compile kernel k1\n  found:    VK_ERROR_OUT_OF_HOST_MEMORY"));
}

TEST_CASE("vulkan: a device that is lost says so, then and from then on") {
  if (!isHere()) return;
  VulkanBench b;
  Witness effects;
  const Range x = b.upload(std::vector<float>(10, 1));
  b.stream().await(b.stream().record());
  const auto tape = b.device->record(*b.module, {launch(INCREMENT, {x}, 10), {EffectCommand{1}}});
  const auto submit = b.device->gpu().vk.vkQueueSubmit;
  b.device->gpu().vk.vkQueueSubmit = [](VkQueue, uint32_t, const VkSubmitInfo*, VkFence) { return VK_ERROR_DEVICE_LOST; };
  const std::string lost = "error GPU002: the Vulkan device " + b.device->gpu().adapter.name + " was lost and does nothing more";
  CHECK(messageOf([&] { b.stream().run(*tape, effects, nullptr); }).starts_with(lost));
  b.device->gpu().vk.vkQueueSubmit = submit;
  CHECK(effects.seen.empty());
  CHECK(messageOf([&] { b.stream().run(*tape, effects, nullptr); }).starts_with(lost));
  CHECK(messageOf([&] { b.stream().copy(x, x); }).starts_with(lost));
  CHECK(messageOf([&] { b.stream().record(); }).starts_with(lost));
  CHECK(messageOf([&] { b.device->allocate(10, "a test"); }).starts_with(lost));
}

TEST_CASE("vulkan: pipelines are kept on disk, and a damaged file is ignored and written again") {
  if (!isHere()) return;
  const auto work = [] {
    VulkanBench b;
    Witness effects;
    const Range x = b.upload(std::vector<float>(10, 1));
    b.run({launch(INCREMENT, {x}, 10)}, effects);
    CHECK(b.download<float>(x) == std::vector<float>(10, 2));
    return b.device->pipelines().file();
  };
  const std::filesystem::path file = work();
  const std::string whole = bytesOfFile(file.c_str());
  REQUIRE(whole.size() > 24);
  const std::string damaged[] = {"", whole.substr(0, 10), whole.substr(0, whole.size() - 1), whole + "x", std::string(whole.size(), 'x')};
  for (const std::string& bytes : damaged) {
    std::ofstream(file, std::ios::binary) << bytes;
    CHECK(work() == file);
    CHECK(bytesOfFile(file.c_str()).substr(0, 8) == whole.substr(0, 8));
  }
}
