#include "pympf/approx/wavelet.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::approx {

namespace {

void check_filter(const std::vector<double>& h) {
  require(!h.empty() && h.size() % 2 == 0, "expected a filter of even length, got ", h.size());
  for (std::size_t shift = 0; shift < h.size(); shift += 2) {
    double sum = shift == 0 ? -1 : 0;
    for (std::size_t m = shift; m < h.size(); ++m) sum += h[m] * h[m - shift];
    require(std::abs(sum) < 1e-9, "expected a filter that is orthogonal to its even shifts, got ",
            sum, " too much at shift ", shift);
  }
}

Csr<double> identity(Index n) {
  Csr<double> out{n, n, std::vector<Index>(n + 1), std::vector<Index>(n), {}};
  std::iota(out.indptr.begin(), out.indptr.end(), 0);
  std::iota(out.indices.begin(), out.indices.end(), 0);
  out.data.assign(n, 1.0);
  return out;
}

// One row: columns ascend, equal ones are added up.
void append_row(Csr<double>& A, std::vector<std::pair<Index, double>>& row) {
  std::stable_sort(row.begin(), row.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [column, value] : row)
    if (static_cast<Index>(A.indices.size()) > A.indptr.back() && A.indices.back() == column) {
      A.data.back() += value;
    } else {
      A.indices.push_back(column);
      A.data.push_back(value);
    }
  A.indptr.push_back(static_cast<Index>(A.indices.size()));
}

}  // namespace

Wavelets::Wavelets(std::vector<Index> grid, std::vector<Index> levels, std::vector<double> filter)
    : grid_(std::move(grid)), levels_(std::move(levels)), low_(std::move(filter)) {
  require(!grid_.empty() && grid_.size() <= 3 && levels_.size() == grid_.size(),
          "expected one to three axes and levels for each, got ", grid_.size(), " and ",
          levels_.size());
  Global rows = 1;
  for (std::size_t a = 0; a < grid_.size(); ++a) {
    require(grid_[a] > 0 && levels_[a] >= 0 && levels_[a] < 31 &&
                grid_[a] % (Index{1} << levels_[a]) == 0,
            "expected a multiple of 2^", levels_[a], " on axis ", a, ", got ", grid_[a]);
    rows = to_index(rows * grid_[a], "points of a grid");
  }
  rows_ = static_cast<Index>(rows);
  check_filter(low_);
  high_.assign(low_.rbegin(), low_.rend());
  for (std::size_t m = 1; m < high_.size(); m += 2) high_[m] = -high_[m];
}

Wavelets::Axis Wavelets::axis(Index a) const {
  Axis out{1, grid_[a], 1};
  for (Index b = 0; b < static_cast<Index>(grid_.size()); ++b)
    if (b != a) (b < a ? out.before : out.after) *= grid_[b];
  return out;
}

void Wavelets::transform(const double* X, double* Y, Index count, bool inverse) const {
  const std::size_t size = static_cast<std::size_t>(rows_) * count;
  std::copy_n(X, size, Y);
  typename Pool<std::vector<double>>::Lease work(buffers_);
  if (work->size() < size) work->resize(size);
  for (Index a = 0; a < static_cast<Index>(grid_.size()); ++a)
    for (Index l = 0; l < levels_[a]; ++l)
      level(axis(a), grid_[a] >> (inverse ? levels_[a] - 1 - l : l), count, Y, work->data(),
            inverse);
}

// Row r of an axis, over what runs faster, is one vector; the first `size` rows change.
void Wavelets::level(const Axis& axis, Index size, Index count, double* Y, double* work,
                     bool inverse) const {
  const std::size_t length = static_cast<std::size_t>(axis.after) * count;
  const Index taps = static_cast<Index>(low_.size()), half = size / 2;
  const bool many = worth_threads(static_cast<std::size_t>(axis.before) * size * length * taps);
  const auto row = [&](double* base, Index i, Index r) {
    return base + (static_cast<std::size_t>(i / size) * axis.size + r) * length;
  };
  parallel_for(static_cast<Index>(axis.before * size), many, [&](Index i) {
    const Index r = i % size;
    double* const out = row(work, i, r);
    std::fill_n(out, length, 0.0);
    const auto add = [&](double factor, Index from) {
      const double* const x = row(Y, i, from);
      for (std::size_t c = 0; c < length; ++c) out[c] += factor * x[c];
    };
    const Index k = r < half ? r : r - half;
    if (!inverse)
      for (Index m = 0; m < taps; ++m) add((r < half ? low_ : high_)[m], (2 * k + m) % size);
    else
      for (Index m = r % 2; m < taps; m += 2) {
        const Index from = (((r - m) / 2) % half + half) % half;
        add(low_[m], from);
        add(high_[m], half + from);
      }
  });
  parallel_for(static_cast<Index>(axis.before * size), many,
               [&](Index i) { std::copy_n(row(work, i, i % size), length, row(Y, i, i % size)); });
}

Csr<double> Wavelets::factor(Index a, Index level) const {
  require(a >= 0 && a < static_cast<Index>(grid_.size()), "expected an axis from 0 to ",
          grid_.size() - 1, ", got ", a);
  require(level >= 0 && level < levels_[a], "expected a level below ", levels_[a], ", got ", level);
  const Axis of = axis(a);
  const Index size = of.size >> level, half = size / 2;
  Csr<double> out{rows_, rows_, {0}, {}, {}};
  std::vector<std::pair<Index, double>> row;
  for (Index i = 0; i < rows_; ++i) {
    const Index r = i / of.after % of.size, first = i - r * of.after;
    row.clear();
    if (r >= size) {
      row.emplace_back(i, 1.0);
    } else {
      const std::vector<double>& filter = r < half ? low_ : high_;
      for (Index m = 0; m < static_cast<Index>(filter.size()); ++m)
        row.emplace_back(first + (2 * (r % half) + m) % size * of.after, filter[m]);
    }
    append_row(out, row);
  }
  return out;
}

Csr<double> Wavelets::transposed() const {
  const Csr<double> one = identity(rows_);
  Csr<double> product = one;
  for (Index a = 0; a < static_cast<Index>(grid_.size()); ++a)
    for (Index l = 0; l < levels_[a]; ++l)
      product = galerkin<double>(product.view(), factor(a, l).view(), one.view());
  Csr<double> out{rows_, rows_, {0}, {}, {}};
  for (Index i = 0; i < rows_; ++i) {
    for (Index p = product.indptr[i]; p < product.indptr[i + 1]; ++p)
      if (std::abs(product.data[p]) >= 1e-14) {
        out.indices.push_back(product.indices[p]);
        out.data.push_back(product.data[p]);
      }
    out.indptr.push_back(static_cast<Index>(out.indices.size()));
  }
  return out;
}

}  // namespace pympf::approx
