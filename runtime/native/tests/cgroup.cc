// Control groups, in a folder that stands for the machine's /proc and /sys.
#include <doctest/doctest.h>

#include "base/cgroup.h"
#include "tests/io-support.h"

namespace sluice::test {
namespace {

constexpr int64_t MIB = int64_t{1} << 20;

TEST_CASE("a machine without control groups has no limits but its own") {
  const Folder root;
  const CgroupLimits limits = cgroupLimits(root.at("none"));
  CHECK_FALSE(limits.cpus);
  CHECK_FALSE(limits.memory);
  CHECK(usableThreads(root.at("none")) >= 1);
  CHECK(usableMemory(root.at("none")) > MIB);
}

TEST_CASE("the second version: the group's limits and those of the groups above it") {
  const Folder root;
  put(root.at("proc/self/cgroup"), "0::/user/job\n");
  put(root.at("sys/fs/cgroup/cpu.max"), "max 100000\n");
  put(root.at("sys/fs/cgroup/user/cpu.max"), "50000 100000\n");
  put(root.at("sys/fs/cgroup/user/memory.max"), std::to_string(900 * MIB) + "\n");
  put(root.at("sys/fs/cgroup/user/job/cpu.max"), "400000 100000\n");
  put(root.at("sys/fs/cgroup/user/job/memory.max"), std::to_string(700 * MIB) + "\n");
  CHECK(cgroupLimits(root.at("")).cpus == 0.5);
  CHECK(cgroupLimits(root.at("")).memory == 700 * MIB);
  CHECK(usableThreads(root.at("")) == 1);
  CHECK(usableMemory(root.at("")) == 700 * MIB);
}

TEST_CASE("the first version, its controllers mounted together or alone") {
  const Folder root;
  put(root.at("proc/self/cgroup"), "4:memory:/docker/x\n3:cpu,cpuacct:/docker/x\n1:name=systemd:/\n");
  put(root.at("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes"), std::to_string(300 * MIB) + "\n");
  put(root.at("sys/fs/cgroup/memory/memory.limit_in_bytes"), "9223372036854771712\n");
  put(root.at("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_quota_us"), "150000\n");
  put(root.at("sys/fs/cgroup/cpu,cpuacct/docker/x/cpu.cfs_period_us"), "100000\n");
  put(root.at("sys/fs/cgroup/cpu/cpu.cfs_quota_us"), "-1\n");
  put(root.at("sys/fs/cgroup/cpu/cpu.cfs_period_us"), "100000\n");
  CHECK(cgroupLimits(root.at("")).cpus == 1.5);
  CHECK(cgroupLimits(root.at("")).memory == 300 * MIB);
  CHECK(usableThreads(root.at("")) <= 2);
}

TEST_CASE("a group whose path leads out of what is mounted has the mount's limits") {
  const Folder root;
  put(root.at("proc/self/cgroup"), "0::/../../elsewhere\n");
  put(root.at("sys/fs/cgroup/cpu.max"), "100000 100000\n");
  CHECK(usableThreads(root.at("")) == 1);
}

}  // namespace
}  // namespace sluice::test
