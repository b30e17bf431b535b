// A ~ P H Q^T with P and Q products of rotations and H sparse: a core of k rows and k columns and
// few entries besides (thesis, section 2.4.2, equation 2.17; section 2.4.1, equation 2.16).
//
//   paper              code
//   P_1 ... P_L        rotations, Side::rows, first to last; P^T x applies them in this order
//   Q_1 ... Q_L        the same with Side::columns
//   H                  H, over rows and columns of A; core_rows, core_columns
//
// A product costs 4 multiply-adds per rotation and side (16 for a skew block), and nnz(H).
#pragma once

#include <memory>
#include <vector>

#include "pympf/approx/core.hpp"
#include "pympf/common/pool.hpp"

namespace pympf::approx {

template <class Rotation>
class Factorization {
 public:
  struct Parts {
    Index rows = 0, cols = 0;
    Pairing pairing;  // of the positions that rotations touch
    std::vector<Rotation> rotations;
    std::vector<Index> parts{0}, stages{0};  // as in Run
    Csr<double> H;
    std::vector<Index> core_rows, core_columns;
  };

  // Throws InvalidArgument where the parts do not fit together.
  explicit Factorization(Parts parts);
  // What a run has found, with a core of `core_size` rows and columns.
  Factorization(const Run<Rotation>& run, Index core_size, Sparsify rule, Global entries);

  const Parts& parts() const { return parts_; }
  double left_out() const { return left_out_; }  // ||what H leaves out of B||_F, of a run
  std::size_t bytes() const;

  // Y = A X or A^T X for row-major X with `count` columns.
  void multiply(const double* X, double* Y, Index count, bool transposed = false) const;
  // Y = P^T X or Q^T X, over rows or over columns; and back.
  void transform(const double* X, double* Y, Index count, Side side) const;
  void inverse_transform(const double* X, double* Y, Index count, Side side) const;
  // P^T or Q^T as a matrix: its rows are the wavelets.
  Csr<double> wavelets(Side side) const;

 private:
  void check() const;
  void rotate(double* X, Index count, Side side, bool inverse) const;

  Parts parts_;
  double left_out_ = 0;
  mutable Pool<std::vector<double>> buffers_;
};

}  // namespace pympf::approx
