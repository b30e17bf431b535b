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
#include <cstddef>
#include <type_traits>
#include <vector>

#include "pympf/common/error.hpp"
#include "pympf/common/index.hpp"

namespace pympf {

inline constexpr Index kMostLanes = 8;

// Entry (i, c) of n rows is at[c][i * stride].
template <class T>
struct Block {
  Index n = 0;
  std::vector<T*> at;
  std::size_t stride = 1;

  Block() = default;
  Block(Index length, std::vector<T*> columns) : n(length), at(std::move(columns)) {}
  // A row-major array of k columns.
  Block(Index length, T* rows, Index k) : n(length), stride(static_cast<std::size_t>(k)) {
    for (Index c = 0; c < k; ++c) at.push_back(rows + c);
  }

  Index count() const { return static_cast<Index>(at.size()); }
  operator Block<const T>() const
    requires(!std::is_const_v<T>)
  {
    Block<const T> out;
    out.n = n;
    out.at.assign(at.begin(), at.end());
    out.stride = stride;
    return out;
  }
};

// apply(x, y) for column after column.
template <class T, class Apply>
void for_columns(const Block<const T>& X, const Block<T>& Y, const Apply& apply) {
  if (X.stride == 1 && Y.stride == 1) {
    for (Index c = 0; c < X.count(); ++c) apply(X.at[c], Y.at[c]);
    return;
  }
  std::vector<T> x(X.n), y(Y.n);
  for (Index c = 0; c < X.count(); ++c) {
    for (Index i = 0; i < X.n; ++i) x[i] = X.at[c][static_cast<std::size_t>(i) * X.stride];
    apply(x.data(), y.data());
    for (Index i = 0; i < Y.n; ++i) Y.at[c][static_cast<std::size_t>(i) * Y.stride] = y[i];
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

}  // namespace pympf
