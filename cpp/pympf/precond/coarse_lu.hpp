// A^-1 of a level's matrix that need not be symmetric, by a sparse LU factorization: SuperLU in the
// order of minimum degree of A + A^T, or, where the library was built without it, a complete one by
// rows in reverse Cuthill-McKee order. Over ranks every rank factors the whole matrix, which is
// small, and gathers right-hand sides.
#pragma once

#include <optional>
#include <vector>

#include "pympf/la/sparse_lu.hpp"
#include "pympf/precond/border.hpp"
#include "pympf/precond/ilut.hpp"

namespace pympf::precond {

// What a factorization would cost, and the order that it is made in. Nothing is counted beyond
// `most_entries` of L.
struct CoarsePlan {
  Csr<double> columns;  // A^T, with zeros where only A has an entry
  LuPlan lu;
  std::vector<Index> order;      // without SuperLU
  double entries = 0, work = 0;  // of L; multiply-adds of the factorization
  std::optional<Index> empty_row;

  CoarsePlan(const CsrView<double>& A, double most_entries);
};

class CoarseLu {
 public:
  // Empty for a matrix that is singular to rounding.
  static std::optional<CoarseLu> factor(const CoarsePlan& plan);

  // x <- A^-1 x and A^-T x; `work`, of as many numbers, is written.
  void solve(double* x, double* work) const;
  void solve_transposed(double* x, double* work) const;

  Index rows() const { return rows_; }
  std::size_t nnz() const;
  std::size_t bytes() const { return nnz() * (sizeof(double) + sizeof(Index)); }

 private:
  void ordered(bool transposed, double* x, double* work) const;

  Index rows_ = 0;
  std::optional<SparseLu> lu_;
  Ilut<double> complete_;
  std::vector<Index> order_;
};

}  // namespace pympf::precond
