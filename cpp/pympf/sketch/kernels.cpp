#include "pympf/sketch/kernels.hpp"

#include <cstring>
#include <type_traits>

#include "pympf/common/simd.hpp"

// Vectors are handed over between functions that are inlined, so that no calling convention
// matters.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wpsabi"
#endif

namespace pympf::sketch {
namespace {

template <class T, int bytes>
struct VectorOf {
  typedef T Type __attribute__((vector_size(bytes)));
};

template <class V, class T>
PYMPF_INLINE V load(const T* from) {
  V v;
  std::memcpy(&v, from, sizeof(V));
  return v;
}
template <class V, class T>
PYMPF_INLINE void store(const V& v, T* to) {
  std::memcpy(to, &v, sizeof(V));
}

// Changes the signs of a vector's lanes where the low bits of a word are 0.
template <class T, int bytes>
struct Signs {
  using V = typename VectorOf<T, bytes>::Type;
  using B = decltype(V{} < V{});  // integers of the same size
  using U = std::conditional_t<sizeof(T) == 8, std::int64_t, std::int32_t>;
  static constexpr int width = bytes / sizeof(T);

  PYMPF_INLINE Signs() {
    for (int l = 0; l < width; ++l) {
      shift[l] = 8 * sizeof(T) - 1 - l;
      sign[l] = static_cast<U>(U{1} << (8 * sizeof(T) - 1));
    }
  }
  PYMPF_INLINE void apply(V& x, Word word, int v) const {
    const B bits = B{} + static_cast<U>(~word >> (v * width));
    x = (V)((B)x ^ ((bits << shift) & sign));
  }
  B shift, sign;
};

template <class T, int bytes>
PYMPF_INLINE void add_columns_body(const Tile& tile, const T* x, int stride, T* folded) {
  using S = Signs<T, bytes>;
  using V = typename S::V;
  const S signs;
  const int vectors = stride / S::width;
  const auto first = static_cast<Code>(tile.first_row);
  Index e = 0;
  for (Index c = 0; c < tile.columns; ++c) {
    const V value = V{} + x[c];
    const Word base = tile.words[c];
    for (; e < tile.ends[c]; ++e) {
      const Code code = tile.codes[e];
      const Word word = base ^ tile.flips[code & 7];
      T* const y = folded + static_cast<std::size_t>((code >> 3) - first) * stride;
      for (int v = 0; v < vectors; ++v) {
        T* const at = y + v * S::width;
        V change = value;
        signs.apply(change, word, v);
        store(load<V>(at) + change, at);
      }
    }
  }
}

// Even and odd blocks have sums of their own; then the vectors of a line's length are added, and
// their halves, quarters and so on.
template <class T, int bytes>
PYMPF_INLINE void dot_columns_body(const Tile& tile, const T* folded, int stride, T* x) {
  using S = Signs<T, bytes>;
  using V = typename S::V;
  const S signs;
  const int vectors = stride / S::width, per_line = kLine / bytes;
  Index first = 0;
  for (Index c = 0; c < tile.columns; ++c) {
    const Index last = tile.ends[c];
    const Word base = tile.words[c];
    alignas(kLine) T sum[kWidth<T>] = {};
    for (int v = 0; v < vectors; ++v) {
      V even = V{}, odd = V{};
      for (Index e = first; e < last; ++e) {
        const Code code = tile.codes[e];
        V y = load<V>(folded + static_cast<std::size_t>(code >> 3) * stride + v * S::width);
        signs.apply(y, base ^ tile.flips[code & 7], v);
        if ((e - first) % 2 == 0)
          even += y;
        else
          odd += y;
      }
      T* const part = sum + v % per_line * S::width;
      store(load<V>(part) + (even + odd), part);
    }
    for (int half = kWidth<T> / 2; half > 0; half /= 2) {
      for (int l = 0; l < half; ++l) sum[l] += sum[l + half];
    }
    x[c] = sum[0];
    first = last;
  }
}

constexpr std::size_t kAhead = 6;  // entries whose numbers are on their way

template <class T>
PYMPF_INLINE void prefetch(const T* row, int count) {
  for (int v = 0; v < count; v += kWidth<T>) __builtin_prefetch(row + v);
}

// The numbers of a panel's row, in whole vectors: those beyond `count` are zero.
template <class T>
PYMPF_INLINE const T* whole_row(const T* row, int count, T* room) {
  if (count == kPanel<T>) return row;
  std::memcpy(room, row, count * sizeof(T));
  return room;
}

template <class T, int bytes>
PYMPF_INLINE void add_entries_body(const Entry* entries, std::size_t count, int lanes,
                                   const Panel<const T>& X, Tables<T>& tables, T* out) {
  using V = typename VectorOf<T, bytes>::Type;
  constexpr int width = bytes / sizeof(T);
  const int groups = (lanes + 3) / 4, vectors = (X.count + width - 1) / width;
  for (int g = 0; g < groups; ++g) std::memset(tables.at[g], 0, sizeof tables.at[g]);
  alignas(kLine) T room[kPanel<T>] = {};
  for (std::size_t e = 0; e < count; ++e) {
    if (e + kAhead < count) prefetch(X.at + entries[e + kAhead].column * X.k, X.count);
    const T* const x = whole_row(X.at + entries[e].column * X.k, X.count, room);
    Word word = entries[e].word;
    for (int g = 0; g < groups; ++g, word >>= 4) {
      T* const sum = tables.at[g][word & 15];
      for (int v = 0; v < vectors; ++v)
        store(load<V>(sum + v * width) + load<V>(x + v * width), sum + v * width);
    }
  }
  for (int g = 0; g < groups; ++g) {
    auto& table = tables.at[g];
    for (int lane = 0; lane < 4; ++lane) {
      T* const to = out + (4 * g + lane) * kPanel<T>;
      for (int v = 0; v < vectors; ++v) {
        V difference = V{};
        for (int m = 0; m < 8 >> lane; ++m) {
          const V minus = load<V>(table[2 * m] + v * width);
          const V plus = load<V>(table[2 * m + 1] + v * width);
          difference += plus - minus;
          store(plus + minus, table[m] + v * width);
        }
        store(difference, to + v * width);
      }
    }
  }
}

template <class T, int bytes>
PYMPF_INLINE void dot_entries_body(const Entry* entries, std::size_t count, int lanes, const T* in,
                                   Tables<T>& tables, const Panel<T>& X) {
  using V = typename VectorOf<T, bytes>::Type;
  constexpr int width = bytes / sizeof(T);
  const int groups = (lanes + 3) / 4, vectors = (X.count + width - 1) / width;
  for (int g = 0; g < groups; ++g) {
    auto& table = tables.at[g];
    for (int v = 0; v < vectors; ++v) {
      store(V{}, table[0] + v * width);
      for (int lane = 0; lane < 4; ++lane) {
        const V y = load<V>(in + (4 * g + lane) * kPanel<T> + v * width);
        for (int m = 0; m < 1 << lane; ++m) {
          const V sum = load<V>(table[m] + v * width);
          store(sum - y, table[m] + v * width);
          store(sum + y, table[m + (1 << lane)] + v * width);
        }
      }
    }
  }
  alignas(kLine) T room[kPanel<T>] = {};
  for (std::size_t e = 0; e < count; ++e) {
    if (e + kAhead < count) prefetch(X.at + entries[e + kAhead].column * X.k, X.count);
    T* const x = X.at + entries[e].column * X.k;
    const bool whole = X.count == kPanel<T>;
    T* const at = whole ? x : room;
    if (!whole) std::memcpy(room, x, X.count * sizeof(T));
    const Word word = entries[e].word;
    for (int v = 0; v < vectors; ++v) {
      V sum = load<V>(at + v * width);
      for (int g = 0; g < groups; ++g) sum += load<V>(tables.at[g][word >> 4 * g & 15] + v * width);
      store(sum, at + v * width);
    }
    if (!whole) std::memcpy(x, room, X.count * sizeof(T));
  }
}

#ifdef PYMPF_X86
#define PYMPF_KERNEL(name, signature, ...)                               \
  template <class T>                                                     \
  void name##_plain signature {                                          \
    name##_body<T, 16>(__VA_ARGS__);                                     \
  }                                                                      \
  template <class T>                                                     \
  PYMPF_AVX2 void name##_avx2 signature {                                \
    name##_body<T, 32>(__VA_ARGS__);                                     \
  }                                                                      \
  template <class T>                                                     \
  PYMPF_AVX512 void name##_avx512 signature {                            \
    name##_body<T, 64>(__VA_ARGS__);                                     \
  }                                                                      \
  template <class T>                                                     \
  auto choose_##name() {                                                 \
    return choose(&name##_plain<T>, &name##_avx2<T>, &name##_avx512<T>); \
  }
#else
#define PYMPF_KERNEL(name, signature, ...) \
  template <class T>                       \
  void name##_plain signature {            \
    name##_body<T, 16>(__VA_ARGS__);       \
  }                                        \
  template <class T>                       \
  auto choose_##name() {                   \
    return &name##_plain<T>;               \
  }
#endif

PYMPF_KERNEL(add_columns, (const Tile& tile, const T* x, int stride, T* folded), tile, x, stride,
             folded)
PYMPF_KERNEL(dot_columns, (const Tile& tile, const T* folded, int stride, T* x), tile, folded,
             stride, x)
PYMPF_KERNEL(add_entries,
             (const Entry* entries, std::size_t count, int lanes, const Panel<const T>& X,
              Tables<T>& tables, T* out),
             entries, count, lanes, X, tables, out)
PYMPF_KERNEL(dot_entries,
             (const Entry* entries, std::size_t count, int lanes, const T* in, Tables<T>& tables,
              const Panel<T>& X),
             entries, count, lanes, in, tables, X)

}  // namespace

template <class T>
void add_columns(const Tile& tile, const T* x, int stride, T* folded) {
  static const auto kernel = choose_add_columns<T>();
  kernel(tile, x, stride, folded);
}

template <class T>
void dot_columns(const Tile& tile, const T* folded, int stride, T* x) {
  static const auto kernel = choose_dot_columns<T>();
  kernel(tile, folded, stride, x);
}

template <class T>
void add_entries(const Entry* entries, std::size_t count, int lanes, const Panel<const T>& X,
                 Tables<T>& tables, T* out) {
  static const auto kernel = choose_add_entries<T>();
  kernel(entries, count, lanes, X, tables, out);
}

template <class T>
void dot_entries(const Entry* entries, std::size_t count, int lanes, const T* in, Tables<T>& tables,
                 const Panel<T>& X) {
  static const auto kernel = choose_dot_entries<T>();
  kernel(entries, count, lanes, in, tables, X);
}

#define PYMPF_FOR(T)                                                                           \
  template void add_columns(const Tile&, const T*, int, T*);                                   \
  template void dot_columns(const Tile&, const T*, int, T*);                                   \
  template void add_entries(const Entry*, std::size_t, int, const Panel<const T>&, Tables<T>&, \
                            T*);                                                               \
  template void dot_entries(const Entry*, std::size_t, int, const T*, Tables<T>&, const Panel<T>&);
PYMPF_FOR(float)
PYMPF_FOR(double)

}  // namespace pympf::sketch
