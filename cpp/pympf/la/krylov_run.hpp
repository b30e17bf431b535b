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
#include "pympf/la/task.hpp"

namespace pympf::krylov {

// A product that a method waits for.
template <class T>
struct Wanted {
  const Operator<T>* op = nullptr;
  Index n = 0;
  const T* x = nullptr;
  T* y = nullptr;
  bool wants_dot = false;
  double dot = 0;  // what this rank has of x^T y
};

// One right-hand side on its way: its coroutines, and the product that the innermost waits for.
template <class T>
struct Way {
  TaskStack stack;
  Wanted<T> wanted;

  bool waits() const { return wanted.op; }
  // Goes on to the next product, or to the end; throws what the computation throws.
  void go_on() {
    wanted.op = nullptr;
    while (!stack.handles.empty() && !waits()) stack.handles.back().resume();
    if (stack.error) std::rethrow_exception(stack.error);
  }
};

// Runs all ways to their ends. Those that wait for the same operator get their products together;
// the operator that most wait for comes first, so that ways which have parted meet again. Of
// several ways an InvalidArgument names the column.
template <class T>
void run_together(std::span<Way<T>> ways);

// y = Op x, awaited.
template <class T>
struct [[nodiscard]] Product {
  Way<T>& way;
  const Wanted<T> wanted;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<>) noexcept { way.wanted = wanted; }
  void await_resume() const noexcept {}
};

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
  Way<T>& way;
  const Operator<T>& op;
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

  // y = A x
  Product<T> A(const T* x, T* y) const { return {way, {&op, n, x, y}}; }

  // The same; x^T y
  struct DotProduct : Product<T> {
    const Communicator& comm;
    double await_resume() const { return comm.sum(this->way.wanted.dot); }
  };
  DotProduct A_dot(const T* x, T* y) const { return {{way, {&op, n, x, y, true}}, comm}; }

  // M r, in z; without preconditioner r itself.
  struct Preconditioned : Product<T> {
    bool await_ready() const noexcept { return !this->wanted.op; }
    const T* await_resume() const noexcept {
      return this->wanted.op ? this->wanted.y : this->wanted.x;
    }
  };
  Preconditioned precondition(const T* r, T* z) const { return {{way, {M, n, r, z}}}; }

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
  Reason met() const;                            // the converged_... of the tolerance

  // Whether the watch says so after a step.
  bool is_left(double decrease, double norm, double alpha = 0) const {
    return params.watch && params.watch({decrease, norm, target(), alpha});
  }

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
  virtual Task<Reason> run(T* r, double norm) = 0;
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

// A x = b on its way.
template <class T>
Task<KrylovResult> drive(Way<T>&, System<T>, KrylovParams, KrylovCallback<T>);

// The results of `count` ways from beginning to end; begin(c, way) is the task of one.
template <class T, class Begin>
std::vector<KrylovResult> run_all(Index count, const Begin& begin) {
  std::vector<Way<T>> ways(count);
  std::vector<Task<KrylovResult>> tasks;
  std::vector<KrylovResult> results;
  for (Index c = 0; c < count; ++c) tasks.push_back(begin(c, ways[c]));
  for (Index c = 0; c < count; ++c) tasks[c].start(ways[c].stack);
  run_together<T>(ways);
  for (auto& task : tasks) results.push_back(task.result());
  return results;
}

}  // namespace pympf::krylov
