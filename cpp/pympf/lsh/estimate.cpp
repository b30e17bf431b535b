#include "pympf/lsh/estimate.hpp"

#include <cmath>
#include <cstring>

#include "pympf/common/simd.hpp"

namespace pympf::lsh {
namespace {

using Vector4 = float __attribute__((vector_size(16)));
using Vector8 = float __attribute__((vector_size(32)));
using Vector16 = float __attribute__((vector_size(64)));

// P rows by N vectors of sums stay in registers: 12 of 16 (N P = 12), or 24 of 32.
template <class V, int N, int P>
PYMPF_INLINE void estimate_block(const float* x, std::size_t stride, const Lanes* a, Index features,
                                 const Lanes& offset, Lanes* v) {
  constexpr int width = sizeof(V) / sizeof(float);
  for (int first = 0; first < kLanes; first += N * width) {
    V sum[P][N], factor[N];
    for (int q = 0; q < N; ++q) {
      for (int p = 0; p < P; ++p) std::memcpy(&sum[p][q], offset.at + first + q * width, sizeof(V));
    }
    for (Index l = 0; l < features; ++l) {
      for (int q = 0; q < N; ++q) std::memcpy(&factor[q], a[l].at + first + q * width, sizeof(V));
      for (int p = 0; p < P; ++p) {
        const float number = x[p * stride + l];
        for (int q = 0; q < N; ++q) sum[p][q] += factor[q] * number;
      }
    }
    for (int p = 0; p < P; ++p) {
      for (int q = 0; q < N; ++q) std::memcpy(v[p].at + first + q * width, &sum[p][q], sizeof(V));
    }
  }
}

template <class V, int N, int P>
PYMPF_INLINE void estimate_rows(const float* x, std::size_t stride, int rows, const Lanes* a,
                                Index features, const Lanes& offset, Lanes* v) {
  int i = 0;
  for (; i + P <= rows; i += P)
    estimate_block<V, N, P>(x + i * stride, stride, a, features, offset, v + i);
  for (; i < rows; ++i) estimate_block<V, N, 1>(x + i * stride, stride, a, features, offset, v + i);
}

PYMPF_INLINE float norm_body(const float* x, Index features) {
  float part[16] = {};
  Index l = 0;
  for (; l + 16 <= features; l += 16) {
    for (int j = 0; j < 16; ++j) part[j] += x[l + j] * x[l + j];
  }
  for (int j = 0; l < features; ++l, ++j) part[j] += x[l] * x[l];
  for (int half = 8; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) part[j] += part[j + half];
  }
  return part[0];
}

// One bit for each byte, which is 0 or 1: a product moves the eight of a word next to each other.
PYMPF_INLINE std::uint64_t bits_of(const unsigned char* flags) {
  std::uint64_t bits = 0;
  for (int i = 0; i < kLanes / 8; ++i) {
    std::uint64_t eight;
    std::memcpy(&eight, flags + 8 * i, 8);
    bits |= (eight * 0x0102040810204080u >> 56) << (8 * i);
  }
  return bits;
}

PYMPF_INLINE bool any_of(const unsigned char* flags) {
  std::uint64_t words[kLanes / 8], any = 0;
  std::memcpy(words, flags, kLanes);
  for (std::uint64_t word : words) any |= word;
  return any != 0;
}

PYMPF_INLINE std::uint64_t signs_body(const Lanes& v, float error, std::uint64_t& unsure) {
  alignas(64) unsigned char positive[kLanes], doubt[kLanes];
  for (int f = 0; f < kLanes; ++f) positive[f] = v.at[f] >= 0;
  for (int f = 0; f < kLanes; ++f) doubt[f] = !(std::abs(v.at[f]) > error);
  unsure = any_of(doubt) ? bits_of(doubt) : 0;
  return bits_of(positive);
}

// The quotient t has a relative error of a few float units more than v.
PYMPF_INLINE void slabs_body(const Lanes& v, float width, float error, std::int32_t* cells,
                             std::uint64_t& unsure) {
  const float inverse = 1 / width, margin = 1.001f * error * inverse;
  alignas(64) unsigned char doubt[kLanes];
  for (int f = 0; f < kLanes; ++f) {
    const float t = v.at[f] * inverse;
    const float cell = std::floor(t), above = t - cell, slack = margin + 0x1p-21f * std::abs(t);
    const bool sure = (above > slack) & (above < 1 - slack);
    doubt[f] = !sure;
    cells[f] = static_cast<std::int32_t>(sure ? cell : 0.0f);
  }
  unsure = any_of(doubt) ? bits_of(doubt) : 0;
}

struct Kernels {
  void (*estimate)(const float*, std::size_t, int, const Lanes*, Index, const Lanes&, Lanes*);
  float (*squared_norm)(const float*, Index);
  std::uint64_t (*signs)(const Lanes&, float, std::uint64_t&);
  void (*slabs)(const Lanes&, float, float, std::int32_t*, std::uint64_t&);
};

// The same four functions for an instruction set.
#define PYMPF_KERNELS(name, target, V, N, P)                                                  \
  struct name {                                                                               \
    target static void estimate(const float* x, std::size_t stride, int rows, const Lanes* a, \
                                Index features, const Lanes& offset, Lanes* v) {              \
      estimate_rows<V, N, P>(x, stride, rows, a, features, offset, v);                        \
    }                                                                                         \
    target static float squared_norm(const float* x, Index features) {                        \
      return norm_body(x, features);                                                          \
    }                                                                                         \
    target static std::uint64_t signs(const Lanes& v, float error, std::uint64_t& unsure) {   \
      return signs_body(v, error, unsure);                                                    \
    }                                                                                         \
    target static void slabs(const Lanes& v, float width, float error, std::int32_t* cells,   \
                             std::uint64_t& unsure) {                                         \
      slabs_body(v, width, error, cells, unsure);                                             \
    }                                                                                         \
    static constexpr Kernels all{estimate, squared_norm, signs, slabs};                       \
  }

PYMPF_KERNELS(Plain, , Vector4, 4, 3);
#ifdef PYMPF_X86
PYMPF_KERNELS(Avx2, PYMPF_AVX2, Vector8, 2, 6);
PYMPF_KERNELS(Avx512, PYMPF_AVX512, Vector16, 4, 6);
#else
using Avx2 = Plain;
using Avx512 = Plain;
#endif

const Kernels& kernels() {
  static const Kernels* const chosen = choose(&Plain::all, &Avx2::all, &Avx512::all);
  return *chosen;
}

}  // namespace

void estimate(const float* x, std::size_t stride, int rows, const Lanes* a, Index features,
              const Lanes& offset, Lanes* v) {
  kernels().estimate(x, stride, rows, a, features, offset, v);
}

float squared_norm(const float* x, Index features) { return kernels().squared_norm(x, features); }

std::uint64_t signs(const Lanes& v, float error, std::uint64_t& unsure) {
  return kernels().signs(v, error, unsure);
}

void slabs(const Lanes& v, float width, float error, std::int32_t* cells, std::uint64_t& unsure) {
  kernels().slabs(v, width, error, cells, unsure);
}

}  // namespace pympf::lsh
