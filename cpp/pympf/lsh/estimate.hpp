// Projections in float arithmetic, as fast as the processor multiplies, and what can be told from
// them. Their last bits depend on the processor; `Family` lets them decide only where their error
// cannot change a key.
#pragma once

#include <cstddef>
#include <cstdint>

#include "pympf/la/csr.hpp"

namespace pympf::lsh {

inline constexpr int kLanes = 64;  // functions that are evaluated together

struct alignas(64) Lanes {
  float at[kLanes];
};

// v[i] = offset + sum_l x[i][l] a[l] for rows of x that are `stride` apart; cost 2 * 64 flops for
// each number of x.
void estimate(const float* x, std::size_t stride, int rows, const Lanes* a, Index features,
              const Lanes& offset, Lanes* v);

float squared_norm(const float* x, Index features);

// Bit f: v_f >= 0. In `unsure` those with |v_f| <= error.
std::uint64_t signs(const Lanes& v, float error, std::uint64_t& unsure);

// floor(v_f / width). In `unsure` bits of those that an error of v_f could change.
void slabs(const Lanes& v, float width, float error, std::int32_t* cells, std::uint64_t& unsure);

}  // namespace pympf::lsh
