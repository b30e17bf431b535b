#include "pympf/precond/smoothers/smoother.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/blas1.hpp"
#include "pympf/la/block.hpp"
#include "pympf/la/lanes.hpp"
#include "pympf/la/radius.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

// What is added to a diagonal for the couplings to ghosts, N. With l_i = sum |a_ij| (d_i / d_j)^1/2
// over them, diag(l) +- N is positive semidefinite, so that M = own blocks + diag(l) / 2 has 2 M -
// A
// >= own blocks: positive, and x <- x + M^-1 (b - A x) converges. Less would not do it for every A.
constexpr double ghost_share = 0.5;

template <class T>
std::vector<T> inverse_diagonal(const CsrView<double>& A, SmootherKind kind) {
  std::vector<T> out(A.rows);
  parallel_for(A.rows, A.rows > 16384, [&](Index i) {
    double sum = 0, diagonal = 0, ghosts = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      sum += std::abs(A.data[p]);
      if (A.indices[p] == i) diagonal = std::abs(A.data[p]);
      if (A.indices[p] >= A.rows) ghosts += ghost_share * std::abs(A.data[p]);
    }
    if (kind == SmootherKind::gauss_seidel) diagonal += ghosts;
    const double d = kind == SmootherKind::l1_jacobi || diagonal == 0 ? sum : diagonal;
    out[i] = d > 0 ? static_cast<T>(1 / d) : T(0);
  });
  return out;
}

// 1.1 times the largest eigenvalue of D^-1 A as the power method sees it; never above the largest
// l1 norm of a row.
template <class T>
T radius_of(const CsrView<double>& A, const Border& border, const std::vector<T>& inverse) {
  double bound = 0;
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) sum += std::abs(A.data[p]);
    bound = std::max(bound, sum * inverse[i]);
  }
  bound = border.comm.max(bound);
  if (bound == 0) return 1;
  const std::vector<double> scale(inverse.begin(), inverse.end());
  const double rho = spectral_radius(border.comm, scale,
                                     [&](const double* x, double* y) { border.multiply(A, x, y); });
  return static_cast<T>(std::min(1.1 * rho, bound));
}

// The diagonal, raised by the couplings to ghosts, which are the last columns of a row.
std::vector<double> raised_diagonal(const CsrView<double>& A, const Border& border) {
  std::vector<double> d = diagonal(A);
  if (border.alone()) return d;
  std::vector<double> raised = d;
  border.share(d, 1);
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i + 1] - 1; p >= A.indptr[i] && A.indices[p] >= A.rows; --p) {
      const Index j = A.indices[p];
      const double balance = d[j] > 0 && d[i] > 0 ? std::sqrt(d[i] / d[j]) : 1;
      raised[i] += ghost_share * std::abs(A.data[p]) * balance;
    }
  return raised;
}

// b - (what x has on other ranks).
template <class T>
const T* without_ghosts(const Smoothed<T>& level, const T* b, const T* x, T* work, Index lanes) {
  if (!level.A_off.halo) return b;
  subtract_ghosts(level.A_off, level.rows(), x, b, work, lanes);
  return work;
}

// Rows of the strips side by side, then the interface: Gauss-Seidel in the order of the rows.
template <class T, int K, bool from_zero>
void gauss_seidel(const Smoothed<T>& level, const T* b, T* x, bool forward) {
  const CsrView<T> A = level.A;
  const Index strips = static_cast<Index>(level.strips.size()) - 1, interior = level.strips.back();
  const auto row = [&](Index i) {
    auto sum = Lanes<T, K>::load(b + std::size_t{K} * i), own = Lanes<T, K>::zero();
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index j = A.indices[p];
      if (from_zero && j >= i) break;
      const auto v = Lanes<T, K>::load(x + std::size_t{K} * j);
      sum.subtract(A.data[p], v);
      if (j == i) own = v;
    }
    sum.scale(level.inverse[i]);
    (own + sum).store(x + std::size_t{K} * i);
  };
  const auto range = [&](Index begin, Index end) {
    if (forward)
      for (Index i = begin; i < end; ++i) row(i);
    else
      for (Index i = end - 1; i >= begin; --i) row(i);
  };
  if (!forward) range(interior, level.rows());
  parallel_for(strips, strips > 1, [&](Index s) { range(level.strips[s], level.strips[s + 1]); });
  if (forward) range(interior, level.rows());
}

// body(i, k) for the rows i, in parallel, and the places k of its lanes in a panel.
template <class Body>
void for_rows(Index n, Index lanes, const Body& body) {
  with_lanes(lanes, [&](auto K) {
    for_chunks(static_cast<std::size_t>(n), [&](std::size_t, std::size_t begin, std::size_t end) {
      for (std::size_t i = begin; i < end; ++i)
        for (std::size_t c = 0; c < K; ++c) body(i, i * K + c);
    });
  });
}

// x += p(D^-1 A) D^-1 r, r = b - A x: the Chebyshev polynomial on [radius / 4, radius].
template <class T>
void chebyshev(const Smoothed<T>& level, int degree, const T* r, T* x, T* work, Index lanes) {
  const Index n = level.rows();
  const T high = level.radius, low = high / 4, center = (high + low) / 2, half = (high - low) / 2;
  const T* inverse = level.inverse.data();
  T* left = work;
  T* step = work + static_cast<std::size_t>(lanes) * n;
  const T sigma = center / half;
  T rho = 1 / sigma;
  for_rows(n, lanes, [=](std::size_t i, std::size_t k) {
    left[k] = r[k];
    step[k] = inverse[i] * r[k] / center;
    x[k] += step[k];
  });
  for (int k = 1; k < degree; ++k) {
    residual(level.A.view(), level.A_off, step, left, left, lanes);
    const T next = 1 / (2 * sigma - rho), a = next * rho, c = 2 * next / half;
    for_rows(n, lanes, [=](std::size_t i, std::size_t q) {
      step[q] = a * step[q] + c * inverse[i] * left[q];
      x[q] += step[q];
    });
    rho = next;
  }
}

template <class T>
void add_scaled(Index n, const T* factor, const T* r, T* x, Index lanes) {
  for_rows(n, lanes, [=](std::size_t i, std::size_t k) { x[k] += factor[i] * r[k]; });
}

}  // namespace

template <class T>
void build_smoother(const CsrView<double>& A, const Border& border, const Domains& domains,
                    const Params& params, Smoothed<T>& level, Dropped dropped) {
  level.strips = domains.ptr;
  if (params.smoother != SmootherKind::incomplete_cholesky) {
    level.inverse = inverse_diagonal<T>(A, params.smoother);
    if (params.smoother == SmootherKind::chebyshev)
      level.radius = radius_of(A, border, level.inverse);
    return;
  }
  level.factor = IncompleteCholesky<T>(A, raised_diagonal(A, border), domains,
                                       params.drop_tolerance, params.fill, dropped);
}

template <class T>
void smooth_from_zero(const Smoothed<T>& level, const Params& params, const T* b, T* x, T* work,
                      Index lanes) {
  const Index n = level.rows(), size = lanes * n;
  switch (params.smoother) {
    case SmootherKind::incomplete_cholesky:
      copy(size, b, x);
      level.factor.solve(x, lanes);
      break;
    case SmootherKind::gauss_seidel:
      with_lanes(lanes, [&](auto K) { gauss_seidel<T, K, true>(level, b, x, true); });
      break;
    case SmootherKind::chebyshev:
      std::fill_n(x, size, T(0));
      chebyshev(level, params.degree, b, x, work, lanes);
      break;
    case SmootherKind::l1_jacobi:
      std::fill_n(x, size, T(0));
      add_scaled(n, level.inverse.data(), b, x, lanes);
      break;
  }
  for (int sweep = 1; sweep < params.sweeps; ++sweep)
    smooth(level, params, b, x, work, true, lanes);
}

template <class T>
void smooth(const Smoothed<T>& level, const Params& params, const T* b, T* x, T* work, bool forward,
            Index lanes) {
  const Index n = level.rows();
  if (params.smoother == SmootherKind::gauss_seidel) {
    const T* own = without_ghosts(level, b, x, work, lanes);
    with_lanes(lanes, [&](auto K) { gauss_seidel<T, K, false>(level, own, x, forward); });
    return;
  }
  residual(level.A.view(), level.A_off, x, b, work, lanes);
  if (params.smoother == SmootherKind::incomplete_cholesky) {
    level.factor.solve(work, lanes);
    axpy(lanes * n, 1, work, x);
  } else if (params.smoother == SmootherKind::chebyshev) {
    chebyshev(level, params.degree, work, x, work, lanes);
  } else {
    add_scaled(n, level.inverse.data(), work, x, lanes);
  }
}

#define PYMPF_SMOOTHER(T)                                                                     \
  template void build_smoother(const CsrView<double>&, const Border&, const Domains&,         \
                               const Params&, Smoothed<T>&, Dropped);                         \
  template void smooth_from_zero(const Smoothed<T>&, const Params&, const T*, T*, T*, Index); \
  template void smooth(const Smoothed<T>&, const Params&, const T*, T*, T*, bool, Index);
PYMPF_SMOOTHER(float)
PYMPF_SMOOTHER(double)
#undef PYMPF_SMOOTHER

}  // namespace pympf::precond
