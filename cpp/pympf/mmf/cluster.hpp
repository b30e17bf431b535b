// Clustering of the active columns (thesis, section 2.2: "Cluster the active columns of A_{p-1} to
// B_1 ∪ ... ∪ B_m").
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"
#include "pympf/mmf/params.hpp"

namespace pympf::mmf {

// Cluster u holds members[ptr[u]] ... members[ptr[u + 1] - 1]; what follows ptr[count()] sits out
// the stage.
struct Clusters {
  std::vector<Index> ptr{0};
  std::vector<Index> members;

  Index count() const { return static_cast<Index>(ptr.size()) - 1; }
  Index size(Index u) const { return ptr[u + 1] - ptr[u]; }
};

template <class T>
Clusters cluster(const CsrView<T>& A, const Params& params, int stage);

// Rows with more entries than this are hubs: max(32, hub_factor * mean).
Index hub_limit(Global rows, Global nnz, const Params& params);
template <class T>
Index hub_limit(const CsrView<T>& A, const Params& params);

}  // namespace pympf::mmf
