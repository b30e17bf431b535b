// Sparse matrices made row by row, in parallel.
#pragma once

#include <algorithm>
#include <utility>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf {

template <class T>
using EntriesOf = std::vector<std::pair<Index, T>>;  // column, value
using Entries = EntriesOf<double>;

// Sums the entries of a row by column.
class Accumulator {
 public:
  explicit Accumulator(Index columns) : sum_(columns, 0), mark_(columns, -1) {}

  void add(Index row, Index column, double value) {
    if (mark_[column] != row) {
      mark_[column] = row;
      sum_[column] = 0;
      touched_.push_back(column);
    }
    sum_[column] += value;
  }
  template <class Emit>
  void flush(const Emit& emit) {
    std::sort(touched_.begin(), touched_.end());
    for (Index j : touched_) emit(j, sum_[j]);
    touched_.clear();
  }

 private:
  std::vector<double> sum_;
  std::vector<Index> mark_, touched_;
};

// make_body() is called once per thread and gives body(i, entries), which appends the entries of
// row i, sorted. Rows are made in chunks and put together in order: the result does not depend on
// the number of threads.
template <class T = double, class MakeBody>
Csr<T> build_rows(Index rows, Index cols, const MakeBody& make_body) {
  constexpr Index chunk_rows = 1024;
  const Index chunks = (rows + chunk_rows - 1) / chunk_rows;
  const auto end_of = [&](Index c) { return std::min(rows, (c + 1) * chunk_rows); };
  std::vector<EntriesOf<T>> entries(chunks);
  Csr<T> out{rows, cols, std::vector<Index>(rows + 1, 0), {}, {}};
  parallel_with(chunks, Index{1}, chunks > 4, [&] {
    // `guess`: the size of the next chunk.
    return [&, body = make_body(), guess = std::size_t{0}](Index c) mutable {
      EntriesOf<T>& part = entries[c];
      part.reserve(guess);
      for (Index i = c * chunk_rows; i < end_of(c); ++i) {
        const std::size_t before = part.size();
        body(i, part);
        out.indptr[i + 1] = static_cast<Index>(part.size() - before);
      }
      guess = part.size() + part.size() / 8;
    };
  });
  Global nnz = 0;
  for (const auto& part : entries) nnz += static_cast<Global>(part.size());
  to_index(nnz, "entries of a sparse product");
  for (Index i = 0; i < rows; ++i) out.indptr[i + 1] += out.indptr[i];
  out.indices.resize(static_cast<std::size_t>(nnz));
  out.data.resize(static_cast<std::size_t>(nnz));
  parallel_for(chunks, chunks > 4, [&](Index c) {
    Index at = out.indptr[c * chunk_rows];
    for (const auto& [column, value] : entries[c]) {
      out.indices[at] = column;
      out.data[at++] = value;
    }
    EntriesOf<T>().swap(entries[c]);
  });
  return out;
}

}  // namespace pympf
