#include "pympf/mmf/stage.hpp"

#include <algorithm>

#include "pympf/la/block.hpp"
#include "pympf/la/lanes.hpp"

namespace pympf::mmf {
namespace {

constexpr Index max_order = 16;
constexpr std::size_t function_work = 8;  // of building a function, in products of two numbers

// x, y = c x + s y, c y - s x for the pairs of cluster u, or the inverse of that; K columns at
// once.
template <class T, int K>
void rotate_pair(T c, T s, T* x, T* y) {
  const auto first = Lanes<T, K>::load(x), second = Lanes<T, K>::load(y);
  auto kept = first, left = second;
  kept.scale(c);
  kept.add(s, second);
  left.scale(c);
  left.subtract(s, first);
  kept.store(x);
  left.store(y);
}

template <class T, int K>
void rotate_pairs(const Stage<T>& stage, Index u, T* v) {
  const Index* index = stage.index.data();
  const T* matrix = stage.matrix.data();
  for (std::size_t t = stage.rotation_ptr[u], end = stage.rotation_ptr[u + 1]; t < end; ++t)
    rotate_pair<T, K>(matrix[2 * t], matrix[2 * t + 1], v + std::size_t{K} * index[2 * t],
                      v + std::size_t{K} * index[2 * t + 1]);
}

template <class T, int K>
void rotate_pairs_back(const Stage<T>& stage, Index u, T* v) {
  const Index* index = stage.index.data();
  const T* matrix = stage.matrix.data();
  for (std::size_t t = stage.rotation_ptr[u + 1], end = stage.rotation_ptr[u]; t-- > end;)
    rotate_pair<T, K>(matrix[2 * t], -matrix[2 * t + 1], v + std::size_t{K} * index[2 * t],
                      v + std::size_t{K} * index[2 * t + 1]);
}

bool is_panel(Index m) { return m == 1 || m == 2 || m == 4 || m == 8; }

// Rotates k rows of m numbers by O, or by O^T.
template <class T>
void mix(const typename Stage<T>::Rotation& rotation, bool pair, bool transposed, T* v, Index m) {
  const auto row = [&](Index r) { return v + static_cast<std::size_t>(rotation.index[r]) * m; };
  if (pair) {
    const T c = rotation.matrix[0], s = transposed ? -rotation.matrix[1] : rotation.matrix[1];
    T *x = row(0), *y = row(1);
    for (Index q = 0; q < m; ++q) {
      const T kept = c * x[q] + s * y[q];
      y[q] = c * y[q] - s * x[q];
      x[q] = kept;
    }
    return;
  }
  const Index k = rotation.k;
  for (Index q = 0; q < m; ++q) {
    T old[max_order];
    for (Index r = 0; r < k; ++r) old[r] = row(r)[q];
    for (Index r = 0; r < k; ++r) {
      T sum = 0;
      for (Index s = 0; s < k; ++s)
        sum += rotation.matrix[transposed ? s * k + r : r * k + s] * old[s];
      row(r)[q] = sum;
    }
  }
}

// A function of the stage while it is built: (position, value), sorted by position.
template <class T>
using Function = std::vector<std::pair<Index, T>>;

// The functions of one cluster: unit vectors, mixed by the rotations in order.
template <class T>
void cluster_functions(const Stage<T>& stage, Index u, std::vector<Function<T>>& functions) {
  const Index first = stage.cluster_ptr[u], size = stage.cluster_ptr[u + 1] - first;
  if (static_cast<Index>(functions.size()) < size) functions.resize(size);
  for (Index l = 0; l < size; ++l) functions[l].assign(1, {first + l, T(1)});

  std::vector<Index> support;
  std::vector<T> values;
  for (Index t = stage.rotation_ptr[u]; t < stage.rotation_ptr[u + 1]; ++t) {
    const auto rotation = stage.rotation(t);
    const Index k = rotation.k;
    support.clear();
    for (Index r = 0; r < k; ++r)
      for (const auto& term : functions[rotation.index[r] - first]) support.push_back(term.first);
    std::sort(support.begin(), support.end());
    support.erase(std::unique(support.begin(), support.end()), support.end());
    const Index width = static_cast<Index>(support.size());
    values.assign(static_cast<std::size_t>(k) * width, T(0));
    for (Index r = 0; r < k; ++r)
      for (const auto& [position, value] : functions[rotation.index[r] - first]) {
        const auto at =
            std::lower_bound(support.begin(), support.end(), position) - support.begin();
        values[r * width + at] = value;
      }
    for (Index r = 0; r < k; ++r) {
      Function<T>& out = functions[rotation.index[r] - first];
      out.clear();
      for (Index w = 0; w < width; ++w) {
        T sum = 0;
        for (Index s = 0; s < k; ++s) {
          const T o = stage.pairs ? (r == s ? rotation.matrix[0]
                                            : (r == 0 ? rotation.matrix[1] : -rotation.matrix[1]))
                                  : rotation.matrix[r * k + s];
          sum += o * values[s * width + w];
        }
        out.emplace_back(support[w], sum);
      }
    }
  }
}

}  // namespace

template <class T>
void rotate_cluster(const Stage<T>& stage, Index u, T* v, Index m) {
  if (stage.pairs && is_panel(m))
    return with_lanes(m, [&](auto K) { rotate_pairs<T, K>(stage, u, v); });
  for (Index t = stage.rotation_ptr[u]; t < stage.rotation_ptr[u + 1]; ++t)
    mix<T>(stage.rotation(t), stage.pairs, false, v, m);
}

template <class T>
void rotate_cluster_back(const Stage<T>& stage, Index u, T* v, Index m) {
  if (stage.pairs && is_panel(m))
    return with_lanes(m, [&](auto K) { rotate_pairs_back<T, K>(stage, u, v); });
  for (Index t = stage.rotation_ptr[u + 1]; t-- > stage.rotation_ptr[u];)
    mix<T>(stage.rotation(t), stage.pairs, true, v, m);
}

template <class T>
Csr<T> stage_functions(const Stage<T>& stage, const Index* members, Index first, Index last) {
  const Index count = stage.clusters();
  const bool threads = worth_threads(function_work * stage.rows);
  std::vector<Global> length(last - first + 1, 0);
  std::vector<std::vector<std::pair<Index, T>>> terms(count);
  // Calls visit(position, coefficient) for the functions of cluster u that are wanted.
  const auto for_each_wanted = [&](Index u, const auto& visit) {
    const Index start = stage.cluster_ptr[u], active = stage.active(u);
    for (Index l = 0; l < stage.cluster_ptr[u + 1] - start; ++l) {
      const Index row =
          l < active ? stage.destination[stage.active_ptr[u] + l] : stage.wavelets(u) + l - active;
      if (row >= first && row < last) visit(start + l, row - first);
    }
  };
  parallel_with(count, Index{0}, threads, [&] {
    return [&, functions = std::vector<Function<T>>()](Index u) mutable {
      cluster_functions(stage, u, functions);
      for_each_wanted(u, [&](Index position, Index row) {
        const auto& f = functions[position - stage.cluster_ptr[u]];
        length[row + 1] = static_cast<Global>(f.size());
        terms[u].insert(terms[u].end(), f.begin(), f.end());
      });
    };
  });

  auto out = with_row_lengths<T>(length, stage.rows, "entries of the functions of a stage");
  parallel_for(count, threads, [&](Index u) {
    auto term = terms[u].begin();
    for_each_wanted(u, [&](Index, Index row) {
      for (Index p = out.indptr[row]; p < out.indptr[row + 1]; ++p, ++term) {
        out.indices[p] = members ? members[term->first] : term->first;
        out.data[p] = term->second;
      }
    });
  });
  return out;
}

#define PYMPF_INSTANTIATE(T)                                            \
  template void rotate_cluster(const Stage<T>&, Index, T*, Index);      \
  template void rotate_cluster_back(const Stage<T>&, Index, T*, Index); \
  template Csr<T> stage_functions(const Stage<T>&, const Index*, Index, Index);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf::mmf
