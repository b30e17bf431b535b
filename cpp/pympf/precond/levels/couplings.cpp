#include "pympf/precond/levels/couplings.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pympf/la/rows.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::precond {

Graph couplings(const CsrView<double>& A, const double* B, Index block, Index vectors) {
  return couplings(A, B, block, vectors, block == 1 ? std::vector<double>() : diagonal(A));
}

Graph couplings(const CsrView<double>& A, const double* B, Index block, Index vectors,
                const std::vector<double>& d) {
  const auto product = [=](Index i, Index j) {
    const double *x = B + static_cast<std::size_t>(i) * vectors,
                 *y = B + static_cast<std::size_t>(j) * vectors;
    double sum = 0;
    for (Index e = 0; e < vectors; ++e) sum += x[e] * y[e];
    return sum;
  };
  if (block == 1)
    return build_rows(A.rows, A.cols, [&] {
      return [&](Index i, Entries& out) {
        for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
          if (const Index j = A.indices[p]; j != i)
            if (const double w = -A.data[p] * product(i, j); w > 0) out.emplace_back(j, w);
      };
    });
  return build_rows(A.rows / block, A.cols / block, [&] {
    return [&, sum = Accumulator(A.cols / block)](Index node, Entries& out) mutable {
      for (Index i = node * block; i < (node + 1) * block; ++i)
        for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
          const Index j = A.indices[p], other = j / block;
          const double scale = d[i] * d[j];
          if (other != node && scale > 0) sum.add(node, other, A.data[p] * A.data[p] / scale);
        }
      sum.flush([&](Index j, double square) {
        if (square > 0) out.emplace_back(j, std::sqrt(square));
      });
    };
  });
}

namespace {

class Stars {
 public:
  Stars(const Graph& W, double theta, Index largest)
      : W_(W), theta_(theta), largest_(largest), strongest_(W.rows, 0), label_(W.rows, -1) {
    for (Index i = 0; i < W.rows; ++i)
      for (Index p = W.indptr[i]; p < W.indptr[i + 1]; ++p)
        strongest_[i] = std::max(strongest_[i], W.data[p]);
  }

  Clustering run() {
    for (Index r = 0; r < W_.rows; ++r)
      if (is_free(r) && may_be_root(r)) start(r);
    join_leftovers();
    for (Index r = 0; r < W_.rows; ++r)
      if (is_free(r)) start(r);
    join_singletons();
    return numbered();
  }

 private:
  bool is_own(Index j) const { return j < W_.rows; }
  bool is_free(Index i) const { return label_[i] < 0 && strongest_[i] > 0; }
  bool follows(Index j, double weight) const { return weight >= theta_ * strongest_[j]; }

  // All strong neighbours are free, and at least one follows.
  bool may_be_root(Index r) const {
    bool followed = false;
    for (Index p = W_.indptr[r]; p < W_.indptr[r + 1]; ++p) {
      const Index j = W_.indices[p];
      if (is_own(j) && (follows(j, W_.data[p]) || follows(r, W_.data[p]))) {
        if (label_[j] >= 0) return false;
        followed = followed || follows(j, W_.data[p]);
      }
    }
    return followed;
  }

  // Root r and its free followers.
  void start(Index r) {
    const auto u = static_cast<Index>(size_.size());
    label_[r] = u;
    size_.push_back(1);
    for (Index p = W_.indptr[r]; p < W_.indptr[r + 1] && size_[u] < largest_; ++p)
      if (const Index j = W_.indices[p]; is_own(j) && label_[j] < 0 && follows(j, W_.data[p])) {
        label_[j] = u;
        ++size_[u];
      }
  }

  // The label of the strongest neighbour whose cluster has room, seen from i; -1: none is strong.
  Index best_cluster(Index i) const {
    double best = 0;
    Index chosen = -1;
    for (Index p = W_.indptr[i]; p < W_.indptr[i + 1]; ++p) {
      const Index u = is_own(W_.indices[p]) ? label_[W_.indices[p]] : -1;
      if (u < 0 || u == label_[i] || size_[u] >= largest_) continue;
      if (W_.data[p] > best && follows(i, W_.data[p])) best = W_.data[p], chosen = u;
    }
    return chosen;
  }

  void join_leftovers() {
    std::vector<std::pair<Index, Index>> joined;  // seen by nobody before all have chosen
    for (Index i = 0; i < W_.rows; ++i)
      if (is_free(i))
        if (const Index u = best_cluster(i); u >= 0) {
          joined.emplace_back(i, u);
          ++size_[u];
        }
    for (const auto& [i, u] : joined) label_[i] = u;
  }

  void join_singletons() {
    for (Index i = 0; i < W_.rows; ++i) {
      if (label_[i] < 0 || size_[label_[i]] != 1) continue;
      if (const Index u = best_cluster(i); u >= 0) {
        size_[label_[i]] = 0;
        label_[i] = u;
        ++size_[u];
      }
    }
  }

  // Clusters numbered in the order of their first nodes.
  Clustering numbered() {
    Clustering out{0, std::move(label_)};
    std::vector<Index> number(size_.size(), -1);
    for (Index& u : out.label) {
      if (u < 0) continue;
      if (number[u] < 0) number[u] = out.count++;
      u = number[u];
    }
    return out;
  }

  const Graph& W_;
  const double theta_;
  const Index largest_;
  std::vector<double> strongest_;
  std::vector<Index> label_, size_;
};

}  // namespace

Clustering cluster(const Graph& W, Shape shape, double theta, Index largest) {
  if (shape == Shape::pair) largest = std::min<Index>(largest, 2);
  if (shape == Shape::triple) largest = std::min<Index>(largest, 3);
  return Stars(W, theta, largest).run();
}

Members members_of(const Clustering& clusters) {
  Members out{std::vector<Index>(clusters.count + 1, 0), {}};
  for (Index u : clusters.label)
    if (u >= 0 && u < clusters.count) ++out.ptr[u + 1];
  std::partial_sum(out.ptr.begin(), out.ptr.end(), out.ptr.begin());
  out.nodes.resize(out.ptr.back());
  std::vector<Index> next(out.ptr.begin(), out.ptr.end() - 1);
  for (Index i = 0; i < static_cast<Index>(clusters.label.size()); ++i)
    if (const Index u = clusters.label[i]; u >= 0 && u < clusters.count) out.nodes[next[u]++] = i;
  return out;
}

Graph contract(const Graph& W, const Clustering& clusters, Index known) {
  const Members members = members_of(clusters);
  if (known == 0) known = clusters.count;
  return build_rows(clusters.count, known, [&] {
    return [&, sum = Accumulator(known)](Index u, Entries& out) mutable {
      for (Index q = members.ptr[u]; q < members.ptr[u + 1]; ++q) {
        const Index i = members.nodes[q];
        for (Index p = W.indptr[i]; p < W.indptr[i + 1]; ++p)
          // A node that nothing leaves is in no cluster, and something may lead to it: rounding
          // makes of a_ij > 0 = a_ji.
          if (const Index v = clusters.label[W.indices[p]]; v >= 0 && v != u)
            sum.add(u, v, W.data[p]);
      }
      sum.flush([&](Index v, double w) { out.emplace_back(v, w); });
    };
  });
}

}  // namespace pympf::precond
