// The block-sparse distribution D(b, q, d) (paper 000, section 4.3, algorithms 1 and 2). Column j
// of R is made of d / b blocks; a nonzero one is, with p = b / 3,
//
//   scale * [ f_s sigma_s(j) | f_c Enc(j, f_m sigma_m[0], f_s sigma_s(j)[0]) | f_m sigma_m ],
//   Enc(j, b_m, b_s) = [ +1 | bits of j, the most significant first | b_m | b_s | +1 ... ].
//
//   paper            here
//   d_sketch, b, q   d, b, probability; or `weight` nonzero blocks in every column
//   sigma_m          matrix signature, p signs
//   sigma_s, Enc     random string and column signature of a column
//   f_s, f_c, f_m    bits 0, 1, 2 of a block's code (set: +1), whose other bits are its block row
//   1 / sqrt(d q)    scale; 1 / sqrt(weight b) where the weight is exact: then columns are unit
//
// Everything is drawn from Philox counters (column, what, name) under the key `seed`:
//   what = 0           sigma_m (column 0)
//   what = 1           sigma_s of the column
//   what = 2 + t / 4   exact weight: word t % 4 places the block in band t of `weight` bands
//   what = 2 + t, + 2^24 u: by probability: words 4 u, 4 u + 1, ... are the gaps between the
//   nonzero
//                      blocks of band t, which has about three
// A band is a range of block rows; a word's three low bits are the signs and its others the place.
//
// A block has only p + n_bits + 4 different entries up to sign. So kernels work on *folded*
// vectors, which have for each block row `lanes` numbers,
//   [ s: p | +1: 1 | bits of j, the least significant first: n_bits | b_m | b_s | m: 1 ],
// and a block is one word of signs, that of its column XOR one of eight words of its matrix.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "pympf/common/index.hpp"

namespace pympf::sketch {

using Word = std::uint64_t;
using Code = std::uint32_t;  // block row << 3 | signs

struct DistributionParams {
  Index d = 3, b = 3;
  Index weight = 0;        // nonzero blocks of every column; 0: by probability
  double probability = 1;  // of a block to be nonzero
  std::uint64_t seed = 0, name = 0;
};

class Distribution {
 public:
  explicit Distribution(const DistributionParams& params);

  const DistributionParams& params() const { return params_; }
  Index rows() const { return rows_; }    // of blocks: d / b
  int p() const { return p_; }            // entries of a third of a block
  int n_bits() const { return n_bits_; }  // of a column's number
  int lanes() const { return p_ + n_bits_ + 4; }
  double scale() const { return scale_; }

  Index bands() const { return bands_; }
  Index band_begin(Index t) const;  // of bands() + 1 borders

  Word matrix_signature() const { return signature_; }  // bit r: sign of entry r
  Word random_string(Index j) const;
  // Signs of the lanes of column j's blocks: word(j, sigma_s) ^ flips()[signs].
  Word word(Index j, Word random_string) const;
  const std::array<Word, 8>& flips() const { return flips_; }

  // Writes the codes of the nonzero blocks of column j in bands [first, last), by block row, and
  // gives their end. There may be `most_codes` of them.
  Code* codes(Index j, Index first, Index last, Code* out) const;
  Index most_codes(Index first, Index last) const {
    return params_.weight != 0 ? last - first : band_begin(last) - band_begin(first);
  }

  // From a folded block row to the block's b entries, times the scale; and the transposed of that.
  // A folded number is `stride` from the next one of its vector.
  template <class T>
  void unfold(const T* folded, std::size_t stride, T* block, std::size_t block_stride) const;
  template <class T>
  void fold(const T* block, std::size_t block_stride, T* folded, std::size_t stride) const;

 private:
  std::array<std::uint32_t, 4> draw(Index j, std::uint32_t what) const;
  Code* codes_by_weight(Index j, Index first, Index last, Code* out) const;
  Code* codes_by_probability(Index j, Index t, Code* out) const;
  Index gap(std::uint32_t place) const;

  DistributionParams params_;
  Index rows_, bands_ = 1, band_rows_ = 1;
  int p_, n_bits_;
  double scale_;
  Word signature_ = 0, base_ = 0;
  std::array<Word, 8> flips_{};
  std::vector<std::uint32_t> tail_;  // by probability: 2^29 (1 - q)^k, k = 1, 2, ...
};

}  // namespace pympf::sketch
