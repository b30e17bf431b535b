// A x = b in the units of its rows: (D A D) y = D b, x = D y, D the powers of two of balance.hpp.
//
// Where these units lie far apart, ||b - A x|| may say nothing of the solution. In A = D^-1 S D^-1,
// S an ordinary matrix, the rows with the largest units leave eps |A| |x| of rounding, which may be
// far above rtol ||b|| though y is right to its last digits; and of an x whose digits are all made
// by rounding the residual may be below it.
//
// Reference: N. J. Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., SIAM 2002,
// theorem 7.3 (the rows' backward error) and section 7.3 (scaling).
#pragma once

#include <optional>

#include "pympf/la/krylov_run.hpp"

namespace pympf::krylov {

// b - A x, and what rounding makes of it at least: epsilon times the sum of its terms, by rows.
struct RowResidual {
  double value, rounding;

  double size() const { return std::abs(value) + rounding; }
};

template <class T>
std::vector<RowResidual> row_residuals(const DistRows<T>& A, const T* b, const T* x);

// Whether a correction of x that its residual asks for leaves x three digits.
inline bool leaves_digits(double correction, double x_norm) { return correction <= 1e-3 * x_norm; }

// The solution of 2^exponent A x = b, A symmetric, from the guess in x, and what became of it, in
// the norm ||D (b - A x)||. It has converged when
//   - that is at most rtol ||D b||,
//   - the rows that are more than rounding of the system in y,
//     D_i |r_i| > few eps max_j (|D A D| |y| + D |b|)_j, or than rtol of their own terms meet the
//     tolerance in the 2-norm, and
//   - D^2 (|b - A x| + rounding), about the error of x, leaves x three digits.
// M stands for A^-1. Nothing, and x as it was, where T cannot hold D b or x. Collective.
template <class T>
std::optional<KrylovResult> solve_balanced(const DistRows<T>& A, int exponent, const Operator<T>* M,
                                           const T* b, T* x, const KrylovParams& params,
                                           const KrylovCallback<T>& callback);

}  // namespace pympf::krylov
