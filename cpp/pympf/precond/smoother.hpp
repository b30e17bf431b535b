// Smoothers x <- x + S (b - A x). All are symmetric, or come in pairs of a forward and a backward
// form that are each other's transposes, as a symmetric cycle needs them.
#pragma once

#include "pympf/precond/level.hpp"

namespace pympf::precond {

// Makes level.factor, level.inverse, level.radius from A, whose rows lie as `domains` says.
template <class T>
void build_smoother(const CsrView<double>& A, const Domains& domains, const Params& params,
                    Level<T>& level);

// x = S b: the step from x = 0, forward.
template <class T>
void smooth_from_zero(const Level<T>& level, const Params& params, const T* b, T* x, T* work);

// One step from x; work holds two vectors.
template <class T>
void smooth(const Level<T>& level, const Params& params, const T* b, T* x, T* work, bool forward);

// The largest eigenvalue of D^-1 A, from below, by 12 steps of the power method; 1 for A = 0.
double spectral_radius(const CsrView<double>& A, const std::vector<double>& inverse);

}  // namespace pympf::precond
