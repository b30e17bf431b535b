// M = U D U^T >= A: threshold incomplete Cholesky of the symmetrically scaled matrix where every
// dropped number |v| is added to the two diagonal entries that it couples (Ajiz and Jennings, "A
// robust incomplete Choleski-conjugate gradient algorithm", Int. J. Numer. Meth. Eng. 20, 1984).
//
// M - A is a sum of |v| [1 -s; -s 1], s = sign(v): positive semidefinite. So no pivot of a positive
// semidefinite A is negative, x <- x + M^-1 (b - A x) converges, and no eigenvalue need be
// estimated. A pivot that vanishes is raised to 1 (of the scaled matrix). At a negative one the
// factorization begins anew with the diagonal of A raised to dominance; otherwise the factor of an
// indefinite matrix would grow without bound. Both keep M >= A.
//
// What that adds makes smooth errors the slowest of all. Where CG takes the factor without a
// hierarchy, and A has no positive entry off the diagonal and no negative row sum, the diagonal is
// lowered instead, by 0.9 |v| (Axelsson and Lindskog, "On the eigenvalue distribution of a class of
// preconditioning methods", Numer. Math. 48, 1986, section 2): smooth errors hardly see that v is
// missing. All row sums that are left stay nonnegative, so no pivot is negative, but M >= A no
// more.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"
#include "pympf/precond/smoothers/domains.hpp"

namespace pympf::precond {

// What a dropped number does to the two diagonal entries that it couples.
enum class Dropped { raises_diagonal, lowers_diagonal };

template <class T>
class IncompleteCholesky {
 public:
  IncompleteCholesky() = default;
  // Drops below drop_tolerance times the norm of the column, and keeps at most as many entries as
  // the column of A has, and `fill` more.
  IncompleteCholesky(const CsrView<double>& A, const Domains& domains, double drop_tolerance,
                     int fill, Dropped dropped = Dropped::raises_diagonal);
  // `diagonal` takes the place of that of A; columns behind the own rows, of ghosts, are left out.
  IncompleteCholesky(const CsrView<double>& A, const std::vector<double>& diagonal,
                     const Domains& domains, double drop_tolerance, int fill,
                     Dropped dropped = Dropped::raises_diagonal);

  // x <- M^-1 x; of several lanes x is a panel (la/block.hpp).
  void solve(T* x, Index lanes = 1) const;

  std::size_t nnz() const { return value_.size(); }
  std::size_t bytes() const {
    return (value_.size() + tail_value_.size()) * (sizeof(T) + sizeof(Index));
  }
  // Twice the sum of what the scaled matrix lost, over the number of rows; 0: M = A.
  double compensation() const { return compensation_; }
  // The smallest pivot of the scaled matrix, of those that were not raised: M takes some vector for
  // so smooth, relative to the energy of D, and S = M^-1 blows rounding errors up as much.
  double least_pivot() const { return least_pivot_; }
  // What was dropped and raised the diagonal of a row of the interface, over that of an interior
  // row (means of both); 0 where nothing was dropped.
  double cut_loss() const { return cut_loss_; }
  // A diagonal or a pivot was negative: A is not positive semidefinite.
  bool found_negative() const { return found_negative_; }

 private:
  // Take the numbers over from a factorization of the scaled matrix.
  template <class From>
  void take_columns(const From& from, Index interior);
  template <class From>
  void take_tails(const From& from, const Domains& domains);
  template <int K>
  void forward(T* x) const;
  template <int K>
  void backward(T* x) const;

  Index rows_ = 0;
  std::vector<Index> strips_;  // Domains::ptr
  std::vector<Index> start_,
      split_;  // columns of U below the unit diagonal; interface rows from split
  std::vector<Index> index_;
  std::vector<T> value_;
  std::vector<Index> tail_start_, tail_index_;  // interface rows of the interior columns, by rows
  std::vector<T> tail_value_;
  std::vector<T> inverse_;  // D^-1
  double compensation_ = 0, cut_loss_ = 0, least_pivot_ = 1;
  bool found_negative_ = false;
};

}  // namespace pympf::precond
