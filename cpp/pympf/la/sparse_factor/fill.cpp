#include "pympf/la/sparse_factor/backends.hpp"

namespace pympf::sparse_factor {

// The columns of L that row i meets are those on the paths from the entries of row i up the
// elimination tree (Liu, "The role of elimination trees in sparse factorization", SIAM J. Matrix
// Anal. Appl. 11, 1990).
Fill fill_of(const CsrView<double>& A, const std::vector<Index>& order, double most) {
  const Index n = A.rows;
  std::vector<Index> position(n), parent(n, -1), mark(n, -1), count(n, 1);
  for (Index k = 0; k < n; ++k) position[order[k]] = k;
  Fill fill;
  fill.entries = n;
  for (Index k = 0; k < n && fill.entries <= most; ++k) {
    mark[k] = k;
    const Index i = order[k];
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      for (Index j = position[A.indices[p]]; j < k && mark[j] != k; j = parent[j]) {
        mark[j] = k;
        ++count[j];
        ++fill.entries;
        if (parent[j] < 0) parent[j] = k;
      }
  }
  for (Index c : count) fill.work += static_cast<double>(c) * c;
  return fill;
}

}  // namespace pympf::sparse_factor
