// Unknowns that rows determine by themselves: Dirichlet rows as finite element packages leave them.
//
//   a_ii x_i = b_i     a row with nothing but a diagonal entry (what else is stored is zero)
//
// With its value known, column i goes to the right-hand side, and other rows may be left with a
// diagonal entry only, and so on. What remains ("the rest") is often symmetric where A is not:
//
//   D: determined, F: free        A = [ A_DD   0  ]    rest = [ s|diag A_DD|   0  ]
//                                     [ A_FD A_FF ]           [      0       A_FF ]
//
// with the sign s that the diagonal of A_FF has, so that the rest is as definite as A_FF.
#pragma once

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "pympf/la/symmetry.hpp"

namespace pympf {

template <class T>
class Determined {
 public:
  // Keeps what it needs of A. Collective, as all here is but count() and rest().
  explicit Determined(const DistRows<T>& A);

  Global count() const { return count_; }  // on all ranks
  DistRows<T> rest(const DistRows<T>& A) const;

  // x_D of A x = b. The other entries of x stay.
  void solve(const T* b, T* x) const;
  // What rounding may leave of b - A x in D; 0 elsewhere.
  std::vector<double> rounding(const T* b, const T* x) const;
  // The right-hand side for which the rest has the solution x of A x = b, given x_D.
  void move_to_right(const T* b, const T* x, T* rest_b) const;

 private:
  void find(const DistRows<T>& A);
  std::vector<T> with_ghosts(const T* x) const;
  void keep_known_columns(const DistRows<T>& A);
  double without_known(Index i, const T* b, const std::vector<T>& columns) const;
  T rest_diagonal(Index i) const { return sign_ * std::abs(diagonal_[i]); }

  Halo halo_;
  Index shift_;
  std::vector<T> diagonal_;
  std::vector<char> known_;                 // of the columns
  std::vector<std::vector<Index>> rounds_;  // own rows in the order of elimination
  Csr<T> moved_;                            // a_ij, j in D, but for the diagonal
  Global count_ = 0;
  T sign_ = 1;
};

// How a matrix goes to what needs a symmetric one.
template <class T>
struct Admission {
  Asymmetry found;                            // of the matrix
  std::shared_ptr<DistRows<T>> rows;          // symmetric in values and pattern; or null
  std::shared_ptr<Determined<T>> determined;  // null: A was symmetric
  Asymmetry found_in_rest;

  // Why not: what was expected, what came, and what would do. `otherwise` says what to do with a
  // matrix that is not symmetric in any way.
  std::string refusal(const std::string& otherwise) const;
  // What to tell who solves with A as it is: that it is symmetric but for rounding; or nothing.
  std::string remark() const;
};

// A as it is if it is symmetric, with zeros where its pattern has gaps, or its rest. Sets
// A.symmetric_pattern and what the pass has seen. Collective.
template <class T>
Admission<T> admit(const std::shared_ptr<DistRows<T>>& A);

}  // namespace pympf
