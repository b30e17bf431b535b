// Sparse rows that rotations mix, and the memory that they come from.
#pragma once

#include <algorithm>
#include <array>
#include <bit>
#include <cstddef>
#include <limits>
#include <memory>
#include <vector>

#include "pympf/common/index.hpp"

namespace pympf::approx {

inline constexpr Index kRowEnd = std::numeric_limits<Index>::max();

// Closed by the index kRowEnd, which stands for no entry. Its memory is of a RowMemory.
struct SparseRow {
  double* value = nullptr;
  Index* index = nullptr;
  std::size_t size = 0, room = 0;  // entries, with the one at the end
};

// Rows that grow and are given back, of one thread. Room goes by quarters of powers of two; what is
// given back waits in a list of its size for the next row of that size. begin() of another round
// takes all rows back and keeps the memory.
class RowMemory {
 public:
  void begin(Index round) {
    if (round == round_) return;
    round_ = round;
    for (auto& list : free_) list.clear();
    used_ = chunk_ = 0;
  }

  // Room for `size` entries in place of what the row has; what it held is lost.
  void renew(SparseRow& row, std::size_t size) {
    if (size <= row.room) return;
    if (row.room > 0) free_[class_of(row.room)].push_back(row);
    const std::size_t number = class_of(size), room = room_of(number);
    if (number >= free_.size()) free_.resize(number + 1);
    if (!free_[number].empty()) {
      row = free_[number].back();
      free_[number].pop_back();
      return;
    }
    std::byte* const bytes = take(room * sizeof(double) + (room + 1) / 2 * sizeof(double));
    row.value = reinterpret_cast<double*>(bytes);
    row.index = reinterpret_cast<Index*>(bytes + room * sizeof(double));
    row.room = room;
  }

 private:
  static_assert(2 * sizeof(Index) == sizeof(double));
  static constexpr std::size_t chunk_bytes = std::size_t{1} << 20;

  // Rooms are 4, 5, 6, 7, 8, 10, 12, 14, 16, 20, ...
  static std::size_t class_of(std::size_t size) {
    if (size <= 4) return 0;
    const auto octave = static_cast<std::size_t>(std::bit_width(size - 1)) - 3;
    return 4 * octave + ((size - 1) >> octave) - 3;
  }
  static std::size_t room_of(std::size_t number) { return (4 + number % 4) << (number / 4); }

  std::byte* take(std::size_t bytes) {
    while (chunk_ < chunks_.size() && used_ + bytes > chunks_[chunk_].size) ++chunk_, used_ = 0;
    if (chunk_ == chunks_.size()) {
      const std::size_t size = std::max(bytes, chunk_bytes);
      chunks_.push_back({std::make_unique_for_overwrite<std::byte[]>(size), size});
    }
    used_ += bytes;
    return chunks_[chunk_].data.get() + used_ - bytes;
  }

  struct Chunk {
    std::unique_ptr<std::byte[]> data;
    std::size_t size;
  };
  std::vector<Chunk> chunks_;
  std::vector<std::vector<SparseRow>> free_ = std::vector<std::vector<SparseRow>>(1);
  std::size_t chunk_ = 0, used_ = 0;
  Index round_ = -1;
};

// row <- `size` entries, and the one at the end.
inline void assign(SparseRow& row, const Index* index, const double* value, std::size_t size,
                   RowMemory& memory) {
  memory.renew(row, size + 1);
  std::copy_n(index, size, row.index);
  std::copy_n(value, size, row.value);
  row.index[size] = kRowEnd;
  row.size = size + 1;
}

// Where mixed rows are before their length is known.
template <std::size_t k>
struct MixedRows {
  std::array<std::vector<Index>, k> index;
  std::array<std::vector<double>, k> value;
};

// rows <- G rows, entries that become zero left out.
template <std::size_t k>
void combine(const std::array<double, k * k>& G, const std::array<SparseRow*, k>& rows,
             MixedRows<k>& out, RowMemory& memory) {
  std::size_t most = 1;
  for (const SparseRow* row : rows) most += row->size;
  std::array<const Index*, k> at;
  std::array<const double*, k> value;
  std::array<Index*, k> index_out;
  std::array<double*, k> value_out;
  std::array<std::size_t, k> size{};
  for (std::size_t a = 0; a < k; ++a) {
    at[a] = rows[a]->index;
    value[a] = rows[a]->value;
    if (out.index[a].size() < most) {
      out.index[a].resize(2 * most);
      out.value[a].resize(2 * most);
    }
    index_out[a] = out.index[a].data();
    value_out[a] = out.value[a].data();
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
      index_out[a][size[a]] = column;
      value_out[a][size[a]] = y;
      size[a] += y != 0;
    }
  }
  for (std::size_t a = 0; a < k; ++a) assign(*rows[a], index_out[a], value_out[a], size[a], memory);
}

}  // namespace pympf::approx
