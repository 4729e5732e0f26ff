// What goes wrong on a CUDA device, each named with what to do: no driver or an old one, devices that are not there, code for
// others, damaged images, no memory, wrong numbers, and devices that are lost.
#include <random>
#include <tuple>

#include "device/target.h"
#include "tests/cuda-bench.h"

using namespace sluice;
using namespace sluice::test;

namespace {

std::string with(const std::string& image, size_t word, uint32_t value) {
  std::string changed = image;
  std::memcpy(changed.data() + 4 * word, &value, sizeof value);
  return changed;
}
std::string readingOf(const std::string& image, int32_t kernels = CUDA_KERNELS) {
  return messageOf([&] { readCudaImage(bytesOf(image), kernels); });
}
std::string loading() {
  const std::string image = cudaImage();
  return messageOf([&] { openCuda("")->load({bytesOf(image), CUDA_KERNELS}); });
}

}  // namespace

TEST_CASE("cuda: a driver that is too old is named, with the one that is needed") {
  const Switched switched;
  switches().version = 11040;
  CHECK(messageOf([] { loadCudaDriver(); }) ==
        "error GPU008: the NVIDIA driver is too old\n  found:    a driver for CUDA 11.4\n  expected: a driver for CUDA 12.0 or newer\n  hint:     update the NVIDIA driver: 525 or newer");
  switches().version = 12000;
  switches().devices = 0;
  CHECK(messageOf([] { loadCudaDriver(); }).starts_with("error GPU001: there is no CUDA device here\n  found:    CUDA_ERROR_NO_DEVICE (100)"));
  switches().devices = 1;
  CHECK(messageOf([] { loadCudaDriver(); }) == "nothing was refused");
}

TEST_CASE("cuda: a device is chosen by number and by name") {
  const Switched switched;
  switches().devices = 2;
  const auto opened = [](const std::string& choice) { return openCuda(choice)->description(); };
  CHECK(opened("").starts_with("cuda, Host shim 0, "));
  CHECK(opened("1").starts_with("cuda, Host shim 1, "));
  CHECK(opened("SHIM 1").starts_with("cuda, Host shim 1, "));
  CHECK(messageOf([&] { opened("2"); }) == "error GPU001: there is no CUDA device `2`\n  expected: a number or a part of a name: 0, Host shim 0; 1, Host shim 1\n  hint:     sluice doctor lists them");
  CHECK(messageOf([&] { opened("h100"); }).starts_with("error GPU001: there is no CUDA device `h100`"));
  switches().devices = 0;
  CHECK(messageOf([&] { opened(""); }).starts_with("error GPU001: there is no CUDA device here"));
  CHECK(listCudaDevices(true).empty());
  switches().devices = 1;
  const CudaDeviceInfo info = listCudaDevices(true).at(0);
  CHECK(info.architecture == "sm_90");
  CHECK(info.memoryBytes == int64_t{1} << 30);
  CHECK(info.description == "cuda, Host shim 0, sm_90, driver for CUDA 13.0");
  CHECK(info.problem.empty());
}

TEST_CASE("cuda: code for another GPU is refused with what the program has and what the device is") {
  const Switched switched;
  CHECK(loading() == "nothing was refused");
  switches().architecture = 100;
  CHECK(loading() == "nothing was refused");
  switches().architecture = 86;
  CHECK(loading() ==
        "error GPU004: the program's code does not run on the CUDA device Host shim 0\n  found:    the program has code for sm_90, PTX of sm_90; CUDA_ERROR_NO_BINARY_FOR_GPU (209): no kernel image is "
        "available for execution on the device, driver for CUDA 13.0\n  expected: code for sm_86, or PTX of an older one\n  hint:     build the program with --target cuda:sm_86");
  switches().architecture = 70;
  CHECK(loading().starts_with("error GPU004: the CUDA device Host shim 0 is too old\n  found:    sm_70; CUDA_ERROR_INVALID_PTX (218)"));
}

TEST_CASE("cuda: a self-test that gives wrong numbers refuses the device, naming what is wrong") {
  const char* const names[] = {"f32", "f64", "f16", "dot products of bytes", "subgroups", "shared memory", "atomic addition"};
  for (int row = 0; row < 7; row++) {
    const Switched switched;
    switches().wrong_row = row;
    CHECK(messageOf([] { openCuda(""); }).starts_with(std::string("error GPU001: the CUDA device Host shim 0 computes wrong numbers\n  found:    ") + names[row] + ", driver for CUDA 13.0\n"));
    CHECK(listCudaDevices(true).at(0).problem.find("computes wrong numbers") != std::string::npos);
    CHECK(listCudaDevices(false).at(0).problem.empty());
  }
}

TEST_CASE("cuda: memory that the device does not have is refused with the bytes it takes and those that are free") {
  CudaBench b;
  CHECK(messageOf([&] { b.device->allocate(int64_t{1} << 40, "`huge` at N = 7"); }) ==
        "error MEM001: not enough memory for `huge` at N = 7\n  found:    it needs 1099511627776 bytes (1048576.0 MiB); 0 bytes (0.0 MiB) are in use\n  expected: at most 1073741824 bytes (1024.0 MiB) in all\n"
        "  hint:     use smaller sizes, or close programs that are no longer needed");
  const Range kept = b.device->allocate(int64_t{1} << 20, "a test");
  switches().failing_allocation = counts().allocations + 1;
  // An eighth is another's.
  CHECK(messageOf([&] { b.device->allocate(1000, "state `w`"); }).starts_with("error MEM001: not enough memory for state `w`\n  found:    it needs 1000 bytes (0.0 MiB); 135266304 bytes (129.0 MiB) are in use"));
  b.device->release(kept);
  CHECK_THROWS_AS(b.device->release(kept), std::logic_error);
}

TEST_CASE("cuda: a device that is lost says so, then and from then on, and another one may be opened") {
  {
    CudaBench b;
    Witness effects;
    const Range x = b.upload(std::vector<float>(10, 1));
    switches().failing_launch = counts().launches + 2;
    const std::string lost = "error GPU002: the CUDA device Host shim 0 was lost and does nothing more\n  found:    CUDA_ERROR_LAUNCH_FAILED (719): the test wants it lost, driver for CUDA 13.0\n  hint:     start the program again";
    CHECK(messageOf([&] { b.run({launch(ADD_ONE, {x}, 10), launch(ADD_ONE, {x}, 10), {EffectCommand{1}}}, effects); }).starts_with(lost));
    CHECK(effects.seen.empty());
    CHECK(messageOf([&] { b.stream().copy(x, x); }).starts_with(lost));
    CHECK(messageOf([&] { b.stream().record(); }).starts_with(lost));
    CHECK(messageOf([&] { b.device->allocate(10, "a test"); }).starts_with(lost));
  }
  CudaBench b;
  CHECK(b.download<float>(b.upload(std::vector<float>(10, 1)))[9] == 1);
}

TEST_CASE("cuda: the driver of the tests finds accesses outside of memory, and memory that is freed too early") {
  {
    CudaBench b;
    Witness effects;
    const Range y = b.upload(std::vector<float>(10, 1));
    CHECK(messageOf([&] { b.run({launch(BEYOND, {y}, 1)}, effects); }).find("CUDA_ERROR_ILLEGAL_ADDRESS (700): k6: out of bounds: write of 4 bytes at byte 4194304 of memory 2, which has 40, by thread 0 of block 0") != std::string::npos);
  }
  CudaBench b;
  const Range x = b.device->allocate(400, "a test");
  const Range y = b.upload(std::vector<float>(100, 1));
  b.stream().copy(y, x);
  b.device->release(x);
  CHECK(messageOf([&] { b.stream().await(b.stream().record()); }).find("a copy uses memory that is not allocated") != std::string::npos);
}

TEST_CASE("cuda: damaged images are refused, saying what is wrong with them") {
  const std::string image = cudaImage();
  const size_t binary = 5 + 3 * CUDA_KERNELS;
  const size_t fat = binary + 2;
  const std::tuple<size_t, uint32_t, const char*> edits[] = {{0, 1, "it has another magic number"}, {1, 2, "it has another version"}, {3, 8, "it has another number of kernels"}, {4, 0, "k0 lies in a fat binary that is not there"},
      {4, 0x10000000, "its table is cut short"}, {5, 0, "k0 has an empty block"}, {6, 0, "k0 has an empty block"}, {5, 2048, "k0 has a block that no launch has"}, {6, 2, "k0 has a block that no launch has"},
      {7, 1, "k0 lies in a fat binary that is not there"}, {binary, 0xffffffff, "fat binary 0 does not lie in it"}, {binary + 1, 0xffffffff, "fat binary 0 does not lie in it"}, {binary + 1, 8, "fat binary 0 is no fat binary"},
      {fat, 7, "fat binary 0 is no fat binary"}, {fat + 1, 2, "fat binary 0 is no fat binary"}, {fat + 2, 16, "fat binary 0 is a fat binary of another length"}, {fat + 4, 3, "nothing was refused"},
      {fat + 5, 8, "fat binary 0 has a part that does not fit"}, {fat + 7, 1, "fat binary 0 has a part that does not fit"}};
  CHECK(readingOf(image) == "nothing was refused");
  for (const auto& [word, value, message] : edits) {
    CAPTURE(word);
    const std::string refusal = readingOf(with(image, word, value));
    if (std::string(message) == "nothing was refused") CHECK(refusal == message);
    else CHECK(refusal.starts_with(std::string("error GPU003: the program's CUDA code is damaged: ") + message));
  }
  CHECK(readingOf(image, 1).find("it has another number of kernels") != std::string::npos);
  CHECK(readingOf(image.substr(0, 19)).find("it is too short") != std::string::npos);
  CHECK(readingOf(image.substr(0, image.size() - 1)).find("fat binary 0 does not lie in it") != std::string::npos);
  // Whatever word is changed, to whatever, and wherever it is cut: refused by name or read.
  std::mt19937 random(2);
  for (int round = 0; round < 3000; round++) {
    std::string changed = with(image, random() % (fat + 40), random() % 3 == 0 ? random() % 64 : static_cast<uint32_t>(random()));
    if (round % 3 == 0) changed.resize(random() % changed.size());
    const std::string refusal = readingOf(changed);
    REQUIRE((refusal == "nothing was refused" || refusal.starts_with("error GPU003: ")));
  }
}

TEST_CASE("cuda: a container's module for CUDA is taken by its target") {
  ModuleInfo cuda;
  cuda.kind = ModuleInfo::Kind::cuda;
  cuda.architectures = {"sm_80", "sm_90"};
  ModuleInfo cpu;
  cpu.kind = ModuleInfo::Kind::cpu;
  cpu.level = "v3";
  const std::vector<ModuleInfo> both{cuda, cpu};
  const std::vector<ModuleInfo> one{cuda};
  CHECK(moduleText(cuda) == "cuda:sm_80,sm_90");
  CHECK(&moduleFor(both, "") == &both[1]);
  CHECK(&moduleFor(both, "cuda") == &both[0]);
  CHECK(&moduleFor(both, "cuda:0") == &both[0]);
  CHECK(&moduleFor(one, "") == &one[0]);
  CHECK(messageOf([&] { moduleFor(one, "vulkan"); }) == "error GPU005: the program has no code for Vulkan\n  found:    cuda:sm_80,sm_90\n  hint:     build it with --target vulkan");
  CHECK(messageOf([&] { moduleFor({cpu}, "cuda"); }) == "error GPU005: the program has no code for CUDA\n  found:    cpu:v3\n  hint:     build it with --target cuda");
  const Switched switched;
  CHECK(openDevice(cuda, "cuda:shim", {})->description().starts_with("cuda, Host shim 0"));
}
