// Smoothers x <- x + S (b - A x). All are symmetric, or come in pairs of a forward and a backward
// form that are each other's transposes, as a symmetric cycle needs them.
#pragma once

#include <vector>

#include "pympf/la/border.hpp"
#include "pympf/precond/params.hpp"
#include "pympf/precond/smoothers/incomplete_cholesky.hpp"

namespace pympf::precond {

// A matrix with what the smoother needs.
template <class T>
struct Smoothed {
  Csr<T> A;
  OffDiagonal<T> A_off;       // what own rows have in columns of other ranks
  std::vector<Index> strips;  // Domains::ptr
  IncompleteCholesky<T> factor;
  std::vector<T> inverse;  // of the diagonal, or of the l1 norms of the rows; 0 for a zero row
  T radius = 0;            // of D^-1 A, from above (Chebyshev)

  Index rows() const { return A.rows; }
};

// Makes level.factor, level.inverse, level.radius from A, whose rows lie as `domains` says and may
// have columns of ghosts. Factors and Gauss-Seidel steps stay on a rank; what couples ranks raises
// the diagonal. Collective.
template <class T>
void build_smoother(const CsrView<double>& A, const Border& border, const Domains& domains,
                    const Params& params, Smoothed<T>& level,
                    Dropped dropped = Dropped::raises_diagonal);
template <class T>
void build_smoother(const CsrView<double>& A, const Domains& domains, const Params& params,
                    Smoothed<T>& level) {
  build_smoother(A, Border{}, domains, params, level);
}

// x = S b: the step from x = 0, forward. Of several lanes the vectors are panels (la/block.hpp).
template <class T>
void smooth_from_zero(const Smoothed<T>& level, const Params& params, const T* b, T* x, T* work,
                      Index lanes = 1);

// One step from x; work holds two vectors.
template <class T>
void smooth(const Smoothed<T>& level, const Params& params, const T* b, T* x, T* work, bool forward,
            Index lanes = 1);

}  // namespace pympf::precond
