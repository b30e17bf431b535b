#include "pympf/la/krylov_balanced.hpp"

#include <cmath>

#include "pympf/la/balance.hpp"

namespace pympf::krylov {
namespace {

template <class T>
class BalancedSolve {
 public:
  BalancedSolve(const DistRows<T>& A, int exponent, const KrylovParams& params)
      : n_(A.own()),
        exponent_(exponent),
        units_(balancing_exponents(A)),
        params_(params),
        A_(in_units(A)) {}

  std::optional<KrylovResult> run(const Operator<T>* M, const T* b, T* x,
                                  const KrylovCallback<T>& callback) {
    const std::vector<T> Db = scaled(b, 1, -exponent_);
    std::vector<T> y = scaled(x, -1);
    if (!is_finite(Db) || !is_finite(y)) return {};
    const double reference = norm(Db), b_norm = pympf::norm(A_.comm, n_, b);
    rtol_ = std::max(params_.rtol, b_norm > 0 ? params_.atol / b_norm : 0.0);

    KrylovParams params = params_;  // down to what rounding leaves
    params.rtol = std::min<double>(rtol_, few * std::numeric_limits<T>::epsilon());
    params.atol = 0;
    const Operator<T> M_y = M ? in_units(*M) : Operator<T>{};
    RowProduct<T> product(A_);
    const Operator<T> multiply = [&](const T* v, T* Av) { product(v, Av); };
    KrylovResult result = pympf::solve<T>(multiply, M ? &M_y : nullptr, n_, Db.data(), y.data(),
                                          params, in_units(callback), A_.comm);
    const std::vector<T> found = scaled(y.data(), 1);
    if (!is_finite(found)) return {};
    std::copy(found.begin(), found.end(), x);
    judge(Db, y, found, reference, b_norm, result);
    return result;
  }

 private:
  static constexpr double few = 10;

  DistRows<T> in_units(const DistRows<T>& A) const {
    std::vector<int> columns(A.column_count());
    std::copy(units_.begin(), units_.end(), columns.begin() + A.shift);
    const Halo halo(A);
    halo(columns);
    return with_values<T>(A, [&](Index i, Index p) {
      return std::ldexp(A.rows.data[p], units_[i] + columns[A.rows.indices[p]]);
    });
  }

  // D^-1 M D^-1
  Operator<T> in_units(const Operator<T>& M) const {
    return [this, &M](const T* r, T* z) {
      M(scaled(r, -1).data(), z);
      for (Index i = 0; i < n_; ++i) z[i] = std::ldexp(z[i], -units_[i]);
    };
  }

  KrylovCallback<T> in_units(const KrylovCallback<T>& callback) const {
    if (!callback) return {};
    return [this, &callback](int iteration, double norm, const T* y) {
      return callback(iteration, norm, y ? scaled(y, 1).data() : nullptr);
    };
  }

  // 2^exponent D^power v
  std::vector<T> scaled(const T* v, int power, int exponent = 0) const {
    std::vector<T> out(n_);
    for (Index i = 0; i < n_; ++i) out[i] = std::ldexp(v[i], power * units_[i] + exponent);
    return out;
  }

  template <class V>
  double norm(const std::vector<V>& v) const {
    return pympf::norm(A_.comm, n_, v.data());
  }

  bool is_finite(const std::vector<T>& v) const { return std::isfinite(norm(v)); }

  void judge(const std::vector<T>& Db, const std::vector<T>& y, const std::vector<T>& x,
             double reference, double b_norm, KrylovResult& result) const {
    const std::vector<RowResidual> rows = row_residuals(A_, Db.data(), y.data());
    constexpr double epsilon = std::numeric_limits<T>::epsilon();
    double rounding = 0;
    for (const RowResidual& row : rows) rounding = std::max(rounding, row.rounding);
    rounding = few * A_.comm.max(rounding);
    std::vector<double> r(n_), beyond(n_, 0.0), correction(n_);
    for (Index i = 0; i < n_; ++i) {
      r[i] = rows[i].value;
      if (std::abs(r[i]) > std::min(rounding, rtol_ / epsilon * rows[i].rounding))
        beyond[i] = std::ldexp(r[i], exponent_ - units_[i]);
      correction[i] = std::ldexp(rows[i].size(), units_[i]);
    }
    result.norm = ResidualNorm::balanced;
    result.true_residual = norm(r) / reference;
    result.converged = result.true_residual <= kDrift * rtol_ &&
                       norm(beyond) <= kDrift * rtol_ * b_norm &&
                       leaves_digits(norm(correction), norm(x));
    if (result.converged)
      result.reason = params_.rtol > 0 ? Reason::converged_rtol : Reason::converged_atol;
    else if (has_converged(result.reason))
      result.reason = Reason::diverged_stagnated;
  }

  const Index n_;
  const int exponent_;
  const std::vector<int> units_;  // the exponents of D
  const KrylovParams& params_;
  const DistRows<T> A_;  // D A D
  double rtol_ = 0;
};

}  // namespace

template <class T>
std::vector<RowResidual> row_residuals(const DistRows<T>& A, const T* b, const T* x) {
  std::vector<T> columns(A.column_count());
  std::copy(x, x + A.own(), columns.begin() + A.shift);
  const Halo halo(A);
  halo(columns);
  std::vector<RowResidual> out(A.own());
  for (Index i = 0; i < A.own(); ++i) {
    double value = b[i], terms = std::abs(value);
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p) {
      const double term = double{A.rows.data[p]} * double{columns[A.rows.indices[p]]};
      value -= term;
      terms += std::abs(term);
    }
    out[i] = {value, std::numeric_limits<T>::epsilon() * terms};
  }
  return out;
}

template std::vector<RowResidual> row_residuals(const DistRows<float>&, const float*, const float*);
template std::vector<RowResidual> row_residuals(const DistRows<double>&, const double*,
                                                const double*);

template <class T>
std::optional<KrylovResult> solve_balanced(const DistRows<T>& A, int exponent, const Operator<T>* M,
                                           const T* b, T* x, const KrylovParams& params,
                                           const KrylovCallback<T>& callback) {
  return BalancedSolve<T>(A, exponent, params).run(M, b, x, callback);
}

template std::optional<KrylovResult> solve_balanced(const DistRows<float>&, int,
                                                    const Operator<float>*, const float*, float*,
                                                    const KrylovParams&,
                                                    const KrylovCallback<float>&);
template std::optional<KrylovResult> solve_balanced(const DistRows<double>&, int,
                                                    const Operator<double>*, const double*, double*,
                                                    const KrylovParams&,
                                                    const KrylovCallback<double>&);

}  // namespace pympf::krylov
