#include "pympf/precond/smoothers/ilut.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/common/error.hpp"
#include "pympf/common/sort.hpp"

namespace pympf::precond {
namespace {

constexpr double least_pivot = 1e-8;  // of the mean magnitude of its row
constexpr double kept_fill = 0.1;     // of the drop tolerance: smaller fill is not even begun

// One row at a time, in double precision: U is read back while later rows are made.
class Elimination {
 public:
  Elimination(const CsrView<double>& A, const IlutRule& rule, std::size_t most)
      : A_(A), rule_(rule), most_(most), column_(A.rows), pivot_(A.rows), inverse_(A.rows) {
    for (Csr<double>* part : {&L, &U}) {
      *part = {A.rows, A.rows, {0}, {}, {}};
      part->indices.reserve(A.nnz());
      part->data.reserve(A.nnz());
    }
  }

  void run() {
    if (rule_.pattern) return run_in_pattern();
    for (Index i = 0; i < A_.rows; ++i) {
      load(i);
      eliminate(i);
      keep(i);
      check_size();
    }
  }

  Csr<double> L, U;
  double work = 0;
  Index replaced = 0;
  const std::vector<double>& pivots() const { return pivot_; }

 private:
  // Without fill rows are made where they stay: what row i has of column j is at *entry.
  void run_in_pattern() {
    struct Place {
      double* entry = nullptr;
      Index row = -1;
    };
    std::vector<Place> places(A_.rows);
    for (Csr<double>* part : {&L, &U}) {
      part->indptr.resize(A_.rows + 1);
      part->indices.resize(A_.nnz());
      part->data.resize(A_.nnz());
    }
    Index lower = 0, upper = 0;
    for (Index i = 0; i < A_.rows; ++i) {
      double sum = 0, pivot = 0;
      Index count = 0;
      places[i] = {&pivot, i};
      for (Index p = A_.indptr[i]; p < A_.indptr[i + 1]; ++p) {
        const Index j = A_.indices[p];
        if (j >= A_.rows) continue;
        sum += std::abs(A_.data[p]);
        ++count;
        if (j != i) {
          Csr<double>& part = j < i ? L : U;
          const Index at = j < i ? lower++ : upper++;
          part.indices[at] = j;
          places[j] = {&part.data[at], i};
        }
        *places[j].entry = A_.data[p];
      }
      for (Index p = L.indptr[i]; p < lower; ++p) {
        const Index k = L.indices[p], begin = U.indptr[k], end = U.indptr[k + 1];
        const double factor = L.data[p] *= inverse_[k];
        work += 1 + end - begin;
        for (Index q = begin; q < end; ++q)
          if (const Place& place = places[U.indices[q]]; place.row == i)
            *place.entry -= factor * U.data[q];
      }
      size_ = count > 0 ? sum / count : 0;
      take_pivot(i, pivot);
      L.indptr[i + 1] = lower;
      U.indptr[i + 1] = upper;
    }
    for (Csr<double>* part : {&L, &U}) {
      part->indices.resize(part->indptr.back());
      part->data.resize(part->indptr.back());
    }
    check_size();
  }

  void check_size() const {
    require(L.data.size() + U.data.size() <= most_, "the LU factorization has more than ", most_,
            " entries");
  }

  struct Column {
    double value = 0;
    Index row = -1;   // that has an entry here
    Index next = -1;  // of the columns to be eliminated
  };

  // The columns left of the diagonal are a list in ascending order, which ends with i.
  void load(Index i) {
    upper_.clear(), kept_.clear();
    double sum = 0;
    Index count = 0, lower = 0, *link = &first_;
    column_[i].value = 0, column_[i].row = i;
    for (Index p = A_.indptr[i]; p < A_.indptr[i + 1]; ++p) {
      const Index j = A_.indices[p];
      if (j >= A_.rows || A_.data[p] == 0) continue;
      Column& column = column_[j];
      column.value = A_.data[p];
      column.row = i;
      sum += std::abs(A_.data[p]);
      ++count;
      if (j > i) upper_.push_back(j);
      if (j >= i) continue;
      *link = j;
      link = &column.next;
      ++lower;
    }
    *link = i;
    size_ = count > 0 ? sum / count : 0;
    most_lower_ = lower + rule_.more;
    most_upper_ = static_cast<Index>(upper_.size()) + rule_.more;
  }

  void eliminate(Index i) {
    for (Index k = first_; k < i; k = column_[k].next) {
      const double factor = column_[k].value * inverse_[k];
      ++work;
      if (std::abs(factor) < rule_.drop || factor == 0) continue;
      column_[k].value = factor;
      kept_.push_back(k);
      subtract(i, k, factor);
    }
  }

  // w -= factor u_k
  void subtract(Index i, Index k, double factor) {
    const double least = kept_fill * rule_.drop * size_;
    const Index begin = U.indptr[k], end = U.indptr[k + 1];
    work += end - begin;
    Index before = k;
    for (Index q = begin; q < end; ++q) {
      const Index j = U.indices[q];
      const double v = -factor * U.data[q];
      Column& column = column_[j];
      if (column.row == i) {
        column.value += v;
        continue;
      }
      if (std::abs(v) < least) continue;
      column.value = v;
      column.row = i;
      if (j > i) {
        upper_.push_back(j);
        continue;
      }
      while (column_[before].next < j) before = column_[before].next;
      column.next = column_[before].next;
      column_[before].next = j;
    }
  }

  void keep(Index i) {
    const double least = rule_.drop * size_;
    std::erase_if(upper_, [&](Index j) { return std::abs(column_[j].value) < least; });
    append(kept_, most_lower_, L);
    append(upper_, most_upper_, U);
    take_pivot(i, column_[i].value);
  }

  void take_pivot(Index i, double pivot) {
    if (!(std::abs(pivot) >= least_pivot * size_) || pivot == 0) {
      const double raised = (1e-4 + rule_.drop) * size_;
      pivot = raised > 0 ? std::copysign(raised, pivot) : 1;
      ++replaced;
    }
    pivot_[i] = pivot;
    inverse_[i] = 1 / pivot;
  }

  // The largest `most` of a row, in the order of their columns.
  void append(std::vector<Index>& columns, Index most, Csr<double>& out) {
    constexpr Index few = 4;
    const auto larger = [&](Index a, Index b) {
      const double x = std::abs(column_[a].value), y = std::abs(column_[b].value);
      return x != y ? x > y : a < b;
    };
    Index excess = static_cast<Index>(columns.size()) - most;
    for (; 0 < excess && excess <= few; --excess)
      columns.erase(std::max_element(columns.begin(), columns.end(), larger));
    if (excess > 0) {
      std::nth_element(columns.begin(), columns.begin() + most, columns.end(), larger);
      columns.resize(most);
    }
    sort_few(columns);
    for (const Index j : columns) {
      out.indices.push_back(j);
      out.data.push_back(column_[j].value);
    }
    out.indptr.push_back(static_cast<Index>(out.data.size()));
  }

  const CsrView<double> A_;
  const IlutRule rule_;
  const std::size_t most_;
  std::vector<Column> column_;
  std::vector<double> pivot_, inverse_;
  std::vector<Index> upper_, kept_;  // columns right of the diagonal; of multipliers
  Index first_ = 0;
  double size_ = 0;
  Index most_lower_ = 0, most_upper_ = 0;
};

// The strict triangle without the entries next to the diagonal, (i, i - 1) or (i, i + 1), which go
// to `near`; row i is divided by pivot[i].
template <class T>
Csr<T> take_near(Csr<double>&& A, Index step, const double* pivot, std::vector<T>& near) {
  Csr<T> out{A.rows, A.cols, std::move(A.indptr), std::move(A.indices), {}};
  out.data.resize(A.data.size());
  near.assign(A.rows, T(0));
  Index end = 0, begin = 0;
  for (Index i = 0; i < A.rows; ++i) {
    const double d = pivot ? 1 / pivot[i] : 1;
    const Index last = out.indptr[i + 1];
    for (Index p = begin; p < last; ++p) {
      const T v = static_cast<T>(A.data[p] * d);
      if (out.indices[p] == i + step) {
        near[i] = v;
        continue;
      }
      out.indices[end] = out.indices[p];
      out.data[end++] = v;
    }
    begin = last;
    out.indptr[i + 1] = end;
  }
  out.indices.resize(end);
  out.data.resize(end);
  return out;
}

}  // namespace

template <class T>
Ilut<T>::Ilut(const CsrView<double>& A, const IlutRule& rule, std::size_t most) {
  Elimination elimination(A, rule, most);
  elimination.run();
  work_ = elimination.work;
  replaced_ = elimination.replaced;
  const std::vector<double>& pivots = elimination.pivots();
  inverse_.reserve(pivots.size());
  for (const double pivot : pivots) inverse_.push_back(static_cast<T>(1 / pivot));
  nnz_ = elimination.L.data.size() + elimination.U.data.size() + pivots.size();
  L_ = take_near<T>(std::move(elimination.L), -1, nullptr, before_);
  U_ = take_near<T>(std::move(elimination.U), 1, pivots.data(), after_);
}

template <class T>
void Ilut<T>::solve(T* x) const {
  const CsrView<T> L = L_, U = U_;
  const T *before = before_.data(), *after = after_.data(), *inverse = inverse_.data();
  T known = 0;  // of the row before
  for (Index i = 0; i < L.rows; ++i) {
    T sum = x[i];
    for (Index p = L.indptr[i]; p < L.indptr[i + 1]; ++p) sum -= L.data[p] * x[L.indices[p]];
    known = sum - before[i] * known;
    x[i] = known;
  }
  known = 0;
  for (Index i = U.rows - 1; i >= 0; --i) {
    T sum = x[i] * inverse[i];
    for (Index p = U.indptr[i]; p < U.indptr[i + 1]; ++p) sum -= U.data[p] * x[U.indices[p]];
    known = sum - after[i] * known;
    x[i] = known;
  }
}

template <class T>
void Ilut<T>::solve_transposed(T* x) const {
  const CsrView<T> L = L_, U = U_;
  for (Index i = 0; i < U.rows; ++i) {
    const T v = x[i];
    for (Index p = U.indptr[i]; p < U.indptr[i + 1]; ++p) x[U.indices[p]] -= U.data[p] * v;
    if (i + 1 < U.rows) x[i + 1] -= after_[i] * v;
    x[i] = v * inverse_[i];
  }
  for (Index i = L.rows - 1; i >= 0; --i) {
    for (Index p = L.indptr[i]; p < L.indptr[i + 1]; ++p) x[L.indices[p]] -= L.data[p] * x[i];
    if (i > 0) x[i - 1] -= before_[i] * x[i];
  }
}

template class Ilut<float>;
template class Ilut<double>;

}  // namespace pympf::precond
