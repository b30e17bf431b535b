// Matchings of the rows of a sparse matrix with its columns, no two rows with the same column. The
// matrix may be rectangular and structurally singular: rows and columns then stay alone.
//
//   sum       maximize  sum w_ij         over matched entries  (w >= 0)
//   product   most entries first, and then maximize  prod |a_ij|  over matched entries
//
// Both are solved by the dual  minimize sum u_i + sum v_j  with  u_i + v_j >= w_ij,  u, v >= 0, by
// shortest augmenting paths over the reduced costs u_i + v_j - w_ij (Kuhn 1955; Jonker and
// Volgenant 1987). For the product w_ij = log|a_ij|, and exp(-u), exp(-v) scale the matrix so that
// no entry is above 1 and matched ones are 1 (Duff and Koster, "On algorithms for permuting large
// entries to the diagonal of a sparse matrix", SIAM J. Matrix Anal. Appl. 22, 2001).
//
//   u, v    row_price, column_price
//
// Cost: a sort of the entries and one pass for the greedy matching, at least half of the best sum;
// an exact one has a search for each row that the start leaves alone, whose entries are counted
// (`work`), and ends where they pass `most_work`. Ties go to the smaller index. One thread.
#pragma once

#include <limits>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf {

struct Matching {
  std::vector<Index> column;  // of each row; -1: it is alone
  std::vector<Index> row;     // of each column
  Index size = 0;             // matched rows
  bool exact = false;         // else the greedy one, as good as augmentations made it
  Global work = 0;            // entries looked at by the searches for augmenting paths

  // Of a maximum product, empty otherwise: |row_scale_i a_ij column_scale_j| <= 1, and = 1 where
  // matched by an exact one. Rows and columns of zeros have 1.
  std::vector<double> row_scale, column_scale;
};

inline constexpr Global kMatchingWork = std::numeric_limits<Global>::max();

// Heaviest edge first; then augmentations along which a row takes a better column and the row that
// had it another one, until there are none or after eight passes. Weights that are zero or less are
// no edges.
Matching greedy_matching(const CsrView<double>& weights);

// The better of that and what the searches had found, where `most_work` ends them.
Matching maximum_sum_matching(const CsrView<double>& weights, Global most_work = kMatchingWork);

// Stored zeros are no entries.
Matching maximum_product_matching(const CsrView<double>& A, Global most_work = kMatchingWork);

}  // namespace pympf
