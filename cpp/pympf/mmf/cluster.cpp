#include "pympf/mmf/cluster.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "pympf/common/random.hpp"

namespace pympf::mmf {
Index hub_limit(Global rows, Global nnz, const Params& params) {
  const double mean = rows > 0 ? static_cast<double>(nnz) / rows : 0;
  return static_cast<Index>(std::min(2147483647.0, std::max(32.0, params.hub_factor * mean)));
}

namespace {

Index divide_up(Index a, Index b) { return a / b + (a % b != 0); }

// Grows clusters of equal size breadth first. A cluster starts on the frontier of the one before
// it, so that clusters are compact and follow each other in space; it goes on elsewhere when its
// component ends. A stored zero is no edge. O(nnz).
template <class T>
Clusters along_graph(const CsrView<T>& A, const Params& params) {
  const Index n = A.rows;
  const Index count = std::max(params.clusters, divide_up(n, params.max_cluster_size));
  const Index size = divide_up(n, std::min(count, n));

  Clusters out;
  out.members.reserve(n);
  std::vector<Index> mark(n, -1);  // the cluster on whose frontier a column was last put
  std::vector<bool> taken(n, false);
  std::vector<Index> frontier, old_frontier;
  std::size_t head = 0, old_head = 0;
  Index fresh = 0;
  for (Index u = 0; static_cast<Index>(out.members.size()) < n; ++u) {
    std::swap(frontier, old_frontier);
    old_head = head;
    frontier.clear();
    head = 0;
    const Index end = std::min<Index>(n, out.members.size() + size);
    while (static_cast<Index>(out.members.size()) < end) {
      Index i = -1;
      if (head < frontier.size()) {
        i = frontier[head++];
      } else {
        while (old_head < old_frontier.size() && taken[old_frontier[old_head]]) ++old_head;
        if (old_head < old_frontier.size()) {
          i = old_frontier[old_head++];
        } else {
          while (taken[fresh]) ++fresh;
          i = fresh;
        }
      }
      if (taken[i]) continue;
      taken[i] = true;
      out.members.push_back(i);
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
        const Index j = A.indices[p];
        if (taken[j] || mark[j] == u || A.data[p] == T(0)) continue;
        mark[j] = u;
        frontier.push_back(j);
      }
    }
    out.ptr.push_back(static_cast<Index>(out.members.size()));
  }
  return out;
}

// Clustering around random anchors (the paper's): a column joins the anchor with the largest |<A_j,
// A_a>| / ||A_a||.
template <class T>
class AroundAnchors {
 public:
  AroundAnchors(const CsrView<T>& A, const Params& params, int stage)
      : A_(A),
        params_(params),
        stage_(stage),
        hub_(hub_limit(A, params)),
        label_(A.rows, 0),
        product_(A.rows, T(0)),
        best_(A.rows),
        candidate_(A.rows) {}

  Clusters run() {
    std::vector<Index> all(A_.rows);
    std::iota(all.begin(), all.end(), 0);
    split(std::move(all), std::max(1, params_.clusters), 0);
    out_.members.insert(out_.members.end(), bypassed_.begin(), bypassed_.end());
    return std::move(out_);
  }

 private:
  void split(std::vector<Index> columns, Index anchors, int depth) {
    const Index size = static_cast<Index>(columns.size());
    if (anchors <= 1 && size <= params_.max_cluster_size) return keep(columns);
    if (anchors <= 1) anchors = divide_up(size, params_.max_cluster_size);
    if (depth == params_.max_clustering_depth) return cut(columns);

    auto groups = assign(columns, std::min(anchors, size));
    std::vector<Index> left = std::move(groups.back());
    groups.pop_back();
    if (params_.bypass) {
      bypassed_.insert(bypassed_.end(), left.begin(), left.end());
    } else {
      const Index share =
          divide_up(static_cast<Index>(left.size()), static_cast<Index>(groups.size()));
      for (Index k = 0; k < static_cast<Index>(left.size()); ++k)
        groups[k / share].push_back(left[k]);
    }
    for (auto& group : groups) split(std::move(group), 1, depth + 1);
  }

  // Groups by anchor; the last one holds the columns that no anchor reaches. Every round draws
  // anchors among the columns that are still free.
  std::vector<std::vector<Index>> assign(const std::vector<Index>& columns, Index anchors) {
    const Index scope = ++scopes_;
    for (Index j : columns) label_[j] = scope, candidate_[j] = -1, best_[j] = T(0);
    Random random(params_.seed, stage_, scope);
    std::vector<Index> free = columns;
    for (int round = 0; round < params_.max_clustering_iterations && !free.empty(); ++round) {
      const Index count = std::min(anchors, static_cast<Index>(free.size()));
      for (Index g = 0; g < count; ++g)
        std::swap(free[g], free[g + random.below(static_cast<Index>(free.size()) - g)]);
      frontier_.clear();
      for (Index g = 0; g < count; ++g) offer(free[g], g, scope);
      for (Index g = 0; g < count; ++g) candidate_[free[g]] = g;
      for (Index j : free)
        if (candidate_[j] >= 0) frontier_.push_back(j);
      while (!frontier_.empty()) spread(scope);
      for (Index j : free)
        if (candidate_[j] >= 0) best_[j] = std::numeric_limits<T>::infinity();  // keeps its place
      std::erase_if(free, [&](Index j) { return candidate_[j] >= 0; });
    }
    std::vector<std::vector<Index>> groups(anchors + 1);
    for (Index j : columns) groups[candidate_[j] < 0 ? anchors : candidate_[j]].push_back(j);
    return groups;
  }

  // Anchor a offers itself as group g to every column of the scope that its column overlaps.
  void offer(Index a, Index g, Index scope) {
    touched_.clear();
    T norm = T(0);
    for (Index p = A_.indptr[a]; p < A_.indptr[a + 1]; ++p) {
      const Index k = A_.indices[p];
      norm += A_.data[p] * A_.data[p];
      if (k != a && A_.indptr[k + 1] - A_.indptr[k] > hub_) continue;
      for (Index q = A_.indptr[k]; q < A_.indptr[k + 1]; ++q) {
        const Index j = A_.indices[q];
        if (label_[j] != scope) continue;
        if (product_[j] == T(0)) touched_.push_back(j);
        product_[j] += A_.data[p] * A_.data[q];
      }
    }
    norm = std::sqrt(norm);
    for (Index j : touched_) {
      const T value = std::abs(product_[j]) / norm;
      if (value > best_[j]) best_[j] = value, candidate_[j] = g;
      product_[j] = T(0);
    }
  }

  // The free neighbours of the columns placed last follow their most strongly coupled placed
  // neighbour, all at once.
  void spread(Index scope) {
    moves_.clear();
    for (Index f : frontier_)
      for (Index q = A_.indptr[f]; q < A_.indptr[f + 1]; ++q) {
        const Index i = A_.indices[q];
        if (label_[i] != scope || candidate_[i] != -1) continue;
        T strongest = T(0);
        Index follow = -1;
        for (Index p = A_.indptr[i]; p < A_.indptr[i + 1]; ++p) {
          const Index j = A_.indices[p];
          if (label_[j] == scope && candidate_[j] >= 0 && std::abs(A_.data[p]) > strongest)
            strongest = std::abs(A_.data[p]), follow = candidate_[j];
        }
        if (follow < 0) continue;
        candidate_[i] = -2;  // seen in this step
        moves_.emplace_back(i, follow);
      }
    frontier_.clear();
    for (auto [i, group] : moves_) {
      candidate_[i] = group;
      frontier_.push_back(i);
    }
  }

  void keep(const std::vector<Index>& columns) {
    out_.members.insert(out_.members.end(), columns.begin(), columns.end());
    out_.ptr.push_back(static_cast<Index>(out_.members.size()));
  }

  void cut(const std::vector<Index>& columns) {
    const Index size = static_cast<Index>(columns.size());
    const Index parts = divide_up(size, params_.max_cluster_size);
    for (Index part = 0; part < parts; ++part) {
      const auto at = [&](Index k) {
        return columns.begin() + static_cast<Global>(size) * k / parts;
      };
      keep({at(part), at(part + 1)});
    }
  }

  const CsrView<T>& A_;
  const Params& params_;
  const int stage_;
  const Index hub_;
  std::vector<Index> label_;  // the split that a column is in
  Index scopes_ = 0;
  std::vector<T> product_, best_;
  std::vector<Index> candidate_, touched_, frontier_, bypassed_;
  std::vector<std::pair<Index, Index>> moves_;
  Clusters out_;
};

// Columns of clusters below the minimum size sit out the stage, or join the cluster before theirs.
Clusters dissolve_small(Clusters in, const Params& params) {
  if (params.min_cluster_size <= 1) return in;
  Clusters out;
  std::vector<Index> left;
  for (Index u = 0; u < in.count(); ++u) {
    const auto first = in.members.begin() + in.ptr[u], last = in.members.begin() + in.ptr[u + 1];
    const bool small = in.size(u) < params.min_cluster_size;
    if (small && params.bypass) {
      left.insert(left.end(), first, last);
      continue;
    }
    out.members.insert(out.members.end(), first, last);
    if (small && out.count() > 0)
      out.ptr.back() = static_cast<Index>(out.members.size());
    else
      out.ptr.push_back(static_cast<Index>(out.members.size()));
  }
  left.insert(left.end(), in.members.begin() + in.ptr.back(), in.members.end());
  out.members.insert(out.members.end(), left.begin(), left.end());
  return out;
}

}  // namespace

template <class T>
Index hub_limit(const CsrView<T>& A, const Params& params) {
  return hub_limit(A.rows, A.nnz(), params);
}

template <class T>
Clusters cluster(const CsrView<T>& A, const Params& params, int stage) {
  Clusters found = params.clustering == Clustering::graph
                       ? along_graph(A, params)
                       : AroundAnchors<T>(A, params, stage).run();
  return dissolve_small(std::move(found), params);
}

template Clusters cluster(const CsrView<double>&, const Params&, int);
template Clusters cluster(const CsrView<float>&, const Params&, int);
template Index hub_limit(const CsrView<double>&, const Params&);
template Index hub_limit(const CsrView<float>&, const Params&);

}  // namespace pympf::mmf
