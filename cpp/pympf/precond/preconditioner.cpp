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

template <class T>
Jacobi<T> jacobi(const DistRows<T>& A) {
  Jacobi<T> out{diagonal(A)};
  for (T& d : out.inverse) d = d != 0 ? T(1) / std::abs(d) : T(1);
  return out;
}

// No diagonal entry is positive, and some are negative. Collective.
template <class T>
bool is_negative(const DistRows<T>& A) {
  Global negative = 0, positive = 0;
  for (T d : diagonal(A)) {
    if (d < 0) ++negative;
    if (d > 0) ++positive;
  }
  return A.comm.sum(negative) > 0 && A.comm.sum(positive) == 0;
}

// The matrix in double precision, positive if it is definite; without a copy where that can be.
template <class T>
DistRows<double> working_copy(const DistRows<T>& A, bool negative) {
  if constexpr (std::is_same_v<T, double>)
    if (!negative) return view_of(A);
  const double sign = negative ? -1 : 1;
  return with_values<double>(A, [&](Index, Index p) { return sign * A.rows.data[p]; });
}

// Of the pattern: to see whether it is the same one. A sum of scrambled (place, number), so that no
// term waits for another.
template <class T>
std::size_t hash(const DistRows<T>& matrix) {
  const CsrView<T>& A = matrix.rows;
  const auto scrambled = [](std::size_t place, Index v) {
    const std::size_t h =
        (place * 0x9E3779B97F4A7C15ull ^ static_cast<std::size_t>(v)) * 0xBF58476D1CE4E5B9ull;
    return h ^ h >> 32;
  };
  std::size_t sum = static_cast<std::size_t>(A.rows);
  for (Index i = 0; i <= A.rows; ++i) sum += scrambled(i, A.indptr[i]);
  for (Index p = 0; p < A.nnz(); ++p) sum += 3 * scrambled(p, A.indices[p]);
  for (std::size_t c = 0; c < matrix.columns.size(); ++c)
    sum += 5 * scrambled(c, static_cast<Index>(matrix.columns[c]));
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
  bool negative = false;         // is_negative
  std::vector<Index> null_rows;  // z_i = r_i
  std::variant<Jacobi<T>, std::unique_ptr<Cycles<float>>, std::unique_ptr<Cycles<double>>> kind;

  void build(const DistRows<T>& A) {
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
  void finish(const DistRows<T>& matrix) {
    const CsrView<T>& A = matrix.rows;
    report.indefinite = report.indefinite || negative;
    null_rows.clear();
    for (Index i = 0; i < A.rows; ++i)
      if (std::all_of(A.data + A.indptr[i], A.data + A.indptr[i + 1], [](T v) { return v == 0; }))
        null_rows.push_back(i);
  }

 private:
  void build_levels_of(const DistRows<T>& A) {
    const bool single = params.precision == Precision::single || std::is_same_v<T, float>;
    if (single) build_cycles<float>(A);
    // An exact factorization that is rounded to float32 would cost the steps that it saves.
    if (!single || (report.exact && std::is_same_v<T, double>)) build_cycles<double>(A);
  }

  template <class S>
  void build_cycles(const DistRows<T>& A) {
    report = {};
    kind = std::make_unique<Cycles<S>>(
        build_levels<S>(working_copy(A, negative), near_nullspace, block, used, report));
  }
};

template <class T>
Preconditioner<T>::Preconditioner(const DistRows<T>& A, const Params& params,
                                  NearNullspace near_nullspace, Index block)
    : impl_(std::make_unique<Impl>()) {
  check(params);
  const Index rows = A.own();
  require(A.rows.cols == A.column_count() && A.layout.total() > 0,
          "a square matrix is needed, not ", A.rows.rows, " x ", A.rows.cols);
  collectively(A.comm, [&] {
    require(block >= 1 && rows % block == 0, "block size ", block, " does not divide the ", rows,
            " rows");
    const auto numbers = static_cast<std::size_t>(rows) * near_nullspace.vectors;
    require(near_nullspace.values.empty() || near_nullspace.values.size() == numbers,
            "the near-nullspace has ", near_nullspace.values.size(), " numbers, expected ", rows,
            " x ", near_nullspace.vectors);
  });
  Impl& impl = *impl_;
  impl.rows = rows;
  impl.params = params;
  impl.pattern = hash(A);
  impl.near_nullspace = std::move(near_nullspace);
  impl.block = block;
  impl.negative = is_negative(A);
  impl.build(A);
  impl.finish(A);
}

template <class T>
void Preconditioner<T>::update(const DistRows<T>& A) {
  Impl& impl = *impl_;
  collectively(A.comm, [&] {
    require(A.own() == impl.rows && A.rows.cols == A.column_count() && hash(A) == impl.pattern,
            "an update needs a matrix with the rows and the pattern of the first one");
  });
  impl.negative = is_negative(A);
  const auto refresh = [&](auto& cycles) {
    refresh_levels(working_copy(A, impl.negative).rows, impl.used, cycles->levels, impl.report);
  };
  if (std::holds_alternative<Jacobi<T>>(impl.kind))
    impl.kind = jacobi(A);
  else if (impl.params.cycle == CycleKind::additive || A.comm.size() > 1)
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
