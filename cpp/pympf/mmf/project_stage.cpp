#include "pympf/mmf/project_stage.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::mmf {

template <class T>
DistRows<T> unscaled(const DistRows<T>& A, const std::vector<T>& scale) {
  const auto ghosts = ghosts_of(A);
  std::vector<T> ghost_scale(ghosts.size());
  ExchangeSpace<T> space;
  Exchange::halo(A.comm, A.layout, ghosts).forward(scale.data(), ghost_scale.data(), 1, space);
  const auto of_column = [&](Index c) {
    if (A.owns(c)) return scale[c - A.shift];
    return ghost_scale[A.ghost(c)];
  };
  return with_values<T>(A, [&](Index i, Index p) {
    return A.rows.data[p] / (scale[i] * of_column(A.rows.indices[p]));
  });
}

template <class T>
void check_range(const DistRows<T>& A) {
  constexpr double least = 1e-70, most = 1e70;
  double largest = 0;
  for (Index p = 0; p < A.rows.nnz(); ++p)
    largest = std::max(largest, static_cast<double>(std::abs(A.rows.data[p])));
  largest = A.comm.max(largest);
  require(largest == 0 || (largest >= least && largest <= most), "the largest entry is ", largest,
          " in size, outside [1e-70, 1e70], where fourth powers are safe: scale the matrix");
}

std::vector<Global> numbers_from(Global first, Index count) {
  std::vector<Global> out(count);
  std::iota(out.begin(), out.end(), first);
  return out;
}

template <class T>
Projected<T> project_stage(const DistRows<T>& A, const Extended<T>& extended, const Stage<T>& stage,
                           const Index* members) {
  Csr<T> active = stage_functions(stage, members, 0, stage.kept);
  Csr<T> wavelets = stage_functions(stage, members, stage.kept, stage.rows);
  active.cols = wavelets.cols = extended.A.cols;
  Projected<T> out;
  out.A.comm = A.comm;
  out.A.layout = Layout(A.comm, stage.kept);
  const Global first = out.A.layout.first();
  auto [rows, columns] = congruence(A, extended, active, numbers_from(first, stage.kept));
  out.A.shift =
      static_cast<Index>(std::lower_bound(columns.begin(), columns.end(), first) - columns.begin());
  out.A.storage = std::move(rows);
  out.A.columns = std::move(columns);
  out.A.rows = out.A.storage.view();
  out.diagonal = galerkin_diagonal(extended.A, wavelets.view());
  return out;
}

template <class T>
CoreDiagonal<T> core_diagonal(const DistRows<T>& A, const std::vector<std::vector<T>>& diagonals) {
  CoreDiagonal<T> H = make_core(A.rows);
  for (auto level = diagonals.rbegin(); level != diagonals.rend(); ++level)
    H.diagonal.insert(H.diagonal.end(), level->begin(), level->end());
  return H;
}

#define PYMPF_PROJECT_STAGE(T)                                                                 \
  template DistRows<T> unscaled(const DistRows<T>&, const std::vector<T>&);                    \
  template void check_range(const DistRows<T>&);                                               \
  template Projected<T> project_stage(const DistRows<T>&, const Extended<T>&, const Stage<T>&, \
                                      const Index*);                                           \
  template CoreDiagonal<T> core_diagonal(const DistRows<T>&, const std::vector<std::vector<T>>&);
PYMPF_PROJECT_STAGE(float)
PYMPF_PROJECT_STAGE(double)
#undef PYMPF_PROJECT_STAGE

}  // namespace pympf::mmf
