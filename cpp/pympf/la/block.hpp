// k vectors of one length that are worked on together. Outside they lie as their owner has them, as
// columns or as the rows of a row-major array; inside, kernels work on panels: 1, 2, 4 or 8 columns
// whose numbers of one row stand side by side,
//
//   panel[i * K + c],   i a row, c < K a column,
//
// so that an entry of a matrix is read once for K multiplications, which are vector instructions.
// Every column is worked on by the operations, in the order, of a vector alone: it has its bits.
#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <initializer_list>
#include <type_traits>
#include <vector>

#include "pympf/common/error.hpp"
#include "pympf/la/csr.hpp"

namespace pympf {

inline constexpr Index kMostLanes = 8;

// Entry (i, c) of n rows is at(c)[i * stride]. Blocks of at most kMostLanes columns allocate
// nothing.
template <class T>
class Block {
 public:
  Index n = 0;
  std::size_t stride = 1;

  Block() = default;
  Block(Index length, std::initializer_list<T*> columns) : n(length) {
    for (T* column : columns) add(column);
  }
  // A row-major array of k columns.
  Block(Index length, T* rows, Index k) : n(length), stride(static_cast<std::size_t>(k)) {
    for (Index c = 0; c < k; ++c) add(rows + c);
  }
  template <class U>
  requires std::is_same_v<T, const U> Block(const Block<U>& other)
      : n(other.n), stride(other.stride) {
    for (Index c = 0; c < other.count(); ++c) add(other.at(c));
  }

  void add(T* column) {
    if (count_ < kMostLanes)
      first_[count_] = column;
    else
      others_.push_back(column);
    ++count_;
  }
  Index count() const { return count_; }
  T* at(Index c) const { return c < kMostLanes ? first_[c] : others_[c - kMostLanes]; }

 private:
  Index count_ = 0;
  std::array<T*, kMostLanes> first_{};
  std::vector<T*> others_;
};

// apply(x, y) for column after column.
template <class T, class Apply>
void for_columns(const Block<const T>& X, const Block<T>& Y, const Apply& apply) {
  if (X.stride == 1 && Y.stride == 1) {
    for (Index c = 0; c < X.count(); ++c) apply(X.at(c), Y.at(c));
    return;
  }
  std::vector<T> x(X.n), y(Y.n);
  for (Index c = 0; c < X.count(); ++c) {
    for (Index i = 0; i < X.n; ++i) x[i] = X.at(c)[static_cast<std::size_t>(i) * X.stride];
    apply(x.data(), y.data());
    for (Index i = 0; i < Y.n; ++i) Y.at(c)[static_cast<std::size_t>(i) * Y.stride] = y[i];
  }
}

// Calls body(first, count, lanes) for panels of a block of k columns: `lanes` of 1, 2, 4 or 8, of
// which the last panel may leave some empty.
template <class Body>
void for_panels(Index k, const Body& body) {
  for (Index first = 0; first < k; first += kMostLanes) {
    const Index count = std::min(kMostLanes, k - first);
    body(first, count, count > 4 ? 8 : count > 2 ? 4 : count);
  }
}

// body(std::integral_constant<int, lanes>)
template <class Body>
void with_lanes(Index lanes, const Body& body) {
  switch (lanes) {
    case 1:
      return body(std::integral_constant<int, 1>{});
    case 2:
      return body(std::integral_constant<int, 2>{});
    case 4:
      return body(std::integral_constant<int, 4>{});
    default:
      return body(std::integral_constant<int, 8>{});
  }
}

// Columns first .. first + count - 1 into a panel, whose other lanes are zero; back again.
template <class V, class T>
void to_panel(const Block<V>& X, Index first, Index count, Index lanes, T* panel) {
  with_lanes(lanes, [&](auto K) {
    const V* column[K];
    for (int c = 0; c < K; ++c) column[c] = c < count ? X.at(first + c) : nullptr;
    parallel_for(X.n, worth_threads(std::size_t{K} * X.n), [&](Index i) {
      T* row = panel + std::size_t{K} * i;
      const std::size_t at = static_cast<std::size_t>(i) * X.stride;
      for (int c = 0; c < K; ++c) row[c] = column[c] ? static_cast<T>(column[c][at]) : T(0);
    });
  });
}

template <class V, class T>
void from_panel(const T* panel, Index lanes, const Block<V>& Y, Index first, Index count) {
  parallel_for(Y.n, worth_threads(static_cast<std::size_t>(lanes) * Y.n), [&](Index i) {
    const T* row = panel + static_cast<std::size_t>(lanes) * i;
    const std::size_t at = static_cast<std::size_t>(i) * Y.stride;
    for (Index c = 0; c < count; ++c) Y.at(first + c)[at] = static_cast<V>(row[c]);
  });
}

}  // namespace pympf
