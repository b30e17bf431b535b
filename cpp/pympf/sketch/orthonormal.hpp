// A fast random orthonormal matrix R = D_2 H P D_1 H D_0 for d a power of two: H is the normalized
// Hadamard matrix, the D_i are random signs, P is a random permutation. (Ailon, Chazelle, "The fast
// Johnson-Lindenstrauss transform", SIAM J. Comput. 39, 2009, has one such pass.)
//
// Signs and permutation are drawn from Philox counters (number, what, name) under the key `seed`:
//   what = i < 3  bit b % 32 of word b / 32 of number n is the sign of entry 128 n + b in D_i
//   what = 3 + r  words 0 and 1 are the factor (made odd) and the summand of round r of
//                 i -> (i xor i >> (n_bits + 1) / 2) * factor + summand mod d, of four rounds:
//                 (P x)_i = x at the image of i
//
// Cost: 2 d log2 d additions for each vector.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "pympf/common/index.hpp"
#include "pympf/common/pool.hpp"

namespace pympf::sketch {

class Orthonormal {
 public:
  Orthonormal(Index d, std::uint64_t seed, std::uint64_t name);

  Index d() const { return d_; }
  std::size_t bytes() const { return 3 * signs_[0].size() * sizeof(std::uint32_t); }

  // X and Y have d rows of k numbers.
  template <class T>
  void apply(const T* X, Index k, T* Y) const;
  template <class T>
  void apply_transpose(const T* Y, Index k, T* X) const;

 private:
  template <class T>
  struct Room {
    std::vector<T> x, y;
  };
  template <class T>
  Pool<Room<T>>& pool() const;
  template <class T, class Pass>
  void for_panels(const T* in, Index k, T* out, const Pass& pass) const;
  template <class T>
  void change_signs(int i, int k, T* x) const;
  Index image(Index i) const;

  Index d_;
  int n_bits_ = 0;
  std::array<std::vector<std::uint32_t>, 3> signs_;
  std::array<std::array<std::uint32_t, 2>, 4> rounds_;
  mutable Pool<Room<float>> singles_;
  mutable Pool<Room<double>> doubles_;
};

}  // namespace pympf::sketch
