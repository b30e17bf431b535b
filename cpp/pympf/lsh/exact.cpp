#include "pympf/lsh/exact.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "pympf/common/simd.hpp"

namespace pympf::lsh {
namespace {

using Float2 = float __attribute__((vector_size(8)));
using Float4 = float __attribute__((vector_size(16)));
using Float8 = float __attribute__((vector_size(32)));
using Double2 = double __attribute__((vector_size(16)));
using Double4 = double __attribute__((vector_size(32)));
using Double8 = double __attribute__((vector_size(64)));

// Eight vectors of sums stay in registers.
template <class Float, class Double, class T>
PYMPF_INLINE void project_body(const Lanes* a, const Index* index, const T* x, Index count,
                               std::array<double, kLanes>& v) {
  constexpr int W = sizeof(Float) / sizeof(float), N = 8;
  for (int first = 0; first < kLanes; first += N * W) {
    Double sum[N];
    for (int q = 0; q < N; ++q) std::memcpy(&sum[q], &v[first + q * W], sizeof(Double));
    for (Index k = 0; k < count; ++k) {
      const double number = x[k];
      const float* factors = a[index ? index[k] : k].at + first;
      for (int q = 0; q < N; ++q) {
        Float factor;
        std::memcpy(&factor, factors + q * W, sizeof(Float));
        sum[q] += __builtin_convertvector(factor, Double) * number;
      }
    }
    for (int q = 0; q < N; ++q) std::memcpy(&v[first + q * W], &sum[q], sizeof(Double));
  }
}

constexpr int kSums = 16;

template <class T>
PYMPF_INLINE T squared_body(const T* x, const T* y, Index features) {
  T sum[kSums] = {};
  Index l = 0;
  for (; l + kSums <= features; l += kSums) {
    for (int j = 0; j < kSums; ++j) {
      const T gap = x[l + j] - y[l + j];
      sum[j] += gap * gap;
    }
  }
  for (int j = 0; l < features; ++l, ++j) sum[j] += (x[l] - y[l]) * (x[l] - y[l]);
  for (int half = kSums / 2; half > 0; half /= 2) {
    for (int j = 0; j < half; ++j) sum[j] += sum[j + half];
  }
  return sum[0];
}

// The root of the same sum for points so near or far that squares lose digits or overflow: of gaps
// over a power of two.
template <class T>
T scaled_distance(const T* x, const T* y, Index features) {
  T largest = 0;
  for (Index l = 0; l < features; ++l) largest = std::max(largest, std::abs(x[l] - y[l]));
  if (largest == 0 || !std::isfinite(largest)) return largest;
  const int exponent = std::ilogb(largest);
  T sum[kSums] = {};
  for (Index l = 0; l < features; ++l) {
    const T gap = std::ldexp(x[l] - y[l], -exponent);
    sum[l % kSums] += gap * gap;
  }
  for (int half = kSums / 2; half > 0; half /= 2)
    for (int j = 0; j < half; ++j) sum[j] += sum[j + half];
  return std::ldexp(std::sqrt(sum[0]), exponent);
}

// Outside, squares have lost digits.
template <class T>
constexpr T kLeastSquare = std::numeric_limits<T>::min() / std::numeric_limits<T>::epsilon();

template <class T>
PYMPF_INLINE void distances_body(const T* points, Index features, const T* x, const Index* rows,
                                 std::size_t count, T* out) {
  constexpr std::size_t ahead = 6;  // rows that are on their way from memory
  constexpr int line = 64 / sizeof(T);
  const auto row = [&](std::size_t i) {
    return points + static_cast<std::size_t>(rows[i]) * features;
  };
  for (std::size_t i = 0; i < count; ++i) {
    if (i + ahead < count) {
      for (Index l = 0; l < features; l += line) __builtin_prefetch(row(i + ahead) + l);
    }
    const T square = squared_body(x, row(i), features);
    const bool safe = square > kLeastSquare<T> && square <= std::numeric_limits<T>::max();
    out[i] = safe ? std::sqrt(square) : scaled_distance(x, row(i), features);
  }
}

PYMPF_INLINE std::size_t near_body(const Word* codes, std::size_t count, int words,
                                   const Word* code, int limit, Index* near, int* bits) {
  std::size_t found = 0;
  for (std::size_t first = 0; first < count; first += kCodes, codes += words * kCodes) {
    Word different[kCodes] = {};
    for (int w = 0; w < words; ++w) {
      for (std::size_t i = 0; i < kCodes; ++i)
        different[i] += std::popcount(codes[w * kCodes + i] ^ code[w]);
    }
    Word any = 0;
    for (std::size_t i = 0; i < kCodes; ++i) any |= different[i] <= static_cast<Word>(limit);
    if (!any) continue;
    for (std::size_t i = 0; i < kCodes; ++i) {
      near[found] = static_cast<Index>(first + i);
      bits[found] = static_cast<int>(different[i]);
      found += different[i] <= static_cast<Word>(limit);
    }
  }
  return found;
}

template <class T>
struct Kernels {
  void (*project)(const Lanes*, const Index*, const T*, Index, std::array<double, kLanes>&);
  void (*distances)(const T*, Index, const T*, const Index*, std::size_t, T*);
  std::size_t (*near)(const Word*, std::size_t, int, const Word*, int, Index*, int*);
};

#define PYMPF_KERNELS(name, target, Float, Double)                                               \
  template <class T>                                                                             \
  struct name {                                                                                  \
    target static void project(const Lanes* a, const Index* index, const T* x, Index count,      \
                               std::array<double, kLanes>& v) {                                  \
      project_body<Float, Double>(a, index, x, count, v);                                        \
    }                                                                                            \
    target static void distances(const T* points, Index features, const T* x, const Index* rows, \
                                 std::size_t count, T* out) {                                    \
      distances_body(points, features, x, rows, count, out);                                     \
    }                                                                                            \
    target static std::size_t near(const Word* codes, std::size_t count, int words,              \
                                   const Word* code, int limit, Index* near, int* bits) {        \
      return near_body(codes, count, words, code, limit, near, bits);                            \
    }                                                                                            \
    static constexpr Kernels<T> all{project, distances, near};                                   \
  }

PYMPF_KERNELS(Plain, , Float2, Double2);
#ifdef PYMPF_X86
PYMPF_KERNELS(Avx2, PYMPF_AVX2, Float4, Double4);
PYMPF_KERNELS(Avx512, PYMPF_AVX512, Float8, Double8);
#else
template <class T>
using Avx2 = Plain<T>;
template <class T>
using Avx512 = Plain<T>;
#endif

template <class T>
const Kernels<T>& kernels() {
  static const Kernels<T>* const chosen = choose(&Plain<T>::all, &Avx2<T>::all, &Avx512<T>::all);
  return *chosen;
}

}  // namespace

template <class T>
void project(const Lanes* a, const Index* index, const T* x, Index count,
             std::array<double, kLanes>& v) {
  kernels<T>().project(a, index, x, count, v);
}

template <class T>
void distances(const T* points, Index features, const T* x, const Index* rows, std::size_t count,
               T* out) {
  kernels<T>().distances(points, features, x, rows, count, out);
}

std::size_t near_codes(const Word* codes, std::size_t count, int words, const Word* code, int limit,
                       Index* near, int* bits) {
  return kernels<float>().near(codes, count, words, code, limit, near, bits);
}

template void project(const Lanes*, const Index*, const float*, Index, std::array<double, kLanes>&);
template void project(const Lanes*, const Index*, const double*, Index,
                      std::array<double, kLanes>&);
template void distances(const float*, Index, const float*, const Index*, std::size_t, float*);
template void distances(const double*, Index, const double*, const Index*, std::size_t, double*);

}  // namespace pympf::lsh
