#include "pympf/la/determined.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>
#include <utility>

#include "pympf/la/sparse.hpp"

namespace pympf {
namespace {

// The rows that a column has entries in, but for the diagonal and zeros.
template <class T>
struct Columns {
  std::vector<Index> start, row;

  explicit Columns(const DistRows<T>& A) : start(A.column_count() + 1, 0) {
    const CsrView<T>& rows = A.rows;
    const auto each = [&](const auto& entry) {
      for (Index i = 0; i < rows.rows; ++i)
        for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
          if (rows.data[p] != 0 && rows.indices[p] != i + A.shift) entry(i, rows.indices[p]);
    };
    each([&](Index, Index c) { ++start[c + 1]; });
    for (std::size_t c = 1; c < start.size(); ++c) start[c] += start[c - 1];
    row.resize(start.back());
    std::vector<Index> next(start.begin(), start.end() - 1);
    each([&](Index i, Index c) { row[next[c]++] = i; });
  }
};

// Entries of each row that stand in its way: off the diagonal, not zero.
template <class T>
std::vector<Index> open_entries(const DistRows<T>& A) {
  std::vector<Index> out(A.own(), 0);
  for (Index i = 0; i < A.own(); ++i)
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      out[i] += A.rows.data[p] != 0 && A.rows.indices[p] != i + A.shift;
  return out;
}

}  // namespace

template <class T>
Determined<T>::Determined(const DistRows<T>& A)
    : halo_(A), shift_(A.shift), diagonal_(diagonal(A)), known_(A.column_count(), 0) {
  find(A);
  keep_known_columns(A);
  Global positive = 0, negative = 0, own = 0;
  for (Index i = 0; i < A.own(); ++i) {
    const bool known = known_[i + shift_];
    own += known;
    positive += !known && diagonal_[i] > 0;
    negative += !known && diagonal_[i] < 0;
  }
  count_ = A.comm.sum(own);
  positive = A.comm.sum(positive);
  sign_ = A.comm.sum(negative) > 0 && positive == 0 ? T(-1) : T(1);
}

// A row whose last open entry falls is determined next. Every round goes as far as this rank's rows
// allow; between rounds the ranks tell each other.
template <class T>
void Determined<T>::find(const DistRows<T>& A) {
  std::vector<Index> open = open_entries(A), ready;
  for (Index i = 0; i < A.own(); ++i)
    if (open[i] == 0 && diagonal_[i] != 0) ready.push_back(i);
  if (A.comm.max(Global{!ready.empty()}) == 0) return;
  const Columns<T> columns(A);
  const auto fall = [&](Index c) {
    for (Index q = columns.start[c]; q < columns.start[c + 1]; ++q)
      if (const Index i = columns.row[q]; --open[i] == 0 && diagonal_[i] != 0) ready.push_back(i);
  };
  do {
    for (std::size_t k = 0; k < ready.size(); ++k) {
      const Index c = ready[k] + shift_;
      known_[c] = 1;
      fall(c);
    }
    rounds_.push_back(std::move(ready));
    ready.clear();
    const std::vector<char> before = known_;
    halo_(known_);
    for (Index c = 0; c < A.column_count(); ++c)
      if (known_[c] && !before[c]) fall(c);
  } while (A.comm.max(Global{!ready.empty()}) > 0);
}

template <class T>
void Determined<T>::keep_known_columns(const DistRows<T>& A) {
  moved_ = {A.own(), A.column_count(), {0}, {}, {}};
  for (Index i = 0; i < A.own(); ++i) {
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      if (const Index c = A.rows.indices[p]; known_[c] && c != i + shift_ && A.rows.data[p] != 0) {
        moved_.indices.push_back(c);
        moved_.data.push_back(A.rows.data[p]);
      }
    moved_.indptr.push_back(static_cast<Index>(moved_.data.size()));
  }
}

template <class T>
DistRows<T> Determined<T>::rest(const DistRows<T>& A) const {
  const CsrView<T>& rows = A.rows;
  GlobalRows<T> out;
  for (Index i = 0; i < rows.rows; ++i) {
    const bool known = known_[i + shift_];
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
      const Index c = rows.indices[p];
      if (known ? c != i + shift_ : known_[c] != 0) continue;
      out.indices.push_back(A.column(c));
      out.data.push_back(known ? rest_diagonal(i) : rows.data[p]);
    }
    out.indptr.push_back(static_cast<Index>(out.data.size()));
  }
  return number_columns(A.comm, A.layout, out);
}

// b_i - sum of a_ij x_j, j in D
template <class T>
double Determined<T>::without_known(Index i, const T* b, const std::vector<T>& columns) const {
  double rest = b[i];
  for (Index p = moved_.indptr[i]; p < moved_.indptr[i + 1]; ++p)
    rest -= static_cast<double>(moved_.data[p]) * columns[moved_.indices[p]];
  return rest;
}

template <class T>
void Determined<T>::solve(const T* b, T* x) const {
  std::vector<T> columns(known_.size(), T(0));
  for (const std::vector<Index>& round : rounds_) {
    for (const Index i : round)
      columns[i + shift_] = x[i] = static_cast<T>(without_known(i, b, columns) / diagonal_[i]);
    halo_(columns);
  }
}

template <class T>
std::vector<T> Determined<T>::with_ghosts(const T* x) const {
  std::vector<T> columns(known_.size(), T(0));
  std::copy_n(x, moved_.rows, columns.begin() + shift_);
  halo_(columns);
  return columns;
}

template <class T>
std::vector<double> Determined<T>::rounding(const T* b, const T* x) const {
  constexpr double few = 16 * std::numeric_limits<T>::epsilon();
  const std::vector<T> columns = with_ghosts(x);
  std::vector<double> out(moved_.rows, 0.0);
  for (Index i = 0; i < moved_.rows; ++i) {
    if (!known_[i + shift_]) continue;
    double terms = std::abs(double{b[i]}) + std::abs(double{diagonal_[i]} * double{x[i]});
    for (Index p = moved_.indptr[i]; p < moved_.indptr[i + 1]; ++p)
      terms += std::abs(double{moved_.data[p]} * double{columns[moved_.indices[p]]});
    out[i] = few * terms;
  }
  return out;
}

template <class T>
void Determined<T>::move_to_right(const T* b, const T* x, T* rest_b) const {
  const std::vector<T> columns = with_ghosts(x);
  for (Index i = 0; i < moved_.rows; ++i)
    rest_b[i] =
        known_[i + shift_] ? rest_diagonal(i) * x[i] : static_cast<T>(without_known(i, b, columns));
}

template <class T>
Admission<T> admit(const std::shared_ptr<DistRows<T>>& A) {
  const auto completed = [](const std::shared_ptr<DistRows<T>>& rows, const Asymmetry& found) {
    if (found.one_sided) return std::make_shared<DistRows<T>>(with_symmetric_pattern(*rows));
    rows->symmetric_pattern = true;
    return rows;
  };
  Admission<T> out;
  auto diagonal = std::make_shared<std::vector<T>>();
  out.found = asymmetry(*A, *diagonal);
  A->seen.diagonal = std::move(diagonal);
  if (out.found.gap == 0) {
    out.rows = completed(A, out.found);
    return out;
  }
  auto determined = std::make_shared<Determined<T>>(*A);
  if (determined->count() == 0) return out;
  const auto rest = std::make_shared<DistRows<T>>(determined->rest(*A));
  out.found_in_rest = asymmetry(*rest);
  if (out.found_in_rest.gap == 0) out.rows = completed(rest, out.found_in_rest);
  out.determined = std::move(determined);
  return out;
}

namespace {

// What rounding in single precision may leave.
constexpr double nearly = 1e-5;

std::string place_of(const Asymmetry& found) {
  std::ostringstream text;
  text.precision(6);
  text << "max|a_ij - a_ji| = " << found.gap << " at i = " << found.row << ", j = " << found.column;
  text.precision(3);
  text << " (allowed: " << found.allowed << ")";
  return text.str();
}

}  // namespace

template <class T>
std::string Admission<T>::refusal(const std::string& otherwise) const {
  const std::string text = "expected a symmetric matrix, got " + place_of(found) + "; ";
  const Global count = determined ? determined->count() : 0;
  if (count > 0 && found_in_rest.gap == 0)
    return concat(
        text, "without the columns of its ", count,
        " Dirichlet rows (nothing but a diagonal entry, or nothing else once such "
        "unknowns are known) it is symmetric: give x[rows] = b[rows] / diagonal, move the "
        "columns to the right-hand side, and set them to zero");
  const Asymmetry& rest = count > 0 ? found_in_rest : found;
  if (rest.relative <= nearly)
    return concat(text, "it is symmetric but for rounding (", rest.relative,
                  " of the size of the rows): take (A + A.T) / 2");
  if (count > 0)
    return concat(text, "without the columns of its ", count, " Dirichlet rows still ",
                  place_of(rest), "; ", otherwise);
  return text + otherwise;
}

template <class T>
std::string Admission<T>::remark() const {
  const Asymmetry& rest = determined && determined->count() > 0 ? found_in_rest : found;
  if (rows || rest.relative > nearly) return {};
  return concat("A is symmetric but for rounding (", rest.relative,
                " of the size of the rows): (A + A.T) / 2 would be solved as a symmetric one");
}

#define PYMPF_INSTANTIATE(T)    \
  template class Determined<T>; \
  template struct Admission<T>; \
  template Admission<T> admit(const std::shared_ptr<DistRows<T>>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf
