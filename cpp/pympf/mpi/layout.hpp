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

  int ranks_with_rows() const {
    int count = 0;
    for (std::size_t r = 0; r + 1 < starts.size(); ++r) count += starts[r + 1] > starts[r];
    return count;
  }

  // How many of the ranks with rows should give them to one, for so many rows each.
  int crowding(Global rows_per_rank) const {
    const Global ranks = ranks_with_rows(), wanted = total() / rows_per_rank;
    return wanted >= ranks ? 1 : static_cast<int>(ranks / std::max<Global>(1, wanted));
  }

  // The same rows on every step-th of the ranks that have some: those of the ones that follow it.
  Layout thinned(int step) const {
    Layout out = *this;
    Global end = total();
    int index = ranks_with_rows();
    for (auto rank = static_cast<int>(starts.size()) - 2; rank >= 0; --rank) {
      if (starts[rank + 1] > starts[rank] && --index % step == 0) end = starts[rank];
      out.starts[rank] = end;
    }
    return out;
  }
};

}  // namespace pympf
