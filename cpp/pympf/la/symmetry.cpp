#include "pympf/la/symmetry.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <utility>

namespace pympf {
namespace {

constexpr double unknown = -std::numeric_limits<double>::infinity();  // log2 of 0

template <class T>
constexpr double tolerance = std::is_same_v<T, double> ? 1e-12 : 1e-5;

// Which of a_ij and a_ji are stored.
enum class Stored { both, here, there };

// log2 of w_i, so that no product of two leaves the range of numbers.
template <class T>
struct RowSizes {
  const DistRows<T>& A;
  std::vector<double> without_diagonal = {};  // of own rows; empty: not known
  mutable std::vector<double> found = {};     // of own rows, by their diagonal; NaN: not looked at

  double operator()(Index i) const {
    if (found.empty()) found.assign(A.own(), std::numeric_limits<double>::quiet_NaN());
    if (std::isnan(found[i])) found[i] = by_diagonal(i);
    if (found[i] > unknown || without_diagonal.empty()) return found[i];
    return without_diagonal[i];
  }

  double by_diagonal(Index i) const {
    const double d = std::abs(static_cast<double>(at(A, i, i + A.shift)));
    return d > 0 ? 0.5 * std::log2(d) : unknown;
  }

  static T at(const DistRows<T>& A, Index i, Index c) {
    const Index *begin = A.rows.indices + A.rows.indptr[i],
                *end = A.rows.indices + A.rows.indptr[i + 1];
    const Index* found = std::lower_bound(begin, end, c);
    return found != end && *found == c ? A.rows.data[found - A.rows.indices] : T(0);
  }
};

// An entry on its way to the rank that has its mirror image.
template <class T>
struct Mirror {
  Global row, column;  // of the mirror image
  T value;
  double size;  // log2 of w of the row that it comes from
};

template <class T>
using Mirrors = std::map<int, std::vector<Mirror<T>>>;  // of each rank

// Sends them, and calls `pair` as for_pairs does for those that come.
template <class T, class Pair>
void for_pairs_abroad(const DistRows<T>& A, Mirrors<T>&& abroad, const Pair& pair) {
  const CsrView<T>& rows = A.rows;
  std::vector<Packet<Mirror<T>>> out;
  for (auto& [rank, entries] : abroad) out.push_back({rank, std::move(entries)});
  for (const auto& [rank, entries] : A.comm.exchange(out))
    for (const auto& [row, column, value, size] : entries) {
      const auto i = static_cast<Index>(row - A.layout.first());
      const auto found = std::lower_bound(A.columns.begin(), A.columns.end(), column);
      const bool known = found != A.columns.end() && *found == column;
      const auto c = static_cast<Index>(found - A.columns.begin());
      const Index *begin = rows.indices + rows.indptr[i], *end = rows.indices + rows.indptr[i + 1];
      const bool stored = known && std::binary_search(begin, end, c);
      pair(i, column, stored ? RowSizes<T>::at(A, i, c) : T(0), value,
           stored ? Stored::both : Stored::there, [size = size] { return size; });
    }
}

// Calls pair(i, j, a_ij, a_ji, stored, log2 of w_j) for the pairs of own row i, size(c) giving the
// last: once where both rows are on this rank, else for every entry of the other rank; and
// on_diagonal(i, a_ii) where that is stored.
template <class T, class Pair, class OnDiagonal>
void for_pairs(const DistRows<T>& A, const RowSizes<T>& sizes, const Pair& pair,
               const OnDiagonal& on_diagonal) {
  const CsrView<T>& rows = A.rows;
  const Global first = A.layout.first();
  Mirrors<T> abroad;
  const auto own_size = [&](Index r) { return [&sizes, r] { return sizes(r); }; };
  const auto alone = [&](Index i, Index c, T value) {
    pair(i, first + c - A.shift, value, T(0), Stored::here, own_size(c - A.shift));
  };
  const auto send = [&](Index i, Index c, T value) {
    abroad[A.layout.owner(A.column(c))].push_back({A.column(c), first + i, value, sizes(i)});
  };
  // The next entry of each row that is no mirror image of one above it. Rows ask for those in
  // order, so that a row that is reached has been asked for all that it has left of its diagonal.
  std::vector<Index> next(rows.indptr, rows.indptr + rows.rows);
  const auto skip_to = [&](Index i, Index c) {
    Index& p = next[i];
    for (; p < rows.indptr[i + 1] && rows.indices[p] < c; ++p)
      if (A.owns(rows.indices[p]))
        alone(i, rows.indices[p], rows.data[p]);
      else
        send(i, rows.indices[p], rows.data[p]);
  };
  for (Index i = 0; i < rows.rows; ++i) {
    const Index diagonal = i + A.shift;
    if (next[i] < rows.indptr[i + 1] && rows.indices[next[i]] < diagonal) skip_to(i, diagonal);
    for (Index p = next[i]; p < rows.indptr[i + 1]; ++p) {
      const Index c = rows.indices[p];
      if (c == diagonal) {
        on_diagonal(i, rows.data[p]);
        continue;
      }
      if (!A.owns(c)) {
        send(i, c, rows.data[p]);
        continue;
      }
      const Index r = c - A.shift;
      Index& mirror = next[r];
      if (mirror < rows.indptr[r + 1] && rows.indices[mirror] < diagonal) skip_to(r, diagonal);
      if (mirror < rows.indptr[r + 1] && rows.indices[mirror] == diagonal)
        pair(i, first + r, rows.data[p], rows.data[mirror++], Stored::both, own_size(r));
      else
        alone(i, c, rows.data[p]);
    }
  }
  for_pairs_abroad(A, std::move(abroad), pair);
}

template <class T, class Pair>
void for_pairs(const DistRows<T>& A, const RowSizes<T>& sizes, const Pair& pair) {
  for_pairs(A, sizes, pair, [](Index, T) {});
}

// The larger gap, and of equal ones the first place.
void take(Asymmetry& most, const Asymmetry& other) {
  const auto place = [](const Asymmetry& a) { return std::pair(a.row, a.column); };
  const double relative = std::max(most.relative, other.relative);
  const bool one_sided = most.one_sided || other.one_sided;
  if (other.gap > most.gap ||
      (other.gap == most.gap && other.gap > 0 && place(other) < place(most)))
    most = other;
  most.relative = relative;
  most.one_sided = one_sided;
}

// Writes the diagonal, which it comes by.
template <class T>
Asymmetry judged(const DistRows<T>& A, const RowSizes<T>& sizes, std::vector<T>& diagonal) {
  constexpr double t = tolerance<T>;
  constexpr double log2_of_e = 1.4426950408889634;
  constexpr double least = 8.0 * std::numeric_limits<T>::denorm_min();
  Asymmetry most;
  double most_log_relative = std::log2(t), most_log_gap = unknown;
  const auto refuse_unless_small = [&](Index i, Global j, double larger, double gap, double size) {
    // Logarithms take long, and where nearly all pairs differ few of them say anything new: log x
    // is at most x - 1.
    const Global row = A.layout.first() + i, first = std::min(row, j), second = std::max(row, j);
    const bool is_first = std::pair(first, second) < std::pair(most.row, most.column);
    const bool is_less = gap < most.gap || (gap == most.gap && !is_first);
    const double log_gap = most_log_gap + (gap / most.gap - 1) * log2_of_e + 1e-12;
    if (is_less && log_gap - (sizes(i) + size) <= most_log_relative) return;
    const double log_scale = std::max(std::log2(larger), sizes(i) + size);
    const double log_relative = std::log2(gap) - log_scale;
    if (log_relative <= std::log2(t)) return;
    if (is_less && log_relative <= most_log_relative) return;
    most_log_relative = std::max(most_log_relative, log_relative);
    if (gap > most.gap) most_log_gap = std::log2(gap);
    take(most, {gap, t * std::exp2(log_scale), first, second, std::exp2(log_relative), false});
  };
  const auto judge = [&](Index i, Global j, double a, double mirror, Stored stored, auto&& size) {
    if (stored != Stored::both) most.one_sided = true;
    const double gap = std::abs(a - mirror);
    if (gap == 0) return;
    const double larger = std::max(std::abs(a), std::abs(mirror));
    if (gap > t * larger + least) refuse_unless_small(i, j, larger, gap, size());
  };
  diagonal.assign(A.own(), T(0));
  for_pairs(A, sizes, judge, [&](Index i, T value) { diagonal[i] = value; });
  Asymmetry all;
  for (const Asymmetry& one : A.comm.all_gather(most)) take(all, one);
  return all;
}

// Of own rows, log2 of their size where they have no diagonal entry. A neighbour's own size is
// taken at least as large as its entries say, so that one with a tiny diagonal entry makes nothing
// large.
template <class T>
std::vector<double> sizes_without_diagonal(const DistRows<T>& A, const RowSizes<T>& by_diagonal) {
  Halo halo(A);
  std::vector<double> diagonal(A.column_count()), least(A.column_count(), unknown);
  for (Index i = 0; i < A.own(); ++i) diagonal[i + A.shift] = by_diagonal(i);
  halo(diagonal);
  const auto largest_quotient = [&](Index i, const std::vector<double>& sizes) {
    double most = unknown;
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      if (const double size = sizes[A.rows.indices[p]]; size > unknown)
        most = std::max(most, std::log2(std::abs(static_cast<double>(A.rows.data[p]))) - size);
    return most;
  };
  for (Index i = 0; i < A.own(); ++i)
    if (const double own = diagonal[i + A.shift]; own > unknown)
      least[i + A.shift] = std::max(own, largest_quotient(i, diagonal));
  halo(least);
  std::vector<double> out(A.own(), unknown);
  for (Index i = 0; i < A.own(); ++i)
    if (diagonal[i + A.shift] == unknown) out[i] = largest_quotient(i, least);
  return out;
}

void check_rows(Index rows, Index columns, const Index* indptr, const Index* indices) {
  for (Index i = 0; i < rows; ++i) {
    require(indptr[i] >= 0 && indptr[i] <= indptr[i + 1], "row ", i, " ends before it begins");
    for (Index p = indptr[i]; p < indptr[i + 1]; ++p)
      require(indices[p] >= 0 && indices[p] < columns &&
                  (p == indptr[i] || indices[p - 1] < indices[p]),
              "expected ascending column indices from 0 to ", columns - 1, ", got ", indices[p],
              " in row ", i);
  }
}

}  // namespace

template <class T>
Asymmetry asymmetry(const DistRows<T>& A) {
  std::vector<T> diagonal;
  return asymmetry(A, diagonal);
}

template <class T>
Asymmetry asymmetry(const DistRows<T>& A, std::vector<T>& diagonal) {
  RowSizes<T> sizes{A};
  const Asymmetry found = judged(A, sizes, diagonal);
  if (found.gap == 0) return found;
  Index i = 0;
  while (i < A.own() && sizes(i) > unknown) ++i;
  if (A.comm.max(Global{i < A.own()}) == 0) return found;
  sizes.without_diagonal = sizes_without_diagonal(A, sizes);
  return judged(A, sizes, diagonal);
}

template <class T>
DistRows<T> with_symmetric_pattern(const DistRows<T>& A) {
  const Global first = A.layout.first();
  std::vector<std::pair<Index, Global>> missing;
  for_pairs(A, RowSizes<T>{A}, [&](Index i, Global j, T, T, Stored stored, auto&&) {
    if (stored == Stored::here) missing.emplace_back(static_cast<Index>(j - first), first + i);
    if (stored == Stored::there) missing.emplace_back(i, j);
  });
  if (missing.empty()) {
    DistRows<T> out = with_values<T>(A, [&](Index, Index p) { return A.rows.data[p]; });
    out.symmetric_pattern = true;
    return out;
  }
  std::sort(missing.begin(), missing.end());
  GlobalRows<T> rows;
  auto next = missing.begin();
  for (Index i = 0; i < A.own(); ++i) {
    Index p = A.rows.indptr[i];
    const Index end = A.rows.indptr[i + 1];
    while (p < end || (next != missing.end() && next->first == i)) {
      const bool is_missing = next != missing.end() && next->first == i &&
                              (p == end || next->second < A.column(A.rows.indices[p]));
      rows.indices.push_back(is_missing ? next->second : A.column(A.rows.indices[p]));
      rows.data.push_back(is_missing ? T(0) : A.rows.data[p]);
      if (is_missing)
        ++next;
      else
        ++p;
    }
    rows.indptr.push_back(to_index(static_cast<Global>(rows.data.size()), "entries of the rows"));
  }
  DistRows<T> out = number_columns(A.comm, A.layout, rows);
  out.symmetric_pattern = true;
  out.general = A.general;
  return out;
}

template <class T>
void require_symmetric_pattern(const DistRows<T>& A) {
  if (A.symmetric_pattern) return;
  collectively(A.comm, [&] {
    require(A.rows.rows == A.own() && A.rows.cols == A.column_count(),
            "a square matrix is needed, not ", A.rows.rows, " x ", A.rows.cols);
    check_rows(A.rows.rows, A.rows.cols, A.rows.indptr, A.rows.indices);
  });
  struct Place {
    Global row, column;
    bool operator<(const Place& other) const {
      return std::pair(row, column) < std::pair(other.row, other.column);
    }
  };
  Place place{A.layout.total(), 0};  // the first that is stored without its mirror image
  for_pairs(A, RowSizes<T>{A}, [&](Index i, Global j, T, T, Stored stored, auto&&) {
    const Global row = A.layout.first() + i;
    if (stored == Stored::here) place = std::min(place, Place{row, j});
    if (stored == Stored::there) place = std::min(place, Place{j, row});
  });
  for (const Place& one : A.comm.all_gather(place)) place = std::min(place, one);
  require(place.row == A.layout.total(),
          "expected a symmetric pattern, got a stored entry at i = ", place.row,
          ", j = ", place.column, " and none at i = ", place.column, ", j = ", place.row,
          ": store its mirror image, be it a zero (with_symmetric_pattern)");
}

#define PYMPF_INSTANTIATE(T)                                         \
  template Asymmetry asymmetry(const DistRows<T>&);                  \
  template Asymmetry asymmetry(const DistRows<T>&, std::vector<T>&); \
  template DistRows<T> with_symmetric_pattern(const DistRows<T>&);   \
  template void require_symmetric_pattern(const DistRows<T>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf
