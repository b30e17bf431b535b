// Sparse LU, and the preconditioner with the signs of an indefinite matrix.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <numbers>

#include "precond_matrices.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/la/sparse_lu.hpp"
#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/preconditioner.hpp"
#include "pympf/precond/two_level.hpp"

using namespace pympf;
using namespace pympf::precond;
using namespace pympf::test;

extern std::atomic<long> allocations;  // counted in count_allocations.cpp

namespace {

constexpr double no_limit = 1e300;

// Entries of L, and the squares of the lengths of its columns, by elimination of a dense pattern.
Fill dense_fill(const Csr<double>& A, const std::vector<Index>& order) {
  const Dense values = dense(reordered(A, order));
  const Index n = A.rows;
  std::vector<char> full(values.entries.size());
  for (std::size_t k = 0; k < full.size(); ++k) full[k] = values.entries[k] != 0;
  Fill fill;
  for (Index j = 0; j < n; ++j) {
    std::vector<Index> below;
    for (Index i = j + 1; i < n; ++i)
      if (full[static_cast<std::size_t>(i) * n + j]) below.push_back(i);
    const auto length = static_cast<double>(below.size() + 1);
    fill.entries += length;
    fill.work += length * length;
    for (Index i : below)
      for (Index k : below) full[static_cast<std::size_t>(i) * n + k] = 1;
  }
  return fill;
}

// [K B^T; B 0]: the differences of neighbours in a row are given.
Csr<double> saddle_point(Index width) {
  const Csr<double> K = grid({width, width});
  const Index n = K.rows, constraints = n / 3;
  Builder A(n + constraints);
  for (Index i = 0; i < n; ++i)
    for (Index p = K.indptr[i]; p < K.indptr[i + 1]; ++p)
      if (K.indices[p] <= i) A.add(i, K.indices[p], K.data[p]);
  for (Index c = 0; c < constraints; ++c) A.add(n + c, 3 * c, 1), A.add(n + c, 3 * c + 1, -1);
  return A.matrix();
}

KrylovResult gmres(const Csr<double>& A, const Preconditioner<double>& M) {
  const std::vector<double> b = random_vector(static_cast<std::size_t>(A.rows), 1);
  std::vector<double> x(b.size(), 0.0);
  KrylovParams params;
  params.method = pympf::Method::gmres;
  params.restart = 0;
  params.max_iterations = 200;
  const Operator<double> multiply = [&](const double* v, double* y) { spmv(A.view(), v, y); };
  const Operator<double> precondition = [&](const double* r, double* z) { M.apply(r, z); };
  return pympf::solve<double>(multiply, &precondition, A.rows, b.data(), x.data(), params);
}

Params with_signs(precond::Method method = precond::Method::automatic) {
  Params params;
  params.method = method;
  params.definite = false;
  return params;
}

// auto makes an exact M with the signs of A where it may have them, and otherwise a definite one in
// another way.
void check_direct_with_signs_only(const Csr<double>& A) {
  const Preconditioner<double> M(A, with_signs());
  CHECK(M.report().method == "direct");
  CHECK(M.report().indefinite);
  CHECK(!M.report().definite);
  CHECK(gmres(A, M).iterations <= 2);
  const Preconditioner<double> definite(A, Params{});
  CHECK(definite.report().method != "direct");
  CHECK(definite.report().definite);
}

}  // namespace

TEST_CASE("fill is counted as elimination makes it") {
  for (const auto& A : {grid({9, 7}), power_law(60, 2, 1), random_symmetric(50, 3, 1)}) {
    const std::vector<Index> order = shuffled(A.rows, 3);
    const Fill counted = fill_of(A, order, no_limit), expected = dense_fill(A, order);
    CHECK(counted.entries == expected.entries);
    CHECK(counted.work == expected.work);
    CHECK(fill_of(A, order, 70).entries < expected.entries);
  }
}

// Without SuperLU there is a refusal to check, and nothing else.
TEST_SUITE("two_level" * doctest::skip(!SparseLu::available())) {
  TEST_CASE("a sparse LU solves definite, indefinite and saddle-point systems") {
    for (const auto& A : {grid({20, 20}), shifted(grid({20, 20}), -1.3), saddle_point(12),
                          random_symmetric(200, 4, 1), diagonal_matrix({1, -2, 3}), grid({1})}) {
      const LuPlan plan(A, no_limit);
      const auto lu = SparseLu::factor(A, plan);
      REQUIRE(lu);
      const std::vector<double> x = random_vector(static_cast<std::size_t>(A.rows), 2);
      std::vector<double> y(x.size()), work(x.size());
      spmv(A.view(), x.data(), y.data());
      lu->solve(y.data(), work.data());
      for (std::size_t i = 0; i < x.size(); ++i) CHECK(std::abs(x[i] - y[i]) < 1e-9);
      if (plan.on_diagonal) CHECK(lu->nnz() < 4 * plan.fill.entries);
    }
  }

  TEST_CASE("a matrix that is singular has no sparse LU") {
    Csr<double> A = saddle_point(6);
    for (Index p = A.indptr[A.rows - 1]; p < A.nnz(); ++p) A.data[p] = 0;
    CHECK(!SparseLu::factor(A, LuPlan(A, no_limit)));
    const Csr<double> zero{3, 3, {0, 0, 0, 0}, {}, {}};
    CHECK(!SparseLu::factor(zero, LuPlan(zero, no_limit)));
    Report report;
    CHECK(!TwoLevel::direct(block_diagonal({grid({4, 4}), diagonal_matrix({0})}), report));
    CHECK(report.reason.find("singular") != std::string::npos);
  }

  TEST_CASE("fixed pivots fill as planned, and their signs are those of the eigenvalues") {
    const Csr<double> A = shifted(grid({20, 20}), -1.3);
    Index negative = 0;
    const auto wave = [](Index k) { return 2 - 2 * std::cos(k * std::numbers::pi / 21); };
    for (Index i = 1; i <= 20; ++i)
      for (Index j = 1; j <= 20; ++j) negative += wave(i) + wave(j) < 1.3;
    const auto lu = SparseLu::factor(A, LuPlan(A, no_limit), SparseLu::Pivots::fixed);
    REQUIRE(lu);
    CHECK(negative > 10);
    CHECK(lu->negative_pivots() == negative);
    const Csr<double> B = saddle_point(12);
    CHECK(!SparseLu::factor(B, LuPlan(B, no_limit))->negative_pivots());
  }

  TEST_CASE("rows are exchanged where the diagonal has no good pivots") {
    Builder pairs(100);
    for (Index i = 0; i < 100; i += 2)
      pairs.add(i, i, 1e-20), pairs.add(i + 1, i, 1), pairs.add(i + 1, i + 1, 1e-20);
    const Csr<double> A = pairs.matrix();
    std::vector<double> x(100, 1.0), work(100);
    SparseLu::factor(A, LuPlan(A, no_limit), SparseLu::Pivots::fixed)->solve(x.data(), work.data());
    CHECK(!(std::abs(x[0] - 1) + std::abs(x[1] - 1) < 1e-3));
    Report report;
    const auto M = TwoLevel::direct(A, report);
    REQUIRE(M);
    CHECK(!report.definite);
    const std::vector<double> r = random_vector(100, 1);
    M->apply(r.data(), x.data());
    for (Index i = 0; i < 100; ++i) CHECK(std::abs(x[i] - r[i ^ 1]) < 1e-9);
  }

  TEST_CASE("zeros on the diagonal of a saddle point cost no fill") {
    const Csr<double> A = saddle_point(40);
    Report report;
    REQUIRE(TwoLevel::direct(A, report));
    const auto exchanged = SparseLu::factor(A, LuPlan(A, no_limit));
    REQUIRE(exchanged);
    CHECK(report.levels[0].factor * A.nnz() < 0.9 * static_cast<double>(exchanged->nnz()));
    CHECK(gmres(A, Preconditioner<double>(A, with_signs(precond::Method::direct))).iterations <= 3);
    const Csr<double> large = saddle_point(160);
    CHECK(large.rows > 30000);
    CHECK(!TwoLevel::direct(large, report, TwoLevel::Cost::small));
    CHECK(report.reason.find("zeros on the diagonal") != std::string::npos);
    CHECK(TwoLevel::direct(large, report));
  }

  TEST_CASE("auto factors small networks and structures at once, when that is light") {
    const Csr<double> chain = grid({3000}), path = laplacian({3000});
    const Csr<double> isolated = block_diagonal({path, diagonal_matrix({0})});
    for (const auto& A : {chain, path, isolated, scaled(chain, -1)}) {
      const Preconditioner<double> M(A, Params{});
      CHECK(M.report().method == "direct");
      CHECK(M.report().definite);
      const auto n = static_cast<std::size_t>(A.rows);
      const std::vector<double> x = random_vector(n, 1);
      std::vector<double> b(n), z(n), Az(n);
      spmv(A.view(), x.data(), b.data());
      M.apply(b.data(), z.data());
      CHECK(pympf::dot(A.rows, b.data(), z.data()) > 0);
      spmv(A.view(), z.data(), Az.data());
      const double sign = A.data[0] > 0 ? 1 : -1;
      double gap = 0;
      for (std::size_t i = 0; i < n; ++i) gap = std::max(gap, std::abs(sign * Az[i] - b[i]));
      CHECK(gap < 1e-4);
    }
    std::vector<double> r(3001, 0.0), z(3001);
    r[3000] = 5;
    Preconditioner<double>(isolated, Params{}).apply(r.data(), z.data());
    CHECK(z[3000] == doctest::Approx(5));
    CHECK(Preconditioner<double>(grid({60, 60}), Params{}).report().method == "multilevel");
    CHECK(Preconditioner<double>(grid({6000}), Params{}).report().method != "direct");
  }

  TEST_CASE("a small network that fills in is not factored") {
    // A ring with chords to places far away: an expander.
    constexpr Index n = 2000;
    const std::vector<Index> far = shuffled(n, 1);
    Builder ring(n);
    for (Index i = 0; i < n; ++i) ring.add(i, i, 3.001);
    for (Index i = 0; i < n; ++i) ring.add(std::max(i, (i + 1) % n), std::min(i, (i + 1) % n), -1);
    for (Index i = 0; i < n; i += 2) {
      const auto [low, high] = std::minmax(far[i], far[i + 1]);
      if (high - low > 1 && high - low < n - 1) ring.add(high, low, -1);
    }
    const Csr<double> A = ring.matrix();
    CHECK(is_factored_first<double>(DistRows<double>(A), Params{}));
    Report report;
    CHECK(Preconditioner<double>(A, Params{}).report().method != "direct");
    CHECK(TwoLevel::direct(A, report));
    CHECK(report.definite);
  }

  TEST_CASE("pivots of both signs: M has them, or it is made another way") {
    Csr<double> A = grid({3000});
    for (Index p = A.indptr[1500]; p < A.indptr[1501]; ++p)
      if (A.indices[p] == 1500) A.data[p] = 0.1;
    check_direct_with_signs_only(A);
  }

  TEST_CASE("minimum degree fills less than the order of the rows") {
    const Csr<double> A = grid({40, 40});
    std::vector<Index> natural(A.rows);
    std::iota(natural.begin(), natural.end(), 0);
    CHECK(LuPlan(A, no_limit).fill.entries < 0.5 * fill_of(A, natural, no_limit).entries);
  }

  TEST_CASE("one stage solves shifted Laplacians in few iterations, in two and three dimensions") {
    for (const auto& A : {shifted(grid({90, 90}), -0.05), shifted(grid({18, 18, 18}), -0.1),
                          shifted(laplacian({70, 80}), -0.03)}) {
      const Preconditioner<double> M(A, with_signs(precond::Method::two_level));
      const Report& report = M.report();
      CHECK(report.method == "two_level");
      CHECK(!report.definite);
      CHECK(report.operator_complexity > 1);
      CHECK(report.seconds > 0);
      CHECK(report.levels[1].rows * 4 < report.levels[0].rows);
      const KrylovResult result = gmres(A, M);
      CHECK(result.converged);
      CHECK(result.iterations <= 35);
    }
  }

  TEST_CASE("the stage keeps M symmetric, and a smooth vector exact") {
    const Csr<double> A = shifted(grid({14, 13}), -0.04);
    const Preconditioner<double> M(A, with_signs(precond::Method::two_level));
    const Dense map = dense_map(A.rows, [&](const double* x, double* y) { M.apply(x, y); });
    CHECK(distance(map, transposed(map)) < 1e-9 * norm(map));
    CHECK(distance(map * dense(A), identity(A.rows)) > 0.1);  // it is no direct solver
  }

  TEST_CASE("the stage refuses what is no Laplacian with a small shift") {
    Report report;
    for (const auto& A : {random_symmetric(100, 4, 1), shifted(grid({20, 20}), -2)}) {
      CHECK(!TwoLevel::with_stage(A, report));
      CHECK(report.reason.find("Laplacian") != std::string::npos);
      CHECK_THROWS_AS(Preconditioner<double>(A, with_signs(precond::Method::two_level)), Singular);
    }
    CHECK(!TwoLevel::is_for(shifted(grid({20, 20}), -2)));
    CHECK(TwoLevel::is_for(shifted(grid({20, 20}), -0.1)));
  }

  TEST_CASE("auto takes a direct solver for indefinite matrices when M may have signs") {
    for (const auto& A : {shifted(grid({60, 60}), -0.3), saddle_point(30)})
      check_direct_with_signs_only(A);
    const Preconditioner<double> positive(grid({60, 60}), with_signs());
    CHECK(positive.report().definite);
    CHECK(!positive.report().indefinite);
  }

  TEST_CASE("auto takes the diagonal where a sparse LU costs more") {
    const Csr<double> A = shifted(grid({24, 24, 24}), -0.1);
    const Preconditioner<double> M(A, with_signs());
    CHECK(M.report().method == "jacobi");
    CHECK(M.report().indefinite);
    CHECK(M.report().definite);
    CHECK(M.report().reason.find("costs more") != std::string::npos);
    Report report;
    CHECK(TwoLevel::direct(A, report));
    CHECK(!TwoLevel::direct(A, report, TwoLevel::Cost::small));
  }

  TEST_CASE("auto goes on without a sparse LU where A is singular, and says so") {
    const Csr<double> A = block_diagonal({shifted(grid({60, 60}), -0.3), diagonal_matrix({0})});
    const Preconditioner<double> M(A, with_signs());
    CHECK(M.report().definite);
    CHECK(M.report().reason.find("singular") != std::string::npos);
  }

  TEST_CASE("new values, float32, threads, and no allocation") {
    const Csr<double> A = shifted(grid({50, 50}), -0.05), B = shifted(grid({50, 50}), -0.06);
    const std::vector<double> r = random_vector(2500, 1);
    for (const auto method : {precond::Method::two_level, precond::Method::direct}) {
      std::vector<std::vector<double>> results;
      const int before = thread_count();
      for (const int threads : {1, 3}) {
        set_thread_count(threads);
        Preconditioner<double> M(A, with_signs(method));
        M.update(B);
        std::vector<double> z(2500);
        M.apply(r.data(), z.data());
        const long count = allocations;
        M.apply(r.data(), z.data());
        CHECK(allocations == count);
        results.push_back(z);
      }
      set_thread_count(before);
      CHECK(results[0] == results[1]);
      std::vector<double> fresh(2500);
      Preconditioner<double>(B, with_signs(method)).apply(r.data(), fresh.data());
      CHECK(fresh == results[0]);
      Csr<float> single{B.rows, B.cols, B.indptr, B.indices, {B.data.begin(), B.data.end()}};
      const std::vector<float> r32(r.begin(), r.end());
      std::vector<float> z32(2500);
      Preconditioner<float>(single, with_signs(method)).apply(r32.data(), z32.data());
      double gap = 0, size = 0;
      for (int i = 0; i < 2500; ++i)
        gap = std::max(gap, std::abs(z32[i] - fresh[i])), size = std::max(size, std::abs(fresh[i]));
      CHECK(gap < 1e-2 * size);
    }
  }
}

TEST_CASE("a few steps from the constant vector see the negative eigenvalues of waves") {
  const auto sees = [](const Csr<double>& A) {
    const DistRows<double> rows(A);
    return has_negative_sums(rows) && has_negative_curvature(rows, diagonal(A.view()));
  };
  CHECK(sees(shifted(grid({22, 22, 22}), -0.1)));
  CHECK(sees(shifted(grid({60, 60}), -0.05)));
  CHECK(sees(scaled(shifted(grid({60, 60}), -0.05), 1e-20)));
  // 2 (pi / 61)^2 = 0.0053 is the least eigenvalue of the grid.
  CHECK(!sees(shifted(grid({60, 60}), -0.003)));
  for (const auto& A : {grid({60, 60}), laplacian({40, 40}), springs(12, 10, 1).A,
                        random_symmetric(200, 5, 1), diagonal_matrix({0, 0})})
    CHECK(!sees(A));
}

TEST_CASE("without SuperLU the reason is told") {
  if (SparseLu::available()) return;
  CHECK_THROWS_AS(Preconditioner<double>(grid({9}), with_signs(precond::Method::direct)), Singular);
  const Preconditioner<double> M(shifted(grid({30, 30}), -0.3), with_signs());
  CHECK(M.report().reason.find("SuperLU") != std::string::npos);
}
