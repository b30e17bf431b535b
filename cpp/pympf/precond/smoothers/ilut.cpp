#include "pympf/precond/smoothers/ilut.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/common/error.hpp"

namespace pympf::precond {
namespace {

constexpr double least_pivot = 1e-8;  // of the mean magnitude of its row
constexpr double kept_fill = 0.1;     // of the drop tolerance: smaller fill is not even begun

// One row at a time, in double precision: U is read back while later rows are made.
class Elimination {
 public:
  Elimination(const CsrView<double>& A, const IlutRule& rule, std::size_t most)
      : A_(A),
        rule_(rule),
        most_(most),
        value_(A.rows, 0),
        mark_(A.rows, -1),
        pivot_(A.rows),
        next_(A.rows) {
    for (Csr<double>* part : {&L, &U}) {
      *part = {A.rows, A.rows, {0}, {}, {}};
      part->indices.reserve(A.nnz());
      part->data.reserve(A.nnz());
    }
  }

  void run() {
    for (Index i = 0; i < A_.rows; ++i) {
      load(i);
      eliminate(i);
      keep(i);
      require(L.data.size() + U.data.size() <= most_, "the LU factorization has more than ", most_,
              " entries");
    }
  }

  Csr<double> L, U;
  double work = 0;
  Index replaced = 0;
  const std::vector<double>& pivots() const { return pivot_; }

 private:
  void load(Index i) {
    upper_.clear(), kept_.clear();
    first_ = i;
    double sum = 0;
    Index count = 0, lower = 0;
    value_[i] = 0, mark_[i] = i;
    for (Index p = A_.indptr[i + 1] - 1; p >= A_.indptr[i]; --p) {
      const Index j = A_.indices[p];
      if (j >= A_.rows || (A_.data[p] == 0 && !rule_.pattern)) continue;
      value_[j] = A_.data[p];
      mark_[j] = i;
      sum += std::abs(A_.data[p]);
      ++count;
      if (j > i) upper_.push_back(j);
      if (j >= i) continue;
      next_[j] = first_;
      first_ = j;
      ++lower;
    }
    size_ = count > 0 ? sum / count : 0;
    most_lower_ = lower + rule_.more;
    most_upper_ = static_cast<Index>(upper_.size()) + rule_.more;
  }

  // The columns left of the diagonal are a list in ascending order, which ends with i.
  void eliminate(Index i) {
    for (Index k = first_; k < i; k = next_[k]) {
      const double factor = value_[k] / pivot_[k];
      ++work;
      if (!rule_.pattern && std::abs(factor) < rule_.drop) continue;
      if (factor == 0 && !rule_.pattern) continue;
      value_[k] = factor;
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
      if (mark_[j] == i) {
        value_[j] += v;
        continue;
      }
      if (rule_.pattern || std::abs(v) < least) continue;
      value_[j] = v;
      mark_[j] = i;
      if (j > i) {
        upper_.push_back(j);
        continue;
      }
      while (next_[before] < j) before = next_[before];
      next_[j] = next_[before];
      next_[before] = j;
    }
  }

  void keep(Index i) {
    if (!rule_.pattern) {
      const double least = rule_.drop * size_;
      std::erase_if(upper_, [&](Index j) { return std::abs(value_[j]) < least; });
    }
    append(kept_, most_lower_, L);
    append(upper_, most_upper_, U);
    double pivot = value_[i];
    if (!(std::abs(pivot) >= least_pivot * size_) || pivot == 0) {
      const double raised = (1e-4 + rule_.drop) * size_;
      pivot = raised > 0 ? std::copysign(raised, pivot) : 1;
      ++replaced;
    }
    pivot_[i] = pivot;
  }

  // The largest `most` of a row, in the order of their columns.
  void append(std::vector<Index>& columns, Index most, Csr<double>& out) {
    if (!rule_.pattern && static_cast<Index>(columns.size()) > most) {
      const auto larger = [&](Index a, Index b) {
        const double x = std::abs(value_[a]), y = std::abs(value_[b]);
        return x != y ? x > y : a < b;
      };
      std::nth_element(columns.begin(), columns.begin() + most, columns.end(), larger);
      columns.resize(most);
    }
    std::sort(columns.begin(), columns.end());
    for (const Index j : columns) {
      out.indices.push_back(j);
      out.data.push_back(value_[j]);
    }
    out.indptr.push_back(static_cast<Index>(out.data.size()));
  }

  const CsrView<double> A_;
  const IlutRule rule_;
  const std::size_t most_;
  std::vector<double> value_;
  std::vector<Index> mark_;
  std::vector<double> pivot_;
  std::vector<Index> next_;          // of the columns to be eliminated
  std::vector<Index> upper_, kept_;  // columns right of the diagonal; of multipliers
  Index first_ = 0;
  double size_ = 0;
  Index most_lower_ = 0, most_upper_ = 0;
};

template <class T>
Csr<T> in_precision(Csr<double>&& A) {
  return {
      A.rows, A.cols, std::move(A.indptr), std::move(A.indices), {A.data.begin(), A.data.end()}};
}

// Pieces of so many rows keep what is read at hand. A triangle with more entries than the second
// comes from memory, which takes longer than the processor waits, and likes to be read from one end
// to the other.
constexpr Index rows_of_a_piece = 1024;
constexpr std::size_t most_in_waves = 1 << 17;

// Piece after piece of rows, each in waves: by the number of its rows that have to come one after
// the other before a row. Empty: row after row.
template <class T>
std::vector<Index> in_waves(const Csr<T>& A, bool upper) {
  if (A.data.size() > most_in_waves) return {};
  const auto row_at = [&](Index step) { return upper ? A.rows - 1 - step : step; };
  std::vector<Index> wave(A.rows, 0), begin, order(A.rows);
  for (Index first = 0; first < A.rows; first += rows_of_a_piece) {
    const Index end = std::min(first + rows_of_a_piece, A.rows);
    begin.assign(1, first);
    for (Index step = first; step < end; ++step) {
      const Index i = row_at(step);
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        if (const Index j = A.indices[p]; row_at(j) >= first)
          wave[i] = std::max(wave[i], wave[j] + 1);
      if (static_cast<Index>(begin.size()) < wave[i] + 2) begin.resize(wave[i] + 2, 0);
      ++begin[wave[i] + 1];
    }
    for (std::size_t w = 1; w < begin.size(); ++w) begin[w] += begin[w - 1];
    for (Index step = first; step < end; ++step) order[begin[wave[row_at(step)]]++] = row_at(step);
  }
  return order;
}

}  // namespace

template <class T>
Ilut<T>::Ilut(const CsrView<double>& A, const IlutRule& rule, std::size_t most) {
  Elimination elimination(A, rule, most);
  elimination.run();
  work_ = elimination.work;
  replaced_ = elimination.replaced;
  for (const double pivot : elimination.pivots()) inverse_.push_back(static_cast<T>(1 / pivot));
  L_ = in_precision<T>(std::move(elimination.L));
  U_ = in_precision<T>(std::move(elimination.U));
  L_order_ = in_waves(L_, false);
  U_order_ = in_waves(U_, true);
}

template <class T>
void Ilut<T>::solve(T* x) const {
  const CsrView<T> L = L_, U = U_;
  for (Index step = 0; step < L.rows; ++step) {
    const Index i = L_order_.empty() ? step : L_order_[step];
    T sum = x[i];
    for (Index p = L.indptr[i]; p < L.indptr[i + 1]; ++p) sum -= L.data[p] * x[L.indices[p]];
    x[i] = sum;
  }
  for (Index step = 0; step < U.rows; ++step) {
    const Index i = U_order_.empty() ? U.rows - 1 - step : U_order_[step];
    T sum = x[i];
    for (Index p = U.indptr[i]; p < U.indptr[i + 1]; ++p) sum -= U.data[p] * x[U.indices[p]];
    x[i] = sum * inverse_[i];
  }
}

template <class T>
void Ilut<T>::solve_transposed(T* x) const {
  const CsrView<T> L = L_, U = U_;
  for (Index i = 0; i < U.rows; ++i) {
    const T v = x[i] * inverse_[i];
    x[i] = v;
    for (Index p = U.indptr[i]; p < U.indptr[i + 1]; ++p) x[U.indices[p]] -= U.data[p] * v;
  }
  for (Index i = L.rows - 1; i >= 0; --i)
    for (Index p = L.indptr[i]; p < L.indptr[i + 1]; ++p) x[L.indices[p]] -= L.data[p] * x[i];
}

template class Ilut<float>;
template class Ilut<double>;

}  // namespace pympf::precond
