#include <doctest/doctest.h>

#include <algorithm>
#include <functional>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "mmf_matrices.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/mmf/cluster.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/mmf/rotation.hpp"

using namespace pympf;
using namespace pympf::mmf;
using namespace pympf::test;
using namespace pympf::mmf_test;
using doctest::Contains;

namespace {

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
