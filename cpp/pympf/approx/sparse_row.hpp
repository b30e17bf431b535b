// Sparse rows that rotations mix.
#pragma once

#include <algorithm>
#include <array>
#include <limits>
#include <vector>

#include "pympf/common/index.hpp"

namespace pympf::approx {

inline constexpr Index kRowEnd = std::numeric_limits<Index>::max();

// Closed by the index kRowEnd, which stands for no entry.
struct SparseRow {
  std::vector<Index> index;
  std::vector<double> value;
};

// rows <- G rows, entries that become zero left out; `out` is memory to work in.
template <std::size_t k>
void combine(const std::array<double, k * k>& G, const std::array<SparseRow*, k>& rows,
             std::array<SparseRow, k>& out) {
  std::size_t most = 1;
  for (const SparseRow* row : rows) most += row->index.size();
  std::array<const Index*, k> at;
  std::array<const double*, k> value;
  std::array<std::size_t, k> size{};
  for (std::size_t a = 0; a < k; ++a) {
    at[a] = rows[a]->index.data();
    value[a] = rows[a]->value.data();
    out[a].index.resize(most);
    out[a].value.resize(most);
  }
  for (;;) {
    Index column = *at[0];
    for (std::size_t a = 1; a < k; ++a) column = std::min(column, *at[a]);
    if (column == kRowEnd) break;
    double x[k];
    for (std::size_t a = 0; a < k; ++a) {
      const bool here = *at[a] == column;
      x[a] = here ? *value[a] : 0.0;
      at[a] += here;
      value[a] += here;
    }
    for (std::size_t a = 0; a < k; ++a) {
      double y = G[k * a] * x[0];
      for (std::size_t b = 1; b < k; ++b) y += G[k * a + b] * x[b];
      out[a].index[size[a]] = column;
      out[a].value[size[a]] = y;
      size[a] += y != 0;
    }
  }
  for (std::size_t a = 0; a < k; ++a) {
    out[a].index[size[a]] = kRowEnd;
    out[a].index.resize(size[a] + 1);
    out[a].value.resize(size[a] + 1);
    std::swap(*rows[a], out[a]);
  }
}

}  // namespace pympf::approx
