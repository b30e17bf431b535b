// A sparse direct factor as a preconditioner, and one with the signs of an indefinite matrix.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <numbers>

#include "precond_matrices.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/la/sparse_factor/backends.hpp"
#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/levels/direct.hpp"
#include "pympf/precond/levels/two_level.hpp"
#include "pympf/precond/preconditioner.hpp"

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

std::optional<Direct> direct(const Csr<double>& A, Report& report,
                             MatrixKind kind = MatrixKind::symmetric,
                             Direct::Cost most = Direct::Cost::any) {
  return Direct::factor(A, kind, Params{}, report, most);
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
  const KrylovResult solved = gmres(A, M);
  CHECK(solved.true_residual <= 1.01e-8);  // after two steps it may be a little above
  CHECK(solved.iterations <= 3);
  const Preconditioner<double> definite(A, Params{});
  CHECK(definite.report().method != "direct");
  CHECK(definite.report().definite);
}

}  // namespace

TEST_CASE("fill is counted as elimination makes it") {
  for (const auto& A : {grid({9, 7}), power_law(60, 2, 1), random_symmetric(50, 3, 1)}) {
    const std::vector<Index> order = shuffled(A.rows, 3);
    const Fill counted = sparse_factor::fill_of(A, order, no_limit),
               expected = dense_fill(A, order);
    CHECK(counted.entries == expected.entries);
    CHECK(counted.work == expected.work);
    CHECK(sparse_factor::fill_of(A, order, 70).entries < expected.entries);
  }
}

// Without a library there is a refusal to check, and nothing else.
TEST_SUITE("two_level" * doctest::skip(factor_backends(MatrixKind::symmetric).empty())) {
  TEST_CASE("a matrix that is singular has no factor, unless it is semidefinite") {
    Report report;
    for (const MatrixKind kind : {MatrixKind::definite, MatrixKind::symmetric})
      CHECK(!direct(block_diagonal({grid({4, 4}), diagonal_matrix({0})}), report, kind));
    CHECK(report.reason.find("singular") != std::string::npos);
    CHECK(!direct(laplacian({9, 9}), report));
    REQUIRE(direct(laplacian({9, 9}), report, MatrixKind::definite));
    CHECK(report.direct_text.find("singular") != std::string::npos);
  }

  TEST_CASE("a matrix that is not definite after all is factored as a symmetric one") {
    const Csr<double> A = shifted(grid({20, 20}), -1.3);
    Report report;
    const auto M = direct(A, report, MatrixKind::definite);
    REQUIRE(M);
    CHECK(!report.definite);
    const std::vector<double> x = random_vector(400, 1);
    std::vector<double> b(400), z(400);
    spmv(A.view(), x.data(), b.data());
    M->apply(b.data(), z.data());
    for (int i = 0; i < 400; ++i) CHECK(std::abs(x[i] - z[i]) < 1e-9);
  }

  TEST_CASE("the report says what the factor is") {
    for (const std::string& name : factor_backends(MatrixKind::definite)) {
      Params params = with_signs(precond::Method::direct);
      find_field(fields(), "factor_backend").set(params, name);
      const Preconditioner<double> M(grid({30, 30}), params);
      CHECK(M.report().direct.backend == name);
      CHECK(!M.report().direct.order.empty());
      CHECK(M.report().direct.stored >= 900);
      CHECK(M.report().direct.predicted >= 900);
      CHECK(M.report().direct_text.find(name) != std::string::npos);
      CHECK(M.report().definite);
    }
    Params params = with_signs(precond::Method::direct);
    params.factor_backend = FactorBackend::cholmod;  // there or not, it is not for this matrix
    CHECK_THROWS_AS(Preconditioner<double>(shifted(grid({20, 20}), -1.3), params), Singular);
  }

  TEST_CASE("zeros on the diagonal of a saddle point cost no fill") {
    const Csr<double> A = saddle_point(40);
    Report report;
    REQUIRE(direct(A, report));
    const auto exchanged = analyze(A, {MatrixKind::general});
    REQUIRE(exchanged->factor(A));
    CHECK(report.direct.stored < 0.9 * exchanged->stored());
    CHECK(gmres(A, Preconditioner<double>(A, with_signs(precond::Method::direct))).iterations <= 3);
    const Csr<double> large = saddle_point(160);
    CHECK(large.rows > 30000);
    Params params;
    params.factor_backend = FactorBackend::superlu;
    if (factor_backends(MatrixKind::symmetric).back() == "superlu") {
      CHECK(!Direct::factor(large, MatrixKind::symmetric, params, report, Direct::Cost::small));
      CHECK(report.reason.find("zeros on the diagonal") != std::string::npos);
    }
    CHECK(direct(large, report));
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
    CHECK(direct(A, report, MatrixKind::definite));
    CHECK(report.definite);
  }

  TEST_CASE("pivots of both signs: M has them, or it is made another way") {
    Csr<double> A = grid({3000});
    for (Index p = A.indptr[1500]; p < A.indptr[1501]; ++p)
      if (A.indices[p] == 1500) A.data[p] = 0.1;
    check_direct_with_signs_only(A);
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
      CHECK(!TwoLevel::with_stage(A, Params{}, report));
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
    CHECK(direct(A, report));
    CHECK(!direct(A, report, MatrixKind::symmetric, Direct::Cost::small));
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

TEST_CASE("without a library the reason is told") {
  if (!factor_backends(MatrixKind::symmetric).empty()) return;
  CHECK_THROWS_AS(Preconditioner<double>(grid({9}), with_signs(precond::Method::direct)), Singular);
  const Preconditioner<double> M(shifted(grid({30, 30}), -0.3), with_signs());
  CHECK(M.report().reason.find("SuperLU") != std::string::npos);
}
