// From one level to the next: clusters, rotations, lifted scaling functions, P^T A P.
#pragma once

#include "pympf/precond/levels/stage.hpp"

namespace pympf::precond {

struct Next {
  Csr<double> P, R;  // R = P^T
  OffDiagonal<double> P_off;
  Csr<double> unrounded_P;  // before it is taken apart, on several ranks
  Border known;             // its clusters
  Stage stage;
  Clustering clusters;
  bool lifted = false;
};

// The next stage, with at most `left` entries; false when there is none worth having. Collective.
bool coarsen(const Stage& stage, const Params& params, int level, Global left, Next& next);

}  // namespace pympf::precond
