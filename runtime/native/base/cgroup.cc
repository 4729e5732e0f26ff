#include "base/cgroup.h"

#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <vector>

namespace sluice {
namespace {

/** The first line; empty if there is no such file. */
std::string lineOf(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/** None for "max", for what is no number, and for a number that means none. */
std::optional<double> limitOf(const std::string& text) {
  char* end = nullptr;
  const double value = std::strtod(text.c_str(), &end);
  // The first version writes the largest number of pages that there is where there is no limit.
  return text.empty() || end == text.c_str() || value <= 0 || value >= 0x1p62 ? std::nullopt : std::optional(value);
}

template <typename T>
void lower(std::optional<T>& limit, std::optional<T> other) {
  if (other && (!limit || *other < *limit)) limit = other;
}

/** The group's folder and those above it. A path may lead out of what is mounted here; then the mount alone is seen. */
std::vector<std::string> foldersOf(const std::string& mount, std::string group) {
  std::vector<std::string> folders;
  if (group.find("..") == std::string::npos)
    for (; group.size() > 1; group = group.substr(0, group.rfind('/'))) folders.push_back(mount + group);
  folders.push_back(mount);
  return folders;
}

void readSecondVersion(const std::string& folder, CgroupLimits& limits) {
  std::istringstream words(lineOf(folder + "/cpu.max"));
  std::string quota, period;
  words >> quota >> period;
  const auto time = limitOf(quota);
  const auto in = limitOf(period);
  if (time && in) lower(limits.cpus, std::optional(*time / *in));
  if (const auto bytes = limitOf(lineOf(folder + "/memory.max"))) lower(limits.memory, std::optional(static_cast<int64_t>(*bytes)));
}

void readFirstVersion(const std::string& folder, CgroupLimits& limits) {
  const auto time = limitOf(lineOf(folder + "/cpu.cfs_quota_us"));
  const auto in = limitOf(lineOf(folder + "/cpu.cfs_period_us"));
  if (time && in) lower(limits.cpus, std::optional(*time / *in));
  if (const auto bytes = limitOf(lineOf(folder + "/memory.limit_in_bytes"))) lower(limits.memory, std::optional(static_cast<int64_t>(*bytes)));
}

/** Processors that this process may be scheduled on. */
int processors() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  return static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
}

}  // namespace

CgroupLimits cgroupLimits(const std::string& root) {
  CgroupLimits limits;
  const std::string mount = root + "/sys/fs/cgroup";
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // Number, controllers and path, between colons; the second version has no controllers here.
    const size_t first = line.find(':');
    const size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      for (const std::string& folder : foldersOf(mount, group)) readSecondVersion(folder, limits);
      continue;
    }
    // They are mounted under their names together, under each alone, or both.
    std::vector<std::string> names{controllers};
    std::istringstream each(controllers);
    for (std::string name; std::getline(each, name, ',');) names.push_back(name);
    for (const std::string& name : names)
      for (const std::string& folder : foldersOf(mount + "/" + name, group)) readFirstVersion(folder, limits);
  }
  return limits;
}

int usableThreads(const std::string& root) {
  const int here = std::clamp(processors(), 1, MOST_THREADS);
  const auto cpus = cgroupLimits(root).cpus;
  return cpus && *cpus < here ? std::max(1, static_cast<int>(std::ceil(*cpus))) : here;
}

int64_t usableMemory(const std::string& root) {
  const int64_t here = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  const auto memory = cgroupLimits(root).memory;
  return memory ? std::min(here, *memory) : here;
}

}  // namespace sluice
