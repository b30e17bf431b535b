#include "pympf/sketch/orthonormal.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/common/parallel.hpp"
#include "pympf/common/random.hpp"
#include "pympf/la/csr.hpp"

namespace pympf::sketch {
namespace {

constexpr int kPanel = 8;  // vectors that are transformed together

// x = H x for k vectors, row after row, without the factor 1 / sqrt(d).
template <class T>
void hadamard(Index d, int k, T* x) {
  for (Index half = 1; half < d; half *= 2) {
    const std::size_t length = static_cast<std::size_t>(half) * k;
    for (T* low = x; low < x + static_cast<std::size_t>(d) * k; low += 2 * length) {
      T* const high = low + length;
      for (std::size_t i = 0; i < length; ++i) {
        const T sum = low[i] + high[i];
        high[i] = low[i] - high[i];
        low[i] = sum;
      }
    }
  }
}

}  // namespace

Orthonormal::Orthonormal(Index d, std::uint64_t seed, std::uint64_t name) : d_(d) {
  while (n_bits_ < 31 && (Global{1} << n_bits_) < d) ++n_bits_;
  require(d >= 2 && (Global{1} << n_bits_) == d, "got d = ", d,
          "; expected a power of two, from 2 to 2^30");
  const auto draw = [&](std::uint32_t number, std::uint32_t what) {
    return Random::philox(
        {number, what, static_cast<std::uint32_t>(name), static_cast<std::uint32_t>(name >> 32)},
        {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  };
  const Index blocks = (d - 1) / 128 + 1;
  for (std::uint32_t i = 0; i < 3; ++i) {
    for (Index n = 0; n < blocks; ++n) {
      const auto words = draw(static_cast<std::uint32_t>(n), i);
      signs_[i].insert(signs_[i].end(), words.begin(), words.end());
    }
  }
  for (std::uint32_t r = 0; r < 4; ++r) {
    const auto words = draw(0, 3 + r);
    rounds_[r] = {words[0] | 1, words[1]};
  }
}

Index Orthonormal::image(Index i) const {
  const std::uint32_t mask = static_cast<std::uint32_t>(d_) - 1;
  auto n = static_cast<std::uint32_t>(i);
  for (const auto& [factor, summand] : rounds_)
    n = ((n ^ n >> (n_bits_ + 1) / 2) * factor + summand) & mask;
  return static_cast<Index>(n);
}

template <class T>
void Orthonormal::change_signs(int i, int k, T* x) const {
  for (Index j = 0; j < d_; ++j, x += k) {
    if (signs_[i][j / 32] >> j % 32 & 1) continue;
    for (int v = 0; v < k; ++v) x[v] = -x[v];
  }
}

template <>
Pool<Orthonormal::Room<float>>& Orthonormal::pool<float>() const {
  return singles_;
}
template <>
Pool<Orthonormal::Room<double>>& Orthonormal::pool<double>() const {
  return doubles_;
}

// pass(k, x, y) overwrites x and leaves the result in y, up to the factor d.
template <class T, class Pass>
void Orthonormal::for_panels(const T* in, Index k, T* out, const Pass& pass) const {
  const Index panels = (k - 1) / kPanel + 1;
  const auto d = static_cast<std::size_t>(d_);
  parallel_for(panels, Index{1}, worth_threads(d * k), [&](Index panel) {
    const typename Pool<Room<T>>::Lease room(pool<T>());
    const Index first = panel * kPanel;
    const int count = std::min<Index>(kPanel, k - first);
    room->x.resize(d * count);
    room->y.resize(d * count);
    for (std::size_t j = 0; j < d; ++j)
      std::copy_n(in + j * k + first, count, room->x.data() + j * count);
    pass(count, room->x.data(), room->y.data());
    const T scale = static_cast<T>(1.0 / d_);
    for (std::size_t j = 0; j < d; ++j) {
      for (int v = 0; v < count; ++v) out[j * k + first + v] = scale * room->y[j * count + v];
    }
  });
}

template <class T>
void Orthonormal::apply(const T* X, Index k, T* Y) const {
  for_panels(X, k, Y, [&](int count, T* x, T* y) {
    change_signs(0, count, x);
    hadamard(d_, count, x);
    change_signs(1, count, x);
    for (Index i = 0; i < d_; ++i)
      std::copy_n(x + static_cast<std::size_t>(image(i)) * count, count,
                  y + static_cast<std::size_t>(i) * count);
    hadamard(d_, count, y);
    change_signs(2, count, y);
  });
}

template <class T>
void Orthonormal::apply_transpose(const T* Y, Index k, T* X) const {
  for_panels(Y, k, X, [&](int count, T* y, T* x) {
    change_signs(2, count, y);
    hadamard(d_, count, y);
    for (Index i = 0; i < d_; ++i)
      std::copy_n(y + static_cast<std::size_t>(i) * count, count,
                  x + static_cast<std::size_t>(image(i)) * count);
    change_signs(1, count, x);
    hadamard(d_, count, x);
    change_signs(0, count, x);
  });
}

template void Orthonormal::apply(const float*, Index, float*) const;
template void Orthonormal::apply(const double*, Index, double*) const;
template void Orthonormal::apply_transpose(const float*, Index, float*) const;
template void Orthonormal::apply_transpose(const double*, Index, double*) const;

}  // namespace pympf::sketch
