// How many threads a process should have.
#pragma once

#include <string>

namespace pympf {

// OMP_NUM_THREADS (the first number of its list; 1 to 4096), or else granted_cores().
int default_thread_count();

// The cores that this process may use: those of its affinity mask, and no more than the quota of
// its control groups, rounded up. Never below 1.
int granted_cores();

// The quota of a control group and of those above it, as cores; 0: none. `groups` is the text of
// /proc/self/cgroup, `root` where control groups are mounted.
double quota_of(const std::string& groups, const std::string& root);

}  // namespace pympf
