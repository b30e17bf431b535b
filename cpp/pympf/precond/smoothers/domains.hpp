// Rows cut into strips that threads work on side by side: the interior rows of a strip couple with
// no interior row of another; the interface rows, which do, come last. Nothing is dropped, so a
// factorization or a sweep in this order is an exact one, whatever the number of threads.
//
// Of two strips the second is taken backwards, so that elimination reaches the interface from both
// sides at the end. With more, interfaces are left behind at the beginning of a strip, and what an
// incomplete factorization has of their couplings along it fades.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf::precond {

struct Domains {
  std::vector<Index> order;  // new -> old, of A itself
  std::vector<Index> ptr;    // rows ptr[s] .. ptr[s + 1]: interior of strip s; the rest: interface

  Index count() const { return static_cast<Index>(ptr.size()) - 1; }
  Index interior() const { return ptr.back(); }
};

// The number of strips that lose nothing by it: two face each other.
constexpr Index facing_strips = 2;

// Cuts the rows as they lie in `order`, new -> old. strips = 0: as many as the number of rows asks
// for, never the number of threads. The `block` rows of a node stay together.
Domains cut(const CsrView<double>& A, const std::vector<Index>& order, Index block, Index strips);

// B_ij = factor A_order[i],order[j], rows sorted.
Csr<double> permuted(const CsrView<double>& A, const std::vector<Index>& order, double factor = 1);
// B_i,place[c] = factor A_order[i],c, rows sorted, over `cols` columns.
Csr<double> permuted(const CsrView<double>& A, const std::vector<Index>& order,
                     const std::vector<Index>& place, Index cols, double factor);

}  // namespace pympf::precond
