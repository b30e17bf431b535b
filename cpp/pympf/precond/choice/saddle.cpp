#include "pympf/precond/choice/saddle.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pympf::precond {
namespace {

// Numbers of own rows, for all columns that they have.
template <class T>
std::vector<T> of_columns(const DistRows<T>& A, const std::vector<T>& own) {
  if (A.comm.size() == 1) return own;
  const std::vector<Global> ghosts = ghosts_of(A);
  std::vector<T> values(ghosts.size()), out(A.column_count());
  ExchangeSpace<T> space;
  Exchange::halo(A.comm, A.layout, ghosts).forward(own.data(), values.data(), 1, space);
  for (Index c = 0; c < A.column_count(); ++c)
    out[c] = A.owns(c) ? own[c - A.shift] : values[A.ghost(c)];
  return out;
}

}  // namespace

template <class T>
std::optional<DistRows<T>> definite_companion(const DistRows<T>& A,
                                              const std::vector<T>& diagonal) {
  const CsrView<T>& rows = A.rows;
  Global positive = 0, others = 0;
  for (Index i = 0; i < A.own(); ++i) {
    const T *first = rows.data + rows.indptr[i], *last = rows.data + rows.indptr[i + 1];
    if (diagonal[i] > 0)
      ++positive;
    else
      others += std::any_of(first, last, [](T v) { return v != 0; });
  }
  if (A.comm.sum(positive) == 0 || A.comm.sum(others) == 0) return {};
  const std::vector<T> d = of_columns(A, diagonal);
  GlobalRows<T> out;
  for (Index i = 0; i < A.own(); ++i) {
    double schur = std::abs(diagonal[i]), sum = 0;
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
      const Index c = rows.indices[p];
      const double a = rows.data[p];
      sum += std::abs(a);
      if (!(d[c] > 0)) continue;
      if (diagonal[i] > 0) {
        out.indices.push_back(A.column(c));
        out.data.push_back(rows.data[p]);
      } else {
        schur += a * a / d[c];
      }
    }
    if (schur == 0) schur = sum;  // a row of B that knows no row of F
    if (!(diagonal[i] > 0) && schur > 0) {
      out.indices.push_back(A.layout.first() + i);
      out.data.push_back(static_cast<T>(schur));
    }
    out.indptr.push_back(static_cast<Index>(out.indices.size()));
  }
  const auto is_finite = [](T v) { return std::isfinite(v); };
  const bool finite = std::all_of(out.data.begin(), out.data.end(), is_finite);
  if (A.comm.min(Global{finite}) == 0) return {};
  return number_columns(A.comm, A.layout, out);
}

template std::optional<DistRows<float>> definite_companion(const DistRows<float>&,
                                                           const std::vector<float>&);
template std::optional<DistRows<double>> definite_companion(const DistRows<double>&,
                                                            const std::vector<double>&);

}  // namespace pympf::precond
