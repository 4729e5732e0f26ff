// What this process may use of the machine: its processors and memory, or less where a control group (of a container, a
// service) says so. Both versions of control groups are read, and every group above the process's own counts.
#pragma once
#include <cstdint>
#include <optional>
#include <string>

namespace sluice {

/** More threads than this are never started. */
constexpr int MOST_THREADS = 1024;

struct CgroupLimits {
  /** Seconds of processors per second. */
  std::optional<double> cpus;
  /** Bytes. */
  std::optional<int64_t> memory;
};

/** `root` is where /proc and /sys are found. */
CgroupLimits cgroupLimits(const std::string& root = "");

/** As many as can run at once, at least 1 and at most MOST_THREADS. */
int usableThreads(const std::string& root = "");

/** Bytes of memory: more is granted, and the process killed when it is used. */
int64_t usableMemory(const std::string& root = "");

}  // namespace sluice
