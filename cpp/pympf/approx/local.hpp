// A dense block B of at most a few hundred rows, decoupled best first: the two groups i < j with
// the largest gain ||B_ij||^2 + ||B_ji||^2 are rotated until no gain is above a threshold. The gain
// is exactly what a rotation brings from outside the diagonal blocks into them.
//
// Cost: 8 multiply-adds per row of the block and rotation, and as many comparisons as it has
// groups.
#pragma once

#include <algorithm>
#include <vector>

#include "pympf/approx/rotation.hpp"

namespace pympf::approx {

template <class Rotation>
class Local {
 public:
  static constexpr int w = Rotation::width;

  // Memory for a block of `groups`, all zero: fill in block(), then run().
  void reset(Index groups) {
    groups_ = groups;
    order_ = groups * w;
    B_.assign(static_cast<std::size_t>(order_) * order_, 0.0);
  }
  double* row(Index i) { return &B_[static_cast<std::size_t>(i) * order_]; }

  // Rotations with i and j counted in the block, and the gain of each, behind what is there.
  void run(double threshold, Index most, std::vector<Rotation>& rotations,
           std::vector<double>& gains) {
    best_.assign(groups_, -1);
    best_gain_.assign(groups_, 0.0);
    for (Index i = 0; i < groups_; ++i) find_best(i);
    for (Index count = 0; count < most; ++count) {
      Index i = -1;
      double gain = threshold;
      for (Index q = 0; q < groups_; ++q)
        if (best_gain_[q] > gain) gain = best_gain_[i = q];
      if (i < 0) return;
      const Index j = best_[i];
      Rotation rotation{i, j, Rotation::decouple(corner(i, j))};
      rotate(rotation);
      rotations.push_back(rotation);
      gains.push_back(gain);
      update_best(i, j);
    }
  }

 private:
  using Matrix = typename Rotation::Matrix;
  static constexpr int k = 2 * w;

  static std::array<Index, k> lines(Index i, Index j) {
    std::array<Index, k> out{};
    for (int a = 0; a < w; ++a) {
      out[a] = i * w + a;
      out[w + a] = j * w + a;
    }
    return out;
  }

  Matrix corner(Index i, Index j) {
    const auto at = lines(i, j);
    Matrix M{};
    for (int a = 0; a < k; ++a)
      for (int b = 0; b < k; ++b) M[k * a + b] = row(at[a])[at[b]];
    return M;
  }

  void rotate(const Rotation& rotation) {
    const auto at = lines(rotation.i, rotation.j);
    const auto mix = [](const Matrix& G, const std::array<double*, k>& place) {
      double x[k];
      for (int b = 0; b < k; ++b) x[b] = *place[b];
      for (int a = 0; a < k; ++a) {
        double sum = G[k * a] * x[0];
        for (int b = 1; b < k; ++b) sum += G[k * a + b] * x[b];
        *place[a] = sum;
      }
    };
    std::array<double*, k> place{};
    if (rotation.moves(Side::rows)) {
      const Matrix G = rotation.matrix(Side::rows);
      for (Index q = 0; q < order_; ++q) {
        for (int a = 0; a < k; ++a) place[a] = row(at[a]) + q;
        mix(G, place);
      }
    }
    if (rotation.moves(Side::columns)) {
      const Matrix G = rotation.matrix(Side::columns);
      for (Index q = 0; q < order_; ++q) {
        for (int a = 0; a < k; ++a) place[a] = row(q) + at[a];
        mix(G, place);
      }
    }
    for (int a = 0; a < w; ++a)
      for (int b = w; b < k; ++b) row(at[a])[at[b]] = row(at[b])[at[a]] = 0;
  }

  double gain(Index i, Index j) {
    double sum = 0;
    for (int a = 0; a < w; ++a)
      for (int b = 0; b < w; ++b) {
        const double x = row(i * w + a)[j * w + b], y = row(j * w + b)[i * w + a];
        sum += x * x + y * y;
      }
    return sum;
  }

  void find_best(Index i) {
    best_[i] = -1;
    best_gain_[i] = 0;
    for (Index j = 0; j < groups_; ++j)
      if (j != i) offer(i, j);
  }
  void offer(Index i, Index j) {
    const double g = i < j ? gain(i, j) : gain(j, i);  // the same bits for both
    if (g > best_gain_[i]) {
      best_gain_[i] = g;
      best_[i] = j;
    }
  }
  void update_best(Index i, Index j) {
    find_best(i);
    find_best(j);
    for (Index q = 0; q < groups_; ++q) {
      if (q == i || q == j) continue;
      if (best_[q] == i || best_[q] == j) {
        find_best(q);
      } else {
        offer(q, i);
        offer(q, j);
      }
    }
  }

  Index groups_ = 0, order_ = 0;
  std::vector<double> B_;
  std::vector<Index> best_;
  std::vector<double> best_gain_;
};

}  // namespace pympf::approx
