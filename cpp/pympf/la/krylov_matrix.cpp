// A x = b for a matrix: what is known of it beyond its products goes into the driver (krylov.cpp).
//
//   range      s A, M / s with a power of two s, where the largest entry is far from 1
//   rows       their sizes, |a_ii| as a rule, by which the driver weighs the rows where it must;
//              where their units keep the residual from saying what x is worth, the system is
//              solved in these units (krylov_balanced.hpp)
//   nullspace  constants on the parts whose row sums vanish, else what find_nullspace finds; of a
//              symmetric A they are also what its range is orthogonal to
//
// Cost: one pass over the entries. The parts are looked for when the sum of b says that b may have
// a share in the constants and all row sums vanish, else in the hundredth iteration, or when a
// method has failed; other vectors when one has failed as it does on a singular A.
#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <utility>

#include "pympf/la/balance.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/dist_csr.hpp"
#include "pympf/la/floating.hpp"
#include "pympf/la/krylov_balanced.hpp"
#include "pympf/la/krylov_run.hpp"
#include "pympf/la/nullspace.hpp"
#include "pympf/la/range.hpp"
#include "pympf/la/row_sums.hpp"

namespace pympf {
namespace {

using krylov::has_converged;
using krylov::System;

// Of the largest entry: what a preconditioner and the norms of vectors make of it stays in T.
template <class T>
constexpr int kSafeExponent = std::numeric_limits<T>::max_exponent / 8;

// Of the largest entry: rows below it may be nothing (range.hpp).
template <class T>
constexpr double kLeastRow = std::numeric_limits<T>::digits > 24 ? 0x1p-900 : 0x1p-80;

// 2^-exponent A, without rows that are nothing; a copy only where that is another matrix.
template <class T>
DistRows<T> scaled(const DistRows<T>& given, int exponent, bool in_range) {
  auto kept = in_range ? std::nullopt : within_range(given, diagonal(given));
  if (exponent == 0) return kept ? *std::move(kept) : view_of(given);
  const DistRows<T>& A = kept ? *kept : given;
  auto out = with_values<T>(A, [&](Index, Index p) { return A.rows.data[p]; });
  krylov::scale_by_power(out.rows.nnz(), -exponent, out.storage.data.data());
  return out;
}

// 2^exponent M; half of it goes to each side, so that neither leaves the range.
template <class T>
Operator<T> scaled(const Operator<T>& M, int exponent, Index n) {
  const int before = exponent / 2;
  return [=, &M, in = std::vector<T>(n)](const T* r, T* z) mutable {
    in.assign(r, r + n);
    krylov::scale_by_power(n, before, in.data());
    M(in.data(), z);
    krylov::scale_by_power(n, exponent - before, z);
  };
}

// Of a row.
struct Size {
  double largest, diagonal;  // |a_ij|, |a_ii|

  // |a_ii|; of rows with larger entries, as indefinite matrices have them, a part of the largest.
  double scale() const { return std::max(diagonal, part_of_largest * largest); }

  static constexpr double part_of_largest = 1e-3;
};

template <class T>
Size size_of(const DistRows<T>& A, Index i) {
  const CsrView<T>& rows = A.rows;
  T largest = 0, diagonal = 0;
  for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
    const T magnitude = std::abs(rows.data[p]);
    largest = magnitude > largest ? magnitude : largest;
    diagonal = rows.indices[p] == i + A.shift ? magnitude : diagonal;
  }
  return {double{largest}, double{diagonal}};
}

// Of all rows but those of zeros.
struct Sizes {
  double entry = 0;  // the largest one
  double least = std::numeric_limits<double>::infinity(), most = 0;
  bool on_diagonal = true;      // no row has an entry that is larger than its diagonal one
  std::vector<double> scale{};  // of own rows, or nothing
};

template <class T>
Sizes sizes_of(const DistRows<T>& A) {
  Sizes out;
  out.scale.resize(A.own());
  for (Index i = 0; i < A.own(); ++i) {
    const Size row = size_of(A, i);
    const double scale = out.scale[i] = row.scale();
    out.entry = std::max(out.entry, row.largest);
    out.most = std::max(out.most, scale);
    out.least = scale > 0 && scale < out.least ? scale : out.least;
    out.on_diagonal &= row.largest == row.diagonal;
  }
  out.entry = A.comm.max(out.entry);
  out.least = A.comm.min(out.least);
  out.most = A.comm.max(out.most);
  out.on_diagonal = A.comm.max(Global{!out.on_diagonal}) == 0;
  return out;
}

// The same by the diagonal alone, where all rows have one, as bounds: nothing where these are
// further apart than `spread`.
template <class T>
std::optional<Sizes> about_sizes_of(const DistRows<T>& A, double spread) {
  Sizes out;
  for (T d : diagonal(A)) {
    const double magnitude = std::abs(double{d});
    out.least = std::min(out.least, magnitude);
    out.most = std::max(out.most, magnitude);
  }
  out.least = A.comm.min(out.least);
  if (!(A.comm.max(out.most) <= spread * out.least)) return {};
  out.entry = A.comm.max(largest_entry(A));
  out.most = out.entry;
  if (!(out.most <= spread * out.least)) return {};
  return out;
}

// The scales of the rows of a symmetric A without what they have from the units of others: of
// D S D, whatever the units D, the squares of these, if S has a diagonal. Where no entry is larger
// than the diagonal ones of its row and its column, it is these that balance A.
template <class T>
std::vector<double> balanced_scales(const DistRows<T>& A) {
  std::vector<double> out(A.own());
  const std::vector<int> exponents = balancing_exponents(A);
  for (Index i = 0; i < A.own(); ++i) {
    const Size row = size_of(A, i);
    const double balanced = std::ldexp(1.0, -2 * exponents[i]);
    if (row.scale() > 0) out[i] = std::max(row.diagonal, Size::part_of_largest * balanced);
  }
  return out;
}

bool takes_symmetry(Method method) {
  return method == Method::cg || method == Method::fcg || method == Method::minres;
}

// What b has in the nullspace. The norms of a run that solves for the rest are told with it.
template <class T>
struct Inconsistent {
  std::vector<T> rest;  // of b
  double left = 0;      // norm of what is taken away
  double b_norm = 0;

  double with(double norm) const { return std::hypot(norm, left); }
};

// `part` of b is in the nullspace. Nothing where b is in the range as far as the tolerance asks.
template <class T>
std::optional<Inconsistent<T>> without(const std::vector<double>& part, const DistRows<T>& A,
                                       const T* b, const KrylovParams& params) {
  const Index n = A.own();
  Inconsistent<T> out{{b, b + n}, 0, norm(A.comm, n, b)};
  out.left = norm(A.comm, n, part.data());
  const double rounding = std::numeric_limits<T>::epsilon();
  if (!(out.left > std::max({params.rtol * out.b_norm, params.atol, rounding * out.b_norm})))
    return {};
  for (Index i = 0; i < n; ++i) out.rest[i] = static_cast<T>(b[i] - part[i]);
  const double rest = norm(A.comm, n, out.rest.data());
  if (rest <= 100 * rounding * out.b_norm) std::fill(out.rest.begin(), out.rest.end(), T(0));
  return out;
}

// Whether b has no share in the constants, as far as the tolerance asks for it.
template <class T>
bool sums_to_zero(const DistRows<T>& A, const T* b, const KrylovParams& params) {
  double sum = 0;
  for (Index i = 0; i < A.own(); ++i) sum += b[i];
  const double share = std::abs(A.comm.sum(sum)) / std::sqrt(static_cast<double>(A.layout.total()));
  const double relative = std::max<double>(params.rtol, std::numeric_limits<T>::epsilon());
  return share <= std::max(relative * norm(A.comm, A.own(), b), params.atol);
}

// A and M in units of their own: what all right-hand sides share.
template <class T>
struct ScaledMatrix {
  ScaledMatrix(const DistRows<T>& given, const Operator<T>* M_given,
               const KrylovParams& params_given)
      : A(given),
        params(params_given),
        sizes(sizes_within(given, krylov::largest_spread(params.rtol))),
        exponent(exponent_of(sizes.entry)),
        scaled_A(scaled(given, exponent, in_range())),
        scaled_M(M_given && exponent != 0 ? scaled(*M_given, exponent, given.own())
                                          : Operator<T>{}),
        M(scaled_M ? &scaled_M : M_given) {
    if (rows_differ()) row_size = scales_of_rows();
    sizes.scale = {};
    if (A.comm.size() > 1) {
      blocks.emplace(scaled_A);
      multiply = product_with(blocks->own.view(), blocks->off);
    } else {
      multiply = product_with(scaled_A.rows, none);
      multiply.apply_dot = [this](const T* x, T* y) { return spmv_dot(scaled_A.rows, x, y); };
    }
    multiply.domain = multiply.range = A.layout;
  }

  bool is_symmetric() const { return params.symmetric || takes_symmetry(params.method); }

  bool rows_differ() const {
    return sizes.most > krylov::largest_spread(params.rtol) * sizes.least;
  }

  std::vector<double> scales_of_rows() {
    if (is_symmetric() && !sizes.on_diagonal) return balanced_scales(scaled_A);
    if (!in_range()) return sizes_of(scaled_A).scale;
    krylov::scale_by_power(A.own(), -exponent, sizes.scale.data());
    return std::move(sizes.scale);
  }

  bool in_range() const { return sizes.least >= kLeastRow<T> * sizes.entry; }

  static Sizes sizes_within(const DistRows<T>& A, double spread) {
    const auto about = about_sizes_of(A, spread);
    return about ? *about : sizes_of(A);
  }

  // Even: minres takes square roots of r^T M r.
  static int exponent_of(double largest) {
    if (largest == 0 || !std::isfinite(largest)) return 0;
    const int exponent = std::ilogb(largest) / 2 * 2;
    return std::abs(exponent) > kSafeExponent<T> ? exponent : 0;
  }

  const DistRows<T>& A;
  const KrylovParams& params;
  Sizes sizes;
  const int exponent;
  const DistRows<T> scaled_A;
  std::vector<double> row_size;  // nothing where all are about the same
  const Operator<T> scaled_M;
  const Operator<T>* const M;
  std::optional<DistCsr<T>> blocks;
  OffDiagonal<T> none;
  Operator<T> multiply;
};

// One right-hand side, as often as it takes.
template <class T>
class MatrixSolve {
 public:
  MatrixSolve(const ScaledMatrix<T>& matrix, krylov::Way<T>& way, const KrylovCallback<T>& callback,
              const KrylovWatch& watch)
      : A_(matrix.A),
        scaled_A_(matrix.scaled_A),
        M_(matrix.M),
        params_(matrix.params),
        matrix_(matrix),
        way_(way),
        callback_(callback) {
    if (watch) params_.watch = watch;
  }

  Task<KrylovResult> run(const T* b, T* x) {
    if (!matrix_.is_symmetric()) {
      KrylovResult result = co_await plain(b, x, callback_, M_, {});
      settle(b, x, result);
      co_return result;
    }
    const std::vector<T> guess(x, x + (is_zero(x) ? 0 : A_.own()));
    const bool floats = !sums_to_zero(A_, b, params_) && all_rows_float(scaled_A_);
    std::optional<Rest> rest;
    if (floats) rest = co_await least_squares(b, x);
    KrylovResult result;
    if (rest)
      result = rest->result;
    else
      result = co_await plain(b, x, callback_, M_, [&] {
        return all_rows_float(scaled_A_) && without_constants(b).has_value();
      });
    if (!rest) settle(b, x, result);
    if (!may_be_singular(result.reason) || (rest && rest->converged)) co_return result;
    // Other ways are tried from the guess.
    std::vector<T> other(guess);
    other.resize(A_.own());
    const auto keep = [&] {
      std::copy(other.begin(), other.end(), x);
      result = rest->result;
    };
    if (!floats) {
      rest = co_await least_squares(b, other.data());
      if (rest) keep();
      if (rest && rest->converged) co_return result;
    }
    if (!M_ || !ends_so_on_singular(result.reason)) co_return result;
    other = guess;
    other.resize(A_.own());
    rest = co_await with_nullspace(b, other.data(), result.iterations);
    if (rest && rest->converged) {
      keep();
      co_return result;
    }
    other = guess;
    other.resize(A_.own());
    KrylovResult least = co_await without_preconditioner(b, other.data(), result.iterations);
    if (least.reason == Reason::diverged_inconsistent &&
        least.true_residual < result.true_residual) {
      std::copy(other.begin(), other.end(), x);
      result = std::move(least);
    }
    co_return result;
  }

 private:
  bool is_zero(const T* x) const {
    return std::all_of(x, x + A_.own(), [](T value) { return value == 0; });
  }

  static bool may_be_singular(Reason reason) {
    return !has_converged(reason) && reason != Reason::stopped_by_callback &&
           reason != Reason::stopped_by_watch && reason != Reason::diverged_range;
  }

  // Preconditioned, where the least residual is another one in the norm of M.
  static bool ends_so_on_singular(Reason reason) {
    return reason == Reason::diverged_breakdown || reason == Reason::diverged_stagnated ||
           reason == Reason::diverged_inconsistent || reason == Reason::diverged_residual_grew ||
           reason == Reason::diverged_indefinite_operator;
  }

  Task<KrylovResult> plain(const T* b, T* x, KrylovCallback<T> callback, const Operator<T>* M,
                           std::function<bool()> is_inconsistent) {
    const auto start = [this](const T* r, T* out) { solve_dominated(scaled_A_, r, out); };
    KrylovResult result =
        co_await krylov::drive<T>(way_,
                                  {matrix_.multiply, M, A_.own(), b, x, A_.comm, matrix_.exponent,
                                   matrix_.row_size, start, std::move(is_inconsistent)},
                                  params_, std::move(callback));
    co_return result;
  }

  // Where the rows differ, goes on in their units when the residual cannot meet the tolerance for
  // rounding, or does not determine x; says of an x that nothing determines that it is none.
  void settle(const T* b, T* x, KrylovResult& result) {
    if (!matrix_.rows_differ() || result.norm == ResidualNorm::preconditioned) return;
    const bool has_failed =
        result.reason == Reason::diverged_stagnated || result.reason == Reason::diverged_breakdown;
    if (!has_failed && (!result.converged || determines(b, x))) return;
    std::optional<KrylovResult> other;
    if (matrix_.is_symmetric())
      other = krylov::solve_balanced(scaled_A_, matrix_.exponent, M_, b, x, params_, callback_);
    if (other) {
      result = *std::move(other);
    } else if (result.converged) {
      result.converged = false;
      result.reason = Reason::diverged_stagnated;
    }
  }

  // Whether |r_i| / (size of row i), about the error of x, leaves x digits.
  bool determines(const T* b, const T* x) const {
    const Index n = A_.own();
    std::vector<T> rhs(b, b + n);
    krylov::scale_by_power(n, -matrix_.exponent, rhs.data());
    const auto rows = krylov::row_residuals(scaled_A_, rhs.data(), x);
    std::vector<double> correction(n, 0.0);
    for (Index i = 0; i < n; ++i)
      if (matrix_.row_size[i] > 0) correction[i] = rows[i].size() / matrix_.row_size[i];
    return krylov::leaves_digits(norm(A_.comm, n, correction.data()), norm(A_.comm, n, x));
  }

  // A solve for what is left of b without its part in the nullspace.
  struct Rest {
    KrylovResult result;  // of the whole
    bool converged;
  };

  std::optional<Inconsistent<T>> without_constants(const T* b) {
    return without(FloatingParts(scaled_A_).project(A_.comm, b), A_, b, params_);
  }

  // Nothing where no row sums vanish, or b is in the range of A.
  Task<std::optional<Rest>> least_squares(const T* b, T* x) {
    const auto apart = without_constants(b);
    std::optional<Rest> rest;
    if (apart) rest = co_await for_rest(*apart, x, M_);
    co_return rest;
  }

  // The same for any nullspace, with vectors that have to be found by solves that take no more than
  // a few times the iterations of the one that has failed.
  Task<std::optional<Rest>> with_nullspace(const T* b, T* x, int iterations) {
    const Index n = A_.own();
    const Operator<T>& multiply = matrix_.multiply;
    KrylovParams params = params_;
    params.max_iterations = std::min(params_.max_iterations, more_than(iterations));
    params.rtol = std::numeric_limits<T>::digits > 24 ? 1e-8 : 1e-4;
    params.atol = 0;
    const auto solve_consistent = [&](const T* rhs, T* y, const Vectors<T>& V) {
      const Operator<T> M = deflated(A_.comm, n, *M_, V);
      return pympf::solve<T>(multiply, &M, n, rhs, y, params, {}, A_.comm).converged;
    };
    const auto vectors =
        find_nullspace<T>(A_.comm, n, multiply, largest_row_sum(scaled_A_), solve_consistent);
    std::vector<double> part(n, 0.0);
    for (const std::vector<T>& v : vectors) {
      const double factor = A_.comm.sum(dot(n, v.data(), b));
      for (Index i = 0; i < n; ++i) part[i] += factor * double{v[i]};
    }
    const auto apart = without(part, A_, b, params_);
    std::optional<Rest> rest;
    const Operator<T> M = deflated(A_.comm, n, *M_, vectors);
    if (apart) rest = co_await for_rest(*apart, x, &M);
    co_return rest;
  }

  // A nullspace of more vectors than are looked for: minres leaves the least residual, in the
  // 2-norm where there is no M.
  Task<KrylovResult> without_preconditioner(const T* b, T* x, int iterations) {
    KrylovParams params = params_;
    params.method = Method::minres;
    params.side = Side::right;
    params.watch = {};
    params.max_iterations = std::min(params_.max_iterations, more_than(iterations));
    KrylovResult result = co_await krylov::drive<T>(
        way_, {matrix_.multiply, nullptr, A_.own(), b, x, A_.comm, matrix_.exponent}, params,
        callback_);
    co_return result;
  }

  static int more_than(int iterations) { return 2 * iterations + 100; }

  Task<Rest> for_rest(const Inconsistent<T>& apart, T* x, const Operator<T>* M) {
    KrylovCallback<T> told;
    if (callback_)
      told = [&](int iteration, double norm, const T* iterate) {
        return callback_(iteration, apart.with(norm), iterate);
      };
    KrylovResult result = co_await plain(apart.rest.data(), x, told, M, {});
    const double rest = norm(A_.comm, A_.own(), apart.rest.data());
    result.true_residual = apart.with(result.true_residual * rest) / apart.b_norm;
    if (result.norm != ResidualNorm::preconditioned)
      for (double& norm : result.history) norm = apart.with(norm);
    const bool converged = std::exchange(result.converged, false);
    if (converged) result.reason = Reason::diverged_inconsistent;
    co_return Rest{std::move(result), converged};
  }

  const DistRows<T>&A_, &scaled_A_;
  const Operator<T>* const M_;
  KrylovParams params_;
  const ScaledMatrix<T>& matrix_;
  krylov::Way<T>& way_;
  const KrylovCallback<T> callback_;
};

}  // namespace

template <class T>
std::vector<KrylovResult> solve(const DistRows<T>& A, const std::type_identity_t<Operator<T>>* M,
                                const std::vector<const T*>& b, const std::vector<T*>& x,
                                const KrylovParams& params,
                                const std::vector<KrylovCallback<T>>& callbacks,
                                const std::vector<KrylovWatch>& watches) {
  const ScaledMatrix<T> matrix(A, M, params);
  std::vector<MatrixSolve<T>> solves;
  solves.reserve(b.size());
  return krylov::run_all<T>(static_cast<Index>(b.size()), [&](Index c, krylov::Way<T>& way) {
    solves.emplace_back(matrix, way, callbacks.empty() ? KrylovCallback<T>{} : callbacks[c],
                        watches.empty() ? KrylovWatch{} : watches[c]);
    return solves.back().run(b[c], x[c]);
  });
}

template <class T>
KrylovResult solve(const DistRows<T>& A, const std::type_identity_t<Operator<T>>* M, const T* b,
                   T* x, const KrylovParams& params,
                   const std::type_identity_t<KrylovCallback<T>>& callback) {
  return solve<T>(A, M, std::vector{b}, std::vector{x}, params, {callback})[0];
}

#define PYMPF_INSTANTIATE(T)                                                              \
  template std::vector<KrylovResult> solve(                                               \
      const DistRows<T>&, const Operator<T>*, const std::vector<const T*>&,               \
      const std::vector<T*>&, const KrylovParams&, const std::vector<KrylovCallback<T>>&, \
      const std::vector<KrylovWatch>&);                                                   \
  template KrylovResult solve(const DistRows<T>&, const Operator<T>*, const T*, T*,       \
                              const KrylovParams&, const KrylovCallback<T>&);
PYMPF_INSTANTIATE(float)
PYMPF_INSTANTIATE(double)

}  // namespace pympf
