// What the Krylov methods share; for krylov*.cpp, cg.cpp, minres.cpp, gmres.cpp and bicgstab.cpp
// only.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"

namespace pympf::krylov {

// A x = b as solve() is given it, and what a matrix tells that an operator does not.
template <class T>
struct System {
  const Operator<T>& A;
  const Operator<T>* M;
  const Index n;
  const T* const b;
  T* const x;
  const Communicator& comm;
  int exponent = 0;                       // A is the caller's, and M^-1 is, times 2^-exponent
  std::span<const double> row_size = {};  // |a_ii| as a rule, or nothing
  // Improves the guess, given its residual, where the rows are weighted.
  std::function<void(const T* r, T* x)> start = {};
  // Whether there is no solution: asked once, of a run that takes long. Collective.
  std::function<bool()> is_inconsistent = {};
};

// The system in units of its own, the stopping test and the record of one solve.
template <class T>
struct Run {
  const Operator<T>& A;
  const Operator<T>* M;
  const Index n;
  const T* const b;
  T* const x;
  const KrylovParams& params;
  const KrylovCallback<T>& callback;  // takes norms and x in the caller's units
  const Communicator& comm;

  std::vector<double> history;
  bool is_watched = false;  // by a callback on some rank
  double tolerance = 0;
  double resolution = 0;          // a recurrence below it says nothing about b - A x
  bool is_weighted = false;       // on all ranks
  std::vector<double> weights{};  // the diagonal of W
  std::function<bool()> is_inconsistent{};

  static constexpr double epsilon = std::numeric_limits<T>::epsilon();

  bool from_left() const { return M && params.side == Side::left; }

  // Over all ranks, the same on each.
  double dot(const T* x, const T* y) const { return comm.sum(pympf::dot(n, x, y)); }
  double norm(const T* x) const { return pympf::norm(comm, n, x); }

  // Of b - A x, the norm of the stopping test unless that is from the left; `square` is what this
  // rank has of r^T r.
  double measure(const T* r, double square) const;
  double measure(const T* r) const { return measure(r, pympf::dot(n, r, r)); }

  // y = W^power x
  void weigh(const T* x, T* y, double power) const {
    for (std::size_t i = 0; i < weights.size(); ++i)
      y[i] = static_cast<T>(std::pow(weights[i], power) * x[i]);
  }

  // y = A x; x^T y
  double A_dot(const T* x, T* y) const {
    if (A.apply_dot) return comm.sum(A.apply_dot(x, y));
    A(x, y);
    return dot(x, y);
  }

  // M r, in z; without preconditioner r itself.
  const T* precondition(const T* r, T* z) const {
    if (!M) return r;
    (*M)(r, z);
    return z;
  }

  // Whether a step adds more to b - A x by rounding than it takes away, and more than is allowed to
  // stay. It is then a long step along a null vector of A that b is not orthogonal to.
  bool in_vain(double rounding, double gain) const {
    return rounding > target() && gain <= rounding;
  }

  // What a recurrence is run down to.
  double target() const { return std::max(tolerance, resolution); }

  // x += alpha p, put off by a method that passes through both again.
  struct Pending {
    double alpha = 0;
    const T* p = nullptr;
  } pending{};
  void settle() {
    if (pending.p) axpy(n, pending.alpha, pending.p, x);
    pending = {};
  }

  // Ends an iteration (or, first, none): what the norm of its residual means.
  Reason record(double norm, const T* iterate);  // settles where the iterate is needed
  Reason met() const;  // the converged_... of the tolerance

  // Whether the iterations have long brought nothing, and b - A x is what rounding leaves of it.
  bool is_at_floor(const T* iterate);

  double estimated_norm() const;  // of A

  // What is_at_floor has seen.
  struct Progress {
    double best = std::numeric_limits<double>::infinity();   // norm recorded
    double fresh = std::numeric_limits<double>::infinity();  // norm of b - A x at the last look
    double least = std::numeric_limits<double>::infinity();  // of them, that of best_x
    std::vector<T> best_x;
    double a_norm = 0;
    bool has_drifted = false;  // the recurrence falls, and b - A x no longer follows it
    std::size_t since = 0;     // iteration of the last look, or when `best` was halved
  } progress{};
};

// One method. run() improves run.x from its residual r = b - A x (which it may use as its own)
// until the recurrence meets the tolerance, a basis is full (Reason::iterating) or it cannot go on.
template <class T>
class Cycle {
 public:
  virtual ~Cycle() = default;
  virtual Reason run(T* r, double norm) = 0;
};

template <class T>
std::unique_ptr<Cycle<T>> make_cg(Run<T>&);
template <class T>
std::unique_ptr<Cycle<T>> make_minres(Run<T>&);
template <class T>
std::unique_ptr<Cycle<T>> make_gmres(Run<T>&);
template <class T>
std::unique_ptr<Cycle<T>> make_bicgstab(Run<T>&);

// Rows are weighed where a residual that the plain test allows, relative to its row, may be so many
// times rtol: where that is above 1e-4, for tolerances from 1e-8 to 1e-6.
inline double largest_spread(double rtol) { return 1e-4 / std::clamp(rtol, 1e-8, 1e-6); }

bool has_converged(Reason);

// x = 2^exponent x, exactly unless an entry leaves the range.
template <class T>
void scale_by_power(Index n, int exponent, T* x);

template <class T>
KrylovResult drive(const System<T>&, const KrylovParams&, const KrylovCallback<T>&);

}  // namespace pympf::krylov
