#include "pympf/sketch/distribution.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/common/random.hpp"

namespace pympf::sketch {
namespace {

constexpr double kPlaces = 536870912;  // 2^29: what the upper bits of a word tell apart
constexpr Index kMostRows = 1 << 28;

Word low_bits(int count) { return count >= 64 ? ~Word{0} : (Word{1} << count) - 1; }

int bits_for(Index d) {
  int bits = 0;
  while ((Global{1} << bits) < d) ++bits;
  return bits;
}

}  // namespace

Distribution::Distribution(const DistributionParams& params) : params_(params) {
  const auto [d, b, weight, q, seed, name] = params;
  require(b >= 3 && b % 3 == 0 && d >= b && d % b == 0, "got d = ", d, ", b = ", b,
          "; expected a multiple of 3 as block size b and a multiple of b as dimension d");
  rows_ = d / b;
  p_ = b / 3;
  n_bits_ = bits_for(d);
  require(p_ >= n_bits_ + 3 && lanes() <= 64, "got b = ", b, " for d = ", d,
          "; expected a block size b of ", 3 * (n_bits_ + 3), " to ", 3 * (60 - n_bits_),
          " (b / 3 holds ceil(log2 d) + 3 bits)");
  require(rows_ < kMostRows, "got d / b = ", rows_, " blocks; expected fewer than 2^28");
  if (weight != 0) {
    require(weight >= 1 && weight <= rows_, "got weight = ", weight,
            " nonzero blocks a column; expected 1 to d / b = ", rows_);
    bands_ = weight;
    scale_ = 1 / std::sqrt(static_cast<double>(weight) * b);
  } else {
    require(q > 0 && q <= 1, "got q = ", q, "; expected a probability in (0, 1]");
    band_rows_ = static_cast<Index>(std::min<double>(rows_, std::ceil(3 / q)));
    bands_ = (rows_ - 1) / band_rows_ + 1;
    scale_ = 1 / std::sqrt(d * q);
    double rest = 1;
    for (Index k = 1; k <= band_rows_; ++k) {
      rest *= 1 - q;
      tail_.push_back(static_cast<std::uint32_t>(rest * kPlaces));
    }
  }
  const auto words = draw(0, 0);
  signature_ = (words[0] | Word{words[1]} << 32) & low_bits(p_);
  // Lanes of a block with f_s = f_c = f_m = +1: b_m = sigma_m[0], and b_s is set with sigma_s.
  const int m = p_ + 1 + n_bits_, s = m + 1, signature = m + 2;
  base_ = Word{1} << p_ | (signature_ & 1) << m | Word{1} << signature;
  for (unsigned signs = 0; signs < 8; ++signs) {
    Word flip = 0;
    if (!(signs & 1)) flip ^= low_bits(p_) | Word{1} << s;
    if (!(signs & 2)) flip ^= low_bits(n_bits_ + 3) << p_;
    if (!(signs & 4)) flip ^= Word{1} << m | Word{1} << signature;
    flips_[signs] = flip;
  }
}

Index Distribution::band_begin(Index t) const {
  if (params_.weight != 0) return static_cast<Index>(Global{t} * rows_ / bands_);
  return static_cast<Index>(std::min<Global>(rows_, Global{t} * band_rows_));
}

std::array<std::uint32_t, 4> Distribution::draw(Index j, std::uint32_t what) const {
  const auto low = [](std::uint64_t word) { return static_cast<std::uint32_t>(word); };
  return Random::philox(
      {static_cast<std::uint32_t>(j), what, low(params_.name), low(params_.name >> 32)},
      {low(params_.seed), low(params_.seed >> 32)});
}

Word Distribution::random_string(Index j) const {
  const auto words = draw(j, 1);
  return (words[0] | Word{words[1]} << 32) & low_bits(p_);
}

Word Distribution::word(Index j, Word random_string) const {
  return base_ ^ random_string ^ static_cast<Word>(j) << (p_ + 1) ^
         (random_string & 1) << (p_ + 2 + n_bits_);
}

Code* Distribution::codes(Index j, Index first, Index last, Code* out) const {
  if (params_.weight != 0) return codes_by_weight(j, first, last, out);
  for (Index t = first; t < last; ++t) out = codes_by_probability(j, t, out);
  return out;
}

Code* Distribution::codes_by_weight(Index j, Index first, Index last, Code* out) const {
  std::array<std::uint32_t, 4> words{};
  for (Index t = first; t < last; ++t) {
    if (t == first || t % 4 == 0) words = draw(j, 2 + t / 4);
    const std::uint32_t word = words[t % 4];
    const Index begin = band_begin(t), length = band_begin(t + 1) - begin;
    const auto place = static_cast<Code>((Word{word >> 3} * length) >> 29);
    *out++ = (begin + place) << 3 | (word & 7);
  }
  return out;
}

// How many blocks are skipped: k or more with probability (1 - q)^k.
Index Distribution::gap(std::uint32_t place) const {
  const auto past = std::partition_point(tail_.begin(), tail_.end(),
                                         [&](std::uint32_t tail) { return place < tail; });
  return static_cast<Index>(past - tail_.begin());
}

Code* Distribution::codes_by_probability(Index j, Index t, Code* out) const {
  const Index end = band_begin(t + 1);
  Index row = band_begin(t);
  for (std::uint32_t u = 0;; ++u) {
    for (const std::uint32_t word : draw(j, 2 + t + (u << 24))) {
      row += gap(word >> 3);
      if (row >= end) return out;
      *out++ = static_cast<Code>(row) << 3 | (word & 7);
      if (++row == end) return out;
    }
  }
}

template <class T>
void Distribution::unfold(const T* folded, std::size_t stride, T* block,
                          std::size_t block_stride) const {
  const T scale = static_cast<T>(scale_);
  const T* const c = folded + p_ * stride;
  for (int r = 0; r < p_; ++r) block[r * block_stride] = scale * folded[r * stride];
  T* const code = block + p_ * block_stride;
  for (int r = 0; r < p_; ++r) code[r * block_stride] = scale * c[0];
  for (int t = 0; t < n_bits_; ++t)
    code[(n_bits_ - t) * block_stride] = scale * c[(1 + t) * stride];
  for (int r = 1; r <= 2; ++r)
    code[(n_bits_ + r) * block_stride] = scale * c[(n_bits_ + r) * stride];
  const T m = scale * c[(n_bits_ + 3) * stride];
  for (int r = 0; r < p_; ++r) block[(2 * p_ + r) * block_stride] = signature_ >> r & 1 ? m : -m;
}

template <class T>
void Distribution::fold(const T* block, std::size_t block_stride, T* folded,
                        std::size_t stride) const {
  const T scale = static_cast<T>(scale_);
  T* const c = folded + p_ * stride;
  for (int r = 0; r < p_; ++r) folded[r * stride] = scale * block[r * block_stride];
  const T* const code = block + p_ * block_stride;
  T one = code[0];
  for (int r = n_bits_ + 3; r < p_; ++r) one += code[r * block_stride];
  c[0] = scale * one;
  for (int t = 0; t < n_bits_; ++t)
    c[(1 + t) * stride] = scale * code[(n_bits_ - t) * block_stride];
  for (int r = 1; r <= 2; ++r)
    c[(n_bits_ + r) * stride] = scale * code[(n_bits_ + r) * block_stride];
  T m = 0;
  for (int r = 0; r < p_; ++r) {
    const T y = block[(2 * p_ + r) * block_stride];
    m += signature_ >> r & 1 ? y : -y;
  }
  c[(n_bits_ + 3) * stride] = scale * m;
}

template void Distribution::unfold(const float*, std::size_t, float*, std::size_t) const;
template void Distribution::unfold(const double*, std::size_t, double*, std::size_t) const;
template void Distribution::fold(const float*, std::size_t, float*, std::size_t) const;
template void Distribution::fold(const double*, std::size_t, double*, std::size_t) const;

}  // namespace pympf::sketch
