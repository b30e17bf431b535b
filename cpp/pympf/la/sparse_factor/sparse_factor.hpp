// A sparse direct factor of a symmetric matrix behind one interface: analyze, factor, solve.
//
//   P A P^T = L L^T  (definite)    or    L D L^T, D of 1x1 and 2x2 blocks  (indefinite)
//
// A backend is one file, found when pympf is built; each works alone, and with none of them
// `analyze` refuses:
//   cholmod   definite, supernodal (Chen, Davis, Hager, Rajamanickam, "Algorithm 887: CHOLMOD", ACM
//             Trans. Math. Software 35, 2008); order: AMD or METIS
//   mumps     indefinite, multifrontal with 2x2 pivots (Amestoy, Duff, Koster, L'Excellent, "A
//   fully
//             asynchronous multifrontal solver", SIAM J. Matrix Anal. Appl. 23, 2001); order: AMD
//             or SCOTCH; one process of MPI, between MPI_Init and MPI_Finalize
//   superlu   either (sparse_lu.hpp); order: minimum degree of A + A^T
// AMD comes first. Where it predicts so many flops that nested dissection is worth its time, the
// one with the fewer predicted flops is taken, and AMD when they are equal.
//
// Cost: the squares of the lengths of the columns of L in multiply-adds for a factorization, two
// for each entry of L for a solution. BLAS runs on one thread, so a repetition has the same bits.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf {

// What the analysis predicts, without pivoting.
struct FactorAnalysis {
  std::string backend, order;
  double entries = 0, flops = 0;  // of L, and to find it; NaN where the backend cannot tell
};

class SparseFactor {
 public:
  virtual ~SparseFactor() = default;
  SparseFactor() = default;
  SparseFactor(const SparseFactor&) = delete;
  SparseFactor& operator=(const SparseFactor&) = delete;

  const FactorAnalysis& analysis() const { return analysis_; }

  // False for a matrix that is singular to rounding, or that is not positive definite where that
  // was promised. A has the pattern of the analysis. Throws bad_alloc where there is no room.
  virtual bool factor(const CsrView<double>& A) = 0;

  // X <- A^-1 X for `columns` vectors behind each other, after a `factor` that returned true. Calls
  // from several threads come one after the other.
  virtual void solve(double* X, Index columns) const = 0;

  // The number of negative eigenvalues (Sylvester); none where the backend cannot tell.
  virtual std::optional<Index> negative_eigenvalues() const = 0;

 protected:
  FactorAnalysis analysis_;
};

// The names of the backends that this pympf has and that can be called now, the preferred one
// first.
std::vector<std::string> factor_backends(bool definite);

// By the preferred backend, or by the one named. Sorted rows with both triangles of A.
std::unique_ptr<SparseFactor> analyze(const CsrView<double>& A, bool definite,
                                      const std::string& backend = "");

}  // namespace pympf
