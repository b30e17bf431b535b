// Orthogonal wavelets on a periodic grid of one to three axes (thesis, appendix A).
//
// One level on one axis maps the first s entries x of each of its lines to the s/2 averages and the
// s/2 details
//   a_k = sum_m h_m x_{(2k+m) mod s},   d_k = sum_m g_m x_{(2k+m) mod s},   g_m = (-1)^m
//   h_{2p-1-m};
// the next one goes on with the averages. W^T = W_L ... W_1 over all levels and axes.
//
//   paper   code
//   W^T x   transform
//   W c     transform, inverse
//   W_l     factor, one level on one axis
//
// Cost: 4p n multiply-adds on each axis for all levels together. Lines are independent: threads
// share them, with the same bits on any number.
#pragma once

#include <vector>

#include "pympf/common/pool.hpp"
#include "pympf/la/csr.hpp"

namespace pympf::approx {

class Wavelets {
 public:
  // The last axis is the fastest; levels[a] halvings of axis a; h is orthogonal to its even shifts.
  // Throws InvalidArgument where that is not so.
  Wavelets(std::vector<Index> grid, std::vector<Index> levels, std::vector<double> filter);

  Index rows() const { return rows_; }
  const std::vector<Index>& levels() const { return levels_; }
  // Y = W^T X, or W X; row-major blocks of `count` columns. Allocates nothing after the first call.
  void transform(const double* X, double* Y, Index count, bool inverse = false) const;
  Csr<double> factor(Index axis, Index level) const;
  // W^T by rows, which is W by columns, without what is zero but for rounding.
  Csr<double> transposed() const;

 private:
  struct Axis {
    Index before, size, after;  // the grid is before x size x after
  };
  Axis axis(Index a) const;
  void level(const Axis& axis, Index size, Index count, double* Y, double* work,
             bool inverse) const;

  std::vector<Index> grid_, levels_;
  std::vector<double> low_, high_;
  Index rows_ = 1;
  mutable Pool<std::vector<double>> buffers_;
};

}  // namespace pympf::approx
