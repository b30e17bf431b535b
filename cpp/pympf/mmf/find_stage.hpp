// One stage: clusters, rotations, what they leave and what they drop.
#pragma once

#include "pympf/mmf/cluster.hpp"
#include "pympf/mmf/labels.hpp"
#include "pympf/mmf/params.hpp"
#include "pympf/mmf/project_stage.hpp"

namespace pympf::mmf {

// What a stage leaves of the squares of A, and what it drops.
struct Squares {
  double next, lost;
};

// The squares of the matrix, of what the stages before kept and dropped, and what all may drop.
struct Account {
  double total, kept, dropped, allowed;
};

template <class T>
struct FoundStage {
  Clusters clusters;
  Stage<T> stage;
  Projected<T> projected;
  Squares squares{};
  Global retired = 0;                // on all ranks; none: there is no stage
  Retire retire = Retire::relative;  // the rule that was taken
};

// Collective.
template <class T>
FoundStage<T> find_stage(const DistRows<T>& A, Params params, int level, const Labels& labels,
                         const Account& account);

}  // namespace pympf::mmf
