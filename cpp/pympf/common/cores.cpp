#include "pympf/common/cores.hpp"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>
#include <vector>

namespace pympf {
namespace {

int cores_of_mask() {
#ifdef __linux__
  for (int cores = 1024; cores <= 1 << 20; cores *= 2) {  // the mask of a large machine is longer
    cpu_set_t* mask = CPU_ALLOC(cores);
    if (!mask) break;
    const std::size_t bytes = CPU_ALLOC_SIZE(cores);
    const int count = sched_getaffinity(0, bytes, mask) == 0 ? CPU_COUNT_S(bytes, mask) : 0;
    CPU_FREE(mask);
    if (count > 0) return count;
  }
#endif
  return static_cast<int>(std::thread::hardware_concurrency());
}

// `microseconds` of every `period`; "max" and -1 stand for no limit.
double cores_of(const std::string& microseconds, const std::string& period) {
  const double used = std::atof(microseconds.c_str()), of = std::atof(period.c_str());
  return used > 0 && of > 0 ? used / of : 0;
}

std::string word_of(const std::string& file, int number = 0) {
  std::ifstream stream(file);
  std::string word;
  for (int i = 0; i <= number; ++i)
    if (!(stream >> word)) return {};
  return word;
}

double quota_of_group(const std::string& folder, bool unified) {
  if (unified) return cores_of(word_of(folder + "/cpu.max", 0), word_of(folder + "/cpu.max", 1));
  return cores_of(word_of(folder + "/cpu.cfs_quota_us"), word_of(folder + "/cpu.cfs_period_us"));
}

// Of this folder and those above it. In a container the path may be that of the host, and not be
// there; its own group is then the root.
double least_quota(const std::string& root, std::string path, bool unified) {
  double least = 0;
  for (;; path.erase(path.rfind('/'))) {
    const double quota = quota_of_group(root + path, unified);
    if (quota > 0) least = least > 0 ? std::min(least, quota) : quota;
    if (path.empty() || path.find('/') == std::string::npos) return least;
  }
}

// 0 when the variable holds no such number.
int number_in(const char* variable) {
  const char* text = std::getenv(variable);
  if (!text) return 0;
  char* end = nullptr;
  const long number = std::strtol(text, &end, 10);
  return end != text && number >= 1 && number <= 4096 ? static_cast<int>(number) : 0;
}

}  // namespace

// Lines "hierarchy:controllers:path"; version 2 has one hierarchy, 0, without controllers.
double quota_of(const std::string& groups, const std::string& root) {
  double least = 0;
  std::istringstream lines(groups);
  for (std::string line; std::getline(lines, line);) {
    const auto first = line.find(':'), second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    std::string controllers(1, ',');
    controllers.append(line, first + 1, second - first);
    controllers.back() = ',';
    const bool unified = controllers == ",,";
    if (!unified && controllers.find(",cpu,") == std::string::npos) continue;
    std::string path = line.substr(second + 1);
    if (path == "/") path.clear();
    const double quota = least_quota(unified ? root : root + "/cpu", path, unified);
    if (quota > 0) least = least > 0 ? std::min(least, quota) : quota;
  }
  return least;
}

int granted_cores() {
  static const int granted = [] {
    int cores = std::max(1, cores_of_mask());
    std::ifstream stream("/proc/self/cgroup");
    const std::string groups{std::istreambuf_iterator<char>(stream), {}};
    const double quota = quota_of(groups, "/sys/fs/cgroup");
    if (quota > 0) cores = std::min(cores, static_cast<int>(std::ceil(quota)));
    return std::max(1, cores);
  }();
  return granted;
}

int default_thread_count() {
  static const int count = [] {
    const int asked = number_in("OMP_NUM_THREADS"), limit = number_in("OMP_THREAD_LIMIT");
    const int threads = asked > 0 ? asked : granted_cores();
    return limit > 0 ? std::min(threads, limit) : threads;
  }();
  return count;
}

}  // namespace pympf
