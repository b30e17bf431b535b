// The two kinds of integers that number rows, columns and entries.
#pragma once

#include <cstdint>
#include <limits>

#include "pympf/common/error.hpp"

namespace pympf {

using Index = std::int32_t;   // rows, columns and entries of one process
using Global = std::int64_t;  // of all processes together, and sizes before they are known to fit

// The one place where a count of entries becomes an Index: past 2^31 - 1 it is refused, never
// wrapped.
inline Index to_index(Global count, const char* what) {
  require(count <= std::numeric_limits<Index>::max(), what, ": ", count,
          " is more than one process holds (2147483647 = 2^31 - 1)");
  return static_cast<Index>(count);
}

}  // namespace pympf
