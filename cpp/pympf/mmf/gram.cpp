#include "pympf/mmf/gram.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "pympf/la/sparse.hpp"

namespace pympf::mmf {

void ClusterGram::begin(Index size) {
  active.assign(size, 1);
  isolated.assign(size, 0);
  norm2.assign(size, 0);
  diagonal.assign(size, 0);
  dead_.assign(size, 0);
  if (static_cast<Index>(rows_.size()) < size) rows_.resize(size);
  if (static_cast<Index>(g_.size()) < size) {
    g_.resize(size, 0);
    a_.resize(size, 0);
    slot_.resize(size, -1);
  }
}

// What has been added up becomes row i.
void ClusterGram::end_row(Index i) {
  sort_columns(touched_, size(), [&](Index l) { return slot_[l] == 0; });
  auto& row = rows_[i];
  row.clear();
  for (Index l : touched_) {
    if (l == i)
      diagonal[i] = a_[l];
    else
      row.push_back({l, g_[l], a_[l]});
    g_[l] = a_[l] = 0;
    slot_[l] = -1;
  }
}

template <class T>
void ClusterGram::build(const CsrView<T>& A, const T* diag, const std::vector<Index>& position,
                        const Index* members, Index first, Index size, Index hub_limit, Gram gram) {
  begin(size);
  rounding = 64 * std::numeric_limits<T>::epsilon();
  const auto local = [&](Index j) { return position[j] - first; };
  const auto inside = [&](Index l) { return l >= 0 && l < size; };

  for (Index li = 0; li < size; ++li) {
    const Index i = members[li];
    touched_.clear();
    double largest = 0;  // off the diagonal
    const auto add = [&](Index l, double g, double a) {
      if (slot_[l] < 0) {
        slot_[l] = 0;
        touched_.push_back(l);
      }
      g_[l] += g;
      a_[l] += a;
    };
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index k = A.indices[p], lk = local(k);
      const double aik = A.data[p];
      if (k != i) largest = std::max(largest, std::abs(aik));
      if (inside(lk)) add(lk, 0, aik);
      if (gram == Gram::blocks && !inside(lk)) continue;
      norm2[li] += aik * aik;
      Index q = A.indptr[k], end = A.indptr[k + 1];
      const bool hub = k != i && end - q > hub_limit;
      if (hub) {  // its own column, and the neighbours of i in its row
        if (inside(lk)) add(lk, aik * diag[k], 0);
        const Index at =
            static_cast<Index>(std::lower_bound(A.indices + q, A.indices + end, i) - A.indices);
        q = std::max(q, at - hub_limit / 2);
        end = std::min(end, at + hub_limit / 2 + 1);
      }
      for (; q < end; ++q) {
        const Index lj = local(A.indices[q]);
        if (inside(lj) && !(hub && lj == lk)) add(lj, aik * A.data[q], 0);
      }
    }
    isolated[li] = largest * largest <= rounding * rounding * norm2[li];
    end_row(li);
  }
}

ClusterGram::Entry ClusterGram::at(Index i, Index j) const {
  const auto& row = rows_[i];
  const auto found = std::lower_bound(row.begin(), row.end(), j,
                                      [](const Entry& e, Index c) { return e.column < c; });
  return found != row.end() && found->column == j ? *found : Entry{j, 0, 0};
}

void ClusterGram::store(Index i, Index j, double g, double a) {
  auto& row = rows_[i];
  const auto found = std::lower_bound(row.begin(), row.end(), j,
                                      [](const Entry& e, Index c) { return e.column < c; });
  if (found != row.end() && found->column == j)
    found->g = g, found->a = a;
  else
    row.insert(found, {j, g, a});
}

void ClusterGram::drop_dead(Index i) {
  auto& row = rows_[i];
  std::erase_if(row, [&](const Entry& e) { return !active[e.column]; });
  dead_[i] = 0;
}

// The columns that couple with any of index[0..k), in order, and their k inner products and
// couplings.
void ClusterGram::collect(const Index* index, Index k) {
  for (Index r = 0; r < k; ++r) slot_[index[r]] = -2;
  touched_.clear();
  for (Index r = 0; r < k; ++r) {
    const auto before = static_cast<std::ptrdiff_t>(touched_.size());
    for (const Entry& e : rows_[index[r]]) {
      if (!active[e.column] || slot_[e.column] != -1) continue;
      slot_[e.column] = 0;
      touched_.push_back(e.column);
    }
    std::inplace_merge(touched_.begin(), touched_.begin() + before, touched_.end());
  }
  for (std::size_t t = 0; t < touched_.size(); ++t) slot_[touched_[t]] = static_cast<Index>(t);
  mixed_.assign(touched_.size() * 2 * k, 0);
  for (Index r = 0; r < k; ++r)
    for (const Entry& e : rows_[index[r]]) {
      if (!active[e.column] || slot_[e.column] < 0) continue;
      double* m = &mixed_[static_cast<std::size_t>(slot_[e.column]) * 2 * k];
      m[r] = e.g;
      m[k + r] = e.a;
    }
}

// O [G]_ss O^T and O [A]_ss O^T for s = index[0..k).
void ClusterGram::rotate_block(const Index* index, const double* O, Index k) {
  std::vector<Entry> block(k * k);
  for (Index r = 0; r < k; ++r)
    for (Index s = 0; s < k; ++s)
      block[r * k + s] =
          r == s ? Entry{0, norm2[index[r]], diagonal[index[r]]} : at(index[r], index[s]);
  double total2 = 0;
  for (Index r = 0; r < k; ++r) {
    fresh_[r].clear();
    total2 += norm2[index[r]];
  }
  for (Index r = 0; r < k; ++r)
    for (Index s = r; s < k; ++s) {
      double g = 0, a = 0;
      for (Index p = 0; p < k; ++p)
        for (Index q = 0; q < k; ++q) {
          g += O[r * k + p] * O[s * k + q] * block[p * k + q].g;
          a += O[r * k + p] * O[s * k + q] * block[p * k + q].a;
        }
      if (r == s) {
        norm2[index[r]] = std::max(0.0, g), diagonal[index[r]] = a;
      } else if (active[index[r]] && active[index[s]]) {
        // Eigenvectors of [G] are orthogonal: what is left must not pass for an inner product.
        if (std::abs(g) <= rounding * total2) g = 0;
        fresh_[r].push_back({index[s], g, a});
        fresh_[s].push_back({index[r], g, a});
      }
    }
}

void ClusterGram::rotate(const Index* index, const double* O, Index k, Index kept) {
  if (static_cast<Index>(fresh_.size()) < k) fresh_.resize(k);
  collect(index, k);
  for (Index r = kept; r < k; ++r) active[index[r]] = 0;
  rotate_block(index, O, k);

  for (std::size_t t = 0; t < touched_.size(); ++t) {
    const Index m = touched_[t];
    const double* old = &mixed_[t * 2 * k];
    for (Index r = kept; r < k; ++r)
      if (old[r] != 0 || old[k + r] != 0) ++dead_[m];
    for (Index r = 0; r < kept; ++r) {
      double g = 0, a = 0;
      for (Index s = 0; s < k; ++s) {
        g += O[r * k + s] * old[s];
        a += O[r * k + s] * old[k + s];
      }
      fresh_[r].push_back({m, g, a});
      store(m, index[r], g, a);
    }
    if (2 * dead_[m] > static_cast<Index>(rows_[m].size())) drop_dead(m);
  }
  for (Index r = 0; r < k; ++r) {
    auto& row = rows_[index[r]];
    row.clear();
    dead_[index[r]] = 0;
    if (r >= kept) continue;
    row.swap(fresh_[r]);
    if (kept > 1)
      std::sort(row.begin(), row.end(),
                [](const Entry& x, const Entry& y) { return x.column < y.column; });
  }
  for (Index m : touched_) slot_[m] = -1;
  for (Index r = 0; r < k; ++r) slot_[index[r]] = -1;
}

template void ClusterGram::build(const CsrView<double>&, const double*, const std::vector<Index>&,
                                 const Index*, Index, Index, Index, Gram);
template void ClusterGram::build(const CsrView<float>&, const float*, const std::vector<Index>&,
                                 const Index*, Index, Index, Index, Gram);

}  // namespace pympf::mmf
