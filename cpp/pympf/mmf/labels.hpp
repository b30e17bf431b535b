// Clusters given by the caller: one label for each row and depth. In stage p, rows with the same
// label of depth p form a cluster (the last depth serves all later stages); a cluster of one depth
// lies in one of the next, so every active column, a mixture of rows of one cluster, has labels.
#pragma once

#include <vector>

#include "pympf/la/dist_rows.hpp"
#include "pympf/mmf/cluster.hpp"

namespace pympf::mmf {

// Labels of the own rows, or active columns, from the coming stage on.
using Labels = std::vector<std::vector<Global>>;

// Where each own row goes so that clusters of the last depth are whole on a rank and rows are in
// the order of their labels. The places do not depend on the number of ranks. Collective.
struct Places {
  Layout layout;
  std::vector<Global> targets;
};
Places by_labels(const Communicator& comm, const Layout& layout, const Labels& labels);

// The runs of equal labels.
Clusters runs(const std::vector<Global>& labels);

}  // namespace pympf::mmf
