#include "pympf/approx/core.hpp"

#include <algorithm>
#include <queue>

#include "pympf/common/sort.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::approx {
namespace {

// Those that leave first come first; ties go to the smaller number.
using Leaving = std::priority_queue<std::pair<double, Index>, std::vector<std::pair<double, Index>>,
                                    std::greater<>>;

// Squares outside the diagonal blocks, row by row.
template <class F>
void for_outside(const Csr<double>& B, Index width, Index i, const F& f) {
  for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p)
    if (B.indices[p] / width != i / width) f(B.indices[p], B.data[p] * B.data[p]);
}

Core rows_and_columns(const Csr<double>& B, const Pairing& pairing, Index size) {
  const Csr<double> T = transpose(B.view());
  const Index n = B.rows;  // rows are numbered from 0, columns from n
  std::vector<double> energy(2 * n, 0.0);
  std::vector<char> in(2 * n);
  Index rows = 0, columns = 0;
  for (Index i = 0; i < n; ++i) {
    for_outside(B, 1, i, [&](Index j, double square) {
      energy[i] += square;
      energy[n + j] += square;
    });
    rows += in[i] = pairing.row[i] >= 0;
    columns += in[n + i] = pairing.column[i] >= 0;
  }
  Leaving leaving;
  for (Index q = 0; q < 2 * n; ++q)
    if (in[q]) leaving.emplace(energy[q], q);
  while (rows > size || columns > size) {
    const auto [value, q] = leaving.top();
    leaving.pop();
    if (!in[q] || value != energy[q] || (q < n ? rows : columns) <= size) continue;
    in[q] = 0;
    --(q < n ? rows : columns);
    const Csr<double>& lines = q < n ? B : T;
    for_outside(lines, 1, q < n ? q : q - n, [&](Index j, double square) {
      const Index other = q < n ? n + j : j;
      if (in[other]) leaving.emplace(energy[other] -= square, other);
    });
  }
  return {{in.begin(), in.begin() + n}, {in.begin() + n, in.end()}};
}

Core groups(const Csr<double>& B, const Pairing& pairing, Index width, Index size) {
  const Index count = B.rows / width;
  std::vector<double> energy(count, 0.0);
  for (Index i = 0; i < B.rows; ++i)
    for_outside(B, width, i, [&](Index, double square) { energy[i / width] += square; });
  std::vector<char> in(count, 1);
  Index rows = 0;
  for (Index row : pairing.row) rows += row >= 0;
  Leaving leaving;
  for (Index q = 0; q < count; ++q) leaving.emplace(energy[q], q);
  while (rows > size) {
    const auto [value, q] = leaving.top();
    leaving.pop();
    if (!in[q] || value != energy[q]) continue;
    in[q] = 0;
    for (Index i = width * q; i < width * (q + 1); ++i) {
      rows -= pairing.row[i] >= 0;
      for_outside(B, width, i, [&](Index j, double square) {
        if (in[j / width]) leaving.emplace(energy[j / width] -= square, j / width);
      });
    }
  }
  Core core;
  for (Index i = 0; i < B.rows; ++i) core.rows.push_back(in[i / width]);
  core.columns = core.rows;
  return core;
}

}  // namespace

Sparsify sparsify_from_name(const std::string& name) {
  if (name == "diagonal") return Sparsify::diagonal;
  if (name == "top") return Sparsify::top;
  require(name == "greedy", "sparsify = ", name, ", expected diagonal, top or greedy");
  return Sparsify::greedy;
}

Core choose_core(const Csr<double>& B, const Pairing& pairing, Index width, bool both_sides,
                 Index size) {
  if (size == 0) return {std::vector<char>(B.rows, 0), std::vector<char>(B.cols, 0)};
  return both_sides ? rows_and_columns(B, pairing, size) : groups(B, pairing, width, size);
}

namespace {

struct Entry {
  double square;
  Index place, i, j;

  bool operator<(const Entry& other) const {  // the larger one comes first
    return square != other.square ? square > other.square : place < other.place;
  }
};

// f(square, place, i, j) of what is outside the core, and of the diagonal blocks unless `width` =
// 0.
template <class F>
void for_outside_core(const Csr<double>& B, const Core& core, Index width, const F& f) {
  for (Index i = 0; i < B.rows; ++i)
    for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
      const Index j = B.indices[p];
      if (core.rows[i] && core.columns[j]) continue;
      if (width > 0 && i / width == j / width) continue;
      f(Entry{B.data[p] * B.data[p], p, i, j});
    }
}

// Such that about an eighth of the entries have a larger square, by every 64th of them.
double cut_of(const Csr<double>& B) {
  std::vector<double> sample;
  for (std::size_t p = 0; p < B.data.size(); p += 64) sample.push_back(B.data[p] * B.data[p]);
  if (sample.empty()) return 0;
  const auto at = sample.begin() + static_cast<std::ptrdiff_t>(sample.size() * 7 / 8);
  std::nth_element(sample.begin(), at, sample.end());
  return *at;
}

// The largest first, no two in one row or column. The largest ones take most rows and columns, and
// few of the others are left to be sorted.
void keep_greedily(const Csr<double>& B, const Core& core, Global left, std::vector<char>& kept) {
  const double cut = cut_of(B);
  std::vector<char> row(B.rows, 0), column(B.cols, 0);
  for (const bool large : {true, false}) {
    std::vector<Entry> entries;
    for_outside_core(B, core, 0, [&](const Entry& e) {
      if ((e.square > cut) == large && !row[e.i] && !column[e.j]) entries.push_back(e);
    });
    sort_pieces(entries, std::less<>());
    for (const Entry& e : entries) {
      if (left == 0) return;
      if (row[e.i] || column[e.j]) continue;
      row[e.i] = column[e.j] = kept[e.place] = 1;
      --left;
    }
  }
}

void keep_largest(const Csr<double>& B, const Core& core, Global count, std::vector<char>& kept) {
  std::vector<Entry> entries;
  for_outside_core(B, core, 0, [&](const Entry& e) { entries.push_back(e); });
  const auto end = entries.begin() + std::min<Global>(count, std::ssize(entries));
  if (end != entries.end()) std::nth_element(entries.begin(), end, entries.end());
  for (auto e = entries.begin(); e != end; ++e) kept[e->place] = 1;
}

}  // namespace

Kept sparsify(const Csr<double>& B, const Core& core, Index width, Sparsify rule, Global entries) {
  Kept out;
  out.entries.assign(B.nnz(), 1);
  for_outside_core(B, core, rule == Sparsify::diagonal ? width : 0,
                   [&](const Entry& e) { out.entries[e.place] = 0; });
  if (rule == Sparsify::top) keep_largest(B, core, entries, out.entries);
  if (rule == Sparsify::greedy) keep_greedily(B, core, entries, out.entries);
  for (Index i = 0; i < B.rows; ++i) {
    double row = 0;
    for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p)
      if (!out.entries[p]) row += B.data[p] * B.data[p];
    out.left_out2 += row;
  }
  return out;
}

std::vector<double> left_out2(const Csr<double>& B, const std::vector<Global>& counts) {
  std::vector<double> squares;
  squares.reserve(B.data.size());
  for (double b : B.data) squares.push_back(b * b);
  std::sort(squares.begin(), squares.end());
  const auto size = static_cast<Global>(squares.size());
  std::vector<double> below{0.0}, out;
  for (double square : squares) below.push_back(below.back() + square);
  for (Global count : counts) out.push_back(below[std::max<Global>(0, size - count)]);
  return out;
}

}  // namespace pympf::approx
