// How many steps CG with the diagonal will take, predicted from two looks of a few products each.
//
//   smooth   Two or four steps from a smooth error (smooth_look.hpp).
//   rough    The fall of a random error (probe.hpp), where the smooth look has not said no: it sees
//            what no smooth vector does, rows of many scales and couplings of many strengths.
//
// The larger of the two counts. Where the rows are in no order the smooth look says too little, and
// the rough one decides. Cost: 2 products where the smooth look turns down, 4 where both promise
// few steps, at most 12.
#pragma once

#include "pympf/la/dist_rows.hpp"
#include "pympf/precond/choice/plan.hpp"
#include "pympf/precond/levels/transfer.hpp"

namespace pympf::precond {

// Infinite where they look like more than `most`, or A like indefinite. Collective.
template <class T>
double diagonal_steps(const DistRows<T>& A, const std::vector<T>& diagonal,
                      const NearNullspace& near_nullspace, const Facts& facts, double most);

}  // namespace pympf::precond
