// What the Krylov methods share; for krylov.cpp, cg.cpp, minres.cpp and gmres.cpp only.
#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <vector>

#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"

namespace pympf::krylov {

// The system, the stopping test and the record of one solve.
template <class T>
struct Run {
  const Operator<T>& A;
  const Operator<T>* M;
  const Index n;
  const T* const b;
  T* const x;
  const KrylovParams& params;
  const KrylovCallback<T>& callback;
  const Communicator& comm;

  std::vector<double> history;
  bool is_watched = false;  // by a callback on some rank
  double tolerance = 0;
  double resolution = 0;  // a recurrence below it says nothing about b - A x

  static constexpr double epsilon = std::numeric_limits<T>::epsilon();

  bool from_left() const { return M && params.side == Side::left; }

  // Over all ranks, the same on each.
  double dot(const T* x, const T* y) const { return comm.sum(pympf::dot(n, x, y)); }
  double norm(const T* x) const { return pympf::norm(comm, n, x); }

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

  // Ends an iteration (or, first, none): what the norm of its residual means.
  Reason record(double norm, const T* iterate);
  Reason met() const;  // the converged_... of the tolerance
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

}  // namespace pympf::krylov
