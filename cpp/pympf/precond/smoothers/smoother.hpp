// Smoothers x <- x + S (b - A x). All are symmetric, or come in pairs of a forward and a backward
// form that are each other's transposes, as a symmetric cycle needs them.
#pragma once

#include "pympf/precond/levels/border.hpp"
#include "pympf/precond/levels/level.hpp"

namespace pympf::precond {

// Makes level.factor, level.inverse, level.radius from A, whose rows lie as `domains` says and may
// have columns of ghosts. Factors and Gauss-Seidel steps stay on a rank; what couples ranks raises
// the diagonal. Collective.
template <class T>
void build_smoother(const CsrView<double>& A, const Border& border, const Domains& domains,
                    const Params& params, Level<T>& level,
                    Dropped dropped = Dropped::raises_diagonal);
template <class T>
void build_smoother(const CsrView<double>& A, const Domains& domains, const Params& params,
                    Level<T>& level) {
  build_smoother(A, Border{}, domains, params, level);
}

// x = S b: the step from x = 0, forward. Of several lanes the vectors are panels (la/block.hpp).
template <class T>
void smooth_from_zero(const Level<T>& level, const Params& params, const T* b, T* x, T* work,
                      Index lanes = 1);

// One step from x; work holds two vectors.
template <class T>
void smooth(const Level<T>& level, const Params& params, const T* b, T* x, T* work, bool forward,
            Index lanes = 1);

}  // namespace pympf::precond
