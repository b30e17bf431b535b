// The arithmetic that defines keys and distances: its bits are the same on every machine, as the
// order of all sums is fixed and no product is fused with a sum.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "pympf/la/csr.hpp"
#include "pympf/lsh/estimate.hpp"

namespace pympf::lsh {

using Word = std::uint64_t;

// v_f += a_f1 x_1 + a_f2 x_2 + ..., one product and one sum after the other, in double. `index` is
// null for dense rows.
template <class T>
void project(const Lanes* a, const Index* index, const T* x, Index count,
             std::array<double, kLanes>& v);

// ||x - y_i|| for rows y_i of `points`: sixteen partial sums, then their tree, then the root. What
// is ordered is the distance: the root makes equal distances of different squares. Right on the
// whole range of T: where squares would leave it, gaps are divided by a power of two.
template <class T>
void distances(const T* points, Index features, const T* x, const Index* rows, std::size_t count,
               T* out);

// In `near` the places, among `count` (a multiple of kCodes), of codes that differ from `code` in
// at most `limit` bits, in `bits` how many; returns their number. Codes lie in blocks of kCodes,
// word after word: word w of code i is codes[(i / kCodes * words + w) * kCodes + i % kCodes].
inline constexpr std::size_t kCodes = 32;
std::size_t near_codes(const Word* codes, std::size_t count, int words, const Word* code, int limit,
                       Index* near, int* bits);

}  // namespace pympf::lsh
