#include "pympf/sketch/block_sparse.hpp"

#include <algorithm>

#include "pympf/common/parallel.hpp"
#include "pympf/la/csr.hpp"

namespace pympf::sketch {
namespace {

constexpr std::int64_t kEntries = 1 << 17;  // that are sorted together

bool is_zero(const auto* x, std::size_t count) {
  return std::all_of(x, x + count, [](auto value) { return value == 0; });
}

}  // namespace

BlockSparse::BlockSparse(const DistributionParams& params, bool stored, Share share)
    : R_(params),
      share_(share),
      rows_(R_, Blocks::Part::rows, share, stored),
      columns_(R_, Blocks::Part::columns, share, stored && share.ranks > 1) {}

std::size_t BlockSparse::bytes() const { return rows_.bytes() + columns_.bytes(); }

Pool<BlockSparse::Scratch>& BlockSparse::scratch_pool() {
  static Pool<Scratch> pool;
  return pool;
}

template <class T>
Pool<BlockSparse::Numbers<T>>& BlockSparse::pool() {
  static Pool<Numbers<T>> pool;
  return pool;
}

Tile BlockSparse::fetch(const Blocks& blocks, Index i, Index first, Index last,
                        Scratch& scratch) const {
  const Index b = R_.params().b;
  blocks.fetch(i, first, last, scratch.codes, scratch.ends);
  scratch.words.resize(b);
  blocks.words(i, scratch.words.data());
  return {b, 0, scratch.codes.data(), scratch.ends.data(), scratch.words.data(), R_.flips().data()};
}

// Into how many ranges of its units the work for k vectors is cut.
Index BlockSparse::parts(Index units, Index k) const {
  const bool many = worth_threads(static_cast<std::size_t>(rows_.count()) * k * 8);
  const Index threads = many ? team().threads() : 1;
  const auto pieces = static_cast<Index>(k == 1 ? 1 : rows_.count() / kEntries + 1);
  return std::min(units, std::max(threads, pieces));
}

template <class T>
void BlockSparse::apply(const T* X, Index k, T* Y) const {
  const Index units = rows_.units(), count = parts(units, k);
  parallel_for(count, Index{1}, count > 1, [&](Index part) {
    const auto first = static_cast<Index>(Global{part} * units / count);
    const auto last = static_cast<Index>((Global{part} + 1) * units / count);
    if (k == 1)
      apply_one(X, first, last, Y);
    else
      apply_panel(X, k, first, last, Y);
  });
}

template <class T>
void BlockSparse::apply_one(const T* x, Index first, Index last, T* y) const {
  const typename Pool<Scratch>::Lease scratch(scratch_pool());
  const typename Pool<Numbers<T>>::Lease numbers(pool<T>());
  const Index b = R_.params().b, begin = rows_.row_begin(first), end = rows_.row_begin(last);
  const int stride = this->stride<T>();
  auto& folded = numbers->folded;
  folded.assign(static_cast<std::size_t>(end - begin) * stride, 0);
  for (Index i = 0; i < R_.rows(); ++i) {
    const T* const part = x + static_cast<std::size_t>(i) * b;
    if (is_zero(part, b)) continue;
    Tile tile = fetch(rows_, i, first, last, *scratch);
    tile.first_row = begin;
    add_columns(tile, part, stride, folded.data());
  }
  for (Index i = begin; i < end; ++i)
    R_.unfold(folded.data() + static_cast<std::size_t>(i - begin) * stride, 1,
              y + static_cast<std::size_t>(i) * b, 1);
}

// The blocks of the wanted blocks of columns in some units, by block row and then by column.
template <class Wanted>
void BlockSparse::sort(const Blocks& blocks, Index first, Index last, const Wanted& wanted,
                       Scratch& scratch) const {
  const Index b = R_.params().b, begin = blocks.row_begin(first), end = blocks.row_begin(last);
  auto& [codes, ends, words, entries, sorted, rows, starts] = scratch;
  entries.clear();
  rows.clear();
  starts.assign(end - begin + 1, 0);
  for (Index i = 0; i < R_.rows(); ++i) {
    const Index to = wanted(i);  // the place of the block's first column, or -1
    if (to < 0) continue;
    const Tile tile = fetch(blocks, i, first, last, scratch);
    Index e = 0;
    for (Index c = 0; c < b; ++c) {
      for (; e < ends[c]; ++e) {
        const Index row = static_cast<Index>(codes[e] >> 3) - begin;
        entries.push_back({words[c] ^ tile.flips[codes[e] & 7], to + c});
        rows.push_back(row);
        ++starts[row + 1];
      }
    }
  }
  for (Index i = 0; i < end - begin; ++i) starts[i + 1] += starts[i];
  sorted.resize(entries.size());
  for (std::size_t e = 0; e < entries.size(); ++e) sorted[starts[rows[e]]++] = entries[e];
  for (Index i = end - begin; i > 0; --i) starts[i] = starts[i - 1];
  starts[0] = 0;
}

template <class T>
void BlockSparse::apply_panel(const T* X, Index k, Index first, Index last, T* Y) const {
  const typename Pool<Scratch>::Lease scratch(scratch_pool());
  const typename Pool<Numbers<T>>::Lease numbers(pool<T>());
  const Index b = R_.params().b, begin = rows_.row_begin(first), end = rows_.row_begin(last);
  const auto row_of = [&](Index i) { return static_cast<std::size_t>(i) * b * k; };
  sort(
      rows_, first, last, [&](Index i) { return is_zero(X + row_of(i), row_of(1)) ? -1 : i * b; },
      *scratch);
  auto& lanes = numbers->folded;
  lanes.resize(64 * kPanel<T>);
  for (Index i = begin; i < end; ++i) {
    const std::size_t from = scratch->starts[i - begin], to = scratch->starts[i - begin + 1];
    for (Index v = 0; v < k; v += kPanel<T>) {
      const int count = std::min(kPanel<T>, k - v);
      add_entries<T>(scratch->sorted.data() + from, to - from, R_.lanes(),
                     {X + v, static_cast<std::size_t>(k), count}, numbers->tables[0], lanes.data());
      for (int q = 0; q < count; ++q)
        R_.unfold(lanes.data() + q, kPanel<T>, Y + row_of(i) + v + q, k);
    }
  }
}

template <class T>
void BlockSparse::apply_transpose(const T* Y, Index k, T* X) const {
  if (k == 1) return transpose_one(Y, X);
  const Index own = share_.before(R_.rows());
  const Index count = std::min(own, worth_threads(rows_.count() * k * 8) ? team().threads() : 1);
  parallel_for(count, Index{1}, count > 1, [&](Index part) {
    transpose_panel(Y, k, static_cast<Index>(Global{part} * own / count),
                    static_cast<Index>((Global{part} + 1) * own / count), X);
  });
}

template <class T>
void BlockSparse::transpose_one(const T* y, T* x) const {
  const typename Pool<Numbers<T>>::Lease numbers(pool<T>());
  const Blocks& blocks = by_columns();
  const Index b = R_.params().b, units = blocks.units();
  const int stride = this->stride<T>();
  auto& folded = numbers->folded;
  folded.assign(static_cast<std::size_t>(R_.rows()) * stride, 0);
  const bool many = worth_threads(static_cast<std::size_t>(rows_.count()) * 8);
  parallel_for(R_.rows(), many, [&](Index i) {
    R_.fold(y + static_cast<std::size_t>(i) * b, 1,
            folded.data() + static_cast<std::size_t>(i) * stride, 1);
  });
  parallel_for(R_.rows(), many, [&](Index i) {
    if (!share_.owns(i)) return;
    const typename Pool<Scratch>::Lease scratch(scratch_pool());
    const Tile tile = fetch(blocks, i, 0, units, *scratch);
    dot_columns(tile, folded.data(), stride, x + static_cast<std::size_t>(share_.before(i)) * b);
  });
}

// For the own blocks of columns [first, last).
template <class T>
void BlockSparse::transpose_panel(const T* Y, Index k, Index first, Index last, T* X) const {
  const typename Pool<Scratch>::Lease scratch(scratch_pool());
  const typename Pool<Numbers<T>>::Lease numbers(pool<T>());
  const Blocks& blocks = by_columns();
  const Index b = R_.params().b, units = blocks.units();
  const auto row_of = [&](Index i) { return static_cast<std::size_t>(i) * b * k; };
  std::fill(X + row_of(first), X + row_of(last), T{0});
  const double share = static_cast<double>(last - first) / R_.rows();
  const auto pieces = std::min<Index>(
      units, 1 + static_cast<Index>(share * rows_.count() * share_.ranks / kEntries));
  auto& lanes = numbers->folded;
  lanes.assign(64 * kPanel<T>, 0);
  for (Index piece = 0; piece < pieces; ++piece) {
    const auto from = static_cast<Index>(Global{piece} * units / pieces);
    const auto to = static_cast<Index>((Global{piece} + 1) * units / pieces);
    const Index begin = blocks.row_begin(from), end = blocks.row_begin(to);
    sort(
        blocks, from, to,
        [&](Index i) {
          const Index place = share_.before(i);
          return share_.owns(i) && place >= first && place < last ? place * b : -1;
        },
        *scratch);
    for (Index i = begin; i < end; ++i) {
      const std::size_t at = scratch->starts[i - begin];
      const std::size_t count = scratch->starts[i - begin + 1] - at;
      if (count == 0) continue;
      for (Index v = 0; v < k; v += kPanel<T>) {
        const int vectors = std::min(kPanel<T>, k - v);
        for (int q = 0; q < vectors; ++q)
          R_.fold(Y + row_of(i) + v + q, k, lanes.data() + q, kPanel<T>);
        dot_entries<T>(scratch->sorted.data() + at, count, R_.lanes(), lanes.data(),
                       numbers->tables[0], {X + v, static_cast<std::size_t>(k), vectors});
      }
    }
  }
}

template void BlockSparse::apply(const float*, Index, float*) const;
template void BlockSparse::apply(const double*, Index, double*) const;
template void BlockSparse::apply_transpose(const float*, Index, float*) const;
template void BlockSparse::apply_transpose(const double*, Index, double*) const;

}  // namespace pympf::sketch
