#include "pympf/approx/factorization.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/approx/sparse_row.hpp"

namespace pympf::approx {
namespace {

constexpr Index kBlock = 16;  // columns that a rotation takes at a time

void check_distinct(const std::vector<Index>& of, Index count, const char* what) {
  std::vector<char> seen(count, 0);
  for (Index i : of) {
    require(i >= -1 && i < count, what, " has an entry ", i, ", expected -1 to ", count - 1);
    if (i < 0) continue;
    require(!seen[i], what, " has ", i, " twice");
    seen[i] = 1;
  }
}

void check_starts(const std::vector<Index>& starts, std::size_t last, const char* what) {
  require(!starts.empty() && starts.front() == 0 && std::is_sorted(starts.begin(), starts.end()) &&
              static_cast<std::size_t>(starts.back()) == last,
          what, ": expected numbers from 0 to ", last, " that do not decrease");
}

void check_members(const std::vector<Index>& members, Index count, const char* what) {
  for (std::size_t k = 0; k < members.size(); ++k)
    require(members[k] >= 0 && members[k] < count && (k == 0 || members[k - 1] < members[k]), what,
            ": expected ascending numbers from 0 to ", count - 1);
}

// Keeps the positions that rotations touch, and numbers them anew.
template <class Rotation>
Pairing touched_only(const Pairing& all, std::vector<Rotation>& rotations) {
  constexpr Index w = Rotation::width;
  std::vector<Index> number(all.row.size() / w, -1);
  for (const Rotation& r : rotations) number[r.i] = number[r.j] = 0;
  Pairing out{{}, {}, all.exact};
  for (Index group = 0, count = 0; group < static_cast<Index>(number.size()); ++group) {
    if (number[group] < 0) continue;
    number[group] = count++;
    for (Index p = w * group; p < w * (group + 1); ++p) {
      out.row.push_back(all.row[p]);
      out.column.push_back(all.column[p]);
    }
  }
  for (Rotation& r : rotations) {
    r.i = number[r.i];
    r.j = number[r.j];
  }
  return out;
}

}  // namespace

template <class Rotation>
Factorization<Rotation>::Factorization(Parts parts) : parts_(std::move(parts)) {
  check();
}

template <class Rotation>
Factorization<Rotation>::Factorization(const Run<Rotation>& run, Index core_size, Sparsify rule,
                                       Global entries) {
  constexpr Index w = Rotation::width;
  const Csr<double>& B = run.B();
  const Pairing& pairing = run.pairing();
  const Core core = choose_core(B, pairing, w, Rotation::parameters == 2, core_size);
  const Kept kept = sparsify(B, core, w, rule, entries);
  left_out_ = std::ldexp(std::sqrt(kept.left_out2), run.exponent());

  parts_ = {run.rows(), run.cols(), {}, run.rotations(), run.parts(), run.stages(), {}, {}, {}};
  parts_.pairing = touched_only(pairing, parts_.rotations);
  std::vector<Index> position(run.rows());
  for (Index p = 0; p < B.rows; ++p) {
    if (pairing.row[p] >= 0) position[pairing.row[p]] = p;
    if (pairing.row[p] >= 0 && core.rows[p]) parts_.core_rows.push_back(pairing.row[p]);
    if (pairing.column[p] >= 0 && core.columns[p]) parts_.core_columns.push_back(pairing.column[p]);
  }
  std::sort(parts_.core_rows.begin(), parts_.core_rows.end());
  std::sort(parts_.core_columns.begin(), parts_.core_columns.end());

  Csr<double>& H = parts_.H;
  H = {run.rows(), run.cols(), {0}, {}, {}};
  std::vector<std::pair<Index, double>> row;
  for (Index i = 0; i < run.rows(); ++i) {
    row.clear();
    for (Index p = B.indptr[position[i]]; p < B.indptr[position[i] + 1]; ++p)
      if (kept.entries[p])
        row.emplace_back(pairing.column[B.indices[p]], std::ldexp(B.data[p], run.exponent()));
    std::sort(row.begin(), row.end());
    for (const auto& [j, value] : row) {
      H.indices.push_back(j);
      H.data.push_back(value);
    }
    H.indptr.push_back(static_cast<Index>(H.indices.size()));
  }
}

template <class Rotation>
void Factorization<Rotation>::check() const {
  constexpr Index w = Rotation::width;
  const auto& [rows, cols, pairing, rotations, parts, stages, H, core_rows, core_columns] = parts_;
  const auto count = static_cast<Index>(pairing.row.size());
  require(rows > 0 && cols > 0 && count % w == 0 && pairing.column.size() == pairing.row.size(),
          "expected positions of rows and columns, got ", pairing.row.size(), " and ",
          pairing.column.size());
  check_distinct(pairing.row, rows, "row");
  check_distinct(pairing.column, cols, "column");
  check_starts(parts, rotations.size(), "parts");
  check_starts(stages, parts.size() - 1, "stages");
  for (const Rotation& r : rotations) {
    require(r.i >= 0 && r.i < r.j && r.j < count / w, "a rotation of ", r.i, " and ", r.j,
            ": expected two numbers from 0 to ", count / w - 1);
    for (double t : r.t) require(std::abs(t) <= 1 + 1e-12, "a rotation has tan(angle/2) = ", t);
    const bool without = pairing.row[w * r.i] < 0 || pairing.row[w * r.j] < 0;
    require(w > 1 || !r.moves(Side::rows) || !without, "a rotation of a row that is not there");
    const bool none = pairing.column[w * r.i] < 0 || pairing.column[w * r.j] < 0;
    require(w > 1 || !r.moves(Side::columns) || !none, "a rotation of a column that is not there");
  }
  require(H.rows == rows && H.cols == cols && H.indices.size() == H.data.size(), "expected H of ",
          rows, " x ", cols);
  require(H.indptr.size() == static_cast<std::size_t>(rows) + 1, "H has ", H.indptr.size() - 1,
          " rows, expected ", rows);
  check_starts(H.indptr, H.data.size(), "H");
  for (std::size_t p = 0; p < H.data.size(); ++p)
    require(H.indices[p] >= 0 && H.indices[p] < cols && std::isfinite(H.data[p]),
            "H has an entry in column ", H.indices[p], " of value ", H.data[p]);
  check_members(core_rows, rows, "core rows");
  check_members(core_columns, cols, "core columns");
}

template <class Rotation>
std::size_t Factorization<Rotation>::bytes() const {
  const auto size = [](const auto& v) { return v.size() * sizeof(v[0]); };
  return size(parts_.rotations) + size(parts_.parts) + size(parts_.stages) +
         size(parts_.pairing.row) + size(parts_.pairing.column) + size(parts_.H.indptr) +
         size(parts_.H.indices) + size(parts_.H.data) + size(parts_.core_rows) +
         size(parts_.core_columns);
}

template <class Rotation>
void Factorization<Rotation>::rotate(double* X, Index count, Side side, bool inverse) const {
  constexpr int w = Rotation::width, k = 2 * w;
  const std::vector<Index>& place = side == Side::rows ? parts_.pairing.row : parts_.pairing.column;
  const auto apply = [&](const Rotation& rotation) {
    if (!rotation.moves(side)) return;
    const auto G = rotation.matrix(side);
    double nothing[kBlock] = {};  // of a position without a row; it is and stays zero
    std::array<double*, k> at;
    for (Index first = 0; first < count; first += kBlock) {
      const Index width = std::min(kBlock, count - first);
      for (int a = 0; a < k; ++a) {
        const Index i = place[w * (a < w ? rotation.i : rotation.j) + a % w];
        at[a] = i < 0 ? nothing : X + static_cast<std::size_t>(i) * count + first;
      }
      for (Index c = 0; c < width; ++c) {
        double x[k];
        for (int a = 0; a < k; ++a) x[a] = at[a][c];
        for (int a = 0; a < k; ++a) {
          double y = 0;
          for (int b = 0; b < k; ++b) y += (inverse ? G[k * b + a] : G[k * a + b]) * x[b];
          at[a][c] = y;
        }
      }
    }
  };
  const std::vector<Index>&parts = parts_.parts, &stages = parts_.stages;
  const std::vector<Rotation>& rotations = parts_.rotations;
  const auto levels = static_cast<Index>(stages.size()) - 1;
  for (Index s = 0; s < levels; ++s) {
    const Index level = inverse ? levels - 1 - s : s;
    const Index first = stages[level], last = stages[level + 1];
    const auto work = static_cast<std::size_t>(parts[last] - parts[first]) * 4 * k * count;
    parallel_for(last - first, worth_threads(work), [&](Index number) {
      const Index begin = parts[first + number], end = parts[first + number + 1];
      for (Index r = begin; r < end; ++r) apply(rotations[inverse ? end - 1 - (r - begin) : r]);
    });
  }
}

template <class Rotation>
void Factorization<Rotation>::multiply(const double* X, double* Y, Index count,
                                       bool transposed) const {
  const Side in = transposed ? Side::rows : Side::columns;
  const Side out = transposed ? Side::columns : Side::rows;
  const auto size_in = static_cast<std::size_t>(transposed ? parts_.rows : parts_.cols) * count;
  const auto size_out = static_cast<std::size_t>(transposed ? parts_.cols : parts_.rows) * count;
  typename Pool<std::vector<double>>::Lease buffer(buffers_);
  if (buffer->size() < size_in) buffer->resize(size_in);
  double* const x = buffer->data();
  std::copy_n(X, size_in, x);
  rotate(x, count, in, false);

  const Csr<double>& H = parts_.H;
  if (transposed) {
    std::fill_n(Y, size_out, 0.0);
    for (Index i = 0; i < H.rows; ++i)
      for (Index p = H.indptr[i]; p < H.indptr[i + 1]; ++p) {
        double* const y = Y + static_cast<std::size_t>(H.indices[p]) * count;
        for (Index c = 0; c < count; ++c)
          y[c] += H.data[p] * x[static_cast<std::size_t>(i) * count + c];
      }
  } else {
    parallel_for(H.rows, worth_threads(static_cast<std::size_t>(H.nnz()) * count), [&](Index i) {
      double* const y = Y + static_cast<std::size_t>(i) * count;
      std::fill_n(y, count, 0.0);
      for (Index p = H.indptr[i]; p < H.indptr[i + 1]; ++p) {
        const double* const row = x + static_cast<std::size_t>(H.indices[p]) * count;
        for (Index c = 0; c < count; ++c) y[c] += H.data[p] * row[c];
      }
    });
  }
  rotate(Y, count, out, true);
}

template <class Rotation>
void Factorization<Rotation>::transform(const double* X, double* Y, Index count, Side side) const {
  const Index n = side == Side::rows ? parts_.rows : parts_.cols;
  std::copy_n(X, static_cast<std::size_t>(n) * count, Y);
  rotate(Y, count, side, false);
}

template <class Rotation>
void Factorization<Rotation>::inverse_transform(const double* X, double* Y, Index count,
                                                Side side) const {
  const Index n = side == Side::rows ? parts_.rows : parts_.cols;
  std::copy_n(X, static_cast<std::size_t>(n) * count, Y);
  rotate(Y, count, side, true);
}

template <class Rotation>
Csr<double> Factorization<Rotation>::wavelets(Side side) const {
  constexpr int w = Rotation::width, k = 2 * w;
  const std::vector<Index>& place = side == Side::rows ? parts_.pairing.row : parts_.pairing.column;
  const Index n = side == Side::rows ? parts_.rows : parts_.cols;
  RowMemory memory;
  MixedRows<k> mixed;
  std::vector<SparseRow> rows(n);
  const double one = 1;
  for (Index i = 0; i < n; ++i) assign(rows[i], &i, &one, 1, memory);
  SparseRow nothing;
  assign(nothing, nullptr, nullptr, 0, memory);
  for (const Rotation& rotation : parts_.rotations) {
    if (!rotation.moves(side)) continue;
    std::array<SparseRow*, k> lines;
    for (int a = 0; a < k; ++a) {
      const Index i = place[w * (a < w ? rotation.i : rotation.j) + a % w];
      lines[a] = i < 0 ? &nothing : &rows[i];
    }
    combine<k>(rotation.matrix(side), lines, mixed, memory);
  }
  std::vector<Global> length(n + 1, 0);
  for (Index i = 0; i < n; ++i) length[i + 1] = static_cast<Global>(rows[i].size) - 1;
  auto W = with_row_lengths<double>(length, n, "entries of the wavelets");
  for (Index i = 0; i < n; ++i) {
    std::copy_n(rows[i].index, W.indptr[i + 1] - W.indptr[i], &W.indices[W.indptr[i]]);
    std::copy_n(rows[i].value, W.indptr[i + 1] - W.indptr[i], &W.data[W.indptr[i]]);
  }
  return W;
}

template class Factorization<DirectRotation>;
template class Factorization<SymmetricRotation>;
template class Factorization<SkewRotation>;

}  // namespace pympf::approx
