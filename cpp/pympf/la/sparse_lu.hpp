// Sparse LU factorization of a symmetric matrix that need not be definite, by SuperLU (Li, "An
// overview of SuperLU", ACM Trans. Math. Software 31, 2005), and what it would cost. A matrix with
// a symmetric pattern only is taken by its columns: give A^T by rows, and A is factored.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf {

// What a factor L of a symmetric matrix takes without pivoting.
struct Fill {
  double entries = 0;  // of L, diagonal and all
  double work = 0;     // sum of the squares of the lengths of its columns: multiply-adds
};

// order[k]: the row that comes k-th. Counting stops when there are more than `most` entries.
Fill fill_of(const CsrView<double>& A, const std::vector<Index>& order, double most);

// How a symmetric matrix is going to be factored.
struct LuPlan {
  // Every diagonal entry is there: pivots stay on it unless they are a hundred times too small, in
  // the order of minimum degree. Otherwise rows are exchanged freely, and the fill is not known.
  bool on_diagonal = false;
  bool has_zero_row = false;  // then there is neither an order nor a factor
  std::vector<Index> order;
  Fill fill;

  LuPlan() = default;
  LuPlan(const CsrView<double>& A, double most_entries);
};

class SparseLu {
 public:
  // Whether the library was built with SuperLU; without it nothing here can be called.
  static bool available();

  // fixed: every pivot is the next diagonal entry, however small, so the factor fills as planned;
  // stable for a definite matrix, and to be tried for others.
  enum class Pivots { free, fixed };

  // Empty for a matrix that is singular to rounding.
  static std::optional<SparseLu> factor(const CsrView<double>& A, const LuPlan& plan,
                                        Pivots pivots = Pivots::free);
  ~SparseLu();
  SparseLu(SparseLu&&) noexcept;
  SparseLu& operator=(SparseLu&&) noexcept;

  // x <- A^-1 x, and A^-T x; `work` holds as many numbers.
  void solve(double* x, double* work) const;
  void solve_transposed(double* x, double* work) const;

  // The number of negative pivots, which is that of the negative eigenvalues (Sylvester); none if
  // some pivot was taken off the diagonal.
  std::optional<Index> negative_pivots() const;

  std::size_t nnz() const;  // of L and U
  std::size_t bytes() const;

 private:
  struct Factors;
  SparseLu();
  std::unique_ptr<Factors> factors_;
};

}  // namespace pympf
