#include "pympf/precond/levels/coarse_solve.hpp"

#include <algorithm>
#include <cmath>
#include <type_traits>

#include "pympf/la/balance.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/dense.hpp"

namespace pympf::precond {
namespace {

// Of the inverse of the last matrix, whose largest entry is about 1.
constexpr double largest_of_float = 1e30;

// Powers of two that take the units from the rows, where these differ by more than 10^6: beside a
// large row the others would be rounded away, or taken for the nullspace. Ones otherwise.
std::vector<double> row_units(const Csr<double>& A) {
  constexpr int wide = 10;  // in square roots of the rows
  const std::vector<int> exponents = balancing_exponents(DistRows<double>(A));
  const auto [least, most] = std::minmax_element(exponents.begin(), exponents.end());
  std::vector<double> out(A.rows, 1.0);
  if (A.rows > 0 && *most - *least > wide)
    std::transform(exponents.begin(), exponents.end(), out.begin(),
                   [](int exponent) { return std::ldexp(1.0, exponent); });
  return out;
}

template <class T>
void solve_coarse(const Border& border, const Csr<double>& own, Levels<T>& out, Report& report) {
  const Csr<double> A = gathered(border, own);
  const Index n = A.rows;
  const std::vector<double> D = row_units(A);
  std::vector<double> V(static_cast<std::size_t>(n) * n, 0.0);
  for (Index i = 0; i < n; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const double half = D[i] * A.data[p] * D[A.indices[p]] / 2;
      V[static_cast<std::size_t>(i) * n + A.indices[p]] += half;
      V[static_cast<std::size_t>(A.indices[p]) * n + i] += half;
    }
  std::vector<double> values = symmetric_eigen(V, n);
  double largest = 0;
  for (double v : values) largest = std::max(largest, std::abs(v));
  for (double& v : values) {
    const bool zero = std::abs(v) <= 1e-13 * largest;
    report.coarse_nullity += zero;
    report.coarse_negative += !zero && v < 0;
    v = zero ? 0 : 1 / std::abs(v);
  }
  report.indefinite = report.indefinite || report.coarse_negative > 0;
  std::vector<double> inverse = congruence(V, values.data(), n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) inverse[static_cast<std::size_t>(i) * n + j] *= D[i] * D[j];
  report.rounds_off =
      report.rounds_off || (std::is_same_v<T, float> &&
                            largest_magnitude(inverse.size(), inverse.data()) > largest_of_float);
  const auto first = static_cast<std::ptrdiff_t>(border.alone() ? 0 : border.layout.first());
  if (!border.alone()) {
    std::vector<Global> others;
    for (Global i = 0; i < n && own.rows > 0; ++i)
      if (!border.layout.owns(i)) others.push_back(i);
    out.coarse_first = static_cast<Index>(first);
    out.coarse_halo =
        std::make_shared<const Exchange>(Exchange::halo(border.comm, border.layout, others));
  }
  out.coarse.assign(inverse.begin() + first * n, inverse.begin() + (first + own.rows) * n);
  out.coarse_rows = report.coarse_rows = n;
}

}  // namespace

Index coarse_size(Global nnz, const Params& params) {
  if (params.coarse_size > 0) return params.coarse_size;
  return std::max<Index>(64, static_cast<Index>(std::cbrt(20.0 * static_cast<double>(nnz))));
}

template <class T>
void build_coarse(const Border& border, const Csr<double>& A, Levels<T>& out, LevelReport& line,
                  Report& report) {
  solve_coarse(border, A, out, report);
  line.rows = out.coarse_rows;
  if (!border.alone()) line.ranks = border.layout.ranks_with_rows();
  line.nnz = border.comm.sum(Global{A.nnz()});
  line.bytes = out.coarse.size() * sizeof(T);
}

template void build_coarse(const Border&, const Csr<double>&, Levels<float>&, LevelReport&,
                           Report&);
template void build_coarse(const Border&, const Csr<double>&, Levels<double>&, LevelReport&,
                           Report&);

}  // namespace pympf::precond
