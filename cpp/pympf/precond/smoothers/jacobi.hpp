// The diagonal as a preconditioner.
#pragma once

#include <cmath>
#include <cstddef>
#include <utility>
#include <vector>

#include "pympf/la/blas1.hpp"
#include "pympf/la/block.hpp"

namespace pympf::precond {

// z = D^-1 r with |a_ii|, and 1 for a zero.
template <class T>
class Jacobi {
 public:
  Jacobi() = default;
  explicit Jacobi(std::vector<T> diagonal) : inverse_(std::move(diagonal)) {
    for (T& d : inverse_) d = d != 0 ? T(1) / std::abs(d) : T(1);
  }

  void apply(const Block<const T>& R, const Block<T>& Z) const {
    const T* inverse = inverse_.data();
    for (Index c = 0; c < R.count(); ++c) {
      const T* r = R.at(c);
      T* z = Z.at(c);
      for_chunks(inverse_.size(), [&](std::size_t, std::size_t i, std::size_t end) {
        for (; i < end; ++i) z[i * Z.stride] = inverse[i] * r[i * R.stride];
      });
    }
  }

 private:
  std::vector<T> inverse_;
};

}  // namespace pympf::precond
