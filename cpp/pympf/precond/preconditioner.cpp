#include "pympf/precond/preconditioner.hpp"

#include <algorithm>
#include <cmath>
#include <variant>

#include "pympf/common/pool.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/cycle.hpp"

namespace pympf::precond {
namespace {

// z = D^-1 r with |a_ii|, and 1 for a zero.
template <class T>
struct Jacobi {
  std::vector<T> inverse;
};

template <class S>
struct Cycles {
  Levels<S> levels;
  mutable Pool<CycleSpace<S>> spaces{[this] { return std::make_unique<CycleSpace<S>>(levels); }};

  explicit Cycles(Levels<S>&& from) : levels(std::move(from)) {}
};

Csr<double> in_double(const auto& A, double sign) {
  Csr<double> out{
      A.rows, A.cols, {A.indptr, A.indptr + A.rows + 1}, {A.indices, A.indices + A.nnz()}, {}};
  out.data.resize(out.indices.size());
  for (std::size_t p = 0; p < out.data.size(); ++p) out.data[p] = sign * A.data[p];
  return out;
}

}  // namespace

template <class T>
struct Preconditioner<T>::Impl {
  Index rows;
  Params params;
  Report report;
  std::vector<Index> null_rows;  // z_i = r_i
  std::variant<Jacobi<T>, std::unique_ptr<Cycles<float>>, std::unique_ptr<Cycles<double>>> kind;
};

template <class T>
Preconditioner<T>::Preconditioner(const CsrView<T>& A, const Params& params,
                                  NearNullspace near_nullspace, Index block)
    : impl_(std::make_unique<Impl>()) {
  check(params);
  require(A.rows == A.cols, "a square matrix is needed, not ", A.rows, " x ", A.cols);
  require(block >= 1 && A.rows % block == 0, "block size ", block, " does not divide the ", A.rows,
          " rows");
  const auto vectors = near_nullspace.vectors;
  require(near_nullspace.values.empty() ||
              near_nullspace.values.size() == static_cast<std::size_t>(A.rows) * vectors,
          "the near-nullspace has ", near_nullspace.values.size(), " numbers, expected ", A.rows,
          " x ", vectors);
  Impl& impl = *impl_;
  impl.rows = A.rows;
  impl.params = params;
  const std::vector<T> d = diagonal(A);
  if (params.method == Method::jacobi) {
    Jacobi<T> jacobi;
    for (T x : d) jacobi.inverse.push_back(x != 0 ? T(1) / std::abs(x) : T(1));
    impl.kind = std::move(jacobi);
    impl.report.method = "jacobi";
    impl.report.reason = "asked for";
    return;
  }
  for (Index i = 0; i < A.rows; ++i)
    if (std::all_of(A.data + A.indptr[i], A.data + A.indptr[i + 1], [](T v) { return v == 0; }))
      impl.null_rows.push_back(i);
  const bool negative = std::any_of(d.begin(), d.end(), [](T x) { return x < 0; }) &&
                        std::none_of(d.begin(), d.end(), [](T x) { return x > 0; });
  Csr<double> copy;
  CsrView<double> matrix;
  if constexpr (std::is_same_v<T, double>) matrix = A;
  if (negative || !std::is_same_v<T, double>) {
    copy = in_double(A, negative ? -1 : 1);
    matrix = copy;
  }
  const auto build = [&]<class S>(S) {
    impl.kind = std::make_unique<Cycles<S>>(
        build_levels<S>(matrix, near_nullspace, block, params, impl.report));
  };
  if (params.precision == Precision::single || std::is_same_v<T, float>)
    build(float());
  else
    build(double());
  impl.report.indefinite = impl.report.indefinite || negative;
}

template <class T>
Preconditioner<T>::~Preconditioner() = default;
template <class T>
Preconditioner<T>::Preconditioner(Preconditioner&&) noexcept = default;
template <class T>
Preconditioner<T>& Preconditioner<T>::operator=(Preconditioner&&) noexcept = default;
template <class T>
Index Preconditioner<T>::rows() const {
  return impl_->rows;
}
template <class T>
const Params& Preconditioner<T>::params() const {
  return impl_->params;
}
template <class T>
const Report& Preconditioner<T>::report() const {
  return impl_->report;
}

template <class T>
void Preconditioner<T>::apply(const T* r, T* z) const {
  const Impl& impl = *impl_;
  if (const auto* jacobi = std::get_if<Jacobi<T>>(&impl.kind)) {
    for_chunks(static_cast<std::size_t>(impl.rows),
               [&](std::size_t, std::size_t i, std::size_t end) {
                 for (; i < end; ++i) z[i] = jacobi->inverse[i] * r[i];
               });
    return;
  }
  const auto run = [&](const auto& cycles) {
    typename std::decay_t<decltype(cycles.spaces)>::Lease space(cycles.spaces);
    precond::apply(cycles.levels, impl.params, r, z, *space);
  };
  if (const auto* single = std::get_if<std::unique_ptr<Cycles<float>>>(&impl.kind)) run(**single);
  if constexpr (std::is_same_v<T, double>)
    if (const auto* full = std::get_if<std::unique_ptr<Cycles<double>>>(&impl.kind)) run(**full);
  for (Index i : impl.null_rows) z[i] = r[i];
}

template class Preconditioner<float>;
template class Preconditioner<double>;

}  // namespace pympf::precond
