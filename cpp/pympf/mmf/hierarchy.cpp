#include "pympf/mmf/hierarchy.hpp"

#include <algorithm>

namespace pympf::mmf {
namespace {

template <class T>
void grow(std::vector<T>& v, std::size_t size) {
  if (v.size() < size) v.resize(size);
}

// to[i] = from[index[i]] and to[index[i]] = from[i], for rows of m numbers.
template <class T>
void gather(const T* from, const Index* index, Index count, T* to, Index m) {
  if (m == 1)
    for (Index i = 0; i < count; ++i) to[i] = from[index[i]];
  else
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
      std::copy_n(from + static_cast<std::size_t>(index[i]) * m, m, to + i * m);
}

template <class T>
void scatter(const T* from, const Index* index, Index count, T* to, Index m) {
  if (m == 1)
    for (Index i = 0; i < count; ++i) to[index[i]] = from[i];
  else
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
      std::copy_n(from + i * m, m, to + static_cast<std::size_t>(index[i]) * m);
}

// Where the numbers of cluster u lie: its positions, and its wavelets among the coefficients, where
// those of the stage begin at `wavelets_first`.
template <class T>
struct Place {
  Place(const Stage<T>& stage, Index u, Index m, Index wavelets_first)
      : first(stage.cluster_ptr[u]),
        size(stage.cluster_ptr[u + 1] - first),
        active(stage.active(u)),
        active_first(stage.active_ptr[u]),
        start(static_cast<std::size_t>(first) * m),
        active_start(static_cast<std::size_t>(active_first) * m),
        wavelet_start(static_cast<std::size_t>(wavelets_first + first - active_first) * m),
        wavelets(static_cast<std::size_t>(size - active) * m),
        active_size(static_cast<std::size_t>(active) * m) {}
  Index first, size, active, active_first;
  std::size_t start, active_start, wavelet_start, wavelets, active_size;
};

}  // namespace

template <class T>
std::size_t Hierarchy<T>::bytes() const {
  std::size_t sum = sizeof(Index) * order.size();
  for (const auto& stage : stages) sum += stage.bytes();
  for (const auto& [level, exchange] : moves)
    sum += sizeof(Index) * (exchange.leaving() + exchange.arriving());
  return sum;
}

template <class T>
Index Hierarchy<T>::wavelet_start(int level, int top) const {
  Index start = kept(top);
  for (int p = top - 1; p > level; --p) start += stages[p].rows - stages[p].kept;
  return start;
}

template <class T>
std::size_t Hierarchy<T>::widest() const {
  Index most = std::max(rows, core_rows);
  for (const auto& stage : stages) most = std::max(most, stage.rows);
  return static_cast<std::size_t>(most);
}

template <class T>
static bool worth_stage(const Stage<T>& stage, Index m) {
  return worth_threads(static_cast<std::size_t>(stage.rows) * m);
}

template <class T>
void Hierarchy<T>::forward(const T* x, T* y, Index m, Workspace<T>& workspace) const {
  if (stages.empty()) {
    if (const Exchange* to = move(0)) return to->forward(x, y, m, workspace.exchange);
    std::copy(x, x + static_cast<std::size_t>(rows) * m, y);
    return;
  }
  const std::size_t size = widest() * m;
  grow(workspace.in, size);
  grow(workspace.next, size);
  T *in = workspace.in.data(), *next = workspace.next.data();
  if (const Exchange* to = move(0)) to->forward(x, in, m, workspace.exchange);
  for (int begin = 0, end; begin < levels(); begin = end) {
    end = begin + 1;
    while (end < levels() && !move(end)) ++end;
    const Exchange* to = move(end);
    for (int p = begin; p < end; ++p) {
      const Stage<T>& stage = stages[p];
      const Index wavelets_first = wavelet_start(p, levels());
      T* active = p + 1 == levels() && !to ? y : next;
      const Index* destination = p + 1 == end ? nullptr : stage.destination.data();
      parallel_for(stage.clusters(), worth_stage(stage, m), [&](Index u) {
        const Place<T> at(stage, u, m, wavelets_first);
        T* v = in + at.start;
        if (p == 0 && !move(0)) gather(x, &order[at.first], at.size, v, m);
        rotate_cluster(stage, u, in, m);
        if (destination)
          scatter(v, destination + at.active_first, at.active, active, m);
        else
          std::copy_n(v, at.active_size, active + at.active_start);
        std::copy_n(v + at.active_size, at.wavelets, y + at.wavelet_start);
      });
      std::swap(in, next);
    }
    // Now `in` holds the active columns of stage `end`.
    if (!to) continue;
    to->forward(in, end == levels() ? y : next, m, workspace.exchange);
    std::swap(in, next);
  }
}

template <class T>
void Hierarchy<T>::backward(const T* y, T* x, Index m, Workspace<T>& workspace, int level) const {
  if (level == 0) {
    if (const Exchange* from = move(0); from && levels() == 0)
      return from->backward(y, x, m, workspace.exchange);
    std::copy(y, y + static_cast<std::size_t>(rows) * m, x);
    return;
  }
  const std::size_t size = widest() * m;
  grow(workspace.in, size);
  grow(workspace.next, size);
  T *out = workspace.in.data(), *coarse = workspace.next.data();
  const T* active = y;
  for (int end = level, begin; end > 0; end = begin) {
    begin = end - 1;
    while (begin > 0 && !move(begin)) --begin;
    if (const Exchange* from = move(end)) {
      from->backward(active, coarse, m, workspace.exchange);
      active = coarse;
    }
    for (int p = end - 1; p >= begin; --p) {
      const Stage<T>& stage = stages[p];
      const Index wavelets_first = wavelet_start(p, level);
      const Index* destination =
          p + 1 == end && (move(end) || end == levels()) ? nullptr : stage.destination.data();
      parallel_for(stage.clusters(), worth_stage(stage, m), [&](Index u) {
        const Place<T> at(stage, u, m, wavelets_first);
        T* v = out + at.start;
        if (destination)
          gather(active, destination + at.active_first, at.active, v, m);
        else
          std::copy_n(active + at.active_start, at.active_size, v);
        std::copy_n(y + at.wavelet_start, at.wavelets, v + at.active_size);
        rotate_cluster_back(stage, u, out, m);
        if (p == 0 && !move(0)) scatter(v, &order[at.first], at.size, x, m);
      });
      std::swap(out, coarse);
      active = coarse;
    }
  }
  if (const Exchange* from = move(0)) from->backward(active, x, m, workspace.exchange);
}

namespace {

// ptr[0] = 0, not decreasing, ending at `end`.
template <class V>
void check_offsets(const V& ptr, std::size_t end, const char* what) {
  require(!ptr.empty() && ptr.front() == 0 && std::is_sorted(ptr.begin(), ptr.end()) &&
              static_cast<std::size_t>(ptr.back()) == end,
          what, " are not offsets from 0 to ", end);
}

void check_permutation(const std::vector<Index>& p, Index n, const char* what) {
  std::vector<bool> seen(n, false);
  require(static_cast<Index>(p.size()) == n, what, " has ", p.size(), " entries, expected ", n);
  for (Index i : p) {
    require(i >= 0 && i < n && !seen[i], what, " is not a permutation of 0 .. ", n - 1);
    seen[i] = true;
  }
}

template <class T>
void check(const Stage<T>& stage) {
  check_offsets(stage.cluster_ptr, stage.rows, "cluster_ptr");
  check_offsets(stage.active_ptr, stage.kept, "active_ptr");
  const std::size_t clusters = stage.cluster_ptr.size(), rotations = stage.rotations();
  require(stage.active_ptr.size() == clusters && stage.rotation_ptr.size() == clusters,
          "cluster_ptr, active_ptr and rotation_ptr differ in length");
  check_offsets(stage.rotation_ptr, rotations, "rotation_ptr");
  if (stage.pairs) {
    require(stage.index.size() == 2 * rotations && stage.matrix.size() == 2 * rotations,
            "index and matrix do not fit ", rotations, " pairs");
  } else {
    require(stage.index_start.size() == rotations + 1 && stage.matrix_start.size() == rotations + 1,
            "index_start and matrix_start do not fit ", rotations, " rotations");
    check_offsets(stage.index_start, stage.index.size(), "index_start");
    check_offsets(stage.matrix_start, stage.matrix.size(), "matrix_start");
    for (std::size_t t = 0; t < rotations; ++t) {
      const std::size_t k = stage.index_start[t + 1] - stage.index_start[t];
      require(k <= 16 && stage.matrix_start[t + 1] - stage.matrix_start[t] == k * k,
              "a rotation of order ", k, " does not fit its matrix");
    }
  }
  for (Index u = 0; u < stage.clusters(); ++u) {
    const Index first = stage.cluster_ptr[u], last = stage.cluster_ptr[u + 1];
    require(stage.active(u) <= last - first, "a cluster keeps more columns than it has");
    for (Index t = stage.rotation_ptr[u]; t < stage.rotation_ptr[u + 1]; ++t) {
      const auto rotation = stage.rotation(t);
      for (Index r = 0; r < rotation.k; ++r)
        require(rotation.index[r] >= first && rotation.index[r] < last,
                "a rotation leaves its cluster");
    }
  }
  check_permutation(stage.destination, stage.kept, "destination");
}

}  // namespace

template <class T>
void check(const Hierarchy<T>& Q) {
  Global rows = Q.comm.sum(Global{Q.rows});
  require(rows > 0, "a factorization has ", rows, " rows");
  collectively(Q.comm, [&] {
    if (!Q.stages.empty() && !Q.move(0)) check_permutation(Q.order, Q.rows, "order");
    Index before = Q.rows;
    for (int level = 0; level <= Q.levels(); ++level) {
      require(Q.move(level) || Q.entering(level) == before, "after ", level, " stages there are ",
              before, " columns, but the next one has ", Q.entering(level));
      if (level == Q.levels()) break;
      check(Q.stages[level]);
      before = Q.stages[level].kept;
    }
  });
  for (const auto& stage : Q.stages) {
    const Global all = Q.comm.sum(Global{stage.rows}), kept = Q.comm.sum(Global{stage.kept});
    require(all == rows && kept > 0 && kept < rows, "a stage has ", all, " rows and keeps ", kept,
            ", expected ", rows, " rows");
    rows = kept;
  }
}

template <class T>
void check(const CoreDiagonal<T>& H, const Hierarchy<T>& Q) {
  const std::size_t core = H.core_size;
  require(H.core_size == Q.core_rows && H.rows() == Q.coefficients(), "H has a core of ",
          H.core_size, " of ", H.rows(), " rows, expected ", Q.kept(Q.levels()), " of ", Q.rows);
  if (H.is_dense()) {
    require(H.core.size() == core * core, "the core has ", H.core.size(), " entries, expected ",
            core * core);
  } else {
    require(H.sparse_core.rows == H.core_size && H.sparse_core.indptr.size() == core + 1 &&
                H.sparse_core.indices.size() == H.sparse_core.data.size(),
            "the sparse core does not fit ", core, " rows");
    check_offsets(H.sparse_core.indptr, H.sparse_core.data.size(), "indptr");
    for (Index j : H.sparse_core.indices)
      require(j >= 0 && j < H.core_size, "an index of the core is out of range");
  }
}

#define PYMPF_INSTANTIATE(T)                \
  template struct Hierarchy<T>;             \
  template void check(const Hierarchy<T>&); \
  template void check(const CoreDiagonal<T>&, const Hierarchy<T>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf::mmf
