#include "pympf/la/nullspace.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"

namespace pympf {
namespace {

constexpr std::size_t most_vectors = 12;
// Of |A v| / |A|, |v| = 1: to be looked at further; and, in units of rounding, what products leave.
constexpr double kClose = 1e-4, kAccurate = 20;
// Of |v^T A v| / |A|, in units of rounding: the square of the error of v tells a null vector from
// an eigenvector of a small eigenvalue.
constexpr double kNull = 50;
constexpr int most_rounds = 3;
// What is left of a vector that is in the span of others.
constexpr double kLittle = 1e-3;

// v = v - u u^T v
template <class T>
void take_from(const Communicator& comm, std::vector<T>& v, const std::vector<T>& u) {
  const auto n = static_cast<Index>(v.size());
  axpy(n, -comm.sum(dot(n, u.data(), v.data())), u.data(), v.data());
}

template <class T>
class Search {
 public:
  Search(const Communicator& comm, Index n, const Operator<T>& A, double a_norm,
         const ConsistentSolve<T>& solve)
      : comm_(comm), n_(n), A_(A), a_norm_(a_norm), solve_(solve), Av_(n), y_(n) {}

  // First all that are close, since later solves need to be deflated by all of them.
  Vectors<T> run() {
    while (found_.size() < most_vectors) {
      std::vector<T> v = at_random();
      if (!normalize(v, found_.size())) break;
      defect(v);
      if (!improve(v, found_.size()) || defect(v) > kClose * a_norm_) break;
      if (found_.empty() && !stays(v)) break;
      found_.push_back(std::move(v));
    }
    for (int round = 0; round < most_rounds && refine(); ++round) continue;
    Vectors<T> out;
    for (const std::vector<T>& v : found_)
      if (is_null(v)) out.push_back(v);
    return out;
  }

 private:
  static constexpr double epsilon = std::numeric_limits<T>::epsilon();

  // Uniform numbers: of a factor whose vanishing pivots were raised, y depends on a few of them,
  // and a few signs may cancel.
  std::vector<T> at_random() const {
    Random random(1 + found_.size(), static_cast<std::uint32_t>(comm_.rank()), 0);
    std::vector<T> v(n_);
    for (T& value : v) value = static_cast<T>(std::ldexp(2.0 * random.next(), -32) - 1);
    return v;
  }

  // Solves once more for those that are not accurate, the worst first: the others are deflated by
  // it. False when none has become better.
  bool refine() {
    std::vector<std::pair<double, std::size_t>> order;
    for (std::size_t k = 0; k < found_.size(); ++k) order.emplace_back(-defect(found_[k]), k);
    std::sort(order.begin(), order.end());
    bool changed = false;
    for (const auto& [before, k] : order) {
      if (-before <= kAccurate * epsilon * a_norm_) break;
      std::vector<T> better = found_[k];
      defect(better);
      if (!improve(better, k) || defect(better) >= -before) continue;
      found_[k] = std::move(better);
      changed = true;
    }
    return changed;
  }

  bool is_null(const std::vector<T>& v) {
    const double left = defect(v);
    const double energy = comm_.sum(dot(n_, v.data(), Av_.data()));
    return left <= std::sqrt(epsilon) * a_norm_ && std::abs(energy) <= kNull * epsilon * a_norm_;
  }

  // |A v|, with A v in Av_.
  double defect(const std::vector<T>& v) {
    A_(v.data(), Av_.data());
    return norm(comm_, n_, Av_.data());
  }

  // Whether most of v is left when y with A y = A v, which is in Av_, is taken away, or may be, as
  // that could not be solved. Of a vector for which A is only small, as of the smooth ones of a
  // thin beam, little is left, so that the search ends with the first one where A has no nullspace.
  bool stays(const std::vector<T>& v) {
    if (norm(comm_, n_, Av_.data()) <= kAccurate * epsilon * a_norm_) return true;
    std::fill(y_.begin(), y_.end(), T(0));
    if (!solve_(Av_.data(), y_.data(), found_)) return true;
    axpby(n_, 1.0, v.data(), -1.0, y_.data());
    return norm(comm_, n_, y_.data()) >= 0.5;
  }

  // v - y with A y = A v, which is in Av_, normalized.
  bool improve(std::vector<T>& v, std::size_t k) {
    std::fill(y_.begin(), y_.end(), T(0));
    if (!solve_(Av_.data(), y_.data(), found_)) return false;
    axpy(n_, -1, y_.data(), v.data());
    return normalize(v, k);
  }

  // Against all that are found but number k, twice, as the first time may cancel. False when little
  // is left: all of the nullspace is found.
  bool normalize(std::vector<T>& v, std::size_t k) const {
    const double least = kLittle * norm(comm_, n_, v.data());
    for (int again = 0; again < 2; ++again) {
      for (std::size_t other = 0; other < found_.size(); ++other)
        if (other != k) take_from(comm_, v, found_[other]);
      const double length = norm(comm_, n_, v.data());
      if (!(length > (again ? 0 : least) && std::isfinite(length))) return false;
      scale(n_, 1 / length, v.data(), v.data());
    }
    return true;
  }

  const Communicator& comm_;
  const Index n_;
  const Operator<T>& A_;
  const double a_norm_;
  const ConsistentSolve<T>& solve_;
  std::vector<T> Av_, y_;
  Vectors<T> found_;
};

}  // namespace

template <class T>
Operator<T> deflated(const Communicator& comm, Index n, const Operator<T>& M, const Vectors<T>& V) {
  return [=, &comm, &M, &V, in = std::vector<T>(n), out = std::vector<T>(n)](const T* r,
                                                                             T* z) mutable {
    in.assign(r, r + n);
    for (const std::vector<T>& v : V) take_from(comm, in, v);
    M(in.data(), out.data());
    for (const std::vector<T>& v : V) take_from(comm, out, v);
    copy(n, out.data(), z);
  };
}

template <class T>
Vectors<T> find_nullspace(const Communicator& comm, Index n, const Operator<T>& A, double a_norm,
                          const ConsistentSolve<T>& solve) {
  return Search<T>(comm, n, A, a_norm, solve).run();
}

#define PYMPF_NULLSPACE(T)                                                                   \
  template Operator<T> deflated(const Communicator&, Index, const Operator<T>&,              \
                                const Vectors<T>&);                                          \
  template Vectors<T> find_nullspace(const Communicator&, Index, const Operator<T>&, double, \
                                     const ConsistentSolve<T>&);
PYMPF_NULLSPACE(float)
PYMPF_NULLSPACE(double)
#undef PYMPF_NULLSPACE

}  // namespace pympf
