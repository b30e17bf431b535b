// The communication of a stage. Clusters never cross the border of a rank, so rotations are found
// without any; what a rank has to know of others is
//
//   extend      rows of A_{p-1} that its own rows touch: their entries in own columns, for hubs
//               whole rows (lengths by a halo exchange, hubs fetched)
//   congruence  the functions of Q_p on the columns of others (fetched)
//
// On one rank both return what they are given.
#pragma once

#include "pympf/la/dist_rows.hpp"

namespace pympf::mmf {

// A square matrix over the columns that a rank knows, ascending in their global number. Own rows
// are whole; a ghost row has its entries in own columns, or all when it is longer than `hub`.
template <class T>
struct Extended {
  CsrView<T> A;
  std::vector<Global> columns;  // empty: all there are
  Index shift = 0;              // number of the first own one
  Csr<T> storage;
};

template <class T>
Extended<T> extend(const DistRows<T>& A, Index hub);

// R A R^T for functions R, each on one rank: own rows, and the global numbers of their columns.
template <class T>
struct Congruence {
  Csr<T> rows;
  std::vector<Global> columns;  // empty: all there are
};

// Row i of R is a function over columns of `extended`; number[i] is its global number, ascending
// on this rank.
template <class T>
Congruence<T> congruence(const DistRows<T>& A, const Extended<T>& extended, const Csr<T>& R,
                         const std::vector<Global>& number);

}  // namespace pympf::mmf
