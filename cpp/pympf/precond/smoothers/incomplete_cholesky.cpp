#include "pympf/precond/smoothers/incomplete_cholesky.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>

#include "pympf/la/block.hpp"
#include "pympf/la/lanes.hpp"
#include "pympf/la/rows.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

constexpr double least_pivot = 1e-10;  // of the scaled matrix
constexpr double margin = 1e-6;        // of a diagonal above the sum of its row
constexpr double relaxation = 0.9;     // part of a dropped number that a row sum keeps
constexpr std::size_t few = 16;        // entries of a column

// A row whose diagonal alone shows that A is not positive semidefinite.
bool has_bad_row(const CsrView<double>& A, const std::vector<double>& diagonal) {
  for (Index i = 0; i < A.rows; ++i) {
    if (diagonal[i] > 0) continue;
    if (diagonal[i] < 0) return true;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1] && A.indices[p] < A.rows; ++p)
      if (A.data[p] != 0) return true;
  }
  return false;
}

// |diag A|, raised where the row is not diagonally dominant.
std::vector<double> dominant_diagonal(const CsrView<double>& A, std::vector<double> diagonal) {
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1] && A.indices[p] < A.rows; ++p)
      if (A.indices[p] != i) sum += std::abs(A.data[p]);
    diagonal[i] = std::max(std::abs(diagonal[i]), (1 + margin) * sum);
  }
  return diagonal;
}

double mean(std::vector<double>::const_iterator begin, std::vector<double>::const_iterator end) {
  return begin == end ? 0 : std::accumulate(begin, end, 0.0) / static_cast<double>(end - begin);
}

// Some columns of the factor, L_jj left out; column k ends before end[k - first].
struct Columns {
  Index first = 0;
  std::vector<Index> end, row;
  std::vector<double> value;

  Index begin_of(Index k) const { return k > first ? end[k - first - 1] : 0; }
  Index end_of(Index k) const { return end[k - first]; }
};

// Left-looking factorization. Strips write to columns and rows of their own and, for interface
// rows, to `extra` arrays of their own, which are added in the order of the strips.
class Factorizer {
 public:
  // `diagonal` takes the place of that of A.
  Factorizer(const CsrView<double>& A, std::vector<double> diagonal, const Domains& domains,
             double tolerance, int fill, Dropped dropped)
      : A_(A),
        domains_(domains),
        tolerance_(tolerance),
        fill_(fill),
        lowers_(dropped == Dropped::lowers_diagonal),
        scale(std::move(diagonal)),
        pivot(A.rows),
        parts(domains.count() + 1),
        inverse_scale_(A.rows),
        extra_(A.rows, 0),
        first_(A.rows, -1),
        next_(A.rows, -1),
        at_(A.rows, 0) {
    for (Index i = 0; i < A.rows; ++i) {
      scale[i] = std::sqrt(scale[i]);
      inverse_scale_[i] = scale[i] > 0 ? 1 / scale[i] : 0;
    }
  }

  // Stops at a negative pivot, unless `to_the_end`: then 1 takes its place, as that of a small one.
  void run(bool to_the_end = false) {
    to_the_end_ = to_the_end;
    const Index strips = domains_.count(), interior = domains_.interior();
    std::vector<std::vector<double>> extra(strips);
    std::vector<Sums> sums(strips + 1);
    parallel_with(strips, Index{1}, strips > 1, [&] {
      return [&, work = Work(A_.rows)](Index s) mutable {
        extra[s].assign(A_.rows - interior, 0);
        factor(
            domains_.ptr[s], domains_.ptr[s + 1], interior, parts[s], work, sums[s],
            [&](Index i, double v) { (i < interior ? extra_[i] : extra[s][i - interior]) += v; });
      };
    });
    sum_up(sums);
    if (found_negative) return;
    split.resize(interior);
    for (Index s = 0; s < strips; ++s) {
      for (Index i = interior; i < A_.rows; ++i) extra_[i] += extra[s][i - interior];
      const Columns& part = parts[s];
      for (Index k = domains_.ptr[s]; k < domains_.ptr[s + 1]; ++k) {
        const auto end = part.row.begin() + part.end_of(k);
        const auto found = std::lower_bound(part.row.begin() + part.begin_of(k), end, interior);
        split[k] = at_[k] = static_cast<Index>(found - part.row.begin());
        link(k, part.row.data(), part.end_of(k), A_.rows);
      }
    }
    Work work(A_.rows);
    factor(interior, A_.rows, A_.rows, parts[strips], work, sums[strips],
           [&](Index i, double v) { extra_[i] += v; });
    sum_up(sums);
  }

  double cut_loss() const {
    const auto middle = extra_.begin() + domains_.interior();
    const double inside = mean(extra_.begin(), middle), at_cuts = mean(middle, extra_.end());
    return at_cuts == 0 ? 0 : at_cuts / inside;
  }

 private:
  struct Sums {
    double compensation = 0;
    bool found_negative = false;
  };

  // One column at a time: work space of a thread.
  struct Work {
    std::vector<double> w;
    std::vector<Index> mark, pattern;
    std::vector<double> size;
    Entries kept, sorted;
    explicit Work(Index n) : w(n, 0), mark(n, -1) {}
  };

  void sum_up(const std::vector<Sums>& sums) {
    compensation = 0;
    for (const Sums& sum : sums) {
      compensation += sum.compensation;
      found_negative = found_negative || sum.found_negative;
    }
  }

  // Puts column k into the list of the row that comes next in it, if that is below `limit`: the
  // lists of interface rows would be shared between the strips and are made afterwards.
  void link(Index k, const Index* rows, Index end, Index limit) {
    if (at_[k] >= end || rows[at_[k]] >= limit) return;
    Index& first = first_[rows[at_[k]]];
    next_[k] = first;
    first = k;
  }

  void load(Index j, Work& work, double* norm2) {
    work.pattern.clear();
    *norm2 = 1;  // the scaled diagonal
    for (Index p = A_.indptr[j]; p < A_.indptr[j + 1]; ++p) {
      const Index i = A_.indices[p];
      if (i >= A_.rows) break;
      if (i <= j || A_.data[p] == 0) continue;
      const double v = A_.data[p] * inverse_scale_[i] * inverse_scale_[j];
      work.w[i] = v;
      work.mark[i] = j;
      work.pattern.push_back(i);
      *norm2 += v * v;
    }
  }

  // w -= l_jk L_k over the rows of column k from `from` on, which is row j itself. What A has no
  // entry for is dropped at once where the diagonal is lowered: there all of it has the same sign.
  template <class Drop>
  double subtract(Index j, const Index* rows, const double* values, Index from, Index end,
                  Work& work, const Drop& drop) const {
    const double l = values[from];
    for (Index p = from + 1; p < end; ++p) {
      const Index i = rows[p];
      if (work.mark[i] != j) {
        if (lowers_) {
          drop(i, -l * values[p]);
          continue;
        }
        work.mark[i] = j;
        work.w[i] = 0;
        work.pattern.push_back(i);
      }
      work.w[i] -= l * values[p];
    }
    return l * l;
  }

  // What the diagonal of row i gets for v = a_ij that is dropped. Lowered, it keeps the sum of row
  // i of A, s_i (S a S 1)_i; never more than |v|, so that a weak row does not pay for a strong one.
  double share(Index i, Index j, double v) const {
    if (!lowers_ || v > 0) return std::abs(v);
    return relaxation * v * std::min(1.0, scale[j] * inverse_scale_[i]);
  }

  // Most columns have a few entries, in an order that nothing could predict: to count those before
  // each of them is faster than to sort, which waits at every comparison.

  // Keeps the `most` largest numbers, and what is as large as the last of them.
  template <class Drop>
  static void keep_largest(std::size_t most, Work& work, const Drop& drop) {
    work.size.clear();
    for (const auto& entry : work.kept) work.size.push_back(std::abs(entry.second));
    double cut = 0;
    const bool counts = work.size.size() <= few;
    if (!counts) {
      const auto nth = work.size.end() - static_cast<std::ptrdiff_t>(most);
      std::nth_element(work.size.begin(), nth, work.size.end());
      cut = most > 0 ? *nth : std::numeric_limits<double>::infinity();
    }
    std::erase_if(work.kept, [&](const auto& entry) {
      const double v = std::abs(entry.second);
      std::size_t larger = 0;
      for (std::size_t k = 0; counts && k < work.size.size(); ++k) larger += work.size[k] > v;
      if (counts ? larger < most : v >= cut) return false;
      drop(entry.first, entry.second);
      return true;
    });
  }

  static void sort_by_row(Work& work) {
    if (work.kept.size() > few) {
      std::sort(work.kept.begin(), work.kept.end(),
                [](const auto& x, const auto& y) { return x.first < y.first; });
      return;
    }
    work.sorted.resize(work.kept.size());
    for (const auto& entry : work.kept) {
      std::size_t before = 0;
      for (const auto& other : work.kept) before += other.first < entry.first;
      work.sorted[before] = entry;
    }
    work.kept.swap(work.sorted);
  }

  // Chooses what a column keeps; what it drops goes to the diagonals. Returns the pivot.
  template <class Drop>
  double finish(double& diagonal, double norm2, std::size_t entries, Work& work, Sums& sums,
                const Drop& drop) const {
    const double least = tolerance_ * std::sqrt(norm2);
    const std::size_t most = entries + static_cast<std::size_t>(fill_);
    work.kept.clear();
    for (Index i : work.pattern) {
      const double v = work.w[i];
      if (std::abs(v) > least) {
        work.kept.emplace_back(i, v);
      } else if (v != 0) {
        drop(i, v);
      }
    }
    if (work.kept.size() > most) keep_largest(most, work, drop);
    sort_by_row(work);
    if (!(diagonal > least_pivot)) {
      sums.found_negative = !to_the_end_ && diagonal < -least_pivot;
      sums.compensation += 1 - diagonal;
      diagonal = 1;
    }
    return std::sqrt(diagonal);
  }

  // The part that an interior column is in.
  const Columns& part_of(Index k) const {
    const auto& ptr = domains_.ptr;
    return parts[std::upper_bound(ptr.begin(), ptr.end(), k) - ptr.begin() - 1];
  }

  // Columns begin .. end - 1 go to `out`.
  template <class Compensate>
  void factor(Index begin, Index end, Index limit, Columns& out, Work& work, Sums& sums,
              const Compensate& compensate) {
    out.first = begin;
    if (begin == end) return;
    // Room for all that the columns may keep; what is not used is never touched.
    const auto most = Global{A_.indptr[end] - A_.indptr[begin]} / 2 + Global{fill_} * (end - begin);
    const auto room = static_cast<std::size_t>(std::min<Global>(most, A_.nnz()));
    out.row.reserve(room);
    out.value.reserve(room);
    out.end.reserve(end - begin);
    for (Index j = begin; j < end; ++j) {
      double norm2, diagonal = 1 + extra_[j];
      const auto drop = [&](Index i, double v) {
        diagonal += share(j, i, v);
        compensate(i, share(i, j, v));
        sums.compensation += 2 * std::abs(v);
      };
      load(j, work, &norm2);
      const std::size_t entries = work.pattern.size();
      for (Index k = first_[j], following; k >= 0; k = following) {
        following = next_[k];
        const Columns& part = k < begin ? part_of(k) : out;
        const Index last = part.end_of(k);
        diagonal -= subtract(j, part.row.data(), part.value.data(), at_[k]++, last, work, drop);
        link(k, part.row.data(), last, limit);
      }
      pivot[j] = finish(diagonal, norm2, entries, work, sums, drop);
      if (sums.found_negative) return;
      at_[j] = static_cast<Index>(out.row.size());
      const double inverse = 1 / pivot[j];
      for (const auto& [i, v] : work.kept) {
        out.row.push_back(i);
        out.value.push_back(v * inverse);
      }
      out.end.push_back(static_cast<Index>(out.row.size()));
      link(j, out.row.data(), out.end.back(), limit);
    }
  }

  const CsrView<double> A_;
  const Domains& domains_;
  const double tolerance_;
  const int fill_;
  const bool lowers_;
  bool to_the_end_ = false;

 public:
  std::vector<double> scale, pivot;
  std::vector<Columns> parts;  // of the strips, and the interface
  std::vector<Index> split;    // where the interface begins in a column, counted as its part is
  double compensation = 0;
  bool found_negative = false;

 private:
  std::vector<double> inverse_scale_, extra_;
  std::vector<Index> first_, next_, at_;  // columns by the row that comes next in them
};

}  // namespace

template <class T>
IncompleteCholesky<T>::IncompleteCholesky(const CsrView<double>& A, const Domains& domains,
                                          double drop_tolerance, int fill, Dropped dropped)
    : IncompleteCholesky(A, pympf::diagonal(A), domains, drop_tolerance, fill, dropped) {}

template <class T>
IncompleteCholesky<T>::IncompleteCholesky(const CsrView<double>& A,
                                          const std::vector<double>& diagonal,
                                          const Domains& domains, double drop_tolerance, int fill,
                                          Dropped dropped)
    : rows_(A.rows), strips_(domains.ptr) {
  std::optional<Factorizer> run;
  found_negative_ = has_bad_row(A, diagonal);
  if (!found_negative_) {
    run.emplace(A, diagonal, domains, drop_tolerance, fill, dropped).run();
    found_negative_ = run->found_negative;
  }
  if (found_negative_) {
    const auto raised = dominant_diagonal(A, diagonal);
    // What it is raised above is the sum of the row: of the column only if A is symmetric.
    run.emplace(A, raised, domains, drop_tolerance, fill, dropped).run(true);
    for (Index i = 0; i < A.rows; ++i)
      if (raised[i] > 0) run->compensation += (raised[i] - diagonal[i]) / raised[i];
  }
  compensation_ = A.rows > 0 ? run->compensation / A.rows : 0;
  cut_loss_ = run->cut_loss();
  for (double root : run->pivot) least_pivot_ = std::min(least_pivot_, root * root);
  take_columns(*run, domains.interior());
  take_tails(*run, domains);
}

template <class T>
template <class From>
void IncompleteCholesky<T>::take_columns(const From& from, Index interior) {
  const auto& s = from.scale;
  start_.resize(rows_ + 1);
  split_.resize(interior);
  std::vector<Index> offset{0};  // of the parts
  for (const Columns& part : from.parts)
    offset.push_back(offset.back() + static_cast<Index>(part.row.size()));
  index_.resize(offset.back());
  value_.resize(offset.back());
  inverse_.resize(rows_);
  const auto parts = static_cast<Index>(from.parts.size());
  parallel_for(parts, Index{1}, rows_ > 16384, [&](Index k) {
    const Columns& part = from.parts[k];
    const Index first = offset[k];
    std::copy(part.row.begin(), part.row.end(), index_.begin() + first);
    for (Index j = part.first; j < part.first + static_cast<Index>(part.end.size()); ++j) {
      const double inverse = s[j] > 0 ? 1 / (s[j] * from.pivot[j]) : 0;
      inverse_[j] = static_cast<T>(inverse * inverse);
      start_[j] = first + part.begin_of(j);
      if (j < interior) split_[j] = first + from.split[j];
      for (Index p = part.begin_of(j); p < part.end_of(j); ++p)
        value_[first + p] = static_cast<T>(part.value[p] * s[part.row[p]] * inverse);
    }
  });
  start_[rows_] = offset.back();
}

template <class T>
template <class From>
void IncompleteCholesky<T>::take_tails(const From& from, const Domains& domains) {
  const auto& s = from.scale;
  const Index interior = domains.interior();
  tail_start_.assign(rows_ - interior + 1, 0);
  for (Index j = 0; j < interior; ++j)
    for (Index p = split_[j]; p < start_[j + 1]; ++p) ++tail_start_[index_[p] - interior + 1];
  for (Index i = 0; i < rows_ - interior; ++i) tail_start_[i + 1] += tail_start_[i];
  tail_index_.resize(tail_start_.back());
  tail_value_.resize(tail_start_.back());
  std::vector<Index> next(tail_start_.begin(), tail_start_.end() - 1);
  for (Index strip = 0; strip < domains.count(); ++strip) {
    const Index first = start_[domains.ptr[strip]];
    for (Index j = domains.ptr[strip]; j < domains.ptr[strip + 1]; ++j)
      for (Index p = split_[j]; p < start_[j + 1]; ++p) {
        const Index q = next[index_[p] - interior]++;
        tail_index_[q] = j;
        // The unknowns of the interior are divided by D when this is used.
        const double d = s[j] * from.pivot[j], v = from.parts[strip].value[p - first];
        tail_value_[q] = static_cast<T>(v * s[index_[p]] * d);
      }
  }
}

template <class T>
template <int K>
void IncompleteCholesky<T>::forward(T* x) const {
  const Index strips = static_cast<Index>(strips_.size()) - 1, interior = strips_.back();
  const auto at = [x](Index i) { return x + std::size_t{K} * i; };
  // Captured as values: what is reached through `this` would be read again after every store.
  const auto column = [=, start = start_.data(), index = index_.data(), value = value_.data(),
                       inverse = inverse_.data()](Index j, Index end) {
    auto v = Lanes<T, K>::load(at(j));
    for (Index p = start[j]; p < end; ++p) {
      auto below = Lanes<T, K>::load(at(index[p]));
      below.subtract(value[p], v);
      below.store(at(index[p]));
    }
    v.scale(inverse[j]);
    v.store(at(j));
  };
  parallel_for(strips, strips > 1, [&](Index s) {
    for (Index j = strips_[s]; j < strips_[s + 1]; ++j) column(j, split_[j]);
  });
  for (Index i = interior; i < rows_; ++i) {
    auto sum = Lanes<T, K>::zero();
    for (Index p = tail_start_[i - interior]; p < tail_start_[i - interior + 1]; ++p)
      sum.add(tail_value_[p], Lanes<T, K>::load(at(tail_index_[p])));
    (Lanes<T, K>::load(at(i)) - sum).store(at(i));
  }
  for (Index j = interior; j < rows_; ++j) column(j, start_[j + 1]);
}

template <class T>
template <int K>
void IncompleteCholesky<T>::backward(T* x) const {
  const Index strips = static_cast<Index>(strips_.size()) - 1, interior = strips_.back();
  const auto at = [x](Index i) { return x + std::size_t{K} * i; };
  const auto column = [=, start = start_.data(), index = index_.data(),
                       value = value_.data()](Index j) {
    auto v = Lanes<T, K>::load(at(j));
    // The nearest unknown, the last to be known, comes last: less waits for it.
    for (Index p = start[j + 1] - 1; p >= start[j]; --p)
      v.subtract(value[p], Lanes<T, K>::load(at(index[p])));
    v.store(at(j));
  };
  for (Index j = rows_ - 1; j >= interior; --j) column(j);
  parallel_for(strips, strips > 1, [&](Index s) {
    for (Index j = strips_[s + 1] - 1; j >= strips_[s]; --j) column(j);
  });
}

template <class T>
void IncompleteCholesky<T>::solve(T* x, Index lanes) const {
  with_lanes(lanes, [&](auto K) {
    forward<K>(x);
    backward<K>(x);
  });
}

template class IncompleteCholesky<float>;
template class IncompleteCholesky<double>;

}  // namespace pympf::precond
