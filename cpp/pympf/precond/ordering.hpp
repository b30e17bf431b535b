// Reverse Cuthill-McKee: neighbours get near numbers, which the caches, the clusters and the
// factorized smoother all profit from.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf::precond {

// order[new] = old. The pattern of A is symmetric. Nodes are ordered, each with its `block` rows.
template <class T>
std::vector<Index> reverse_cuthill_mckee(const CsrView<T>& A, Index block = 1);

}  // namespace pympf::precond
