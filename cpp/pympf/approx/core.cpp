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

Kept sparsify(const Csr<double>& B, const Core& core, Index width, Sparsify rule, Global entries) {
  struct Entry {
    double square;
    Index place, i, j;
  };
  std::vector<Entry> outside;
  Kept out;
  out.entries.assign(B.nnz(), 1);
  for (Index i = 0; i < B.rows; ++i)
    for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
      const Index j = B.indices[p];
      if (core.rows[i] && core.columns[j]) continue;
      if (rule == Sparsify::diagonal && i / width == j / width) continue;
      out.entries[p] = 0;
      outside.push_back({B.data[p] * B.data[p], p, i, j});
    }
  if (rule != Sparsify::diagonal) {
    sort_pieces(outside, [](const Entry& a, const Entry& b) {
      return a.square != b.square ? a.square > b.square : a.place < b.place;
    });
    std::vector<char> row(B.rows, 0), column(B.cols, 0);
    Global left = entries;
    for (const Entry& e : outside) {
      if (left == 0) break;
      if (rule == Sparsify::greedy && (row[e.i] || column[e.j])) continue;
      row[e.i] = column[e.j] = out.entries[e.place] = 1;
      --left;
    }
  }
  // From the smallest on: each addition loses least.
  for (auto e = outside.rbegin(); e != outside.rend(); ++e)
    if (!out.entries[e->place]) out.left_out2 += e->square;
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
