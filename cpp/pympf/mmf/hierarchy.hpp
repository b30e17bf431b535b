// Q = Q_L ... Q_2 Q_1: the stages, and the fast wavelet transform x -> Q x (thesis, section 2.1).
// Coefficients are ordered [core | wavelets of stage L | ... | wavelets of stage 1].
#pragma once

#include <memory>
#include <vector>

#include "pympf/common/pool.hpp"
#include "pympf/mmf/core_diagonal.hpp"
#include "pympf/mmf/stage.hpp"

namespace pympf::mmf {

template <class T>
struct Workspace {
  std::vector<T> in, next, coefficients, scaled;
};

template <class T>
using WorkspacePool = Pool<Workspace<T>>;

template <class T>
struct Hierarchy {
  Index rows = 0;
  std::vector<Index> order;  // position in stage 1 -> row of A
  std::vector<Stage<T>> stages;

  int levels() const { return static_cast<int>(stages.size()); }
  Index kept(int level) const { return level == 0 ? rows : stages[level - 1].kept; }
  std::size_t bytes() const;

  // y = Q x for m vectors, row-major. x and y are different arrays.
  void forward(const T* x, T* y, Index m, Workspace<T>& workspace) const;

  // x = Q_1^T ... Q_level^T y, where y is [active after `level` stages | their wavelets].
  void backward(const T* y, T* x, Index m, Workspace<T>& workspace, int level) const;
};

// Throws InvalidArgument unless all sizes and indices fit together (what comes from a file is not
// trusted).
template <class T>
void check(const Hierarchy<T>& Q);
template <class T>
void check(const CoreDiagonal<T>& H, const Hierarchy<T>& Q);

}  // namespace pympf::mmf
