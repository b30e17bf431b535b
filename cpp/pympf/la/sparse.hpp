// Sparse products that the stages need.
#pragma once

#include <algorithm>

#include "pympf/la/csr.hpp"

namespace pympf {

// Sorts the columns that a row has touched; when it is a good part of them all, one pass over their
// marks is cheaper.
template <class Touched>
void sort_columns(std::vector<Index>& columns, Index count, const Touched& touched) {
  if (static_cast<Index>(columns.size()) < count / 16) {
    std::sort(columns.begin(), columns.end());
    return;
  }
  columns.clear();
  for (Index j = 0; j < count; ++j)
    if (touched(j)) columns.push_back(j);
}

template <class T>
Csr<T> transpose(const CsrView<T>& A);
// The same in the memory of `out`.
template <class T>
void transpose(const CsrView<T>& A, Csr<T>& out);

// ||A w - (w^T A w) w||^2 for the rows w of W, in double: without the difference of two norms that
// would lose what is below sqrt(eps) ||A w||.
template <class T>
std::vector<double> residual_squares(const CsrView<T>& A, const CsrView<T>& W);

template <class T>
std::vector<T> diagonal(const CsrView<T>& A);

// A square A of sorted rows, with zeros on the diagonal where nothing is stored.
Csr<double> with_whole_diagonal(const CsrView<double>& A);

// Sum of squares of all entries, in double, over fixed chunks.
template <class T>
double norm2(const CsrView<T>& A);

}  // namespace pympf
