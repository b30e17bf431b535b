// Standard normal numbers from counters, the same bits on every machine: their functions are series
// of sums, products and quotients, which IEEE arithmetic rounds alike everywhere; a libm's are not.
#pragma once

#include <array>
#include <cstdint>

#include "pympf/common/random.hpp"

namespace pympf {

// A multiple of 2^-53 in [0, 1) from two words.
double uniform(std::uint32_t high, std::uint32_t low);

// Two independent numbers from a block of words, by Box and Muller's map
// (sqrt(-2 log u) cos 2 pi v, sqrt(-2 log u) sin 2 pi v).
std::array<double, 2> normal_pair(const Random::Block& words);

}  // namespace pympf
