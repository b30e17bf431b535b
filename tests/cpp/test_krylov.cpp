#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "krylov_dense.hpp"

using namespace pympf;
using namespace pympf::krylov_test;

// ---- solutions

TEST_CASE("all methods find the solution of an SPD system, with and without preconditioner") {
  const Dense A = random_spd(40), P = some_preconditioner(40);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(40), x = dense_solve(A, b);
  for (Method method : kAll) {
    for (const Operator<double>* preconditioner : {(const Operator<double>*)nullptr, &M}) {
      for (const Vector& x0 : {Vector(40), random_vector(40, 3)}) {
        CAPTURE(name(method));
        const auto [result, y] =
            run(A.as_operator(), b, {.method = method, .rtol = 1e-12, .restart = 0}, preconditioner,
                x0);
        CHECK(result.converged);
        CHECK(result.reason == Reason::converged_rtol);
        CHECK(result.true_residual <= 1e-11);
        CHECK(result.true_residual == doctest::Approx(relative_residual(A, b, y)).epsilon(1e-2));
        CHECK(result.history.size() == result.iterations + 1u);
        CHECK(result.history.front() == doctest::Approx(norm(plus(b, -1, A * x0))));
        CHECK(norm(plus(x, -1, y)) <= 1e-10 * norm(x));
      }
    }
  }
}

TEST_CASE("as many iterations as the matrix has distinct eigenvalues") {
  Vector d(24);
  for (Index i = 0; i < 24; ++i) d[i] = Vector{1, 2, 5, 9}[i % 4];
  const Dense A = symmetric(d);
  for (Method method : kAll) {
    CAPTURE(name(method));
    const auto [result, x] =
        run(A.as_operator(), random_vector(24), {.method = method, .rtol = 1e-10});
    CHECK(result.converged);
    CHECK(result.iterations == 4);
  }
}

TEST_CASE("at most n iterations") {
  const Dense spd = random_spd(20), indefinite = random_indefinite(20);
  const Dense nonsymmetric = random_nonsymmetric(20);
  const std::pair<Method, const Dense*> cases[] = {{Method::cg, &spd},
                                                   {Method::minres, &spd},
                                                   {Method::minres, &indefinite},
                                                   {Method::gmres, &indefinite},
                                                   {Method::gmres, &nonsymmetric},
                                                   {Method::fgmres, &nonsymmetric}};
  for (const auto& [method, A] : cases) {
    CAPTURE(name(method));
    const auto [result, x] =
        run(A->as_operator(), random_vector(20), {.method = method, .rtol = 1e-9, .restart = 0});
    CHECK(result.converged);
    CHECK(result.iterations <= 20);
    CHECK(relative_residual(*A, random_vector(20), x) <= 1e-8);
  }
}

TEST_CASE("one unknown takes one iteration") {
  const Dense A = diagonal({4});
  for (Method method : kAll) {
    CAPTURE(name(method));
    const auto [result, x] = run(A.as_operator(), {2}, {.method = method, .rtol = 0});
    CHECK(result.converged);
    CHECK(result.iterations == 1);
    CHECK(x[0] == 0.5);
  }
}

// ---- optimality

TEST_CASE("cg minimizes the A-norm of the error over the Krylov space") {
  const Index n = 16;
  const Dense A = random_spd(n), P = some_preconditioner(n);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(n), x0 = random_vector(n, 1), r0 = plus(b, -1, A * x0);
  std::vector<Vector> iterates;
  run(A.as_operator(), b, {.method = Method::cg, .max_iterations = 6}, &M, x0,
      [&](int, double, const double* x) {
        iterates.emplace_back(x, x + n);
        return false;
      });
  REQUIRE(iterates.size() == 7);
  for (int k = 1; k <= 6; ++k) {  // Galerkin: V^T A V y = V^T r0
    const auto V = krylov_basis(P * A, P * r0, k);
    Dense G(k);
    Vector rhs(k), best = x0;
    for (int i = 0; i < k; ++i) {
      rhs[i] = dot(V[i], r0);
      for (int j = 0; j < k; ++j) G(i, j) = dot(V[i], A * V[j]);
    }
    const Vector y = dense_solve(G, rhs);
    for (int i = 0; i < k; ++i) best = plus(best, y[i], V[i]);
    CHECK(norm(plus(best, -1, iterates[k])) <= 1e-11 * norm(best));
  }
}

TEST_CASE("minres minimizes the M-norm of the residual over the Krylov space") {
  const Index n = 16;
  const Dense A = random_indefinite(n), P = some_preconditioner(n);
  Vector root(n);
  for (Index i = 0; i < n; ++i) root[i] = std::sqrt(P(i, i));
  const Dense S = diagonal(root);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(n), x0 = random_vector(n, 1), r0 = plus(b, -1, A * x0);
  const auto check = [&](int k, double residual_norm, const double* x) {
    const Vector r = plus(b, -1, A * Vector(x, x + n));
    CHECK(residual_norm == doctest::Approx(norm(r)).epsilon(1e-10));  // the 2-norm in the history
    if (k > 0) {
      CHECK(norm(S * r) == doctest::Approx(smallest_residual(S * A * S, S * r0, k)).epsilon(1e-10));
    }
    return false;
  };
  run(A.as_operator(), b, {.method = Method::minres, .max_iterations = 8}, &M, x0, check);
}

TEST_CASE("gmres minimizes the residual from the right, the preconditioned one from the left") {
  const Index n = 16;
  const Dense A = random_nonsymmetric(n), P = random_nonsymmetric(n);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(n), x0 = random_vector(n, 1), r0 = plus(b, -1, A * x0);
  const auto right =
      run(A.as_operator(), b, {.method = Method::gmres, .max_iterations = 8}, &M, x0).result;
  const auto flexible =
      run(A.as_operator(), b, {.method = Method::fgmres, .max_iterations = 8}, &M, x0).result;
  const auto left = run(A.as_operator(), b,
                        {.method = Method::gmres, .max_iterations = 8, .side = Side::left}, &M, x0)
                        .result;
  CHECK(left.history[0] == doctest::Approx(norm(P * r0)));
  for (int k = 1; k <= 8; ++k) {
    const double best = smallest_residual(A * P, r0, k);
    CHECK(right.history[k] == doctest::Approx(best).epsilon(1e-10));
    CHECK(flexible.history[k] == doctest::Approx(best).epsilon(1e-10));
    CHECK(left.history[k] == doctest::Approx(smallest_residual(P * A, P * r0, k)).epsilon(1e-10));
  }
}

TEST_CASE("minres and full gmres are the same method on a symmetric matrix") {
  const Dense A = random_indefinite(30);
  const Vector b = random_vector(30);
  const auto minres = run(A.as_operator(), b, {.method = Method::minres, .rtol = 1e-6}).result;
  const auto gmres =
      run(A.as_operator(), b, {.method = Method::gmres, .rtol = 1e-6, .restart = 0}).result;
  CHECK(minres.iterations == gmres.iterations);
  for (int k = 0; k <= gmres.iterations; ++k) {
    CHECK(minres.history[k] == doctest::Approx(gmres.history[k]).epsilon(1e-6));
  }
}

// ---- gmres

TEST_CASE(
    "left-preconditioned gmres stops on the preconditioned residual and reports the true one") {
  const Index n = 30;
  const Dense A = random_nonsymmetric(n);
  Vector d(n);
  for (Index i = 0; i < n; ++i) d[i] = std::pow(10.0, -(i % 5));
  const Dense P = diagonal(d);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(n);
  const auto [result, x] =
      run(A.as_operator(), b, {.method = Method::gmres, .rtol = 1e-3, .side = Side::left}, &M);
  CHECK(result.converged);
  const Vector r = plus(b, -1, A * x);
  CHECK(norm(P * r) <= 1e-3 * norm(P * b) * (1 + 1e-9));
  CHECK(result.history.back() == doctest::Approx(norm(P * r)));
  CHECK(result.true_residual == doctest::Approx(norm(r) / norm(b)));
}

TEST_CASE("without a preconditioner the side does not matter") {
  const Dense A = random_nonsymmetric(12);
  const Vector b = random_vector(12);
  const auto right = run(A.as_operator(), b, {.method = Method::gmres});
  const auto left = run(A.as_operator(), b, {.method = Method::gmres, .side = Side::left});
  CHECK(right.x == left.x);
  CHECK(right.result.history == left.result.history);
}

TEST_CASE("restarted gmres converges more slowly, its residual never grows") {
  const Dense A = random_spd(40);
  const Vector b = random_vector(40);
  const auto full = run(A.as_operator(), b, {.method = Method::gmres, .restart = 0}).result;
  const auto restarted = run(A.as_operator(), b, {.method = Method::gmres, .restart = 5}).result;
  CHECK(full.converged);
  CHECK(restarted.converged);
  CHECK(restarted.iterations > full.iterations);
  for (std::size_t k = 1; k < restarted.history.size(); ++k) {
    CHECK(restarted.history[k] <= restarted.history[k - 1] * (1 + 1e-12));
  }
  for (int k = 0; k <= 5; ++k) {
    CHECK(restarted.history[k] == doctest::Approx(full.history[k]).epsilon(1e-12));
  }
}

TEST_CASE("a restart that gains nothing is reported: the cyclic shift") {
  const Index n = 20;
  Dense A(n);
  for (Index i = 0; i < n; ++i) A((i + 1) % n, i) = 1;
  Vector b(n);
  b[0] = 1;
  for (Method method : {Method::gmres, Method::fgmres}) {
    const auto restarted = run(A.as_operator(), b, {.method = method, .restart = 10}).result;
    CHECK(restarted.reason == Reason::diverged_stagnated);
    CHECK_FALSE(restarted.converged);
    CHECK(restarted.iterations == 10);
    CHECK(restarted.true_residual == doctest::Approx(1));
    const auto full = run(A.as_operator(), b, {.method = method, .restart = 0}).result;
    CHECK(full.converged);
    CHECK(full.iterations == n);
  }
}

TEST_CASE("the basis stays orthogonal on an ill-conditioned matrix") {
  // With plain Gram-Schmidt the recurrence would drift away from the true residual.
  Vector d(60);
  for (Index i = 0; i < 60; ++i) d[i] = std::pow(10.0, -i / 6.0);
  const Dense A = symmetric(d);
  int calls = 0;
  const Operator<double> counted = [&](const double* x, double* y) {
    ++calls;
    A.as_operator()(x, y);
  };
  const auto [result, x] =
      run(counted, A * random_vector(60), {.method = Method::gmres, .rtol = 1e-12, .restart = 0});
  CHECK(result.converged);
  CHECK(result.true_residual <= 2e-12);
  CHECK(calls == result.iterations + 1);  // one cycle: no restart was needed
}

static Operator<double> changing(Index n) {
  return [n, calls = 0](const double* r, double* z) mutable {
    ++calls;
    for (Index i = 0; i < n; ++i) z[i] = r[i] * (1 + (i + calls) % 3);
  };
}

TEST_CASE("fgmres takes a preconditioner that changes; gmres does not claim to have converged") {
  const Index n = 60;
  const Dense A = random_spd(n);
  const Vector b = random_vector(n);
  const Operator<double> M = changing(n);
  const auto [flexible, x] =
      run(A.as_operator(), b, {.method = Method::fgmres, .rtol = 1e-10, .restart = 20}, &M);
  CHECK(flexible.converged);
  CHECK(relative_residual(A, b, x) <= 1e-9);
  const auto [rigid, y] =
      run(A.as_operator(), b,
          {.method = Method::gmres, .rtol = 1e-10, .max_iterations = 200, .restart = 20}, &M);
  CHECK(rigid.true_residual == doctest::Approx(relative_residual(A, b, y)).epsilon(1e-3));
  CHECK(rigid.converged == (rigid.true_residual <= kDrift * 1e-10));
}

TEST_CASE("fcg with a fixed preconditioner takes the steps of cg") {
  const Index n = 60;
  const Dense A = random_spd(n);
  const Vector b = random_vector(n);
  const Operator<double> M = [&](const double* r, double* z) {
    for (Index i = 0; i < n; ++i) z[i] = r[i] / A(i, i);
  };
  for (const Operator<double>* preconditioner :
       {static_cast<const Operator<double>*>(nullptr), &M}) {
    const KrylovParams few{.rtol = 0, .max_iterations = 15};
    KrylovParams flexible = few;
    flexible.method = Method::fcg;
    const auto [rigid, x] = run(A.as_operator(), b, few, preconditioner);
    const auto [varying, y] = run(A.as_operator(), b, flexible, preconditioner);
    REQUIRE(varying.history.size() == rigid.history.size());
    for (std::size_t k = 0; k < rigid.history.size(); ++k)
      CHECK(varying.history[k] == doctest::Approx(rigid.history[k]).epsilon(1e-6));
  }
}

TEST_CASE("fcg takes a preconditioner that changes") {
  const Index n = 60;
  const Dense A = random_spd(n);
  const Vector b = random_vector(n);
  const Operator<double> M = changing(n);
  const auto [result, x] = run(A.as_operator(), b, {.method = Method::fcg, .rtol = 1e-10}, &M);
  CHECK(result.converged);
  CHECK(relative_residual(A, b, x) <= 1e-9);
}
