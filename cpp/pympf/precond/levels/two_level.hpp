// M ~ A^-1 with the signs of A, for indefinite matrices: it is symmetric, but not definite.
//
// One stage and a sparse factor of the next matrix, for A = K + diag(s), K a graph Laplacian and
// s = A 1 >= -rho D: shifted Laplacians. A longer hierarchy is of no use: a wave of A u = 0 has to
// be resolved on every stage.
//
//   clusters   sixteen rows, or sixty-four where rows have many neighbours, by rounds of pairs
//   rotation   K_C v = lambda D_C v,  K_C: the couplings inside a cluster C. Scaling functions: the
//              v with lambda < tau. What they miss of a vector u is at most <u, K u> / tau in the
//              norm of D, and <u, K u> is at most rho <u, D u> where A u = 0.
//   lifting    P = (I - omega D^-1 A) Q
//   cycle      x = w D^-1 b;  x += P (P^T A P)^-1 P^T (b - A x);  x += w D^-1 (b - A x)
#pragma once

#include <optional>
#include <vector>

#include "pympf/common/pool.hpp"
#include "pympf/la/sparse_factor/sparse_factor.hpp"
#include "pympf/precond/params.hpp"
#include "pympf/precond/report.hpp"

namespace pympf::precond {

class TwoLevel {
 public:
  // Empty when it is not available; then the report says why.
  static std::optional<TwoLevel> with_stage(const CsrView<double>& A, const Params& params,
                                            Report& report);
  // Whether A is what the stage is for.
  static bool is_for(const CsrView<double>& A);

  template <class T>
  void apply(const T* r, T* z) const;
  double multiply_adds() const;  // of an application

 private:
  struct Space {
    std::vector<double> b, x, left, coarse;
    void resize(Index rows, Index coarse_rows);
  };

  void make_stage(const CsrView<double>& A, const std::vector<double>& d, double rho);
  void cycle(Space& space) const;

  Csr<double> A_, P_, R_;
  std::vector<double> damped_;  // w D^-1
  double unit_ = 1;             // of A, whose entries may be out of the range of LAPACK
  std::unique_ptr<SparseFactor> factor_;
  Index rows_ = 0;
  // Behind a pointer: a pool does not move.
  std::unique_ptr<Pool<Space>> spaces_ = std::make_unique<Pool<Space>>();
};

}  // namespace pympf::precond
