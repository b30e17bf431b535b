// The matrix from one stage to the next, for the factorization and for its evaluation.
#pragma once

#include <vector>

#include "pympf/mmf/core_diagonal.hpp"
#include "pympf/mmf/ghosts.hpp"
#include "pympf/mmf/stage.hpp"

namespace pympf::mmf {

// D^-1 A D^-1. Collective.
template <class T>
DistRows<T> unscaled(const DistRows<T>& A, const std::vector<T>& scale);

// The Gram matrix holds squares, and sums of squares, of the entries: they must neither overflow
// nor vanish. Collective.
template <class T>
void check_range(const DistRows<T>& A);

// Active part of Q_p A Q_p^T, and the diagonal of its wavelets.
template <class T>
struct Projected {
  DistRows<T> A;
  std::vector<T> diagonal;
};

// Active column i of this rank gets the number first + i.
std::vector<Global> numbers_from(Global first, Index count);

// `members` are columns of the extended matrix. Collective.
template <class T>
Projected<T> project_stage(const DistRows<T>& A, const Extended<T>& extended, const Stage<T>& stage,
                           const Index* members);

double sum_of_squares(const auto& values) {
  double sum = 0;
  for (auto v : values) sum += static_cast<double>(v) * v;
  return sum;
}

// The core is where A is; the wavelets of the last stage come first.
template <class T>
CoreDiagonal<T> core_diagonal(const DistRows<T>& A, const std::vector<std::vector<T>>& diagonals);

}  // namespace pympf::mmf
