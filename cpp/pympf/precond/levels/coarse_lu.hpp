// A^-1 of a level's matrix that need not be symmetric, by a sparse LU factorization: one of
// la/sparse_factor, or, where the library was built without them, a complete one by rows in reverse
// Cuthill-McKee order. Over ranks every rank factors the whole matrix, which is
// small, and gathers right-hand sides.
#pragma once

#include <optional>
#include <vector>

#include "pympf/la/sparse_factor/sparse_factor.hpp"
#include "pympf/precond/levels/border.hpp"
#include "pympf/precond/smoothers/ilut.hpp"

namespace pympf::precond {

// What a factorization would cost, and the order that it is made in. Nothing is counted beyond
// `most_entries` of L, and so many are reckoned where nothing is known of the fill.
struct CoarsePlan {
  Csr<double> A;                         // with zeros where only A^T has an entry
  std::unique_ptr<SparseFactor> factor;  // analyzed
  std::vector<Index> order;              // where there is no library for it
  Fill fill;
  std::optional<Index> empty_row;

  CoarsePlan(const CsrView<double>& A, const std::string& backend, double most_entries);
};

class CoarseLu {
 public:
  // Of A with `raise` times its largest entry added to the size of its diagonal entries. Empty for
  // a matrix that is singular to rounding; else the plan is used up.
  static std::optional<CoarseLu> factor(CoarsePlan& plan, double raise = 0);

  // x <- A^-1 x and A^-T x; `work`, of as many numbers, is written.
  void solve(double* x, double* work) const;
  void solve_transposed(double* x, double* work) const;

  Index rows() const { return rows_; }
  std::size_t nnz() const;
  const SparseFactor* library() const { return factor_.get(); }  // null where there is none
  std::size_t bytes() const { return nnz() * (sizeof(double) + sizeof(Index)); }

 private:
  void ordered(bool transposed, double* x, double* work) const;

  Index rows_ = 0;
  std::unique_ptr<SparseFactor> factor_;
  Ilut<double> complete_;
  std::vector<Index> order_;
};

}  // namespace pympf::precond
