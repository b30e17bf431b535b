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
