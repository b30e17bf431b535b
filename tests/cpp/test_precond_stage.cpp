// The parts of a stage of the preconditioner: couplings, clusters, rotations, scaling functions,
// the order of the rows, and the levels that the loop makes of them.
#include <doctest/doctest.h>

#include <numeric>

#include "precond_matrices.hpp"
#include "pympf/precond/levels/couplings.hpp"
#include "pympf/precond/levels/transfer.hpp"
#include "pympf/precond/smoothers/domains.hpp"
#include "pympf/precond/smoothers/ordering.hpp"

using namespace pympf;
using namespace pympf::precond;
using namespace pympf::test;

namespace {

std::vector<Named> matrices() {
  return {{"grid", grid({9, 11})},
          {"Laplacian", laplacian({8, 9})},
          {"random", random_symmetric(90, 5, 1)},
          {"definite", random_symmetric(80, 4, 2, test::Kind::definite)},
          {"star", star(60)},
          {"power law", power_law(90, 3, 3)},
          {"disconnected", disconnected({30, 1, 2, 25, 1, 9}, 4)},
          {"diagonal", diagonal_matrix({1, 2, 3, 4})}};
}

Graph graph_of(const Csr<double>& A) {
  return couplings(A, std::vector<double>(A.rows, 1).data(), 1);
}

// Nodes 0 - 1 - 2 - ... with these weights between them.
Graph path(const std::vector<double>& weights) {
  Builder W(static_cast<Index>(weights.size()) + 1);
  for (std::size_t i = 0; i < weights.size(); ++i)
    W.add(static_cast<Index>(i), static_cast<Index>(i) + 1, weights[i]);
  return W.matrix();
}

double strongest(const Graph& W, Index i) {
  double out = 0;
  for (Index p = W.indptr[i]; p < W.indptr[i + 1]; ++p) out = std::max(out, W.data[p]);
  return out;
}

Dense indicator(const Clustering& clusters) {
  Dense S(static_cast<Index>(clusters.label.size()), clusters.count);
  for (Index i = 0; i < S.rows; ++i)
    if (clusters.label[i] >= 0) S(i, clusters.label[i]) = 1;
  return S;
}

std::vector<Index> sizes(const Clustering& clusters) {
  std::vector<Index> out(clusters.count, 0);
  for (Index u : clusters.label)
    if (u >= 0) ++out[u];
  return out;
}

NearNullspace random_vectors(Index rows, Index m, int seed) {
  return {m, random_vector(static_cast<std::size_t>(rows) * m, seed)};
}

NearNullspace constants(Index rows) { return {1, std::vector<double>(rows, 1)}; }

// Clusters of these sizes, their nodes dealt in turn; the first node is left out.
Clustering dealt(const std::vector<Index>& sizes) {
  Clustering out{static_cast<Index>(sizes.size()), {-1}};
  std::vector<Index> left = sizes;
  for (bool more = true; more;) {
    more = false;
    for (std::size_t u = 0; u < left.size(); ++u)
      if (left[u] > 0) --left[u], out.label.push_back(static_cast<Index>(u)), more = true;
  }
  return out;
}

Params with(double omega, double truncation) {
  Params params;
  params.lift_weight = omega;
  params.truncation = truncation;
  return params;
}

bool is_permutation(std::vector<Index> order) {
  std::sort(order.begin(), order.end());
  for (std::size_t i = 0; i < order.size(); ++i)
    if (order[i] != static_cast<Index>(i)) return false;
  return true;
}

Index bandwidth(const Csr<double>& A) {
  Index out = 0;
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      out = std::max(out, std::abs(i - A.indices[p]));
  return out;
}

}  // namespace

// ---- couplings

TEST_CASE("a coupling is -b_i a_ij b_j where that is positive") {
  Builder A(3);
  A.add(0, 0, 2), A.add(1, 1, 3), A.add(2, 2, 4);
  A.add(0, 1, -1), A.add(1, 2, -2), A.add(0, 2, 0.5);
  const auto weights = [&](std::vector<double> b) {
    const Dense W = dense(couplings(A.matrix(), b.data(), 1));
    CHECK(distance(W, transposed(W)) == 0);
    CHECK(trace(W) == 0);
    return std::vector<double>{W(0, 1), W(1, 2), W(0, 2)};
  };
  CHECK(weights({1, 1, 1}) == std::vector<double>{1, 2, 0});
  CHECK(weights({1, 1, -1}) == std::vector<double>{1, 0, 0.5});
  CHECK(weights({2, 0, -3}) == std::vector<double>{0, 0, 3});
}

TEST_CASE("nodes of several rows couple by the norms of their blocks") {
  const Springs net = springs(4, 3, 1);
  const Dense A = dense(net.A), W = dense(couplings(net.A, net.modes.values.data(), 2));
  REQUIRE(W.rows == 12);
  for (Index k = 0; k < W.rows; ++k)
    for (Index l = 0; l < W.rows; ++l) {
      double square = 0;
      for (Index i = 2 * k; i < 2 * k + 2; ++i)
        for (Index j = 2 * l; j < 2 * l + 2; ++j) square += A(i, j) * A(i, j) / (A(i, i) * A(j, j));
      CHECK(W(k, l) == doctest::Approx(k == l ? 0 : std::sqrt(square)));
    }
}

TEST_CASE("every positive off-diagonal of the graph is an entry, and nothing else") {
  for (const auto& [name, A] : matrices()) {
    CAPTURE(name);
    const Graph W = graph_of(A);
    Index expected = 0;
    for (Index i = 0; i < A.rows; ++i)
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        expected += A.indices[p] != i && A.data[p] < 0;
    CHECK(W.nnz() == expected);
    CHECK(std::all_of(W.data.begin(), W.data.end(), [](double w) { return w > 0; }));
  }
}

// ---- clusters

TEST_CASE("the stars of a path of equal weights") {
  const auto labels = [](Shape shape) {
    return cluster(path(std::vector<double>(8, 1)), shape, 0.35, 64).label;
  };
  // 8 finds no free neighbour and joins the star of 7.
  CHECK(labels(Shape::star) == std::vector<Index>{0, 0, 1, 1, 1, 2, 2, 2, 2});
  CHECK(labels(Shape::triple) == std::vector<Index>{0, 0, 1, 1, 1, 2, 2, 2, 3});
  CHECK(labels(Shape::pair) == std::vector<Index>{0, 0, 1, 1, 2, 2, 3, 3, 4});
}

TEST_CASE("a weak coupling does not hold a cluster together") {
  Builder W(4);
  W.add(0, 1, 1), W.add(0, 2, 0.3), W.add(2, 3, 1);
  const auto labels = [&](double theta) {
    return cluster(W.matrix(), Shape::star, theta, 64).label;
  };
  CHECK(labels(0.35) == std::vector<Index>{0, 0, 1, 1});
  CHECK(labels(0.25) == std::vector<Index>{0, 0, 0, 0});
}

TEST_CASE("the leaves of a star all follow their root, as far as there is room") {
  const Graph W = graph_of(star(60));
  CHECK(sizes(cluster(W, Shape::star, 0.35, 64)) == std::vector<Index>{61});
  const auto small = sizes(cluster(W, Shape::star, 0.35, 10));
  CHECK(small.front() == 10);
  CHECK(small.size() == 1 + 51);
}

TEST_CASE("clusters are a partition of the coupled nodes along strong edges, within the sizes") {
  for (const auto& [name, A] : matrices()) {
    const Graph W = graph_of(A);
    const Dense w = dense(W);
    for (const Shape shape : {Shape::star, Shape::triple, Shape::pair})
      for (const double theta : {0.0, 0.1, 0.35, 0.7, 1.0})
        for (const Index largest : {2, 5, 64}) {
          CAPTURE(name);
          CAPTURE(theta);
          CAPTURE(largest);
          const Clustering clusters = cluster(W, shape, theta, largest);
          const Index most = shape == Shape::pair     ? 2
                             : shape == Shape::triple ? std::min<Index>(3, largest)
                                                      : largest;
          for (Index size : sizes(clusters)) CHECK((size >= 1 && size <= most));
          Index seen = 0;  // clusters are numbered in the order of their first nodes
          for (Index i = 0; i < W.rows; ++i) {
            const Index u = clusters.label[i];
            CHECK((u < 0) == (strongest(W, i) == 0));
            CHECK(u <= seen);
            seen += u == seen;
            if (u < 0 || sizes(clusters)[u] == 1) continue;
            bool held = false;
            for (Index j = 0; j < W.rows; ++j)
              held = held ||
                     (clusters.label[j] == u && w(i, j) > 0 &&
                      (w(i, j) >= theta * strongest(W, i) || w(i, j) >= theta * strongest(W, j)));
            CHECK(held);
          }
          CHECK(seen == clusters.count);
        }
  }
}

TEST_CASE("a single node stays alone only where no cluster it follows has room") {
  for (const auto& [name, A] : matrices()) {
    CAPTURE(name);
    const Graph W = graph_of(A);
    const Clustering clusters = cluster(W, Shape::star, 0.35, 1000);
    const auto size = sizes(clusters);
    for (Index i = 0; i < W.rows; ++i)
      CHECK((clusters.label[i] < 0 || size[clusters.label[i]] > 1));
  }
}

TEST_CASE("the contracted graph is S^T W S without its diagonal") {
  for (const auto& [name, A] : matrices()) {
    CAPTURE(name);
    const Graph W = graph_of(A);
    const Clustering clusters = cluster(W, Shape::star, 0.35, 8);
    const Dense S = indicator(clusters), found = dense(contract(W, clusters));
    Dense expected = transposed(S) * dense(W) * S;
    for (Index u = 0; u < expected.rows; ++u) expected(u, u) = 0;
    CHECK(distance(found, expected) <= rounding<double>(10, norm(expected)));
  }
}

TEST_CASE("members are the nodes of each cluster, ascending") {
  const Clustering clusters{2, {1, -1, 0, 1, 0, 0}};
  const Members members = members_of(clusters);
  CHECK(members.ptr == std::vector<Index>{0, 3, 5});
  CHECK(members.nodes == std::vector<Index>{2, 4, 5, 0, 3});
}

// ---- rotations

TEST_CASE("rotations keep the near-nullspace: Q^T Q = I, Q R = B, wavelets are orthogonal to B") {
  const Clustering clusters = dealt({1, 2, 3, 5, 8});
  const auto nodes = static_cast<Index>(clusters.label.size());
  for (const Index block : {1, 2, 3})
    for (const Index m : {1, 2, 3, 6})
      for (const bool dependent : {false, true}) {
        if (dependent && m == 1) continue;
        CAPTURE(block);
        CAPTURE(m);
        CAPTURE(dependent);
        NearNullspace B = random_vectors(nodes * block, m, 7);
        for (Index i = 0; dependent && i < nodes * block; ++i)
          B.values[i * m + 1] = -2 * B.values[i * m];
        const Rotated rotated = rotate(B, clusters, block);
        const Dense Q = dense(prolongation(rotated, clusters, block));
        const Dense R = dense(rotated.coarse), gram = transposed(Q) * Q;
        for (Index u = 0; u < clusters.count; ++u) {
          const Index rank = std::min<Index>(sizes(clusters)[u] * block, m - dependent);
          double found = 0;
          for (Index e = u * m; e < (u + 1) * m; ++e) found += gram(e, e);
          CHECK(found == doctest::Approx(rank));
        }
        for (Index e = 0; e < gram.rows; ++e)
          for (Index f = 0; f < gram.rows; ++f)
            CHECK(gram(e, f) == doctest::Approx(e == f && gram(e, e) > 0.5).epsilon(1e-14));
        Dense inside = dense(B);  // the rows that are in a cluster
        for (Index e = 0; e < block * m; ++e) inside.entries[e] = 0;
        CHECK(distance(Q * R, inside) <= rounding<double>(100, norm(inside)));
        // What the wavelets see of B.
        const Dense left = inside - Q * (transposed(Q) * inside);
        CHECK(norm(left) <= rounding<double>(100, norm(inside)));
      }
}

TEST_CASE("a column that nearly depends on those before is still orthogonal to them") {
  const Clustering clusters{1, std::vector<Index>(20, 0)};
  NearNullspace B = random_vectors(20, 2, 3);
  for (Index i = 0; i < 20; ++i) B.values[2 * i + 1] = B.values[2 * i] + 1e-7 * B.values[2 * i + 1];
  const Dense Q = dense(prolongation(rotate(B, clusters, 1), clusters, 1));
  CHECK(distance(transposed(Q) * Q, identity(2)) <= rounding<double>(100));
}

// ---- scaling functions

TEST_CASE("lifted functions reproduce b where A b = 0, truncated or not") {
  const Index n = 8 * 9;
  std::vector<double> d = random_vector(n, 5), b(n);
  for (Index i = 0; i < n; ++i) d[i] += d[i] < 0 ? -0.5 : 0.5, b[i] = 1 / d[i];
  const std::vector<std::pair<Csr<double>, NearNullspace>> cases = {
      {laplacian({8, 9}), constants(n)},
      {power_law(90, 3, 3), constants(90)},
      {scaled(laplacian({8, 9}), d), {1, b}}};
  for (const auto& [A, B] : cases)
    for (const double truncation : {0.0, 0.07, 0.4}) {
      CAPTURE(truncation);
      const Clustering clusters = cluster(couplings(A, B.values.data(), 1), Shape::star, 0.35, 12);
      const Rotated Q = rotate(B, clusters, 1);
      const Dense P = dense(lifted_prolongation(A, B, Q, clusters, 1, with(0.72, truncation)));
      CHECK(distance(P * dense(Q.coarse), dense(B)) <= rounding<double>(100, norm(dense(B))));
      for (Index i = 0; i < P.rows; ++i)
        for (Index u = 0; u < P.cols; ++u)
          CHECK(P(i, u) * B.values[i] * Q.coarse.values[u] >= 0);  // an average
    }
}

TEST_CASE("lifted functions reproduce b in the rows where A b = 0, and are smaller elsewhere") {
  const Csr<double> A = grid({9, 9});
  const Clustering clusters = cluster(graph_of(A), Shape::star, 0.35, 12);
  const Rotated Q = rotate(constants(A.rows), clusters, 1);
  const Dense P =
      dense(lifted_prolongation(A, constants(A.rows), Q, clusters, 1, with(0.72, 0.07)));
  const Dense one = P * dense(Q.coarse);
  for (Index i = 0; i < A.rows; ++i) {
    const bool inside = i % 9 > 0 && i % 9 < 8 && i / 9 > 0 && i / 9 < 8;
    if (inside)
      CHECK(one(i, 0) == doctest::Approx(1).epsilon(1e-13));
    else
      CHECK((one(i, 0) > 0.5 && one(i, 0) < 1 - 1e-3));
  }
}

TEST_CASE("lifted functions reproduce several vectors, truncated or not") {
  const Springs net = springs(9, 8, 2);
  for (const double truncation : {0.0, 0.07, 0.3})
    for (const Index largest : {3, 12}) {
      CAPTURE(truncation);
      CAPTURE(largest);
      const Clustering clusters = cluster(couplings(net.A, nullptr, 2), Shape::star, 0.35, largest);
      const Rotated Q = rotate(net.modes, clusters, 2);
      const Csr<double> P =
          lifted_prolongation(net.A, net.modes, Q, clusters, 2, with(0.72, truncation));
      CHECK(distance(dense(P) * dense(Q.coarse), dense(net.modes)) <=
            1e-10 * norm(dense(net.modes)));
    }
}

TEST_CASE("the lifting is Q - omega (Q + D^-1 K Q)") {
  Csr<double> A = random_symmetric(60, 5, 4, test::Kind::definite);
  const std::vector<double> b = random_vector(60, 8);
  const NearNullspace B{1, b};
  const Clustering clusters = cluster(couplings(A, b.data(), 1), Shape::star, 0.35, 12);
  const Rotated rotated = rotate(B, clusters, 1);
  const Dense Q = dense(prolongation(rotated, clusters, 1)), a = dense(A);
  const Dense P = dense(lifted_prolongation(A, B, rotated, clusters, 1, with(0.5, 0)));
  for (Index i = 0; i < 60; ++i) {
    double kept = 0, excess = 0;
    for (Index j = 0; j < 60; ++j) {
      excess += a(i, j) * b[j] / b[i];
      if (j != i && a(i, j) * b[i] * b[j] < 0) kept += std::abs(a(i, j) * b[j] / b[i]);
    }
    for (Index u = 0; u < clusters.count; ++u) {
      double expected = Q(i, u);
      if (kept > 0 && clusters.label[i] >= 0) {
        expected *= 0.5;
        for (Index j = 0; j < 60; ++j)
          if (j != i && a(i, j) * b[i] * b[j] < 0)
            expected -= 0.5 * a(i, j) * Q(j, u) / (kept + std::max(excess, 0.0));
      }
      CHECK(P(i, u) == doctest::Approx(expected).epsilon(1e-12));
    }
  }
}

TEST_CASE("truncation drops the smallest weights, at most their part of the row's, never all") {
  const Csr<double> A = random_symmetric(150, 12, 4, test::Kind::definite);
  const NearNullspace B = constants(150);
  const Clustering clusters = cluster(graph_of(A), Shape::pair, 0.35, 12);
  const Rotated Q = rotate(B, clusters, 1);
  const Csr<double> full = lifted_prolongation(A, B, Q, clusters, 1, with(0.72, 0));
  const Dense all = dense(full);
  Index before = full.nnz();
  for (const double delta : {0.02, 0.1, 0.3, 0.9}) {
    CAPTURE(delta);
    const Csr<double> sparse = lifted_prolongation(A, B, Q, clusters, 1, with(0.72, delta));
    CHECK(sparse.nnz() < before);
    before = sparse.nnz();
    const Dense P = dense(sparse);
    for (Index i = 0; i < P.rows; ++i) {
      double dropped = 0, sum = 0, largest_dropped = 0, smallest_kept = 1e300;
      for (Index u = 0; u < P.cols; ++u) {
        const double weight = all(i, u) * Q.coarse.values[u];
        sum += weight;
        if (weight > 0 && P(i, u) == 0) {
          dropped += weight;
          largest_dropped = std::max(largest_dropped, weight);
        } else if (weight > 0) {
          smallest_kept = std::min(smallest_kept, weight);
        }
      }
      CHECK(dropped <= delta * sum * (1 + rounding<double>(10)));
      CHECK(largest_dropped <= smallest_kept);
      if (clusters.label[i] >= 0) CHECK(sparse.indptr[i + 1] > sparse.indptr[i]);
      // Nothing more could have gone.
      if (sparse.indptr[i + 1] - sparse.indptr[i] > 1)
        CHECK(dropped + smallest_kept > delta * sum * (1 - rounding<double>(10)));
    }
  }
}

TEST_CASE("a row without couplings has no scaling function") {
  const Csr<double> A = block_diagonal({diagonal_matrix({3}), laplacian({4, 4})});
  const Clustering clusters = cluster(graph_of(A), Shape::star, 0.35, 12);
  const Rotated Q = rotate(constants(17), clusters, 1);
  CHECK(clusters.label[0] == -1);
  CHECK(prolongation(Q, clusters, 1).indptr[1] == 0);
  CHECK(lifted_prolongation(A, constants(17), Q, clusters, 1, {}).indptr[1] == 0);
}

// ---- the order of the rows

TEST_CASE("reverse Cuthill-McKee is a permutation that gives a shuffled grid a narrow band") {
  const Csr<double> A = reordered(grid({12, 30}), shuffled(360, 1));
  const auto order = reverse_cuthill_mckee(A.view());
  CHECK(is_permutation(order));
  CHECK(bandwidth(A) > 200);
  CHECK(bandwidth(permuted(A, order)) <= 2 * 12);
  for (const auto& [name, other] : matrices()) {
    CAPTURE(name);
    CHECK(is_permutation(reverse_cuthill_mckee(other.view())));
  }
}

TEST_CASE("a permuted matrix has its entries in sorted rows") {
  const Csr<double> A = random_symmetric(50, 5, 1);
  const auto order = shuffled(50, 2);
  const Csr<double> B = permuted(A, order), expected = reordered(A, order);
  CHECK(B.indptr == expected.indptr);
  CHECK(B.indices == expected.indices);
  CHECK(B.data == expected.data);
}

TEST_CASE("strips: no interior row couples with an interior row of another") {
  const Springs net = springs(10, 12, 1);
  for (const auto& [A, block] : {std::pair{grid({10, 30}), Index{1}}, std::pair{net.A, Index{2}},
                                 std::pair{power_law(300, 3, 1), Index{1}}})
    for (const Index strips : {1, 2, 3, 7, 1000}) {
      CAPTURE(block);
      CAPTURE(strips);
      std::vector<Index> given(A.rows);
      for (Index i = 0; i < A.rows; ++i) given[i] = A.rows - block * (i / block + 1) + i % block;
      const Domains domains = cut(A, given, block, strips);
      CHECK(is_permutation(domains.order));
      CHECK(domains.count() == std::min(strips, A.rows / block));
      for (Index i = 0; i < A.rows; ++i)
        CHECK(domains.order[i] / block == domains.order[i - i % block] / block);
      std::vector<Index> strip(A.rows, -1);
      for (Index s = 0; s < domains.count(); ++s)
        for (Index i = domains.ptr[s]; i < domains.ptr[s + 1]; ++i) strip[domains.order[i]] = s;
      for (Index i = 0; i < A.rows; ++i)
        for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
          if (const Index j = A.indices[p]; strip[i] >= 0 && strip[j] >= 0)
            CHECK(strip[i] == strip[j]);
      if (strips == 1) CHECK(domains.order == given);
      std::vector<Index> position(A.rows);
      for (Index i = 0; i < A.rows; ++i) position[given[i]] = i / block;
      for (Index s = 0; s < domains.count(); ++s)
        for (Index i = domains.ptr[s] + block; i < domains.ptr[s + 1]; i += block) {
          const Index before = position[domains.order[i - block]];
          CHECK((position[domains.order[i]] > before) ==
                (s != 1 || domains.count() != facing_strips));
        }
    }
}

TEST_CASE("the number of strips comes from the number of rows") {
  CHECK(cut(grid({100}), shuffled(100, 1), 1, 0).count() == 1);
  std::vector<Index> order(200000);
  std::iota(order.begin(), order.end(), 0);
  CHECK(cut(diagonal_matrix(std::vector<double>(200000, 1)), order, 1, 0).count() == 3);
}

// ---- levels

namespace {

struct Built {
  Levels<double> levels;
  Report report;
};

Built build(const Csr<double>& A, const std::function<void(Params&)>& change = {},
            const NearNullspace& B = {}, Index block = 1) {
  Params params;
  params.method = Method::multilevel;
  params.coarse_size = 8;
  if (change) change(params);
  Built out;
  out.levels = build_levels<double>(A, B, block, params, out.report);
  return out;
}

}  // namespace

TEST_CASE("every coarse matrix is P^T A P, and the report counts it") {
  const Springs net = springs(10, 9, 1);
  const auto check = [](const Built& built) {
    const auto& levels = built.levels.levels;
    REQUIRE(levels.size() > 1);
    double entries = 0;
    for (std::size_t l = 0; l < levels.size(); ++l) {
      CHECK(built.report.levels[l].nnz == levels[l].A.nnz());
      CHECK(built.report.levels[l].rows == levels[l].A.rows);
      entries += levels[l].A.nnz();
      if (l + 1 == levels.size()) continue;
      const Dense P = dense(levels[l].P), next = dense(levels[l + 1].A);
      CHECK(distance(dense(levels[l].R), transposed(P)) == 0);
      CHECK(distance(transposed(P) * dense(levels[l].A) * P, next) <=
            rounding<double>(1000, norm(next)));
    }
    entries += built.report.levels.size() > levels.size() ? built.report.levels.back().nnz : 0;
    CHECK(built.report.operator_complexity == doctest::Approx(entries / levels[0].A.nnz()));
  };
  for (const Index strips : {1, 3})
    for (const bool lift : {true, false}) {
      CAPTURE(strips);
      CAPTURE(lift);
      const auto change = [&](Params& p) { p.strips = strips, p.lift = lift; };
      check(build(grid({20, 20}), change));
      check(build(random_symmetric(300, 4, 2, test::Kind::definite), change));
      check(build(net.A, change, net.modes, 2));
    }
}

TEST_CASE("no matrix makes the hierarchy larger than max_complexity") {
  for (const double most : {1.0, 1.2, 1.6, 2.5})
    for (const int edges : {1, 2, 4, 8}) {
      CAPTURE(most);
      CAPTURE(edges);
      const auto change = [&](Params& p) { p.max_complexity = most; };
      CHECK(build(power_law(1500, edges, 1), change).report.operator_complexity <= most);
      CHECK(build(star(500), change).report.operator_complexity <= most);
      CHECK(build(random_symmetric(600, 3 * edges, 1), change).report.operator_complexity <= most);
    }
}

TEST_CASE("a component inside one cluster leaves a null row and column, not rounding") {
  // Centred coordinates before constants: the second scaling function of a path is null.
  Builder paths(150);
  Random random(1, 0, 0);
  NearNullspace B{2, {}};
  for (Index k = 0; k < 150; ++k) {
    if (k % 3 < 2) paths.add_edge(k, k + 1, 0.5 + uniform(random));
    B.values.insert(B.values.end(), {k % 3 - 1.0, 1});
  }
  const auto change = [](Params& p) { p.coarse_size = 1, p.strength = 0.1; };
  for (const auto& built : {build(paths.matrix(), change), build(paths.matrix(), change, B)}) {
    REQUIRE(built.levels.levels.size() > 1);
    const Dense A = dense(built.levels.levels.back().A);
    Index null = 0;
    for (Index i = 0; i < A.rows; ++i) {
      null += A(i, i) == 0;
      for (Index j = 0; j < A.rows; ++j) {
        CHECK((A(i, j) == 0 || std::abs(A(i, j)) > 1e-12));
        CHECK((A(i, j) == 0) == (A(j, i) == 0));
      }
    }
    CHECK(null == 50);
  }
}

TEST_CASE("several vectors on one row a node: all of them make the couplings") {
  Builder A(2);
  A.add(0, 0, 2), A.add(1, 1, 2), A.add(0, 1, -0.5);
  const std::vector<double> B = {1, 2, 3, -1, 4, 2};  // <B_0, B_1> = 13
  const Dense W = dense(couplings(A.matrix(), B.data(), 1, 3));
  CHECK(W(0, 1) == doctest::Approx(0.5 * 13));
  CHECK(W(1, 0) == W(0, 1));
}

TEST_CASE("the rows of a node stay together in the order of the levels") {
  const Springs net = springs(7, 6, 3);
  const auto order = shuffled(42, 3);
  std::vector<Index> rows;
  for (Index k : order) rows.insert(rows.end(), {2 * k, 2 * k + 1});
  const auto built = build(reordered(net.A, rows), {}, {}, 2);
  REQUIRE(is_permutation(built.levels.order));
  for (Index i = 0; i < 84; i += 2) {
    CHECK(built.levels.order[i] % 2 == 0);
    CHECK(built.levels.order[i + 1] == built.levels.order[i] + 1);
  }
}
