#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "matrices.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/mmf/cluster.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/mmf/rotation.hpp"

using namespace pympf;
using namespace pympf::mmf;
using namespace pympf::test;
using doctest::Contains;

namespace {

// ---- matrices and parameters

struct Named {
  std::string name;
  Csr<double> A;
};

std::vector<Named> matrices() {
  return {{"grid", grid({9, 11})},
          {"random", random_symmetric(90, 5, 1)},
          {"definite", random_symmetric(80, 4, 2, test::Kind::definite)},
          {"star", star(60)},
          {"power law", power_law(90, 3, 3)},
          {"adjacency", adjacency(90, 3, 3)},
          {"disconnected", disconnected({30, 1, 2, 25, 1, 9}, 4)},
          {"hierarchical", hierarchical(6, 5)}};
}

// The defaults with a small core, after `change`.
Params with(const std::function<void(Params&)>& change = {}) {
  Params params;
  params.core_size = 10;
  if (change) change(params);
  return params;
}

std::vector<Params> variations() {
  return {
      with(),
      with([](Params& p) { p.order = 3; }),
      with([](Params& p) { p.order = 4, p.eliminate = 3, p.criterion = Criterion::inner_product; }),
      with([](Params& p) { p.order = 3, p.eliminate = 2, p.gram = Gram::blocks; }),
      with([](Params& p) { p.criterion = Criterion::inner_product; }),
      with([](Params& p) { p.criterion = Criterion::normalized_inner_product; }),
      with([](Params& p) { p.selection = Selection::random, p.retire = Retire::absolute; }),
      with([](Params& p) { p.gram = Gram::blocks, p.max_cluster_size = 16; }),
      with([](Params& p) { p.clustering = Clustering::inner_product, p.clusters = 4; }),
      with([](Params& p) { p.max_cluster_size = 12, p.min_cluster_size = 5; }),
      with([](Params& p) { p.rotation_fraction = 1, p.hub_factor = 1, p.seed = 7; }),
      with([](Params& p) { p.rotation_fraction = 0.2, p.max_stages = 3; }),
      with([](Params& p) { p.tolerance = 0.2; }),
      with([](Params& p) { p.core_size = 1; }),
  };
}

// ---- dense references

template <class T>
Dense basis(const Hierarchy<T>& Q) {
  const std::size_t n = Q.rows;
  std::vector<T> I(n * n, T(0)), Y(n * n);
  for (std::size_t i = 0; i < n; ++i) I[i * (n + 1)] = 1;
  Workspace<T> workspace;
  Q.forward(I.data(), Y.data(), Q.rows, workspace);
  Dense out(Q.rows, Q.rows);
  std::copy(Y.begin(), Y.end(), out.entries.begin());
  return out;
}

template <class T>
Dense dense(const CoreDiagonal<T>& H) {
  Dense out(H.rows(), H.rows());
  const Dense sparse = test::dense(H.sparse_core);
  for (Index i = 0; i < H.core_size; ++i)
    for (Index j = 0; j < H.core_size; ++j)
      out(i, j) =
          H.is_dense() ? H.core[static_cast<std::size_t>(i) * H.core_size + j] : sparse(i, j);
  for (Index i = H.core_size; i < H.rows(); ++i) out(i, i) = H.diagonal[i - H.core_size];
  return out;
}

// D Q^T H Q D.
template <class T>
Dense restored(const Factorization<T>& F) {
  const Dense Q = basis(*F.Q);
  Dense out = transposed(Q) * dense(F.H) * Q;
  if (!F.scale.empty())
    for (Index i = 0; i < out.rows; ++i)
      for (Index j = 0; j < out.cols; ++j)
        out(i, j) *= static_cast<double>(F.scale[i]) * F.scale[j];
  return out;
}

std::vector<double> eigenvalues(Dense A) { return symmetric_eigen(A.entries, A.rows); }

Dense function(Dense A, const std::function<double(double)>& f) {
  auto values = symmetric_eigen(A.entries, A.rows);
  for (double& v : values) v = f(v);
  Dense out(A.rows, A.rows);
  out.entries = congruence(A.entries, values.data(), A.rows);
  return out;
}

template <class T>
Dense dense(const Mmf<T>& F) {
  const std::size_t n = F.rows();
  std::vector<T> X(n * n, T(0));
  for (std::size_t i = 0; i < n; ++i) X[i * (n + 1)] = 1;
  F.multiply(X.data(), X.data(), F.rows());
  Dense out(F.rows(), F.rows());
  std::copy(X.begin(), X.end(), out.entries.begin());
  return out;
}

template <class T>
Mmf<T> mmf_of(const Csr<T>& A, const Params& params) {
  return Mmf<T>(factorize(A.view(), params));
}

template <class T>
std::vector<T> random_block(std::size_t size, int seed = 3) {
  Random random(seed, 2, 0);
  std::vector<T> x(size);
  for (T& value : x) value = static_cast<T>(uniform(random) - 0.5);
  return x;
}

// ---- what must hold for every factorization without a scale

template <class T>
void check_invariants(const Csr<T>& A, const Factorization<T>& F) {
  const Index n = A.rows;
  const Dense dense_A = test::dense(A), Q = basis(*F.Q), H = dense(F.H);
  const double size = norm(dense_A), small = rounding<T>(30 * std::sqrt(n), size);
  CHECK(distance(Q * transposed(Q), identity(n)) <= rounding<T>(30 * std::sqrt(n)));
  CHECK(std::abs(F.norm - size) <= small);

  Dense pinched = Q * dense_A * transposed(Q);  // its core and its diagonal are H
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j)
      if (i != j && std::max(i, j) >= F.H.core_size) pinched(i, j) = 0;
  CHECK(distance(H, pinched) <= small);
  CHECK(distance(H, transposed(H)) == 0);
  CHECK(std::abs(test::trace(H) - test::trace(dense_A)) <= small);
  CHECK(std::abs(F.H.trace() - test::trace(H)) <= small);
  CHECK(std::abs(F.H.norm2() - norm(H) * norm(H)) <= small * size);

  const double off = distance(dense_A, restored(F));
  CHECK(std::abs(off * off - (size * size - F.H.norm2())) <= small * size);
  CHECK(std::abs(off * off - F.dropped * F.dropped) <= small * size);
  double relative_to = 0;
  CHECK(std::abs(error<T>(A.view(), *F.Q, F.H, F.scale, &relative_to) - off) <= small);
  CHECK(std::abs(relative_to - size) <= small);
}

// Rows, entries and counts of the report agree with the stages.
template <class T>
void check_report(const Csr<T>& A, const Factorization<T>& F) {
  REQUIRE(F.stages.size() == F.Q->stages.size());
  Index rows = A.rows;
  double dropped2 = 0;
  for (std::size_t p = 0; p < F.stages.size(); ++p) {
    const auto& [level, stage_rows, nnz, clusters, bypassed, rotations, retired, ranks, dropped,
                 bytes, seconds, traffic] = F.stages[p];
    CHECK(ranks == 1);
    CHECK(traffic.messages + traffic.bytes + traffic.collectives == 0);
    const auto& stage = F.Q->stages[p];
    CHECK(level == static_cast<int>(p) + 1);
    CHECK(stage_rows == rows);
    CHECK((p > 0 || nnz == A.nnz()));
    CHECK(clusters + (bypassed > 0) == stage.clusters());
    CHECK(rotations == stage.rotations());
    CHECK(retired == stage.rows - stage.kept);
    CHECK(retired > 0);
    CHECK(bytes == stage.bytes());
    CHECK(seconds >= 0);
    dropped2 += dropped * dropped * F.norm * F.norm;
    rows -= retired;
  }
  CHECK(rows == F.H.core_size);
  CHECK(std::abs(dropped2 - F.dropped * F.dropped) <= rounding<T>(100, F.norm * F.norm));
}

bool same(const Stage<double>& p, const Stage<double>& q) {
  return p.rows == q.rows && p.kept == q.kept && p.pairs == q.pairs &&
         p.cluster_ptr == q.cluster_ptr && p.active_ptr == q.active_ptr &&
         p.rotation_ptr == q.rotation_ptr && p.index == q.index && p.matrix == q.matrix &&
         p.index_start == q.index_start && p.matrix_start == q.matrix_start &&
         p.destination == q.destination;
}

bool same(const Factorization<double>& F, const Factorization<double>& G) {
  return F.Q->order == G.Q->order &&
         std::ranges::equal(F.Q->stages, G.Q->stages,
                            [](const auto& p, const auto& q) { return same(p, q); }) &&
         F.H.core == G.H.core && F.H.sparse_core.data == G.H.sparse_core.data &&
         F.H.diagonal == G.H.diagonal && F.scale == G.scale && F.norm == G.norm &&
         F.dropped == G.dropped;
}

// ---- a cluster as find_rotations sees it, and its dense picture

struct Cluster {
  Cluster(const Csr<double>& A, std::vector<Index> members_, const Params& params)
      : members(std::move(members_)), G(size(), size()), block(size(), size()) {
    std::vector<Index> position(A.rows, size());
    for (Index l = 0; l < size(); ++l) position[members[l]] = l;
    const auto diag = diagonal(A.view());
    gram.build(A.view(), diag.data(), position, members.data(), 0, size(),
               hub_limit(A.view(), params), params.gram);
    const Dense full = test::dense(A);
    Dense U(A.rows, size());
    for (Index k = 0; k < A.rows; ++k)
      for (Index l = 0; l < size(); ++l)
        if (params.gram == Gram::columns || position[k] < size()) U(k, l) = full(k, members[l]);
    G = transposed(U) * U;
    for (Index i = 0; i < size(); ++i)
      for (Index j = 0; j < size(); ++j) block(i, j) = full(members[i], members[j]);
  }

  Index size() const { return static_cast<Index>(members.size()); }

  // Both dense matrices after columns index[0..k) are mixed by q.
  void rotate(const Index* index, const double* q, Index k) {
    for (Dense* M : {&G, &block})
      for (bool rows : {true, false})
        for (Index j = 0; j < size(); ++j) {
          const auto at = [&](Index r) -> double& {
            return rows ? (*M)(index[r], j) : (*M)(j, index[r]);
          };
          std::vector<double> old(k);
          for (Index r = 0; r < k; ++r) old[r] = at(r);
          for (Index r = 0; r < k; ++r)
            at(r) = std::inner_product(old.begin(), old.end(), q + r * k, 0.0);
        }
  }

  // Entries of active columns, against the dense picture.
  void check_gram() const {
    double g_off = 0, a_off = 0, asymmetry = 0;
    for (Index i = 0; i < size(); ++i) {
      if (!gram.active[i]) continue;
      g_off = std::max(g_off, std::abs(gram.norm2[i] - G(i, i)));
      a_off = std::max(a_off, std::abs(gram.diagonal[i] - block(i, i)));
      for (Index j = 0; j < size(); ++j) {
        if (i == j || !gram.active[j]) continue;
        const auto entry = gram.at(i, j), mirrored = gram.at(j, i);
        g_off = std::max(g_off, std::abs(entry.g - G(i, j)));
        a_off = std::max(a_off, std::abs(entry.a - block(i, j)));
        asymmetry = std::max(asymmetry, std::abs(entry.g - mirrored.g));
      }
    }
    CHECK(g_off <= rounding<double>(100, norm(G)));
    CHECK(a_off <= rounding<double>(100, norm(block)));
    CHECK(asymmetry <= rounding<double>(100, norm(G)));
  }

  double off2(Index i) const { return std::max(0.0, G(i, i) - block(i, i) * block(i, i)); }

  std::vector<Index> members;
  ClusterGram gram;
  Dense G, block;
};

std::vector<Index> first_columns(Index count) {
  std::vector<Index> out(count);
  std::iota(out.begin(), out.end(), 0);
  return out;
}

constexpr double unlimited = std::numeric_limits<double>::infinity();

std::size_t entries(const ClusterGram& gram) {
  std::size_t sum = 0;
  for (Index i = 0; i < gram.size(); ++i) sum += gram.row(i).size();
  return sum;
}

}  // namespace

// ---- Gram matrices

TEST_CASE("Gram entries are inner products of the columns, over all rows or the cluster's") {
  for (const auto& [name, A] : matrices()) {
    CAPTURE(name);
    for (auto gram : {Gram::columns, Gram::blocks}) {
      auto params = with([&](Params& p) { p.gram = gram, p.hub_factor = 1e9; });
      params.max_cluster_size = 25;
      const auto clusters = cluster(A.view(), params, 1);
      for (Index u = 0; u < clusters.count(); ++u) {
        const Cluster at(A,
                         {clusters.members.begin() + clusters.ptr[u],
                          clusters.members.begin() + clusters.ptr[u + 1]},
                         params);
        at.check_gram();
      }
    }
  }
}

TEST_CASE("a column is isolated when it couples with nothing inside or outside its cluster") {
  Builder B(5);
  B.add(0, 0, 1);
  B.add(1, 1, 2);
  B.add(1, 4, 3);
  B.add(2, 3, 1);
  const Cluster at(B.matrix(), {0, 1, 2, 3}, with());
  CHECK(at.gram.isolated == std::vector<char>{1, 0, 0, 0});
}

TEST_CASE("Gram entries stay inner products while columns are rotated and retire") {
  for (int order : {2, 3, 5})
    for (int seed : {1, 2}) {
      const auto params = with([&](Params& p) {
        p.order = order, p.eliminate = order - 1, p.rotation_fraction = 1;
        p.selection = Selection::random;
      });
      Cluster at(random_symmetric(70, 6, seed), first_columns(60), params);
      RotationList found;
      find_rotations(at.gram, params, Random(seed, 1, 0), {45, unlimited}, found);
      CHECK(found.retired.size() == 45);
      std::size_t start = 0, matrix = 0;
      for (Index k : found.size) {
        at.rotate(&found.index[start], &found.matrix[matrix], k);
        start += k, matrix += static_cast<std::size_t>(k) * k;
      }
      at.check_gram();
    }
}

TEST_CASE("hubs do not blow up the Gram matrix") {
  const auto params = with();
  for (const auto& A : {star(20000), power_law(4000, 3, 1)}) {
    const Index n = A.rows, limit = hub_limit(A.view(), params);
    ClusterGram gram;
    const auto diag = diagonal(A.view());
    const auto all = first_columns(n);
    gram.build(A.view(), diag.data(), all, all.data(), 0, n, limit, Gram::columns);
    CHECK(entries(gram) <= static_cast<std::size_t>(limit + 2) * A.nnz());
    CHECK(entries(gram) >= static_cast<std::size_t>(A.nnz()) - n);
    bool exact = true, symmetric = true;
    for (Index i = 0; i < n; ++i) {
      double square = 0;
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) square += A.data[p] * A.data[p];
      exact = exact && std::abs(gram.norm2[i] - square) <= rounding<double>(n, square);
      for (const auto& e : gram.row(i)) symmetric = symmetric && gram.at(e.column, i).g == e.g;
    }
    CHECK(exact);
    CHECK(symmetric);
  }
}

TEST_CASE("a hub couples with all its neighbours, and near neighbours with each other") {
  const Index leaves = 200;
  const auto A = star(leaves);
  const auto params = with();
  const Index reach = hub_limit(A.view(), params) / 2;
  const auto all = first_columns(leaves + 1);
  ClusterGram gram;
  gram.build(A.view(), diagonal(A.view()).data(), all, all.data(), 0, leaves + 1,
             hub_limit(A.view(), params), Gram::columns);
  bool right = true;
  for (Index i = 1; i <= leaves; ++i) {
    right = right && gram.at(0, i).g == -1 - leaves;
    for (Index j = 1; j <= leaves; ++j)
      right = right && (i == j || gram.at(i, j).g == (std::abs(i - j) <= reach ? 1 : 0));
  }
  CHECK(right);
}

// ---- rotations

TEST_CASE(
    "rotations diagonalize their Gram block, or else that of A, and retire what loses least") {
  for (const auto& [name, A] : matrices())
    for (Params params : variations()) {
      CAPTURE(name);
      params.hub_factor = 1e9;
      for (int retire : {1, 7, 25}) {
        Cluster at(A, first_columns(50), params);
        const std::vector<char> isolated = at.gram.isolated;
        RotationList found;
        find_rotations(at.gram, params, Random(1, 1, 0), {retire, unlimited}, found);
        CHECK(found.retired.size() <= static_cast<std::size_t>(retire));
        CHECK(static_cast<int>(found.size.size()) <=
              std::max(1, static_cast<int>(params.rotation_fraction * 50 / params.eliminate)));

        std::vector<Index> retired;
        std::vector<bool> active(50, true);
        const auto go = [&](Index i) { retired.push_back(i), active[i] = false; };
        for (Index i = 0; i < 50 && static_cast<int>(retired.size()) < retire; ++i)
          if (isolated[i]) go(i);
        std::size_t start = 0, matrix = 0;
        for (Index k : found.size) {
          REQUIRE(k >= 2);
          REQUIRE(k <= params.order);
          const Index* index = &found.index[start];
          const double* q = &found.matrix[matrix];
          start += k, matrix += static_cast<std::size_t>(k) * k;
          Dense O(k, k);
          std::copy_n(q, k * k, O.entries.begin());
          CHECK(distance(O * transposed(O), identity(k)) <= rounding<double>(20 * k));
          if (k == 2) CHECK((O(0, 0) == O(1, 1) && O(0, 1) == -O(1, 0)));
          for (Index r = 0; r < k; ++r) REQUIRE(active[index[r]]);

          const auto largest_off = [&](const Dense& M) {
            double largest = 0;
            for (Index r = 0; r < k; ++r)
              for (Index s = 0; s < r; ++s)
                largest = std::max(largest, std::abs(M(index[r], index[s])));
            return largest;
          };
          const bool orthogonal = largest_off(at.G) <= rounding<double>(100, norm(at.G));
          at.rotate(index, q, k);
          const Dense& M = orthogonal ? at.block : at.G;
          CHECK(largest_off(M) <= rounding<double>(100, norm(M)));
          const Index left = retire - static_cast<Index>(retired.size());
          const Index kept = k - std::min({static_cast<Index>(params.eliminate), left, k - 1});
          const auto loss = [&](Index r) {
            const Index i = index[r];
            const double h = at.block(i, i), h2 = (h < 0 ? 1.001 : 1) * h * h;
            return params.retire == Retire::absolute ? at.off2(i) : at.off2(i) / h2;
          };
          const double noise = rounding<double>(1000, norm(at.G));
          for (Index r = kept; r < k; ++r)
            for (Index s = 0; s < kept; ++s)
              if (at.off2(index[r]) > noise || at.off2(index[s]) > noise)
                CHECK(loss(r) <= loss(s) * (1 + 1e-6) + noise);
          for (Index r = kept; r < k; ++r) go(index[r]);
        }
        CHECK(found.retired == retired);
      }
    }
}

TEST_CASE("the first column takes the partner that the criterion asks for") {
  const auto A = random_symmetric(40, 6, 8);
  for (auto criterion :
       {Criterion::inner_product, Criterion::normalized_inner_product, Criterion::residual}) {
    const auto params =
        with([&](Params& p) { p.criterion = criterion, p.selection = Selection::random; });
    for (std::uint32_t draw = 0; draw < 20; ++draw) {
      Cluster at(A, first_columns(40), params);
      const Dense G = at.G, B = at.block;
      const auto score = [&](Index i, Index j) {
        if (criterion == Criterion::inner_product) return std::abs(G(i, j));
        if (criterion == Criterion::normalized_inner_product)
          return std::abs(G(i, j)) / std::sqrt(G(j, j));
        Dense pair(2, 2);
        pair(0, 0) = G(i, i), pair(1, 1) = G(j, j), pair(0, 1) = pair(1, 0) = G(i, j);
        const auto norms = symmetric_eigen(pair.entries, 2);
        double least = unlimited;
        for (Index r = 0; r < 2; ++r) {
          const double x = pair(r, 0), y = pair(r, 1);
          const double h = x * x * B(i, i) + 2 * x * y * B(i, j) + y * y * B(j, j);
          least = std::min(least, (norms[r] - h * h) / (h * h));
        }
        return -least;
      };
      const auto chosen_by = [&](Index i, Index j) {
        for (Index other = 0; other < 40; ++other)
          if (other != i && G(i, other) != 0 && score(i, other) > score(i, j) + 1e-9) return false;
        return true;
      };
      RotationList found;
      find_rotations(at.gram, params, Random(draw, 1, 0), {1, unlimited}, found);
      REQUIRE(found.size == std::vector<Index>{2});
      const Index i = found.index[0], j = found.index[1];
      CHECK((chosen_by(i, j) || chosen_by(j, i)));
    }
  }
}

TEST_CASE("the best selection starts with the pair that loses least of all") {
  const auto A = random_symmetric(40, 6, 8);
  const auto first_loss = [&](Selection selection, std::uint32_t draw) {
    const auto params = with([&](Params& p) { p.selection = selection; });
    Cluster at(A, first_columns(40), params);
    RotationList found;
    find_rotations(at.gram, params, Random(draw, 1, 0), {1, unlimited}, found);
    at.rotate(found.index.data(), found.matrix.data(), 2);
    const Index i = found.retired[0];
    return at.off2(i) / (at.block(i, i) * at.block(i, i));
  };
  const double best = first_loss(Selection::best, 0);
  bool another = false;
  for (std::uint32_t draw = 0; draw < 30; ++draw) {
    CHECK(first_loss(Selection::best, draw) == doctest::Approx(best));
    const double random = first_loss(Selection::random, draw);
    CHECK(random >= best * (1 - 1e-9));
    another = another || random > best * (1 + 1e-9);
  }
  CHECK(another);
}

TEST_CASE("of the two rows of a rotated Laplacian pair, which tie, the rough one retires") {
  Builder ring(24);
  for (Index i = 0; i < 24; ++i) ring.add_edge(i, (i + 1) % 24, 1);
  for (auto retire : {Retire::relative, Retire::absolute})
    for (auto selection : {Selection::best, Selection::random})
      for (std::uint32_t draw = 0; draw < 10; ++draw) {
        const auto params = with([&](Params& p) { p.retire = retire, p.selection = selection; });
        Cluster at(ring.matrix(), first_columns(24), params);
        RotationList found;
        find_rotations(at.gram, params, Random(draw, 1, 0), {1, unlimited}, found);
        REQUIRE(found.size == std::vector<Index>{2});
        CHECK(std::abs(found.index[0] - found.index[1]) % 22 == 1);  // neighbours
        at.rotate(found.index.data(), found.matrix.data(), 2);
        const Index wavelet = found.retired[0];
        CHECK(std::abs(at.block(wavelet, wavelet) - 3) <= rounding<double>(20));
        CHECK(std::abs(at.off2(wavelet) - 1) <= rounding<double>(100));
      }
}

TEST_CASE(
    "an edge without diagonal, whose columns are orthogonal, is rotated, and its rough row "
    "retires") {
  for (auto criterion :
       {Criterion::inner_product, Criterion::normalized_inner_product, Criterion::residual})
    for (auto retire : {Retire::relative, Retire::absolute}) {
      Builder edge(2);
      edge.add(0, 1, 3);
      const auto params = with([&](Params& p) { p.criterion = criterion, p.retire = retire; });
      Cluster at(edge.matrix(), first_columns(2), params);
      RotationList found;
      find_rotations(at.gram, params, Random(1, 1, 0), {1, unlimited}, found);
      REQUIRE(found.size == std::vector<Index>{2});
      at.rotate(found.index.data(), found.matrix.data(), 2);
      const Index wavelet = found.retired[0];
      CHECK(std::abs(at.block(wavelet, wavelet) + 3) <= rounding<double>(20));
      CHECK(at.off2(wavelet) <= rounding<double>(100));
    }
}

TEST_CASE("where the Gram block has equal eigenvalues the rotation diagonalizes A too") {
  const double eigenvalues[] = {2, -2, 3, -3, 3};
  for (Index k : {3, 4, 5}) {
    Dense V = identity(k), H(k, k);  // a reflection and the eigenvalues
    for (Index i = 0; i < k; ++i) {
      H(i, i) = eigenvalues[i];
      for (Index j = 0; j < k; ++j)
        V(i, j) -= 2 * (i + 1.0) * (j + 1) / (k * (k + 1) * (2 * k + 1) / 6);
    }
    const Dense A = V * H * V;
    Builder B(k);
    for (Index i = 0; i < k; ++i)
      for (Index j = 0; j <= i; ++j) B.add(i, j, A(i, j));
    const auto params = with([&](Params& p) { p.order = k, p.eliminate = k - 1; });
    Cluster at(B.matrix(), first_columns(k), params);
    RotationList found;
    find_rotations(at.gram, params, Random(1, 1, 0), {k - 1, unlimited}, found);
    REQUIRE(found.size == std::vector<Index>{k});
    at.rotate(found.index.data(), found.matrix.data(), k);
    for (Index i = 0; i < k; ++i) CHECK(at.off2(i) <= rounding<double>(1000));
  }
}

TEST_CASE("couplings of the size of rounding are none") {
  Builder B(4);
  const double eps = std::numeric_limits<double>::epsilon();
  for (Index i = 0; i < 4; ++i) B.add(i, i, i + 1);
  B.add(0, 1, eps);
  B.add(2, 3, 1e-6);
  const auto params = with();
  Cluster at(B.matrix(), first_columns(4), params);
  CHECK(at.gram.isolated == std::vector<char>{1, 1, 0, 0});
  RotationList found;
  find_rotations(at.gram, params, Random(1, 1, 0), {3, unlimited}, found);
  CHECK(found.size == std::vector<Index>{2});
  CHECK(found.retired.size() == 3);
}

TEST_CASE("columns that couple with nothing retire without a rotation") {
  RotationList found;
  const auto params = with();
  Cluster at(diagonal_matrix({3, 0, -1, 2}), first_columns(4), params);
  find_rotations(at.gram, params, Random(1, 1, 0), {3, 0.0}, found);
  CHECK(found.size.empty());
  CHECK(found.retired == std::vector<Index>{0, 1, 2});
}

TEST_CASE("what retires drops no more than the budget") {
  for (int order : {2, 4})
    for (double budget : {0.0, 0.1, 1.0, 5.0, 25.0}) {
      const auto params = with([&](Params& p) { p.order = order, p.eliminate = order / 2; });
      Cluster at(random_symmetric(60, 5, 9), first_columns(60), params);
      RotationList found;
      find_rotations(at.gram, params, Random(1, 1, 0), {40, budget}, found);
      if (budget == 0) CHECK(found.retired.empty());
      if (budget == 25) CHECK_FALSE(found.retired.empty());
      std::size_t start = 0, matrix = 0;
      for (Index k : found.size) {
        at.rotate(&found.index[start], &found.matrix[matrix], k);
        start += k, matrix += static_cast<std::size_t>(k) * k;
      }
      double dropped2 = 0;
      for (Index i : found.retired) dropped2 += at.off2(i);
      CHECK(2 * dropped2 <= budget * (1 + rounding<double>(1000)));
    }
}

// ---- stages and the transform

TEST_CASE("the functions of a stage are orthonormal, and what its rotations do to unit vectors") {
  const auto A = random_symmetric(122, 5, 2);
  for (int order : {2, 3})
    for (bool bypass : {true, false}) {
      const auto F = factorize(A.view(), with([&](Params& p) {
                                 p.order = order, p.max_cluster_size = 25, p.bypass = bypass;
                                 p.min_cluster_size = 23, p.max_stages = 1;
                               }));
      const auto& stage = F.Q->stages[0];
      CHECK(stage.pairs == (order == 2));
      CHECK(F.stages[0].bypassed == (bypass ? 22 : 0));
      const Index* members = F.Q->order.data();
      const auto R = stage_functions(stage, members, 0, stage.rows);
      const Dense whole = test::dense(R);
      CHECK(distance(whole * transposed(whole), identity(122)) <= rounding<double>(300));
      CHECK(distance(whole, basis(*F.Q)) <= rounding<double>(300));
      for (auto [first, last] : {std::pair{0, stage.kept}, {stage.kept, 122}, {5, 31}, {7, 7}}) {
        const Dense part = test::dense(stage_functions(stage, members, first, last));
        REQUIRE(part.rows == last - first);
        CHECK(std::equal(part.entries.begin(), part.entries.end(), &whole.entries[first * 122]));
      }
    }
}

TEST_CASE_TEMPLATE("rotating a cluster back undoes rotating it", T, float, double) {
  for (int order : {2, 4}) {
    const auto F = factorize(random_symmetric<T>(60, 5, 2).view(),
                             with([&](Params& p) { p.order = order, p.max_cluster_size = 20; }));
    for (const auto& stage : F.Q->stages)
      for (Index m : {1, 3}) {
        const auto x = random_block<T>(static_cast<std::size_t>(stage.rows) * m);
        auto y = x;
        for (Index u = 0; u < stage.clusters(); ++u) rotate_cluster(stage, u, y.data(), m);
        if (stage.rotations() > 0) CHECK(y != x);
        for (Index u = 0; u < stage.clusters(); ++u) rotate_cluster_back(stage, u, y.data(), m);
        for (std::size_t k = 0; k < x.size(); ++k)
          CHECK(std::abs(x[k] - y[k]) <= rounding<T>(10 * stage.rotations() + 10));
      }
  }
}

TEST_CASE_TEMPLATE("forward and backward are inverse to each other at every level", T, float,
                   double) {
  const auto A = random_symmetric<T>(150, 5, 2);
  for (int order : {2, 3}) {
    const auto F = factorize(A.view(), with([&](Params& p) {
                               p.order = order, p.max_cluster_size = 40, p.min_cluster_size = 30;
                             }));
    const auto& Q = *F.Q;
    REQUIRE(Q.levels() >= 3);
    Workspace<T> workspace;
    const auto x = random_block<T>(150 * 3);
    std::vector<T> y(x.size()), back(x.size());
    Q.forward(x.data(), y.data(), 3, workspace);
    Q.backward(y.data(), back.data(), 3, workspace, Q.levels());
    for (std::size_t k = 0; k < x.size(); ++k) CHECK(std::abs(x[k] - back[k]) <= rounding<T>(100));

    for (int level = 0; level <= Q.levels(); ++level) {
      Dense functions(150, 150);  // row k: what coefficient k stands for
      for (Index k = 0; k < 150; ++k) {
        std::vector<T> unit(150, T(0)), all(150), part(150);
        unit[k] = 1;
        Q.backward(unit.data(), part.data(), 1, workspace, level);
        std::copy(part.begin(), part.end(), &functions(k, 0));
        if (k < Q.kept(level)) continue;
        Q.backward(unit.data(), all.data(), 1, workspace, Q.levels());
        CHECK(part == all);  // a wavelet does not change when later stages come
      }
      CHECK(distance(functions * transposed(functions), identity(150)) <= rounding<T>(500));
    }
  }
}

TEST_CASE_TEMPLATE("a block of vectors gives the bits of its columns, on any number of threads", T,
                   float, double) {
  const auto A = grid<T>({190, 190});
  const int before = thread_count();
  for (int order : {2, 3}) {
    const auto F = mmf_of(
        A, with([&](Params& p) { p.order = order, p.eliminate = order - 1, p.max_stages = 2; }));
    const std::size_t n = F.rows();
    for (Index m : {1, 3, 8}) {
      const auto X = random_block<T>(n * m);
      set_thread_count(1);
      std::vector<T> Y(n * m), Z(n * m), x(n), y(n), z(n);
      F.multiply(X.data(), Y.data(), m);
      F.transform(X.data(), Z.data(), m);
      for (Index q = 0; q < m; ++q) {
        for (std::size_t i = 0; i < n; ++i) x[i] = X[i * m + q];
        F.multiply(x.data(), y.data(), 1);
        F.transform(x.data(), z.data(), 1);
        bool equal = true;
        for (std::size_t i = 0; i < n; ++i)
          equal = equal && y[i] == Y[i * m + q] && z[i] == Z[i * m + q];
        CHECK(equal);
      }
      for (int threads : {2, 3}) {
        set_thread_count(threads);
        std::vector<T> again(n * m);
        F.multiply(X.data(), again.data(), m);
        CHECK(again == Y);
      }
    }
  }
  set_thread_count(before);
}

TEST_CASE("several threads may apply one factorization at the same time, and in place") {
  const auto A = random_symmetric(200, 5, 3, test::Kind::definite);
  const auto F = mmf_of(A, with());
  const int count = 16;
  std::vector<std::vector<double>> expected(count, std::vector<double>(200)), got(count);
  for (int k = 0; k < count; ++k) {
    got[k] = random_block<double>(200, k);
    F.multiply(got[k].data(), expected[k].data(), 1);
  }
  std::vector<std::thread> threads;
  for (int k = 0; k < count; ++k)
    threads.emplace_back([&, k] { F.multiply(got[k].data(), got[k].data(), 1); });
  for (auto& thread : threads) thread.join();
  CHECK(got == expected);
}

// ---- the factorization

TEST_CASE("invariants of every factorization") {
  for (const auto& [name, A] : matrices())
    for (const auto& params : variations()) {
      CAPTURE(name);
      std::string text;
      for (const auto& f : fields()) text += f.name + "=" + f.text(params) + " ";
      CAPTURE(text);
      const auto F = factorize(A.view(), params);
      check_invariants(A, F);
      check_report(A, F);
      CHECK(F.scale.empty());
      CHECK(F.Q->levels() <= params.max_stages);
      CHECK(F.H.core_size >= std::min(A.rows, params.core_size));
      CHECK((F.stop == Stop::core_size) == (F.H.core_size <= params.core_size));
      if (F.stop == Stop::max_stages) CHECK(F.Q->levels() == params.max_stages);
      if (F.stop == Stop::tolerance) CHECK(params.tolerance > 0);
    }
}

TEST_CASE("invariants in float") {
  for (const auto& params : variations()) {
    const auto A = random_symmetric<float>(90, 5, 1);
    check_invariants(A, factorize(A.view(), params));
  }
  const auto single = factorize(grid<float>({20, 20}).view(), with());
  const auto full = factorize(grid<double>({20, 20}).view(), with());
  CHECK(single.dropped / single.norm == doctest::Approx(full.dropped / full.norm).epsilon(0.02));
}

TEST_CASE("a definite matrix has a definite H with its spectrum inside that of the matrix") {
  for (const auto& A : {random_symmetric(80, 4, 2, test::Kind::definite), grid({9, 9})})
    for (const auto& params : variations()) {
      const auto inside = eigenvalues(dense(factorize(A.view(), params).H));
      const auto all = eigenvalues(test::dense(A));
      const double small = rounding<double>(500, all.back());
      CHECK(inside.front() >= all.front() - small);
      CHECK(inside.back() <= all.back() + small);
      CHECK(inside.front() > 0);
    }
}

TEST_CASE("an exactly hierarchical matrix is reproduced to rounding") {
  for (int seed : {1, 2, 3})
    for (int core : {1, 4}) {
      const auto A = hierarchical(7, seed);
      const auto F = factorize(A.view(), with([&](Params& p) { p.core_size = core; }));
      CHECK(F.H.core_size == core);
      CHECK(distance(test::dense(A), restored(F)) <= rounding<double>(1000, F.norm));
      for (const auto& stage : F.stages) CHECK(stage.retired == stage.rows / 2);
    }
}

TEST_CASE("nothing is lost when the core holds the whole matrix or no stage is allowed") {
  const auto A = random_symmetric(40, 5, 1);
  for (auto [core, stages] : {std::pair{40, 30}, {1000, 30}, {5, 0}}) {
    const auto F =
        factorize(A.view(), with([&](Params& p) { p.core_size = core, p.max_stages = stages; }));
    CHECK(F.Q->levels() == 0);
    CHECK(F.dropped == 0);
    CHECK(F.stop == (core >= 40 ? Stop::core_size : Stop::max_stages));
    CHECK(distance(dense(Mmf(F)), test::dense(A)) == 0);
  }
}

TEST_CASE("matrices without couplings are exact") {
  const std::vector<double> values{3, 0, -1, 2, 0, 5};
  for (const auto& A : {diagonal_matrix(values), Builder(6).matrix(), diagonal_matrix({-2})}) {
    const auto F = factorize(A.view(), with([](Params& p) { p.core_size = 1; }));
    CHECK(F.H.core_size == 1);
    CHECK(F.dropped == 0);
    CHECK(distance(dense(Mmf(F)), test::dense(A)) == 0);
    for (const auto& stage : F.stages) CHECK(stage.rotations == 0);
  }
}

TEST_CASE("components never mix, and zero rows stay zero") {
  const std::vector<Index> zero_rows{3, 17};
  Builder B(40);
  for (Index i = 0; i < 40; ++i)
    for (Index j : {i + 2, i + 6})
      if (j < 40 && i != 3 && i != 17 && j != 3 && j != 17)
        B.add_edge(i, j, 1 + 0.1 * i + 0.01 * j);
  const auto F = factorize(B.matrix().view(), with([](Params& p) { p.core_size = 4; }));
  check_invariants(B.matrix(), F);
  const Dense restored_A = restored(F);
  for (Index i = 0; i < 40; ++i)
    for (Index j = 0; j < 40; ++j)
      if (i % 2 != j % 2) CHECK(restored_A(i, j) == 0);
  for (Index i : zero_rows)
    for (Index j = 0; j < 40; ++j) CHECK(restored_A(i, j) == 0);
}

TEST_CASE("the factorization has the same bits on any number of threads") {
  const int before = thread_count();
  const auto A = grid({70, 80});
  for (const auto& params :
       {with([](Params& p) { p.max_cluster_size = 300; }),
        with([](Params& p) { p.order = 3, p.eliminate = 2, p.max_cluster_size = 300; }),
        with([](Params& p) {
          p.clustering = Clustering::inner_product, p.clusters = 9, p.prenormalize = true;
        })}) {
    set_thread_count(1);
    const auto one = factorize(A.view(), params);
    for (int threads : {2, 3}) {
      set_thread_count(threads);
      CHECK(same(factorize(A.view(), params), one));
    }
  }
  set_thread_count(before);
}

TEST_CASE("the error stays below the tolerance") {
  for (const auto& [name, A] : matrices())
    for (double tolerance : {0.5, 0.1, 0.01, 1e-6})
      for (int order : {2, 3}) {
        CAPTURE(name);
        const auto F =
            factorize(A.view(), with([&](Params& p) { p.tolerance = tolerance, p.order = order; }));
        CHECK(distance(test::dense(A), restored(F)) <= tolerance * F.norm);
        if (F.stop != Stop::core_size) CHECK(F.stop == Stop::tolerance);
      }
  const auto A = grid({20, 20});
  Index last = 0;  // a tighter tolerance keeps a larger core
  for (double tolerance : {0.3, 0.1, 0.03}) {
    const auto F = factorize(A.view(), with([&](Params& p) { p.tolerance = tolerance; }));
    CHECK(F.H.core_size > last);
    last = F.H.core_size;
  }
}

TEST_CASE("columns that no cluster takes sit out the stage and stay active") {
  const auto A = random_symmetric(100, 5, 4);
  const auto F = factorize(A.view(), with([](Params& p) {
                             p.max_cluster_size = 30, p.min_cluster_size = 25, p.max_stages = 1;
                           }));
  CHECK(F.stages[0].clusters == 4);
  CHECK(F.stages[0].bypassed == 0);
  const auto G = factorize(A.view(), with([](Params& p) {
                             p.max_cluster_size = 30, p.min_cluster_size = 26, p.max_stages = 1;
                           }));
  CHECK(G.stop == Stop::stalled);
  CHECK(G.H.core_size == 100);

  const auto B = disconnected({50, 45}, 1);
  const auto H = factorize(B.view(), with([](Params& p) {
                             p.clustering = Clustering::inner_product, p.clusters = 2;
                             p.max_clustering_iterations = 1, p.max_stages = 1, p.seed = 3;
                           }));
  const auto bypassed = H.stages[0].bypassed;
  CHECK((bypassed == 0 || bypassed == 45 || bypassed == 50));
  check_invariants(B, H);
}

TEST_CASE("rotation_fraction and eliminate set how many columns retire in a stage") {
  const auto A = random_symmetric(120, 6, 2);
  for (auto [fraction, order, eliminate] :
       {std::tuple{0.5, 2, 1}, {0.25, 2, 1}, {0.5, 3, 2}, {0.6, 4, 3}, {0.1, 3, 1}}) {
    const auto F = factorize(A.view(), with([&](Params& p) {
                               p.rotation_fraction = fraction, p.order = order;
                               p.eliminate = eliminate, p.max_stages = 1;
                             }));
    const int rotations = static_cast<int>(fraction * 120 / eliminate);
    CHECK(F.stages[0].rotations == rotations);
    CHECK(F.stages[0].retired == rotations * eliminate);
  }
}

TEST_CASE("a factor of a power of two changes nothing but the size") {
  const auto A = random_symmetric(80, 5, 2);
  for (int order : {2, 3})
    for (double factor : {std::ldexp(1, 220), std::ldexp(1, -220)}) {
      auto B = A;
      for (double& value : B.data) value *= factor;
      const auto params = with([&](Params& p) { p.order = order; });
      auto F = factorize(A.view(), params);
      const auto G = factorize(B.view(), params);
      for (auto* part : {&F.H.core, &F.H.diagonal})
        for (double& value : *part) value *= factor;
      F.norm *= factor, F.dropped *= factor;
      CHECK(same(F, G));
    }
  auto B = A;
  for (double& value : B.data) value *= std::ldexp(1, 450);  // its fourth powers overflow
  CHECK_THROWS_WITH_AS(factorize(B.view(), with()), Contains("scale the matrix"), InvalidArgument);
}

TEST_CASE("progress hears of every stage as it ends") {
  std::vector<StageReport> heard;
  const auto F = factorize(grid({20, 20}).view(), with(),
                           [&](const StageReport& stage) { heard.push_back(stage); });
  REQUIRE(heard.size() == F.stages.size());
  for (std::size_t p = 0; p < heard.size(); ++p) {
    CHECK(heard[p].level == F.stages[p].level);
    CHECK(heard[p].retired == F.stages[p].retired);
  }
}

TEST_CASE("a matrix that is not square and parameters out of range are refused") {
  const Csr<double> wide{2, 3, {0, 1, 2}, {0, 2}, {1, 1}};
  CHECK_THROWS_WITH_AS(factorize(wide.view(), Params{}), "a square matrix is needed, not 2 x 3",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(factorize(grid({5}).view(), with([](Params& p) { p.eliminate = 2; })),
                       Contains("eliminate = 2 is not below order = 2"), InvalidArgument);
  for (Stop stop : {Stop::core_size, Stop::max_stages, Stop::tolerance, Stop::stalled})
    CHECK(stop_from_name(name(stop)) == stop);
  CHECK_THROWS_AS(stop_from_name("core size"), InvalidArgument);
}

TEST_CASE("stored zeros change nothing") {
  Builder plain(90), padded(90);
  const auto A = random_symmetric(90, 4, 5);
  for (Index i = 0; i < 90; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1] && A.indices[p] <= i; ++p)
      for (Builder* B : {&plain, &padded}) B->add(i, A.indices[p], A.data[p]);
  Random random(5, 1, 0);
  for (int k = 0; k < 200; ++k) {
    const auto i = static_cast<Index>(random.below(90)), j = static_cast<Index>(random.below(90));
    padded.add(i, j, 0);
  }
  const auto params = with([](Params& p) { p.max_cluster_size = 20; });
  const auto F = factorize(plain.matrix().view(), params);
  const auto G = factorize(padded.matrix().view(), params);
  CHECK(basis(*F.Q).entries == basis(*G.Q).entries);
  CHECK(distance(dense(F.H), dense(G.H)) <= rounding<double>(100, F.norm));
}

TEST_CASE("adjacency matrices, of bipartite graphs too, are factored to the core") {
  Builder tree(120), cycle(120), matching(120);
  for (Index i = 1; i < 120; ++i) tree.add(i, i / 2, 1);
  for (Index i = 0; i < 120; ++i) cycle.add(i, (i + 1) % 120, 1);
  for (Index i = 0; i < 120; i += 2) matching.add(i, i + 1, 1);
  for (const auto& A : {tree.matrix(), cycle.matrix(), matching.matrix(), adjacency(120, 1, 1),
                        adjacency(120, 2, 2), adjacency(120, 4, 3)})
    for (int order : {2, 3, 5})
      for (int eliminate : {1, order - 1})
        for (auto criterion : {Criterion::inner_product, Criterion::residual}) {
          const auto F = factorize(A.view(), with([&](Params& p) {
                                     p.order = order, p.eliminate = eliminate;
                                     p.criterion = criterion, p.max_stages = 200;
                                   }));
          CHECK(F.stop == Stop::core_size);
          check_invariants(A, F);
        }
}

TEST_CASE("a star of 20 000 leaves is factored to the core") {
  const auto A = star(20000);
  const auto F = factorize(A.view(), Params{});
  CHECK(F.stop == Stop::core_size);
  for (const auto& stage : F.stages) CHECK(stage.nnz <= A.nnz());
  double relative_to = 0;
  const double off = error<double>(A.view(), *F.Q, F.H, F.scale, &relative_to);
  CHECK(std::abs(off * off - F.dropped * F.dropped) <= rounding<double>(1000, F.norm * F.norm));
}

TEST_CASE("pairs never add entries to the active matrix") {
  for (const auto& A : {grid({30, 30}), random_symmetric(400, 6, 1), power_law(500, 3, 1)}) {
    const auto F = factorize(A.view(), with());
    for (std::size_t p = 1; p < F.stages.size(); ++p) CHECK(F.stages[p].nnz <= F.stages[p - 1].nnz);
  }
}

// ---- prenormalize

TEST_CASE("prenormalize factors D^-1 A D^-1 and scales back") {
  Builder B(60);
  for (Index i = 0; i + 1 < 59; ++i) B.add_edge(i, i + 1, std::pow(10, i % 7 - 3));
  const auto A = B.matrix();  // row 59 is zero
  const auto F = factorize(A.view(), with([](Params& p) { p.prenormalize = true; }));
  const Dense dense_A = test::dense(A);
  REQUIRE(F.scale.size() == 60);
  CHECK(F.scale[59] == 1);
  Dense scaled = dense_A;
  for (Index i = 0; i < 60; ++i) {
    double square = 0;
    for (Index j = 0; j < 60; ++j) square += dense_A(i, j) * dense_A(i, j);
    if (square > 0) CHECK(F.scale[i] == doctest::Approx(std::pow(square, 0.25)).epsilon(1e-12));
    for (Index j = 0; j < 60; ++j) scaled(i, j) /= F.scale[i] * F.scale[j];
  }
  CHECK(std::abs(F.norm - norm(scaled)) <= rounding<double>(100, F.norm));
  auto unscaled = F;
  unscaled.scale.clear();
  const double off = distance(scaled, restored(unscaled)), small = rounding<double>(500, F.norm);
  CHECK(std::abs(off * off - F.dropped * F.dropped) <= small * F.norm);
  double relative_to = 0;
  CHECK(std::abs(error<double>(A.view(), *F.Q, F.H, F.scale, &relative_to) - off) <= small);
  CHECK(std::abs(relative_to - F.norm) <= small);

  const Mmf full(F);
  const Dense picture = restored(F);
  const double size = norm(dense_A);
  CHECK(distance(dense(full), picture) <= rounding<double>(500, size));
  CHECK(std::abs(full.trace() - test::trace(picture)) <= rounding<double>(500, size));
  CHECK_THROWS_WITH_AS(full.sqrt(), Contains("prenormalized"), Error);
  CHECK_THROWS_WITH_AS(full.with_values(std::vector<double>(60, 1.0)), Contains("prenormalize"),
                       InvalidArgument);
}

TEST_CASE("inverse and determinant of a prenormalized factorization") {
  const auto A = random_symmetric(50, 4, 6, test::Kind::definite);
  const auto F = mmf_of(A, with([](Params& p) { p.prenormalize = true; }));
  const Dense picture = restored(F.factors());
  CHECK(distance(dense(F.inverse()) * picture, identity(50)) <= rounding<double>(1e4));
  double log = 0;
  for (double v : eigenvalues(picture)) log += std::log(v);
  CHECK(F.slogdet().sign == 1);
  CHECK(std::abs(F.slogdet().log - log) <= rounding<double>(1e4));
}

// ---- cores

TEST_CASE("a large sparse core is stored sparse and does what a dense one does") {
  const auto A = grid({40, 40});
  const auto F = mmf_of(A, with([](Params& p) { p.max_stages = 1; }));
  const auto& H = F.factors().H;
  REQUIRE(H.core_size == 800);
  REQUIRE_FALSE(H.is_dense());
  const Dense picture = dense(H);
  CHECK(std::abs(H.trace() - test::trace(picture)) <= rounding<double>(1000, norm(picture)));
  CHECK(std::abs(std::sqrt(H.norm2()) - norm(picture)) <= rounding<double>(1000, norm(picture)));
  CHECK(distance(picture, transposed(picture)) == 0);
  for (Index m : {1, 3}) {
    const auto x = random_block<double>(1600 * m);
    auto y = x;
    std::vector<double> scratch(800 * m);
    H.multiply(y.data(), scratch.data(), m);
    for (Index i = 0; i < 1600; ++i)
      for (Index q = 0; q < m; ++q) {
        double sum = 0;
        for (Index j = 0; j < 1600; ++j) sum += picture(i, j) * x[j * m + q];
        REQUIRE(std::abs(y[i * m + q] - sum) <= rounding<double>(100));
      }
  }
  const auto values = F.spectrum();
  CHECK(std::abs(std::accumulate(values.begin(), values.end(), 0.0) - H.trace()) <=
        rounding<double>(1e4, norm(picture)));
  double relative_to = 0;
  CHECK(std::abs(F.error(A.view(), &relative_to) - F.factors().dropped) <=
        rounding<double>(1e5, F.factors().norm));
}

TEST_CASE("a core that is too large for the eigensolver is refused with a way out") {
  const auto F = mmf_of(grid({100, 100}), with([](Params& p) { p.max_stages = 0; }));
  CHECK_THROWS_WITH_AS(F.inverse(), Contains("raise max_stages or lower core_size"),
                       InvalidArgument);
  std::vector<double> x(10000, 1.0), y(10000), Ax(10000);
  F.multiply(x.data(), y.data(), 1);
  spmv(grid({100, 100}).view(), x.data(), Ax.data());
  CHECK(y == Ax);
}

// ---- functions of the factorization

TEST_CASE("functions of a definite factorization") {
  const auto A = random_symmetric(90, 4, 2, test::Kind::definite);
  for (int order : {2, 3}) {
    const auto F = mmf_of(A, with([&](Params& p) { p.order = order; }));
    const Dense picture = restored(F.factors());
    const double small = rounding<double>(1e4);  // condition numbers are below 100
    CHECK(distance(dense(F), picture) <= rounding<double>(1000, norm(picture)));
    CHECK(distance(dense(F.inverse()) * picture, identity(90)) <= small);
    CHECK(distance(dense(F.inverse().inverse()), picture) <= small * norm(picture));
    CHECK(distance(dense(F.sqrt()) * dense(F.sqrt()), picture) <= small * norm(picture));
    CHECK(distance(dense(F.inv_sqrt()) * dense(F.sqrt()), identity(90)) <= small);
    CHECK(distance(dense(F.preconditioner()), dense(F.inverse())) <= small);
    CHECK(distance(dense(F.inverse(-1, true)), dense(F.inverse())) <= small);

    std::vector<double> values = F.spectrum();
    for (double& v : values) v = std::exp(-v);
    CHECK(distance(dense(F.with_values(values)),
                   function(picture, [](double v) { return std::exp(-v); })) <= small);

    double log = 0;
    for (double v : eigenvalues(picture)) log += std::log(v);
    CHECK(F.slogdet().sign == 1);
    CHECK(std::abs(F.slogdet().log - log) <= small * 90);
    CHECK(std::abs(F.trace() - test::trace(test::dense(A))) <= small * F.trace());
    CHECK(F.inverse().factors().Q == F.factors().Q);  // shared, not copied
  }
}

TEST_CASE("the spectrum lists the core in ascending order, then the wavelets") {
  const auto F = mmf_of(random_symmetric(60, 5, 2), with());
  const auto& H = F.factors().H;
  const auto& values = F.spectrum();
  REQUIRE(values.size() == 60);
  CHECK(std::is_sorted(values.begin(), values.begin() + H.core_size));
  for (Index i = H.core_size; i < 60; ++i) CHECK(values[i] == H.diagonal[i - H.core_size]);
}

TEST_CASE("an indefinite factorization has an inverse and a sign, but no root") {
  const auto A = random_symmetric(61, 5, 2);
  const auto F = mmf_of(A, with());
  const Dense picture = restored(F.factors());
  const auto all = eigenvalues(picture);
  const auto negative = std::count_if(all.begin(), all.end(), [](double v) { return v < 0; });
  REQUIRE(negative > 0);
  REQUIRE(std::abs(all[negative]) > 1e-3);
  const double small = rounding<double>(1e6);
  CHECK(distance(dense(F.inverse()) * picture, identity(61)) <= small);
  CHECK(F.slogdet().sign == (negative % 2 ? -1 : 1));
  CHECK_THROWS_WITH_AS(F.sqrt(), Contains("negative eigenvalue"), Singular);
  CHECK_THROWS_WITH_AS(F.inv_sqrt(), Contains("not positive"), Singular);
  const Dense positive = function(picture, [](double v) { return 1 / std::abs(v); });
  CHECK(distance(dense(F.inverse(-1, true)), positive) <= small * norm(positive));
  CHECK(distance(dense(F.preconditioner()), positive) <= small * norm(positive));
  CHECK(eigenvalues(dense(F.preconditioner())).front() > 0);
}

TEST_CASE("a singular factorization asks for a threshold and then gives the pseudo-inverse") {
  Builder B(40);
  for (Index i = 0; i < 40; ++i)
    for (Index j : {i + 1, i + 5})
      if (j < 40) B.add_edge(i, j, 1 + 0.1 * i);
  for (int stages : {0, 30}) {  // the nullspace in the core, exactly; nearly
    const auto F = mmf_of(B.matrix(), with([&](Params& p) { p.max_stages = stages; }));
    const Dense picture = restored(F.factors());
    const double rcond = stages == 0 ? 0 : 0.05;
    if (stages == 0) {
      CHECK_THROWS_WITH_AS(F.inverse(), Contains("1 of its 40 eigenvalues"), Singular);
      CHECK_THROWS_AS(F.inv_sqrt(), Singular);
      CHECK_NOTHROW(F.sqrt());
      CHECK(F.slogdet().sign == 0);
      CHECK(F.slogdet().log == -unlimited);
    }
    const double largest = eigenvalues(picture).back();
    const double cut = std::max(rcond, 1e-12) * largest;
    const Dense expected =
        function(picture, [&](double v) { return std::abs(v) <= cut ? 0 : 1 / v; });
    CHECK(distance(dense(F.inverse(rcond)), expected) <= rounding<double>(1e5, norm(expected)));
  }
  const auto F = mmf_of(B.matrix(), with([](Params& p) { p.max_stages = 0; }));
  const auto preconditioner = eigenvalues(dense(F.preconditioner()));
  CHECK(preconditioner.front() > 0);
  CHECK(preconditioner.back() < 1e6);
}

TEST_CASE("the zero matrix has a preconditioner and a pseudo-inverse, but no inverse") {
  const auto F = mmf_of(Builder(20).matrix(), with());
  CHECK_THROWS_AS(F.inverse(), Singular);
  CHECK(norm(dense(F.inverse(0))) == 0);
  CHECK(distance(dense(F.preconditioner()), identity(20)) == 0);
  CHECK(norm(dense(F.sqrt())) == 0);
}

TEST_CASE("values of a function must be finite and as many as the rows") {
  const auto F = mmf_of(grid({6, 6}), with());
  CHECK_THROWS_WITH_AS(F.with_values(std::vector<double>(35, 1.0)), Contains("expected 36 values"),
                       InvalidArgument);
  for (double bad : {std::nan(""), unlimited}) {
    std::vector<double> values(36, 1.0);
    values[7] = bad;
    CHECK_THROWS_WITH_AS(F.with_values(values), Contains("not finite"), InvalidArgument);
  }
}

TEST_CASE("functions in float") {
  const auto A = random_symmetric<float>(90, 4, 2, test::Kind::definite);
  const auto F = mmf_of(A, with());
  const Dense picture = restored(F.factors());
  CHECK(distance(dense(F.inverse()) * picture, identity(90)) <= rounding<float>(1e4));
  CHECK(distance(dense(F.sqrt()) * dense(F.sqrt()), picture) <=
        rounding<float>(1e3, norm(picture)));
}

// ---- other values

TEST_CASE("refactorize gives the same H for the same values, and the pinched one for others") {
  const auto A = random_symmetric(80, 5, 1);
  for (int order : {2, 3})
    for (bool prenormalize : {false, true}) {
      const auto F =
          mmf_of(A, with([&](Params& p) { p.order = order, p.prenormalize = prenormalize; }));
      const double small = rounding<double>(1000, F.factors().norm);
      const auto again = F.refactorize(A.view());
      CHECK(distance(dense(again.factors().H), dense(F.factors().H)) <= small);
      CHECK(std::abs(again.factors().dropped - F.factors().dropped) <= small);
      CHECK(std::abs(again.factors().norm - F.factors().norm) <= small);
      CHECK(again.factors().Q == F.factors().Q);
    }
  const auto F = mmf_of(A, with());
  const auto other = random_symmetric(80, 3, 2);
  check_invariants(other, F.refactorize(other.view()).factors());
  CHECK_THROWS_WITH_AS(F.refactorize(grid({9, 9}).view()), Contains("expected a 80 x 80 matrix"),
                       InvalidArgument);
  double relative_to = 0;
  CHECK_THROWS_AS(F.error(grid({9, 9}).view(), &relative_to), InvalidArgument);
}

// ---- what comes from a file

TEST_CASE("a hierarchy whose parts do not fit together is refused") {
  for (int order : {2, 3}) {
    const auto F = factorize(random_symmetric(60, 5, 2).view(),
                             with([&](Params& p) { p.order = order, p.max_cluster_size = 20; }));
    CHECK_NOTHROW(check(*F.Q));
    CHECK_NOTHROW(check(F.H, *F.Q));
    const auto refused = [&](const std::function<void(Hierarchy<double>&)>& damage) {
      auto Q = *F.Q;
      damage(Q);
      CHECK_THROWS_AS(check(Q), InvalidArgument);
    };
    refused([](auto& Q) { Q.rows = 61; });
    refused([](auto& Q) { Q.order[0] = Q.order[1]; });
    refused([](auto& Q) { Q.order[0] = 60; });
    refused([](auto& Q) { Q.order.pop_back(); });
    refused([](auto& Q) { Q.stages.pop_back(), Q.stages[0].kept -= 1; });
    refused([](auto& Q) { std::swap(Q.stages[0], Q.stages[1]); });
    refused([](auto& Q) { Q.stages[1].index[0] = -1; });
    refused([](auto& Q) { Q.stages[1].index[0] = Q.stages[1].rows; });
    refused([](auto& Q) { Q.stages[0].index.pop_back(); });
    refused([](auto& Q) { Q.stages[0].matrix.pop_back(); });
    refused([](auto& Q) { Q.stages[0].cluster_ptr[1] = -5; });
    refused([](auto& Q) { Q.stages[0].active_ptr[1] = 1000; });
    refused([](auto& Q) { Q.stages[0].rotation_ptr.back() += 1; });
    refused([](auto& Q) { Q.stages[0].destination[0] = Q.stages[0].destination[1]; });
    if (order == 3) {
      refused([](auto& Q) { Q.stages[0].index_start[1] += 1; });
      refused([](auto& Q) { Q.stages[0].matrix_start.back() += 1; });
    }
    auto H = F.H;
    H.diagonal.pop_back();
    CHECK_THROWS_AS(check(H, *F.Q), InvalidArgument);
    H = F.H;
    H.core.pop_back();
    CHECK_THROWS_AS(check(H, *F.Q), InvalidArgument);
  }
}
