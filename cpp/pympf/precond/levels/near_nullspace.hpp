// The vectors that the scaling functions of the first level reproduce, given or found.
#pragma once

#include "pympf/precond/levels/level.hpp"
#include "pympf/precond/levels/stage.hpp"

namespace pympf::precond {

// One constant for each row of a node.
NearNullspace constants(Index rows, Index block);

struct Found {
  NearNullspace B;
  bool poor = false;  // still no near-nullspace after the relaxation
};

// The near-nullspace in the order of the first level; constants are tried with its smoother.
// Collective.
template <class T>
Found first_vectors(const NearNullspace& given, const Stage& stage, const Level<T>& level,
                    const Params& params);

}  // namespace pympf::precond
