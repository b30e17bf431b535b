// Whether the rows of a matrix had better be on other ranks: the factor of a rank sees no couplings
// that cross ranks, and clusters do not cross them either.
#pragma once

#include <string>
#include <vector>

#include "pympf/la/dist_rows.hpp"
#include "pympf/precond/params.hpp"

namespace pympf::precond {

// The part of the couplings (nonzero entries off the diagonal) that crosses ranks, as the rows are,
// or if own row i were on rank parts[i]. Collective.
template <class T>
double cut_share(const DistRows<T>& A, const std::vector<int>& parts = {});

// Rows of a node, which stay together, if a partitioner is to say where the rows should be: when
// params.repartition asks for it, or more couplings cross ranks than `most_cut` and the surface of
// compact parts. Else 0. `block` is what is known. Collective.
template <class T>
Index block_to_move(const DistRows<T>& A, const Params& params, Index block);

// Whether the parts are asked for, or cut less than half as many couplings as the ranks do.
// Collective.
template <class T>
bool is_worth_moving(const DistRows<T>& A, const Params& params, const std::vector<int>& parts);

// What the report says of it; empty where there is nothing to say. Collective.
template <class T>
std::string describe_placement(const DistRows<T>& A, const Params& params,
                               const std::vector<int>& parts);

}  // namespace pympf::precond
