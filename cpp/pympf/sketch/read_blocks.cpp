// The pass over the samples: means of blocks, rounding, and what the signs say.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "pympf/common/error.hpp"
#include "pympf/common/parallel.hpp"
#include "pympf/common/simd.hpp"
#include "pympf/sketch/dictionary.hpp"

namespace pympf::sketch {
namespace {

constexpr std::size_t kChunkEntries = 1 << 16;  // that a thread takes at a time

template <class T>
struct Sizes {
  T sum, low, high;  // of |entry|
};

template <class V, class B, class T>
PYMPF_INLINE void load_magnitudes(const T* from, V& v) {
  std::memcpy(&v, from, sizeof(V));
  v = (V)((B)v & std::numeric_limits<std::remove_reference_t<decltype(B{}[0])>>::max());
}

// The lanes of v from `half` on, then the others.
template <int half, class V, int... lane>
PYMPF_INLINE void turn(const V& v, std::integer_sequence<int, lane...>, V& out) {
#if __has_builtin(__builtin_shufflevector)
  out = __builtin_shufflevector(v, v, (lane + half)...);
#else  // GCC before 12
  ((out[lane] = v[(lane + half) % sizeof...(lane)]), ...);
#endif
}

// Lane 0 becomes the sum, the least and the largest of all: halves, quarters and so on meet, in
// registers.
template <int half, class V>
PYMPF_INLINE void fold_halves(V& sum, V& low, V& high) {
  if constexpr (half > 0) {
    constexpr std::make_integer_sequence<int, sizeof(V) / sizeof(sum[0])> lanes;
    V other;
    turn<half>(sum, lanes, other);
    sum += other;
    turn<half>(low, lanes, other);
    low = other < low ? other : low;
    turn<half>(high, lanes, other);
    high = other > high ? other : high;
    fold_halves<half / 2>(sum, low, high);
  }
}

// Vectors of 16, 32 or 64 bytes; the last one overlaps the one before, and `last` has a 1 for each
// lane that is new. Sums are taken in one order per vector length.
template <class T, int bytes>
PYMPF_INLINE Sizes<T> sizes_of(const T* entries, int count, const T* last) {
  using Bits = std::conditional_t<sizeof(T) == 4, std::int32_t, std::int64_t>;
  typedef T V __attribute__((vector_size(bytes)));
  typedef Bits B __attribute__((vector_size(bytes)));
  constexpr int width = bytes / sizeof(T);
  V v, sum;
  load_magnitudes<V, B>(entries, sum);
  V low = sum, high = sum;
  int r = width;
  for (; r + width <= count; r += width) {
    load_magnitudes<V, B>(entries + r, v);
    sum += v;
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  if (r < count) {
    V fresh;
    load_magnitudes<V, B>(entries + count - width, v);
    std::memcpy(&fresh, last, sizeof(V));
    sum += v * fresh;
    low = v < low ? v : low;
    high = v > high ? v : high;
  }
  fold_halves<width / 2>(sum, low, high);
  return {sum[0], low[0], high[0]};
}

template <class T>
using SizesOfRow = void (*)(const T*, std::int64_t rows, int block, const T* last, Sizes<T>*);

template <class T, int bytes>
PYMPF_INLINE void sizes_of_row(const T* y, std::int64_t rows, int block, const T* last,
                               Sizes<T>* out) {
  for (std::int64_t i = 0; i < rows; ++i) out[i] = sizes_of<T, bytes>(y + i * block, block, last);
}

template <class T>
void plain(const T* y, std::int64_t rows, int block, const T* last, Sizes<T>* out) {
  sizes_of_row<T, 16>(y, rows, block, last, out);
}
#ifdef PYMPF_X86
template <class T>
PYMPF_AVX2 void avx2(const T* y, std::int64_t rows, int block, const T* last, Sizes<T>* out) {
  sizes_of_row<T, 32>(y, rows, block, last, out);
}
template <class T>
PYMPF_AVX512 void avx512(const T* y, std::int64_t rows, int block, const T* last, Sizes<T>* out) {
  sizes_of_row<T, 64>(y, rows, block, last, out);
}
#endif

template <class T>
SizesOfRow<T> chosen(int& bytes) {
#ifdef PYMPF_X86
  const SizesOfRow<T> kernel = choose<SizesOfRow<T>>(&plain<T>, &avx2<T>, &avx512<T>);
  bytes = kernel == &plain<T> ? 16 : kernel == &avx2<T> ? 32 : 64;
  return kernel;
#else
  bytes = 16;
  return &plain<T>;
#endif
}

std::uint64_t ones(int count) {
  return count == 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << count) - 1;
}

// Bit r is set where entry r is positive; none of them is zero.
template <class T>
std::uint64_t positive(const T* entries, int count) {
  std::uint64_t negative = 0;
  int r = 0;
#ifdef PYMPF_X86
  typedef T V __attribute__((vector_size(16)));
  constexpr int width = 16 / sizeof(T);
  for (; r + width <= count; r += width) {
    V v;
    std::memcpy(&v, entries + r, sizeof(V));
    unsigned mask;
    if constexpr (sizeof(T) == 4)
      mask = __builtin_ia32_movmskps(v);
    else
      mask = __builtin_ia32_movmskpd(v);
    negative |= static_cast<std::uint64_t>(mask) << r;
  }
#endif
  for (; r < count; ++r) negative |= static_cast<std::uint64_t>(entries[r] < 0) << r;
  return ~negative & ones(count);
}

// Undoes Enc: 1, the bits of j from the highest on, b_m, b_s, and +1 to the end. False if the signs
// are no such code, or the two parities do not give x the same sign.
template <class T>
bool decode(const T* entries, const Shape& shape, CleanBlock& out) {
  const int third = shape.third, bits = shape.column_bits;
  std::uint64_t code = positive(entries + third, third);
  const bool code_positive = code & 1;
  if (!code_positive) code = ~code & ones(third);
  if (code >> (bits + 3) != ones(third - bits - 3)) return false;
  std::int64_t column = 0;
  for (int t = 1; t <= bits; ++t) column = 2 * column + (code >> t & 1);
  if (column >= shape.size) return false;
  const bool matrix_bit = code >> (bits + 1) & 1, string_bit = code >> (bits + 2) & 1;
  const std::uint64_t string = positive(entries, third);
  const std::uint64_t matrix = positive(entries + 2 * third, third);
  const bool value_positive = (matrix & 1) == matrix_bit;
  if (((string & 1) == string_bit) != value_positive) return false;
  out.column = static_cast<std::int32_t>(column);
  out.string = (string & 1 ? string : ~string & ones(third)) >> 1;
  out.matrix = (matrix & 1 ? matrix : ~matrix & ones(third)) >> 1;
  out.signs =
      static_cast<std::uint32_t>(value_positive * kValue | string_bit * kString |
                                 (code_positive == value_positive) * kCode | matrix_bit * kMatrix);
  return true;
}

}  // namespace

template <class T>
CleanBlocks read_blocks(const T* Y, std::size_t samples, const Shape& shape, double tau,
                        double floor) {
  int bytes;
  const SizesOfRow<T> sizes_of_all = chosen<T>(bytes);
  const int width = bytes / static_cast<int>(sizeof(T));
  T last[64 / sizeof(T)] = {};
  std::fill_n(last + width - shape.block % width, shape.block % width, T{1});

  const std::size_t step = std::max<std::size_t>(1, kChunkEntries / shape.size);
  const std::size_t chunks = samples == 0 ? 0 : (samples - 1) / step + 1;
  std::vector<CleanBlocks> parts(chunks);
  parallel_with(chunks, std::size_t{1}, chunks > 1, [&] {
    return [&, sizes = std::vector<Sizes<T>>(shape.rows())](std::size_t chunk) mutable {
      CleanBlocks& part = parts[chunk];
      const std::size_t end = std::min(samples, (chunk + 1) * step);
      for (std::size_t s = chunk * step; s < end; ++s) {
        const T* y = Y + s * shape.size;
        sizes_of_all(y, shape.rows(), shape.block, last, sizes.data());
        for (std::int64_t i = 0; i < shape.rows(); ++i) {
          const auto [sum, low, high] = sizes[i];
          require(std::isfinite(sum), "samples: expected finite numbers, whose sums over ",
                  shape.block, " entries are finite too; row ", s, ", entries from ",
                  i * shape.block, " on, have another");
          const double level = static_cast<double>(sum) / shape.block;
          if (!(level > floor)) continue;
          ++part.nonzero;
          CleanBlock block;
          block.spread = static_cast<float>(std::max(high / level - 1, 1 - low / level));
          if (!(block.spread <= tau)) continue;
          if (!decode(y + i * shape.block, shape, block)) continue;
          block.sample = static_cast<std::int64_t>(s);
          block.row = static_cast<std::int32_t>(i);
          block.level = level;
          part.blocks.push_back(block);
        }
      }
    };
  });
  CleanBlocks all;
  std::size_t total = 0;
  for (const CleanBlocks& part : parts) total += part.blocks.size();
  all.blocks.reserve(total);
  for (const CleanBlocks& part : parts) {
    all.blocks.insert(all.blocks.end(), part.blocks.begin(), part.blocks.end());
    all.nonzero += part.nonzero;
  }
  return all;
}

template CleanBlocks read_blocks(const float*, std::size_t, const Shape&, double, double);
template CleanBlocks read_blocks(const double*, std::size_t, const Shape&, double, double);

}  // namespace pympf::sketch
