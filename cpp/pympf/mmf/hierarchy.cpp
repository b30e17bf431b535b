#include "pympf/mmf/hierarchy.hpp"

#include <algorithm>

namespace pympf::mmf {
namespace {

constexpr std::size_t parallel_size =
    32768;  // numbers below which a parallel region costs more than it gains

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
#pragma omp parallel if (size >= parallel_size)
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
#pragma omp parallel if (size >= parallel_size)
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

template struct Hierarchy<double>;
template struct Hierarchy<float>;

}  // namespace pympf::mmf
