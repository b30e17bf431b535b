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
