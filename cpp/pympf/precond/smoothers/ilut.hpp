// Incomplete LU factorization of a matrix that need not be symmetric, by rows with two thresholds
// (Saad, "ILUT: a dual threshold incomplete LU factorization", Numer. Linear Algebra Appl. 1,
// 1994).
//
//   A ~ L U,  L with a unit diagonal
//   row i     w = a_i;  for k < i with w_k != 0, ascending:  w_k /= u_kk,  w -= w_k u_k
//
//   Saad      code
//   tau       IlutRule::drop    multipliers below tau, and entries of U below tau times the mean
//                               magnitude of the row of A, are dropped
//   p         IlutRule::more    L and U keep as many entries of a row as A has there, and p more
//   ILU(0)    IlutRule::pattern what A has, nothing else
//
// Triangles that stay in the cache are solved in waves of rows that need nothing of each other, so
// that the processor works on several at once: in the order of the rows each would wait for the one
// before it. The bits are the same.
//
// Cost: the multiply-adds that `work` counts; a solution takes one for each entry of L and U.
#pragma once

#include <cstddef>
#include <limits>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf::precond {

struct IlutRule {
  double drop = 0.01;
  Index more = 1;
  bool pattern = false;

  static IlutRule zero_fill() { return {0, 0, true}; }
  static IlutRule complete() { return {0, std::numeric_limits<Index>::max() / 4, false}; }
};

template <class T>
class Ilut {
 public:
  Ilut() = default;
  // Of the own block: columns from A.rows on are left out. A pivot below 1e-8 of its row is
  // replaced (pivots_replaced). InvalidArgument when L and U have more than `most` entries.
  Ilut(const CsrView<double>& A, const IlutRule& rule,
       std::size_t most = std::numeric_limits<Index>::max());

  void solve(T* x) const;             // x <- (L U)^-1 x
  void solve_transposed(T* x) const;  // x <- (L U)^-T x

  Index rows() const { return static_cast<Index>(inverse_.size()); }
  std::size_t nnz() const { return L_.data.size() + U_.data.size() + inverse_.size(); }
  std::size_t bytes() const { return nnz() * (sizeof(T) + sizeof(Index)); }
  double work() const { return work_; }
  Index pivots_replaced() const { return replaced_; }

 private:
  Csr<T> L_, U_;  // strict parts
  std::vector<Index> L_order_, U_order_;
  std::vector<T> inverse_;
  double work_ = 0;
  Index replaced_ = 0;
};

}  // namespace pympf::precond
