// A sparse direct factor behind one interface: analyze, factor, solve.
//
//   P A P^T = L L^T  (definite)    L D L^T, D of 1x1 and 2x2 blocks  (symmetric)    L U  (general)
//
// A backend is one file, found when pympf is built; each works alone, and with none of them
// `analyze` refuses:
//   cholmod   definite, supernodal (Chen, Davis, Hager, Rajamanickam, "Algorithm 887: CHOLMOD", ACM
//             Trans. Math. Software 35, 2008); order: AMD or METIS
//   mumps     symmetric or general, multifrontal with 2x2 pivots (Amestoy, Duff, Koster,
//             L'Excellent, "A fully asynchronous multifrontal solver", SIAM J. Matrix Anal. Appl.
//             23, 2001); order: AMD, or METIS if CHOLMOD is there; its build without MPI
//   superlu   any, as L U (Li, "An overview of SuperLU", ACM Trans. Math. Software 31, 2005);
//             order: AMD if CHOLMOD is there, or else its own minimum degree of A + A^T; COLAMD
//             where the diagonal has zeros, or is too small for pivots
// AMD comes first. Where it predicts so many flops that nested dissection is worth its time, the
// one with the fewer predicted flops is taken, and AMD when they are equal. A symmetric matrix
// whose pivots fail goes on to the next backend: SuperLU with the diagonal, MUMPS, SuperLU with any
// pivots.
//
// Cost: the squares of the lengths of the columns of L for a factorization, two for each entry of L
// for a solution. BLAS runs on one thread, so a repetition has the same bits.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf {

// What is known of a matrix. Its pattern is symmetric in any case.
enum class MatrixKind { definite, symmetric, general };

// What a factor L of a symmetric matrix takes without pivoting.
struct Fill {
  double entries = 0;  // of L, diagonal and all
  double work = 0;     // sum of the squares of the lengths of its columns
};

// What the analysis predicts.
struct FactorAnalysis {
  std::string backend, order;
  Fill fill;
  bool known = true;  // false: the pivots decide, and nothing is predicted
};

class SparseFactor {
 public:
  virtual ~SparseFactor() = default;
  explicit SparseFactor(Index rows) : rows_(rows) {}
  SparseFactor(const SparseFactor&) = delete;
  SparseFactor& operator=(const SparseFactor&) = delete;

  const FactorAnalysis& analysis() const { return analysis_; }

  // False for a matrix that is singular to rounding, or that is not positive definite where that
  // was promised: by the pivots of a definite matrix, and of a symmetric one by what is left of a
  // right-hand side; of a general one only where a pivot is zero. A has the pattern of the
  // analysis. Throws bad_alloc where there is no room.
  bool factor(const CsrView<double>& A);

  // X <- A^-1 X for `columns` vectors behind each other, each with the bits that it has alone,
  // after a `factor` that returned true. Calls from several threads come one after the other.
  void solve(double* X, Index columns = 1) const;
  void solve_transposed(double* X, Index columns = 1) const;  // X <- A^-T X

  // The number of negative eigenvalues (Sylvester); none where the backend cannot tell.
  virtual std::optional<Index> negative_eigenvalues() const = 0;

  // Numbers that are stored: L, or L and U.
  virtual double stored() const = 0;
  // Of the same, as the analysis predicts it.
  double predicted() const { return triangles() * analysis_.fill.entries; }
  double predicted_flops() const { return triangles() * analysis_.fill.work; }
  double bytes() const { return stored() * (sizeof(double) + sizeof(Index)); }
  double multiply_adds() const { return stored() * 2 / triangles(); }  // of a solution

 protected:
  virtual bool decompose(const CsrView<double>& A) = 0;
  virtual void solve_one(double* x, bool transposed) const = 0;
  virtual int triangles() const = 0;  // 2 where L and U are stored

  FactorAnalysis analysis_;

 private:
  const Index rows_;
  bool factored_ = false;
  mutable std::mutex mutex_;
};

// Where SuperLU takes the pivots of a symmetric matrix: on the diagonal, and where these fail
// anywhere, or only one of the two.
enum class Pivots { diagonal_first, diagonal, any };

// What is asked of a factor.
struct FactorRequest {
  MatrixKind kind = MatrixKind::symmetric;
  std::string backend = "auto";
  // Solutions with one factor: MUMPS factors faster, SuperLU solves faster.
  double solutions = 4;
  // What its owner will not have: nothing is counted beyond, and no order is looked for.
  double most_entries = 1e300, most_work = 1e300;
  // With pivots from anywhere the fill cannot be predicted: up to so many rows.
  Index most_rows_blindly = 100'000;
  Pivots pivots = Pivots::diagonal_first;
};

// The names of the backends that this pympf has for a kind. Without a wish, CHOLMOD is taken for
// definite matrices, SuperLU for general ones, and for others what the analysis predicts to take
// less time.
std::vector<std::string> factor_backends(MatrixKind kind);

// Sorted rows with both triangles of A. Throws InvalidArgument for a backend that there is not.
std::unique_ptr<SparseFactor> analyze(const CsrView<double>& A, const FactorRequest& request);

}  // namespace pympf
