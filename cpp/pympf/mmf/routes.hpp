// Where columns go between the stages, numbered over all ranks as one rank alone would number them.
// This is what files hold, so that any number of ranks can read what any other number wrote.
#pragma once

#include <vector>

#include "pympf/mmf/hierarchy.hpp"

namespace pympf::mmf {

struct Routes {
  // Row of A at each own position of stage 1, or of the core when there is no stage. Empty without
  // stages: the same.
  std::vector<Global> order;
  // For each stage, the place of each own active column in the next one, or in the core.
  std::vector<std::vector<Global>> destination;
};

// Collective.
template <class T>
Routes routes_of(const Hierarchy<T>& Q);

// Completes Q, of which each rank has its communicator, rows, core_rows and parts of the stages.
// Throws unless the routes are permutations and all fits together. Collective.
template <class T>
void set_routes(Hierarchy<T>& Q, const Routes& routes);

}  // namespace pympf::mmf
