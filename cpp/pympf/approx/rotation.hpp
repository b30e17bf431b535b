// The elementary rotations: each decouples two groups of rows and columns, in closed form and with
// square roots alone, so that its bits are the same on every machine.
//
//   direct     G_u [b_ii b_ij; b_ji b_jj] G_v^T = diag(s1, s2)         |s1| >= |s2|
//   symmetric  G   [b_ii b_ij; b_ij b_jj] G^T   = diag(l1, l2)         |l1| >= |l2|
//   skew       Q K_4 Q^T = diag(l1 J, l2 J),  J = [0 -1; 1 0],         l = +-|p| +- |q|
//
// A plane rotation (x, y) -> (c x + s y, -s x + c y) is kept as t = tan(angle/2), c >= 0.
//
// so(4) = su(2) + su(2): K_4 = L(p) + R(q) with quaternions p, q without real part. Unit
// quaternions turn p and q onto the first axis, u p conj(u) = +-|p| e_1, w q conj(w) = +-|q| e_1,
// and Q = L(u) R(conj(w)). Both have the form (1, 0, a, b) / sqrt(1 + a^2 + b^2), and a and b are
// kept.
//
//   G_u, G_v   matrix(side), 2 width x 2 width, row-major
#pragma once

#include <array>

#include "pympf/common/index.hpp"

namespace pympf::approx {

enum class Side { rows, columns };

struct DirectRotation {
  static constexpr int width = 1;  // rows and columns of a group
  static constexpr int parameters = 2;
  static constexpr const char* name = "direct";
  using Matrix = std::array<double, 4>;

  Index i = 0, j = 0;
  std::array<double, parameters> t{};  // rows, columns

  static std::array<double, parameters> decouple(const Matrix& M);
  Matrix matrix(Side side) const;
  bool moves(Side side) const { return t[side == Side::columns] != 0; }
};

struct SymmetricRotation {
  static constexpr int width = 1;
  static constexpr int parameters = 1;
  static constexpr const char* name = "symmetric";
  using Matrix = std::array<double, 4>;

  Index i = 0, j = 0;
  std::array<double, parameters> t{};

  static std::array<double, parameters> decouple(const Matrix& M);
  Matrix matrix(Side) const;
  bool moves(Side) const { return t[0] != 0; }
};

// i and j number pairs of rows. A matrix of odd order has a row of zeros in front, the first of
// pair 0, which every rotation leaves exactly as it is.
struct SkewRotation {
  static constexpr int width = 2;
  static constexpr int parameters = 4;
  static constexpr const char* name = "skew";
  using Matrix = std::array<double, 16>;

  Index i = 0, j = 0;
  std::array<double, parameters> t{};  // a and b of u, and of w

  static std::array<double, parameters> decouple(const Matrix& K);
  Matrix matrix(Side) const;
  bool moves(Side) const { return true; }
};

}  // namespace pympf::approx
