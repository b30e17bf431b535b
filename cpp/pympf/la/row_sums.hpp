// What the sums of the absolute values of rows tell.
#pragma once

#include "pympf/la/dist_rows.hpp"

namespace pympf {

// ||A|| in the maximum norm. Collective.
template <class T>
double largest_row_sum(const DistRows<T>& A);

// x_i += r_i / a_ii in rows that the diagonal dominates by far, penalty rows: their residuals,
// which may be any number of times those of the other rows, become as small as those.
template <class T>
void solve_dominated(const DistRows<T>& A, const T* r, T* x);

}  // namespace pympf
