// Krylov methods for A x = b with A, and a preconditioner M ~ A^-1, given as operators.
//
//   cg      A and M symmetric positive definite (A semidefinite when b is in its range)
//   fcg     cg whose M may change from one application to the next
//   minres  A symmetric, also indefinite or singular; M symmetric positive definite
//   gmres   any A and M; restarted; M from the right (A M u = b, x = M u) or left (M A x = M b)
//   fgmres  any A; M may change from one application to the next
//   bicgstab  any A and M, from the right; two products in a step, and few vectors
//
// The stopping test is ||b - A x|| <= max(rtol ||b||, atol) in the 2-norm; for gmres from the left
// it is the same with M(b - A x) and M b. A method updates its residual by recurrence; when that
// residual passes the test, b - A x is computed afresh and must pass too. When it does not, the
// method starts again from it. When that no longer helps, a residual of up to kDrift times the
// tolerance is as good as rounding lets it be, and above that the run ends with diverged_stagnated.
// So `converged` always speaks of the x that is returned. A method that fails returns the best x
// whose residual was computed afresh, the guess among them. Out of iterations, a method returns its
// last iterate, the best in the norm that it minimizes; but minres, whose norm is that of M, tells
// and returns that best x where its iterate has the larger residual (diverged_residual_grew).
//
// Scale: b is divided by a power of two that brings its largest entry near 1, and a matrix by one
// that brings its largest entry into the middle of the range, so that no square of a residual
// leaves the range. That is exact: s b, s a power of two, gives s x to the last bit. Histories and
// tolerances are the caller's.
//
// Of a matrix more is known than of an operator (krylov_matrix.cpp):
//   - Where its rows, or those of b, differ so much that ||b|| says nothing of some of them (a
//     penalty of 1e12 beside rows of 1), the norm of the test is the larger of ||r|| and
//     ||W r||, W = diag(w_i), w_i = c / |a_ii| with c such that ||W b|| = ||b||.
//   - Where that cannot be reached for rounding in the rows with the largest units, or says nothing
//     of x, the system is solved in the units of its rows (krylov_balanced.hpp).
//   - Where all row sums vanish on parts that nothing couples (Laplacians of graphs), the constants
//     on these parts are the nullspace; after a method with a preconditioner has failed, vectors of
//     another nullspace are looked for (nullspace.hpp). What b has in it is taken out, the rest is
//     solved, and x is the least-squares solution: diverged_inconsistent.
#pragma once

#include <functional>
#include <string_view>
#include <type_traits>
#include <vector>

#include "pympf/la/dist_rows.hpp"
#include "pympf/la/operator.hpp"
#include "pympf/mpi/comm.hpp"

namespace pympf {

enum class Method { cg, fcg, minres, gmres, fgmres, bicgstab };
enum class Side { right, left };

enum class Reason {
  converged_rtol,
  converged_atol,
  iterating,
  diverged_max_iterations,
  diverged_residual_grew,  // minres: out of iterations above an earlier residual; x is that one's
  diverged_breakdown,      // A is singular, and the space of the method holds no solution
  diverged_stagnated,      // the residual is as small as A, b and the precision of T let it become
  diverged_inconsistent,   // A is singular, b not in its range; x has the least residual
  diverged_range,          // x has entries that T cannot hold
  diverged_indefinite_operator,        // cg, fcg: p^T A p <= 0
  diverged_indefinite_preconditioner,  // cg, fcg, minres: r^T M r <= 0, r != 0
  diverged_nan,  // NaN or overflow in A, M or a recurrence; x is the last good iterate
  stopped_by_callback,
  stopped_by_watch,  // another preconditioner is cheaper; x is the last iterate
};

// Of the stopping test.
enum class ResidualNorm {
  plain,           // ||b - A x||
  row_scaled,      // the larger of that and ||W (b - A x)||
  balanced,        // ||D (b - A x)||, D A D with ones on the diagonal (krylov_balanced.hpp)
  preconditioned,  // ||M (b - A x)||, gmres from the left
};

const char* name(Method);
const char* name(Side);
const char* name(Reason);
const char* name(ResidualNorm);
Method method_from_name(std::string_view);
Side side_from_name(std::string_view);

// How far b - A x may be above the tolerance that its recurrence has met: by so little at once, and
// by so much where a new start from it brings nothing.
inline constexpr double kRounded = 1.01, kDrift = 10;

// What a step of cg, fcg or minres tells of itself.
struct KrylovStep {
  double decrease = 0;              // of ||e||_A^2; none of minres
  double residual = 0, target = 0;  // of the stopping test
  double alpha = 0;                 // x += alpha p; none of minres
};

// True to stop a run of cg, fcg or minres. The same on all ranks.
using KrylovWatch = std::function<bool(const KrylovStep&)>;

struct KrylovParams {
  Method method = Method::cg;
  double rtol = 1e-8;          // in [0, 1)
  double atol = 0;             // >= 0
  int max_iterations = 10000;  // >= 0
  int restart = 30;            // gmres, fgmres: basis vectors of a cycle; 0: never restart
  Side side = Side::right;     // gmres
  bool symmetric = false;      // A is; cg, fcg and minres take it for granted
  KrylovWatch watch{};
};

struct KrylovResult {
  Reason reason = Reason::iterating;
  bool converged = false;
  int iterations = 0;  // applications of A by the method itself
  // The norms of the stopping test: initial, then after each iteration; the last one of x itself.
  std::vector<double> history;
  // ||b - A x|| / ||b|| of the x returned; the larger of that and ||W (b - A x)|| / ||W b|| where
  // the norm is row_scaled, ||D (b - A x)|| / ||D b|| where it is balanced.
  double true_residual = 0;
  ResidualNorm norm = ResidualNorm::plain;
};

// Called with the norms that go into the history, the initial one first; x is null where the
// iterate is not formed (gmres and fgmres inside a cycle). Return true to stop.
template <class T>
using KrylovCallback = std::function<bool(int iteration, double residual_norm, const T* x)>;

// x holds the initial guess on entry and the solution on return; M is null for no preconditioner.
// T follows from b and x. Over several ranks every vector is the part of this rank (n of its
// entries, maybe none), the call is collective, and all get the same result; a callback may be on
// some ranks only.
template <class T>
KrylovResult solve(const std::type_identity_t<Operator<T>>& A,
                   const std::type_identity_t<Operator<T>>* M, Index n, const T* b, T* x,
                   const KrylovParams& params,
                   const std::type_identity_t<KrylovCallback<T>>& callback = {},
                   const Communicator& comm = Communicator::self());

// Several right-hand sides: all advance together, so that A and M are read once for all of them;
// each has its own scalars, stops by itself, and gets the bits and the result that it has alone.
// The callbacks are one for each, or none at all.
template <class T>
std::vector<KrylovResult> solve(const std::type_identity_t<Operator<T>>& A,
                                const std::type_identity_t<Operator<T>>* M, Index n,
                                const std::vector<const T*>& b, const std::vector<T*>& x,
                                const KrylovParams& params,
                                const std::vector<KrylovCallback<T>>& callbacks = {},
                                const Communicator& comm = Communicator::self());

// The same for a matrix: see above for what is known of it. M stands for A^-1, whatever its scale.
template <class T>
KrylovResult solve(const DistRows<T>& A, const std::type_identity_t<Operator<T>>* M, const T* b,
                   T* x, const KrylovParams& params,
                   const std::type_identity_t<KrylovCallback<T>>& callback = {});
template <class T>
std::vector<KrylovResult> solve(const DistRows<T>& A, const std::type_identity_t<Operator<T>>* M,
                                const std::vector<const T*>& b, const std::vector<T*>& x,
                                const KrylovParams& params,
                                const std::vector<KrylovCallback<T>>& callbacks = {},
                                const std::vector<KrylovWatch>& watches = {});

}  // namespace pympf
