#include <doctest/doctest.h>

#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include "matrices.hpp"
#include "pympf/mmf/cluster.hpp"

using namespace pympf;
using namespace pympf::mmf;
using namespace pympf::test;

namespace {

std::vector<std::pair<std::string, Csr<double>>> matrices() {
  return {{"grid", grid({13, 17})},
          {"random", random_symmetric(150, 5, 1)},
          {"star", star(120)},
          {"power law", power_law(200, 3, 2)},
          {"adjacency", adjacency(200, 1, 2)},
          {"disconnected", disconnected({40, 1, 7, 60, 1, 1, 25}, 3)},
          {"zero", Builder(30).matrix()},
          {"one", diagonal_matrix({2.0})}};
}

std::vector<Index> sizes(const Clusters& clusters) {
  std::vector<Index> out;
  for (Index u = 0; u < clusters.count(); ++u) out.push_back(clusters.size(u));
  return out;
}

std::vector<Index> members(const Clusters& clusters, Index u) {
  return {clusters.members.begin() + clusters.ptr[u],
          clusters.members.begin() + clusters.ptr[u + 1]};
}

Index bypassed(const Clusters& clusters) {
  return static_cast<Index>(clusters.members.size()) - clusters.ptr.back();
}

void check_partition(const Clusters& clusters, Index n) {
  std::vector<Index> all = clusters.members, expected(n);
  std::sort(all.begin(), all.end());
  std::iota(expected.begin(), expected.end(), 0);
  CHECK(all == expected);
  CHECK(clusters.ptr.front() == 0);
  CHECK(clusters.ptr.back() <= n);
  for (Index size : sizes(clusters)) CHECK(size > 0);
}

Params anchors(int count, int seed = 0) {
  Params params;
  params.clustering = Clustering::inner_product;
  params.clusters = count;
  params.seed = seed;
  return params;
}

// The component of each row.
std::vector<Index> components(const Csr<double>& A) {
  std::vector<Index> label(A.rows, -1);
  for (Index start = 0; start < A.rows; ++start) {
    if (label[start] >= 0) continue;
    std::vector<Index> stack{start};
    label[start] = start;
    while (!stack.empty()) {
      const Index i = stack.back();
      stack.pop_back();
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        if (label[A.indices[p]] < 0) label[A.indices[p]] = start, stack.push_back(A.indices[p]);
    }
  }
  return label;
}

}  // namespace

TEST_CASE("clusters are a partition within the sizes asked for") {
  for (const auto& [name, A] : matrices()) {
    CAPTURE(name);
    for (auto clustering : {Clustering::graph, Clustering::inner_product})
      for (int count : {0, 1, 3, 1000})
        for (int largest : {2, 20, 2000})
          for (int depth : {1, 4})
            for (bool bypass : {true, false}) {
              Params params;
              params.clustering = clustering;
              params.clusters = count;
              params.max_cluster_size = largest;
              params.max_clustering_depth = depth;
              params.bypass = bypass;
              const auto clusters = cluster(A.view(), params, 1);
              check_partition(clusters, A.rows);
              for (Index size : sizes(clusters)) CHECK(size <= largest);
              if (!bypass || clustering == Clustering::graph) CHECK(bypassed(clusters) == 0);
            }
  }
}

TEST_CASE("clusters along the graph of a path are its intervals") {
  Params params;
  params.max_cluster_size = 7;
  const auto clusters = cluster(grid({100}).view(), params, 1);
  CHECK(clusters.count() == 15);
  for (Index k = 0; k < 100; ++k) CHECK(clusters.members[k] == k);
  CHECK(clusters.ptr ==
        std::vector<Index>{0, 7, 14, 21, 28, 35, 42, 49, 56, 63, 70, 77, 84, 91, 98, 100});
}

TEST_CASE("clusters along the graph have equal sizes, and as many as asked for") {
  Params params;
  params.clusters = 9;
  for (const auto& [name, A] : matrices()) {
    CAPTURE(name);
    const auto found = sizes(cluster(A.view(), params, 1));
    CHECK(found.size() <= 9);
    CHECK(std::all_of(found.begin(), found.end() - 1, [&](Index s) { return s == found[0]; }));
    CHECK(found.back() <= found[0]);
  }
}

TEST_CASE("clusters along the graph of a grid are compact") {
  const Index m = 60;
  const auto A = grid({m, m});
  Params params;
  params.max_cluster_size = m;
  const auto clusters = cluster(A.view(), params, 1);
  std::vector<Index> label(A.rows);
  for (Index u = 0; u < clusters.count(); ++u)
    for (Index i : members(clusters, u)) label[i] = u;
  Index cut = 0;
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      cut += i < A.indices[p] && label[i] != label[A.indices[p]];
  CHECK(cut < m * (m - 1) * 2 / 3);  // lines of the grid, clusters too, cut m (m - 1)
}

TEST_CASE("a connected matrix gives as many clusters as anchors, and leaves nobody out") {
  for (const auto& A : {grid({13, 17}), random_symmetric(150, 5, 1), power_law(200, 3, 2)})
    for (int count : {1, 2, 7}) {
      const auto clusters = cluster(A.view(), anchors(count), 1);
      CHECK(clusters.count() == count);
      CHECK(bypassed(clusters) == 0);
    }
}

TEST_CASE("columns of orthogonal groups never share an anchor's cluster") {
  const auto A = disconnected({40, 60, 50}, 3);
  const auto label = components(A);
  for (int seed = 0; seed < 10; ++seed) {
    auto params = anchors(5, seed);
    params.max_clustering_iterations = 1;
    const auto clusters = cluster(A.view(), params, 1);
    for (Index u = 0; u < clusters.count(); ++u) {
      std::set<Index> seen;
      for (Index i : members(clusters, u)) seen.insert(label[i]);
      CHECK(seen.size() == 1);
    }
  }
}

TEST_CASE("what no anchor reaches sits out, is shared out, or is reached by new anchors") {
  const auto A = disconnected({40, 60, 50, 1}, 3);
  int sat_out = 0;
  for (int seed = 0; seed < 10; ++seed) {
    auto params = anchors(2, seed);  // for three components and a zero row
    params.max_clustering_iterations = 1;
    const auto once = cluster(A.view(), params, 1);
    sat_out += bypassed(once);
    params.bypass = false;
    const auto shared = cluster(A.view(), params, 1);
    CHECK(bypassed(shared) == 0);
    CHECK(shared.count() == 2);
    params.bypass = true;
    params.max_clustering_iterations = 30;
    CHECK(bypassed(cluster(A.view(), params, 1)) == 0);
  }
  CHECK(sat_out >= 10 * 41);  // two anchors leave at least the smallest component and the zero row
}

TEST_CASE("a column joins the anchor that it overlaps most") {
  // {0, 1} and {2, 3} are nearly parallel pairs, and hardly couple with each other.
  Builder B(4);
  for (Index i = 0; i < 4; ++i) B.add(i, i, 2);
  B.add(0, 1, 1.9);
  B.add(2, 3, 1.9);
  B.add(1, 2, 0.1);
  const auto A = B.matrix();
  int separate = 0;
  for (int seed = 0; seed < 20; ++seed) {
    const auto clusters = cluster(A.view(), anchors(2, seed), 1);
    auto first = members(clusters, 0);
    std::sort(first.begin(), first.end());
    separate += first == std::vector<Index>{0, 1} || first == std::vector<Index>{2, 3};
  }
  CHECK(separate >= 8);  // two anchors fall into different pairs in two of three draws
}

TEST_CASE("the same seed and stage give the same anchors, others give others") {
  const auto A = random_symmetric(150, 5, 1);
  const auto base = cluster(A.view(), anchors(6, 1), 1);
  CHECK(cluster(A.view(), anchors(6, 1), 1).members == base.members);
  CHECK(cluster(A.view(), anchors(6, 2), 1).members != base.members);
  CHECK(cluster(A.view(), anchors(6, 1), 2).members != base.members);
}

TEST_CASE("clusters below the minimum sit out or join another") {
  for (const auto& [name, A] : matrices()) {
    CAPTURE(name);
    for (auto clustering : {Clustering::graph, Clustering::inner_product}) {
      Params params;
      params.clustering = clustering;
      params.max_cluster_size = 20;
      params.min_cluster_size = 8;
      const auto strict = cluster(A.view(), params, 1);
      check_partition(strict, A.rows);
      for (Index size : sizes(strict)) CHECK(size >= 8);
      params.bypass = false;
      const auto joined = cluster(A.view(), params, 1);
      check_partition(joined, A.rows);
      CHECK(bypassed(joined) == 0);
      const auto found = sizes(joined);
      for (std::size_t u = 1; u < found.size(); ++u) CHECK(found[u] >= 8);
    }
  }
}

TEST_CASE("a row is a hub above max(32, hub_factor * mean) entries") {
  Params params;
  params.hub_factor = 4;
  CHECK(hub_limit(grid({10, 10}).view(), params) == 32);
  const auto A = random_symmetric(100, 30, 1);
  CHECK(hub_limit(A.view(), params) == static_cast<Index>(4.0 * A.nnz() / 100));
  params.hub_factor = 1e9;
  CHECK(hub_limit(A.view(), params) == 2147483647);
}

TEST_CASE("float clusters along the graph as double does") {
  Params params;
  params.max_cluster_size = 30;
  const auto single = cluster(random_symmetric<float>(150, 5, 1).view(), params, 1);
  const auto full = cluster(random_symmetric<double>(150, 5, 1).view(), params, 1);
  CHECK(single.members == full.members);
  CHECK(single.ptr == full.ptr);
}
