#include "pympf/precond/preconditioner.hpp"

#include <algorithm>
#include <cmath>
#include <variant>

#include "pympf/common/pool.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/choose.hpp"
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

namespace {

template <class T>
Jacobi<T> jacobi(const CsrView<T>& A) {
  Jacobi<T> out{diagonal(A)};
  for (T& d : out.inverse) d = d != 0 ? T(1) / std::abs(d) : T(1);
  return out;
}

template <class T>
bool is_negative(const CsrView<T>& A) {
  const std::vector<T> d = diagonal(A);
  return std::any_of(d.begin(), d.end(), [](T x) { return x < 0; }) &&
         std::none_of(d.begin(), d.end(), [](T x) { return x > 0; });
}

// The matrix in double precision, positive if it is definite; its arrays may be in `copy`.
template <class T>
CsrView<double> working_copy(const CsrView<T>& A, Csr<double>& copy) {
  const bool negative = is_negative(A);
  if constexpr (std::is_same_v<T, double>)
    if (!negative) return A;
  copy = in_double(A, negative ? -1 : 1);
  return copy;
}

// Of the pattern: to see whether it is the same one. A sum of scrambled (place, number), so that no
// term waits for another.
template <class T>
std::size_t hash(const CsrView<T>& A) {
  const auto scrambled = [](std::size_t place, Index v) {
    const std::size_t h =
        (place * 0x9E3779B97F4A7C15ull ^ static_cast<std::size_t>(v)) * 0xBF58476D1CE4E5B9ull;
    return h ^ h >> 32;
  };
  std::size_t sum = static_cast<std::size_t>(A.rows);
  for (Index i = 0; i <= A.rows; ++i) sum += scrambled(i, A.indptr[i]);
  for (Index p = 0; p < A.nnz(); ++p) sum += 3 * scrambled(p, A.indices[p]);
  return sum;
}

}  // namespace

template <class T>
struct Preconditioner<T>::Impl {
  Index rows = 0;
  std::size_t pattern = 0;
  Params params, used;  // as given, and after `automatic` has chosen
  NearNullspace near_nullspace;
  Index block = 1;
  Report report;
  std::vector<Index> null_rows;  // z_i = r_i
  std::variant<Jacobi<T>, std::unique_ptr<Cycles<float>>, std::unique_ptr<Cycles<double>>> kind;

  void build(const CsrView<T>& A) {
    used = params;
    report = {};
    if (params.method == Method::jacobi) {
      report.method = "jacobi";
      report.reason = "asked for";
      kind = jacobi(A);
      return;
    }
    if (diagonal_is_enough(A, near_nullspace, params, report)) {
      kind = jacobi(A);
      return;
    }
    build_levels_of(A);
    if (report.indefinite && params.method == Method::automatic &&
        params.smoother == SmootherKind::incomplete_cholesky) {
      // Stage after stage a factor that is far from A blows negative modes up; this one cannot.
      used.method = Method::multilevel;
      used.smoother = SmootherKind::l1_jacobi;
      build_levels_of(A);
      report.indefinite = true;
      report.reason =
          "A has negative eigenvalues: l1-Jacobi smoother, absolute values of the coarse matrix";
    }
  }

  // What is the same for a first matrix and for new values.
  void finish(const CsrView<T>& A) {
    report.indefinite = report.indefinite || is_negative(A);
    null_rows.clear();
    for (Index i = 0; i < A.rows; ++i)
      if (std::all_of(A.data + A.indptr[i], A.data + A.indptr[i + 1], [](T v) { return v == 0; }))
        null_rows.push_back(i);
  }

 private:
  void build_levels_of(const CsrView<T>& A) {
    const bool single = params.precision == Precision::single || std::is_same_v<T, float>;
    if (single) build_cycles<float>(A);
    // An exact factorization that is rounded to float32 would cost the steps that it saves.
    if (!single || (report.exact && std::is_same_v<T, double>)) build_cycles<double>(A);
  }

  template <class S>
  void build_cycles(const CsrView<T>& A) {
    Csr<double> copy;
    report = {};
    kind = std::make_unique<Cycles<S>>(
        build_levels<S>(working_copy(A, copy), near_nullspace, block, used, report));
  }
};

template <class T>
Preconditioner<T>::Preconditioner(const CsrView<T>& A, const Params& params,
                                  NearNullspace near_nullspace, Index block)
    : impl_(std::make_unique<Impl>()) {
  check(params);
  require(A.rows == A.cols && A.rows > 0, "a square matrix is needed, not ", A.rows, " x ", A.cols);
  require(block >= 1 && A.rows % block == 0, "block size ", block, " does not divide the ", A.rows,
          " rows");
  require(
      near_nullspace.values.empty() ||
          near_nullspace.values.size() == static_cast<std::size_t>(A.rows) * near_nullspace.vectors,
      "the near-nullspace has ", near_nullspace.values.size(), " numbers, expected ", A.rows, " x ",
      near_nullspace.vectors);
  Impl& impl = *impl_;
  impl.rows = A.rows;
  impl.params = params;
  impl.pattern = hash(A);
  impl.near_nullspace = std::move(near_nullspace);
  impl.block = block;
  impl.build(A);
  impl.finish(A);
}

template <class T>
void Preconditioner<T>::update(const CsrView<T>& A) {
  Impl& impl = *impl_;
  require(A.rows == impl.rows && A.cols == impl.rows && hash(A) == impl.pattern,
          "an update needs a matrix with the rows and the pattern of the first one");
  Csr<double> copy;
  const auto refresh = [&](auto& cycles) {
    refresh_levels(working_copy(A, copy), impl.used, cycles->levels, impl.report);
  };
  if (std::holds_alternative<Jacobi<T>>(impl.kind))
    impl.kind = jacobi(A);
  else if (impl.params.cycle == CycleKind::additive)
    impl.build(A);
  else if (auto* single = std::get_if<std::unique_ptr<Cycles<float>>>(&impl.kind))
    refresh(*single);
  else
    refresh(std::get<std::unique_ptr<Cycles<double>>>(impl.kind));
  impl.finish(A);
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
    precond::apply(cycles.levels, impl.used, r, z, *space);
  };
  if (const auto* single = std::get_if<std::unique_ptr<Cycles<float>>>(&impl.kind)) run(**single);
  if constexpr (std::is_same_v<T, double>)
    if (const auto* full = std::get_if<std::unique_ptr<Cycles<double>>>(&impl.kind)) run(**full);
  for (Index i : impl.null_rows) z[i] = r[i];
}

template class Preconditioner<float>;
template class Preconditioner<double>;

}  // namespace pympf::precond
