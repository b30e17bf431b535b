#include "pympf/mmf/gram.hpp"

#include <algorithm>
#include <functional>

namespace pympf::mmf {

template <class T>
void ClusterGram::find_local_rows(const CsrView<T>& A, const std::vector<Index>& position,
                                  const Index* members, Index first, Index size) {
  local_ptr_.assign(1, 0);
  local_column_.clear();
  local_value_.clear();
  for (Index l = 0; l < size; ++l) {
    const Index i = members[l];
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index lj = position[A.indices[p]] - first;
      if (lj < 0 || lj >= size) continue;
      local_column_.push_back(lj);
      local_value_.push_back(A.data[p]);
    }
    local_ptr_.push_back(static_cast<Index>(local_column_.size()));
  }
}

template <class T>
void ClusterGram::build(const CsrView<T>& A, const T* diag, const std::vector<Index>& position,
                        const Index* members, Index first, Index size, Index hub_limit, Gram gram) {
  active.assign(size, 1);
  isolated.assign(size, 1);
  norm2.assign(size, 0);
  diagonal.assign(size, 0);
  if (static_cast<Index>(rows_.size()) < size) {
    rows_.resize(size);
    g_.resize(size, 0);
    a_.resize(size, 0);
    slot_.resize(size, -1);
  }
  for (Index l = 0; l < size; ++l) rows_[l].clear();
  find_local_rows(A, position, members, first, size);
  const auto local = [&](Index j) { return position[j] - first; };
  const auto inside = [&](Index l) { return l >= 0 && l < size; };

  for (Index li = 0; li < size; ++li) {
    const Index i = members[li];
    diagonal[li] = diag[i];
    touched_.clear();
    const auto add = [&](Index l, double g, double a) {
      if (l <= li) return;  // the row of l has it
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
      if (k != i && aik != 0) isolated[li] = 0;
      if (inside(lk)) add(lk, 0, aik);
      if (gram == Gram::blocks && !inside(lk)) continue;
      norm2[li] += aik * aik;
      Index q = A.indptr[k], end = A.indptr[k + 1];
      const bool hub = k != i && end - q > hub_limit;
      if (inside(lk) && !hub) {
        for (Index r = local_ptr_[lk]; r < local_ptr_[lk + 1]; ++r)
          add(local_column_[r], aik * local_value_[r], 0);
        continue;
      }
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
    for (Index l : touched_) {
      link(li, l, g_[l], a_[l]);
      g_[l] = a_[l] = 0;
      slot_[l] = -1;
    }
  }
}

ClusterGram::Entry ClusterGram::at(Index i, Index j) const {
  for (const Entry& e : rows_[i])
    if (e.column == j) return e;
  return {j, -1, 0, 0};
}

void ClusterGram::link(Index i, Index j, double g, double a) {
  const Index at_i = static_cast<Index>(rows_[i].size()),
              at_j = static_cast<Index>(rows_[j].size());
  rows_[i].push_back({j, at_j, g, a});
  rows_[j].push_back({i, at_i, g, a});
}

// Takes one entry out of row i; the last one moves to its place.
void ClusterGram::remove(Index i, Index place) {
  auto& row = rows_[i];
  if (place + 1 < static_cast<Index>(row.size())) {
    row[place] = row.back();
    rows_[row[place].column][row[place].mirror].mirror = place;
  }
  row.pop_back();
}

// The columns that couple with any of index[0..k): their k inner products and couplings, and where
// these stand in their rows.
void ClusterGram::collect(const Index* index, Index k) {
  touched_.clear();
  mixed_.clear();
  places_.clear();
  for (Index r = 0; r < k; ++r) slot_[index[r]] = -2;
  for (Index r = 0; r < k; ++r)
    for (const Entry& e : rows_[index[r]]) {
      if (slot_[e.column] == -2) continue;
      if (slot_[e.column] < 0) {
        slot_[e.column] = static_cast<Index>(touched_.size());
        touched_.push_back(e.column);
        mixed_.resize(mixed_.size() + 2 * k, 0);
        places_.resize(places_.size() + k, -1);
      }
      const auto t = static_cast<std::size_t>(slot_[e.column]);
      mixed_[t * 2 * k + r] = e.g;
      mixed_[t * 2 * k + k + r] = e.a;
      places_[t * k + r] = e.mirror;
    }
  for (Index m : touched_) slot_[m] = -1;
  for (Index r = 0; r < k; ++r) slot_[index[r]] = -1;
}

// O [G]_ss O^T and O [A]_ss O^T for s = index[0..k). The rows of s hold nothing else afterwards.
void ClusterGram::rotate_block(const Index* index, const double* O, Index k, Index kept) {
  std::vector<Entry> block(k * k);
  for (Index r = 0; r < k; ++r)
    for (Index s = 0; s < k; ++s)
      block[r * k + s] =
          r == s ? Entry{0, 0, norm2[index[r]], diagonal[index[r]]} : at(index[r], index[s]);
  for (Index r = 0; r < k; ++r) rows_[index[r]].clear();
  for (Index r = 0; r < k; ++r)
    for (Index s = r; s < (r < kept ? kept : r + 1); ++s) {
      double g = 0, a = 0;
      for (Index p = 0; p < k; ++p)
        for (Index q = 0; q < k; ++q) {
          g += O[r * k + p] * O[s * k + q] * block[p * k + q].g;
          a += O[r * k + p] * O[s * k + q] * block[p * k + q].a;
        }
      if (r == s)
        norm2[index[r]] = g, diagonal[index[r]] = a;
      else
        link(index[r], index[s], g, a);
    }
}

// Touched column t: the entries of the kept columns go where those of index[0..k) stood.
void ClusterGram::rotate_touched(std::size_t t, const Index* index, const double* O, Index k,
                                 Index kept) {
  const Index m = touched_[t];
  const double* old = &mixed_[t * 2 * k];
  Index* places = &places_[t * k];
  Index* const end = std::remove(places, places + k, -1);
  auto& row = rows_[m];
  for (Index r = 0; r < kept; ++r) {
    double g = 0, a = 0;
    for (Index s = 0; s < k; ++s) {
      g += O[r * k + s] * old[s];
      a += O[r * k + s] * old[k + s];
    }
    if (places == end) {
      link(index[r], m, g, a);
      continue;
    }
    auto& kept_row = rows_[index[r]];
    row[*places] = {index[r], static_cast<Index>(kept_row.size()), g, a};
    kept_row.push_back({m, *places++, g, a});
  }
  std::sort(places, end, std::greater<>());  // then the last entry of the row is never one of them
  for (; places != end; ++places) remove(m, *places);
}

void ClusterGram::rotate(const Index* index, const double* O, Index k, Index kept) {
  collect(index, k);
  rotate_block(index, O, k, kept);
  for (std::size_t t = 0; t < touched_.size(); ++t) rotate_touched(t, index, O, k, kept);
  for (Index r = kept; r < k; ++r) active[index[r]] = 0;
}

template void ClusterGram::build(const CsrView<double>&, const double*, const std::vector<Index>&,
                                 const Index*, Index, Index, Index, Gram);
template void ClusterGram::build(const CsrView<float>&, const float*, const std::vector<Index>&,
                                 const Index*, Index, Index, Index, Gram);

}  // namespace pympf::mmf
