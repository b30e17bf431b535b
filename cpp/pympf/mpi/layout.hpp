// Rows in contiguous ranges, one for each rank, as users of PETSc and mpi4py hold them. Ranges may
// be empty.
#pragma once

#include <algorithm>
#include <vector>

#include "pympf/common/index.hpp"
#include "pympf/mpi/comm.hpp"

namespace pympf {

struct Layout {
  std::vector<Global> starts{0, 0};  // of each rank, and the end of the last
  int rank = 0;

  Layout() = default;
  // Collective: every rank brings the number of its rows.
  Layout(const Communicator& comm, Index own) : rank(comm.rank()) {
    starts.assign(1, 0);
    for (Global rows : comm.all_gather(Global{own})) starts.push_back(starts.back() + rows);
  }

  Global total() const { return starts.back(); }
  Global first() const { return starts[rank]; }
  Global last() const { return starts[rank + 1]; }
  Index own() const { return static_cast<Index>(last() - first()); }
  bool owns(Global row) const { return row >= first() && row < last(); }
  int owner(Global row) const {
    return static_cast<int>(std::upper_bound(starts.begin(), starts.end(), row) - starts.begin()) -
           1;
  }
};

}  // namespace pympf
