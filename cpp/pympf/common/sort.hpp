// Sorts: on several threads, and of a few values.
#pragma once

#include <algorithm>
#include <cstddef>
#include <functional>
#include <utility>
#include <vector>

#include "pympf/common/parallel.hpp"

namespace pympf {

// As std::sort. No two values are equal by `less`, so the order is the same for any number of
// threads. Pieces are sorted apart and merged.
template <class T, class Less>
void sort_pieces(std::vector<T>& values, const Less& less) {
  constexpr std::size_t worth_a_piece = 1 << 14;
  const auto threads = static_cast<std::size_t>(team().threads());
  std::size_t pieces = 1;
  while (pieces < threads && values.size() / (2 * pieces) >= worth_a_piece) pieces *= 2;
  const auto at = [&](std::size_t piece) {
    return values.begin() + static_cast<std::ptrdiff_t>(values.size() * piece / pieces);
  };
  parallel_for(pieces, std::size_t{1}, pieces > 1,
               [&](std::size_t k) { std::sort(at(k), at(k + 1), less); });
  for (std::size_t width = 1; width < pieces; width *= 2)
    parallel_for(pieces / (2 * width), std::size_t{1}, true, [&](std::size_t k) {
      const std::size_t first = 2 * width * k;
      std::inplace_merge(at(first), at(first + width), at(first + 2 * width), less);
    });
}

// As std::sort, which a row of a sparse matrix, of a few entries that are nearly in order, calls
// for nothing.
template <class T, class Less = std::less<>>
void sort_few(std::vector<T>& values, const Less& less = {}) {
  constexpr std::size_t few = 24;
  if (values.size() > few) return std::sort(values.begin(), values.end(), less);
  for (std::size_t i = 1; i < values.size(); ++i) {
    T value = std::move(values[i]);
    std::size_t at = i;
    for (; at > 0 && less(value, values[at - 1]); --at) values[at] = std::move(values[at - 1]);
    values[at] = std::move(value);
  }
}

}  // namespace pympf
