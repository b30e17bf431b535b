// Matrices that are not symmetric: incomplete LU, levels of two sides, what auto takes, BiCGStab.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/la/symmetry.hpp"
#include "pympf/precond/levels/petrov.hpp"
#include "pympf/precond/preconditioner.hpp"

using namespace pympf;
using namespace pympf::precond;

namespace {

constexpr double epsilon = std::numeric_limits<double>::epsilon();
using Vector = std::vector<double>;

// -Laplace u + v . grad u on n x n cells with upwind differences; v of size `speed` turns around
// the middle.
Csr<double> recirculation(Index n, double speed) {
  const double h = 1.0 / (n + 1);
  Csr<double> A{n * n, n * n, {0}, {}, {}};
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) {
      const double x = (i + 1) * h, y = (j + 1) * h;
      const double u = speed * 4 * x * (x - 1) * (1 - 2 * y);
      const double v = -speed * 4 * y * (y - 1) * (1 - 2 * x);
      const auto add = [&](bool inside, Index column, double flow) {
        if (!inside) return;
        A.indices.push_back(column);
        A.data.push_back(-1 / (h * h) - std::max(flow, 0.0) / h);
      };
      const Index row = i * n + j;
      add(i > 0, row - n, u);
      add(j > 0, row - 1, v);
      A.indices.push_back(row);
      A.data.push_back(4 / (h * h) + (std::abs(u) + std::abs(v)) / h);
      add(j + 1 < n, row + 1, -v);
      add(i + 1 < n, row + n, -u);
      A.indptr.push_back(static_cast<Index>(A.data.size()));
    }
  return A;
}

Vector random_vector(Index n, std::uint64_t seed = 7) {
  Vector x(n);
  Random random(seed, 0, 0);
  for (double& v : x) v = random.below(2'000'001) / 1e6 - 1;
  return x;
}

DistRows<double> general(const Csr<double>& A) {
  DistRows<double> rows(A);
  rows.general = true;
  return with_symmetric_pattern(rows);
}

Operator<double> product(const Csr<double>& A) {
  return [&A](const double* x, double* y) { spmv(A.view(), x, y); };
}

KrylovResult solve_with(const Csr<double>& A, const Operator<double>& M, pympf::Method method) {
  const Vector b = random_vector(A.rows);
  Vector x(A.rows, 0);
  KrylovParams params;
  params.method = method;
  params.max_iterations = 200;
  return solve<double>(product(A), M ? &M : nullptr, A.rows, b.data(), x.data(), params);
}

double error_of(const Vector& x, const Vector& y) {
  double most = 0, size = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    most = std::max(most, std::abs(x[i] - y[i]));
    size = std::max(size, std::abs(y[i]));
  }
  return most / size;
}

Vector times(const Csr<double>& A, const Vector& x) {
  Vector y(A.rows);
  spmv(A.view(), x.data(), y.data());
  return y;
}

}  // namespace

TEST_CASE("a complete LU by rows is the inverse, and so is its transpose") {
  for (const Index n : {13, 40, 60}) {  // one piece of waves, two, row after row
    const Csr<double> A = recirculation(n, 500);
    const Ilut<double> factor(A, IlutRule::complete());
    const Vector x = random_vector(A.rows);
    Vector y = times(A, x);
    factor.solve(y.data());
    CHECK(error_of(y, x) < 1e4 * epsilon);
    y = times(transpose(A.view()), x);
    factor.solve_transposed(y.data());
    CHECK(error_of(y, x) < 1e4 * epsilon);
    CHECK(factor.pivots_replaced() == 0);
  }
}

TEST_CASE("an incomplete LU keeps what its rule allows") {
  const Csr<double> A = recirculation(20, 300);
  const Ilut<double> pattern(A, IlutRule::zero_fill());
  CHECK(pattern.nnz() == static_cast<std::size_t>(A.nnz()));
  const Ilut<double> none(A, {10, 0, false}), some(A, {0.01, 1, false}), more(A, {1e-4, 8, false});
  CHECK(none.nnz() == static_cast<std::size_t>(A.rows));
  CHECK(some.nnz() <= static_cast<std::size_t>(A.nnz() + 2 * A.rows));
  CHECK(more.nnz() > some.nnz());
  CHECK(more.work() > some.work());
}

TEST_CASE("a pivot that vanishes is replaced, and a limit of entries is kept") {
  const Csr<double> A{2, 2, {0, 1, 3}, {1, 0, 1}, {1, 1, 0}};  // zeros on the diagonal
  const Ilut<double> factor(A, IlutRule::zero_fill());
  CHECK(factor.pivots_replaced() >= 1);
  Vector x{1, 1};
  factor.solve(x.data());
  CHECK(std::isfinite(x[0] + x[1]));
  CHECK_THROWS_AS(Ilut<double>(recirculation(20, 1), IlutRule::complete(), 1000), InvalidArgument);
}

TEST_CASE("a sparse LU of a level solves with A and with its transpose") {
  const Csr<double> A = recirculation(17, 2000);
  CoarsePlan plan(A, "auto", 1e9);
  const auto lu = CoarseLu::factor(plan);
  REQUIRE(lu);
  const Vector x = random_vector(A.rows);
  Vector work(A.rows), y = times(A, x);
  lu->solve(y.data(), work.data());
  CHECK(error_of(y, x) < 1e4 * epsilon);
  y = times(transpose(A.view()), x);
  lu->solve_transposed(y.data(), work.data());
  CHECK(error_of(y, x) < 1e4 * epsilon);
}

TEST_CASE("functions of both sides keep their near-nullspaces") {
  // Rows of A and columns sum to zero: A = I - P of a walk that is doubly stochastic.
  const Index n = 400;
  Csr<double> A{n, n, {0}, {}, {}};
  for (Index i = 0; i < n; ++i) {
    std::vector<std::pair<Index, double>> row{{i, 1.0}, {(i + 1) % n, -0.7}, {(i + 20) % n, -0.3}};
    std::sort(row.begin(), row.end());
    for (const auto& [j, v] : row) A.indices.push_back(j), A.data.push_back(v);
    A.indptr.push_back(static_cast<Index>(A.data.size()));
  }
  Csr<double> At = transpose(A.view());
  NearNullspace ones{1, Vector(n, 1.0)};
  const Clustering clusters =
      cluster(couplings(general(A).rows, ones.values.data(), 1), Shape::star, 0.1, 8);
  const Rotated Q = rotate(ones, clusters, 1);
  for (const Csr<double>* side : {&std::as_const(A), &std::as_const(At)}) {
    const Csr<double> P = lifted_prolongation(*side, ones, Q, clusters, 1, Params());
    CHECK(error_of(times(P, Q.coarse.values), ones.values) < 100 * epsilon);
  }
}

TEST_CASE("levels contract at every speed, and their transpose is the transpose") {
  for (const double speed : {1.0, 1e2, 1e4}) {
    const Csr<double> A = recirculation(96, speed);
    Report report;
    const auto levels = build_petrov<double>(general(A), {}, {}, 1, Params(), {}, report);
    CHECK(report.levels.size() >= 2);
    PetrovSpace<double> space(levels);
    const Operator<double> M = [&](const double* r, double* z) {
      apply(levels, false, r, z, space);
    };
    for (const auto method : {pympf::Method::gmres, pympf::Method::bicgstab}) {
      const auto result = solve_with(A, M, method);
      CHECK(result.converged);
      CHECK(result.iterations <= 12);
      CHECK(result.true_residual <= 1e-7);
    }
    const Vector r = random_vector(A.rows, 1), s = random_vector(A.rows, 2);
    Vector Mr(A.rows), Ms(A.rows);
    apply(levels, false, r.data(), Mr.data(), space);
    apply(levels, true, s.data(), Ms.data(), space);
    const double left = dot(A.rows, s.data(), Mr.data()), right = dot(A.rows, Ms.data(), r.data());
    CHECK(std::abs(left - right) <=
          1e4 * epsilon * norm(A.rows, s.data()) * norm(A.rows, Mr.data()));
  }
}

TEST_CASE("a level whose factor grows without bound is made again with less lifting") {
  const Csr<double> A = recirculation(512, 1e4);
  PetrovRules rules;
  rules.most_lu_work = rules.most_lu_work_in_need = 2;  // else an LU comes before that level
  Params params;
  params.truncation = 0.04;  // by default no level of this flow breaks
  Report report;
  const auto levels = build_petrov<double>(general(A), {}, {}, 1, params, rules, report);
  CHECK(levels.remedy.find("lifted less") != std::string::npos);
  PetrovSpace<double> space(levels);
  const auto result = solve_with(
      A, [&](const double* r, double* z) { apply(levels, false, r, z, space); },
      pympf::Method::gmres);
  CHECK(result.converged);
  CHECK(result.iterations <= 16);
}

TEST_CASE("one level with a sparse LU solves in one step") {
  const Csr<double> A = recirculation(40, 1e3);
  Params params;
  params.method = precond::Method::direct;
  const Preconditioner<double> M(general(A), params);
  CHECK(M.report().method == "direct");
  const auto result = solve_with(
      A, [&](const double* r, double* z) { M.apply(r, z); }, pympf::Method::gmres);
  CHECK(result.iterations == 1);
  const Vector r = random_vector(A.rows, 1), s = random_vector(A.rows, 2);
  Vector Mr(A.rows), Ms(A.rows);
  M.apply(r.data(), Mr.data());
  M.apply_transpose({A.rows, {s.data()}}, {A.rows, {Ms.data()}});
  const double left = dot(A.rows, s.data(), Mr.data()), right = dot(A.rows, Ms.data(), r.data());
  CHECK(std::abs(left - right) <= 1e5 * epsilon * norm(A.rows, s.data()) * norm(A.rows, Mr.data()));
}

TEST_CASE("auto says what it took and why") {
  const auto choice = [](const Csr<double>& A) {
    const Preconditioner<double> M(general(A), {});
    CHECK(!M.report().symmetric);
    return M.report().method + ": " + M.report().reason;
  };
  CHECK(choice(recirculation(96, 1e3)).find("multilevel: not symmetric, M-matrix-like") == 0);
  // A downwind chain is lower triangular: ILU(0) is exact.
  Csr<double> chain{3000, 3000, {0}, {}, {}};
  for (Index i = 0; i < chain.rows; ++i) {
    if (i > 0) chain.indices.push_back(i - 1), chain.data.push_back(-1);
    chain.indices.push_back(i), chain.data.push_back(2);
    chain.indptr.push_back(static_cast<Index>(chain.data.size()));
  }
  CHECK(choice(chain).find("ilu: ILU(0) alone") == 0);
  // A permuted diagonally dominant matrix needs the matching.
  Csr<double> permuted = recirculation(30, 100);
  for (Index& j : permuted.indices) j = (j * 7 + 11) % permuted.cols;
  const Csr<double> sorted = transpose(transpose(permuted.view()).view());
  CHECK(choice(sorted).find("direct: not symmetric: matching, scaling and a sparse LU") == 0);
}

TEST_CASE("a singular matrix is named, and direct refuses it") {
  Csr<double> A = recirculation(20, 10);
  for (Index p = A.indptr[7]; p < A.indptr[8]; ++p) A.data[p] = 0;
  const Preconditioner<double> M(general(A), {});
  CHECK(M.report().reason.find("A is structurally singular") != std::string::npos);
  Params direct;
  direct.method = precond::Method::direct;
  CHECK_THROWS_AS(Preconditioner<double>(general(A), direct), Singular);
}

TEST_CASE("what only symmetric matrices have is refused for others") {
  const Csr<double> A = recirculation(20, 10);
  Params params;
  params.cycle = CycleKind::w;
  CHECK_THROWS_AS(Preconditioner<double>(general(A), params), InvalidArgument);
  params = {};
  params.smoother = SmootherKind::chebyshev;
  CHECK_THROWS_AS(Preconditioner<double>(general(A), params), InvalidArgument);
  params = {};
  params.method = precond::Method::two_level;
  CHECK_THROWS_AS(Preconditioner<double>(general(A), params), InvalidArgument);
  CHECK_THROWS_AS(Preconditioner<double>(general(A), {}, {1, Vector(3, 1.0)}), InvalidArgument);
}

TEST_CASE("new values on the same pattern, and a choice that no longer holds") {
  const Csr<double> A = recirculation(80, 1e2);
  Preconditioner<double> M(general(A), {});
  const auto iterations = [&](const Csr<double>& B) {
    return solve_with(
               B, [&](const double* r, double* z) { M.apply(r, z); }, pympf::Method::gmres)
        .iterations;
  };
  const int before = iterations(A);
  Csr<double> B = A;
  for (double& v : B.data) v *= 3;
  M.update(general(B));
  CHECK(iterations(B) <= before + 1);
  const Csr<double> faster = recirculation(80, 3e3);
  M.update(general(faster));
  CHECK(iterations(faster) <= 12);
  CHECK_THROWS_AS(M.update(general(recirculation(79, 1))), InvalidArgument);
  CHECK_THROWS_AS(M.update(DistRows<double>(A)), InvalidArgument);  // as if it were symmetric
}

TEST_CASE("the same bits on any number of threads") {
  const Csr<double> A = recirculation(150, 1e3);
  const Vector r = random_vector(A.rows);
  std::vector<Vector> results;
  for (const int threads : {1, 2, 4}) {
    const int before = thread_count();
    set_thread_count(threads);
    const Preconditioner<double> M(general(A), {});
    results.emplace_back(A.rows);
    M.apply(r.data(), results.back().data());
    set_thread_count(before);
  }
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("bicgstab without a preconditioner, from a guess, and where it breaks down") {
  const Csr<double> A = recirculation(12, 20);
  const auto result = solve_with(A, {}, pympf::Method::bicgstab);
  CHECK(result.converged);
  CHECK(result.history.size() == static_cast<std::size_t>(result.iterations) + 1);
  // r~^T A r = 0 in the first step: a rotation by a right angle.
  const Csr<double> turn{2, 2, {0, 1, 2}, {1, 0}, {1, -1}};
  Vector b{1, 0}, x{0, 0};
  KrylovParams params;
  params.method = pympf::Method::bicgstab;
  const auto broken = solve<double>(product(turn), nullptr, 2, b.data(), x.data(), params);
  CHECK(!broken.converged);
  CHECK(broken.reason == Reason::diverged_breakdown);
  CHECK(x == Vector{0, 0});
  CHECK(method_from_name("bicgstab") == pympf::Method::bicgstab);
}
