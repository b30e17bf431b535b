// Reverse Cuthill-McKee: neighbours get near numbers, which the caches, the clusters and the
// factorized smoother all profit from.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf::precond {

// order[new] = old. The pattern of A is symmetric. Nodes are ordered, each with its `block` rows.
template <class T>
std::vector<Index> reverse_cuthill_mckee(const CsrView<T>& A, Index block = 1);

// Whether all entries lie so near to the diagonal that another order is not worth the search for
// it: |i - j| <= 2 n^(2/3), about the band of a regular mesh of a cube.
template <class T>
bool is_banded(const CsrView<T>& A);

}  // namespace pympf::precond
