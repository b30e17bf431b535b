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

// Where the numbers of cluster u lie: its positions, and its wavelets among the coefficients.
template <class T>
struct Place {
  Place(const Stage<T>& stage, Index u, Index m)
      : first(stage.cluster_ptr[u]),
        size(stage.cluster_ptr[u + 1] - first),
        active(stage.active(u)),
        destination(stage.destination.data() + stage.active_ptr[u]),
        start(static_cast<std::size_t>(first) * m),
        wavelet_start(static_cast<std::size_t>(stage.wavelets(u)) * m),
        wavelets(static_cast<std::size_t>(size - active) * m),
        active_size(static_cast<std::size_t>(active) * m) {}
  Index first, size, active;
  const Index* destination;
  std::size_t start, wavelet_start, wavelets, active_size;
};

}  // namespace

template <class T>
std::size_t Hierarchy<T>::bytes() const {
  std::size_t sum = sizeof(Index) * order.size();
  for (const auto& stage : stages) sum += stage.bytes();
  return sum;
}

template <class T>
void Hierarchy<T>::forward(const T* x, T* y, Index m, Workspace<T>& workspace) const {
  const std::size_t size = static_cast<std::size_t>(rows) * m;
  if (stages.empty()) {
    std::copy(x, x + size, y);
    return;
  }
  grow(workspace.in, size);
  grow(workspace.next, size);
#pragma omp parallel if (worth_threads(size))
  {
    T *in = workspace.in.data(), *next = workspace.next.data();
    for (int p = 0; p < levels(); ++p) {
      const Stage<T>& stage = stages[p];
      T* active = p + 1 == levels() ? y : next;
#pragma omp for schedule(static)
      for (Index u = 0; u < stage.clusters(); ++u) {
        const Place<T> at(stage, u, m);
        T* v = in + at.start;
        if (p == 0) gather(x, &order[at.first], at.size, v, m);
        rotate_cluster(stage, u, in, m);
        scatter(v, at.destination, at.active, active, m);
        std::copy_n(v + at.active_size, at.wavelets, y + at.wavelet_start);
      }
      std::swap(in, next);
    }
  }
}

template <class T>
void Hierarchy<T>::backward(const T* y, T* x, Index m, Workspace<T>& workspace, int level) const {
  const std::size_t size = static_cast<std::size_t>(rows) * m;
  if (level == 0) {
    std::copy(y, y + size, x);
    return;
  }
  grow(workspace.in, size);
  grow(workspace.next, size);
#pragma omp parallel if (worth_threads(size))
  {
    T *out = workspace.in.data(), *coarse = workspace.next.data();
    for (int p = level - 1; p >= 0; --p) {
      const Stage<T>& stage = stages[p];
      const T* active = p + 1 == level ? y : coarse;
#pragma omp for schedule(static)
      for (Index u = 0; u < stage.clusters(); ++u) {
        const Place<T> at(stage, u, m);
        T* v = out + at.start;
        gather(active, at.destination, at.active, v, m);
        std::copy_n(y + at.wavelet_start, at.wavelets, v + at.active_size);
        rotate_cluster_back(stage, u, out, m);
        if (p == 0) scatter(v, &order[at.first], at.size, x, m);
      }
      std::swap(out, coarse);
    }
  }
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
void check(const Stage<T>& stage, Index rows) {
  require(stage.rows == rows && stage.kept > 0 && stage.kept < rows, "a stage has ", stage.rows,
          " rows and keeps ", stage.kept, ", expected ", rows, " rows");
  check_offsets(stage.cluster_ptr, rows, "cluster_ptr");
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
  require(Q.rows > 0, "a factorization has ", Q.rows, " rows");
  Index rows = Q.rows;
  if (!Q.stages.empty()) check_permutation(Q.order, rows, "order");
  for (const auto& stage : Q.stages) {
    check(stage, rows);
    rows = stage.kept;
  }
}

template <class T>
void check(const CoreDiagonal<T>& H, const Hierarchy<T>& Q) {
  const std::size_t core = H.core_size;
  require(H.core_size == Q.kept(Q.levels()) && H.rows() == Q.rows, "H has a core of ", H.core_size,
          " of ", H.rows(), " rows, expected ", Q.kept(Q.levels()), " of ", Q.rows);
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
