#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "krylov_dense.hpp"

using namespace pympf;
using namespace pympf::krylov_test;

// ---- honesty

TEST_CASE("converged speaks of the true residual, also where a method does not apply") {
  const Dense nonsymmetric = random_nonsymmetric(30), skewed = random_dense(30, 8);
  for (const Dense* A : {&nonsymmetric, &skewed}) {
    for (Method method : kAll) {
      for (double rtol : {1e-4, 1e-8, 1e-14}) {
        CAPTURE(name(method));
        CAPTURE(rtol);
        const Vector b = random_vector(30);
        const auto [result, x] =
            run(A->as_operator(), b, {.method = method, .rtol = rtol, .max_iterations = 300});
        CHECK(all_finite(x));
        if (result.converged) CHECK(relative_residual(*A, b, x) <= kDrift * rtol * (1 + 1e-3));
        CHECK(result.history.back() ==
              doctest::Approx(relative_residual(*A, b, x) * norm(b)).epsilon(1e-3));
      }
    }
  }
}

TEST_CASE("a recurrence that has drifted is replaced by the true residual") {
  // Rounding errors of the size of the guess, 1e9, stay behind in b - A x.
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    CAPTURE(name(method));
    int calls = 0;
    const Operator<double> counted = [&](const double* x, double* y) {
      ++calls;
      A.as_operator()(x, y);
    };
    const auto [result, x] =
        run(counted, b, {.method = method, .rtol = 1e-10, .restart = 0}, nullptr, Vector(30, 1e9));
    CHECK(result.converged);
    CHECK(relative_residual(A, b, x) <= 1e-9);
    CHECK(calls >= result.iterations + 3);  // the guess, the first claim, the last one
  }
}

TEST_CASE("fresh starts go on as long as they help: an operator of two digits inside the cycles") {
  const Index n = 20;
  const Dense A = random_spd(n);
  Dense sloppy = A;
  for (Index i = 0; i < n; ++i) sloppy(i, i) *= 1 + 0.02 * (i % 3);
  const Vector b = random_vector(n);
  for (Method method : kAll) {
    CAPTURE(name(method));
    Vector x(n);
    int fresh = 0;
    const Operator<double> mixed = [&](const double* v, double* y) {
      const bool exact = v == x.data();
      fresh += exact;
      (exact ? A : sloppy).as_operator()(v, y);
    };
    const auto result = solve(mixed, nullptr, n, b.data(), x.data(),
                              {.method = method, .rtol = 1e-10, .restart = 0});
    CHECK(result.converged);
    CHECK(relative_residual(A, b, x) <= 1e-9);
    CHECK(fresh >= 5);
  }
}

TEST_CASE("a tolerance that double precision cannot reach ends as stagnated, at the floor") {
  Vector d(30);
  for (Index i = 0; i < 30; ++i) d[i] = std::pow(10.0, -i / 5.0);
  const Dense A = symmetric(d);
  for (Method method : kAll) {
    for (double rtol : {0.0, 1e-30, 1e-17}) {
      CAPTURE(name(method));
      CAPTURE(rtol);
      const auto [result, x] =
          run(A.as_operator(), random_vector(30), {.method = method, .rtol = rtol, .restart = 0});
      CHECK(result.reason == Reason::diverged_stagnated);
      CHECK(result.true_residual < 1e-9);
      CHECK(result.iterations < 1000);
    }
  }
}

TEST_CASE("on a nearly singular matrix the best of the iterates comes back") {
  const Index n = 60;
  for (double shift : {1e-11, 1e-12}) {
    Dense A = path_laplacian(n);
    for (Index i = 0; i < n; ++i) A(i, i) += shift;
    const Vector b = plus(A * random_vector(n), 0.1, Vector(n, 1.0));
    for (Method method : kAll) {
      CAPTURE(name(method));
      CAPTURE(shift);
      Vector x(n), checked;  // norms of b - A x, where it was computed from x
      const Operator<double> watched = [&](const double* v, double* y) {
        A.as_operator()(v, y);
        if (v == x.data()) checked.push_back(norm(plus(b, -1, Vector(y, y + n))));
      };
      const auto result = solve(watched, nullptr, n, b.data(), x.data(),
                                {.method = method, .max_iterations = 3000, .restart = 0});
      CHECK(result.reason == Reason::diverged_stagnated);
      CHECK(result.true_residual < 0.02);
      CHECK(result.true_residual * norm(b) <= *std::ranges::min_element(checked) * (1 + 1e-12));
      CHECK(checked.size() <= 40);
    }
  }
}

// ---- breakdown

TEST_CASE("cg reports an operator or a preconditioner that is not positive definite") {
  const Dense spd = random_spd(20), indefinite = random_indefinite(20);
  const Vector b = random_vector(20);
  const auto [result, x] = run(indefinite.as_operator(), b, {.method = Method::cg});
  CHECK(result.reason == Reason::diverged_indefinite_operator);
  CHECK_FALSE(result.converged);
  CHECK(result.true_residual == doctest::Approx(relative_residual(indefinite, b, x)));

  const auto zero = run(Dense(20).as_operator(), b, {.method = Method::cg}).result;
  CHECK(zero.reason == Reason::diverged_indefinite_operator);
  CHECK(zero.iterations == 0);
}

TEST_CASE("cg and minres report a preconditioner that is not positive definite") {
  const Dense spd = random_spd(20), negative = diagonal(Vector(20, -1.0));
  const Dense mixed = diagonal(linspace(3, -1, 20)), zero(20);
  Dense skew(20);  // r^T M r = 0
  for (Index i = 0; i < 20; i += 2) {
    skew(i, i + 1) = 1;
    skew(i + 1, i) = -1;
  }
  for (Method method : {Method::cg, Method::minres}) {
    for (const Dense& P : {negative, mixed, zero, skew}) {
      CAPTURE(name(method));
      const Operator<double> M = P.as_operator();
      const auto [result, x] = run(spd.as_operator(), Vector(20, 1.0), {.method = method}, &M);
      CHECK(result.reason == Reason::diverged_indefinite_preconditioner);
      CHECK_FALSE(result.converged);
      CHECK(all_finite(x));
    }
  }
}

TEST_CASE("minres notices an indefinite preconditioner in the first step it shows") {
  const Dense A = diagonal({1, 2}), P = diagonal({1, -1});
  const Operator<double> M = P.as_operator();
  const auto [result, x] = run(A.as_operator(), {1, 0.5}, {.method = Method::minres}, &M);
  CHECK(result.reason == Reason::diverged_indefinite_preconditioner);
  CHECK(result.iterations == 0);
}

TEST_CASE("gmres breaks down where its space holds no solution") {
  Dense nilpotent(2);
  nilpotent(0, 1) = 1;  // A e_1 = 0, A e_2 = e_1
  for (Method method : {Method::gmres, Method::fgmres}) {
    for (const Dense& A : {Dense(2), nilpotent}) {
      const auto [result, x] = run(A.as_operator(), {1, 0}, {.method = method});
      CHECK(result.reason == Reason::diverged_breakdown);
      CHECK(result.iterations == 0);
      CHECK(result.true_residual == 1);
      CHECK(x == Vector{0, 0});
    }
  }
}

TEST_CASE("a singular preconditioner from the left does not converge on nothing") {
  const Dense A = random_spd(4), zero(4);
  const Operator<double> M = zero.as_operator();
  const auto [result, x] =
      run(A.as_operator(), Vector(4, 1.0), {.method = Method::gmres, .side = Side::left}, &M);
  CHECK_FALSE(result.converged);
  CHECK(result.reason == Reason::diverged_breakdown);
  CHECK(result.true_residual == 1);
}

TEST_CASE("singular consistent systems: the Laplacian of a path") {
  const Index n = 40;
  const Dense A = path_laplacian(n), P = some_preconditioner(n);
  const Operator<double> M = P.as_operator();
  const Vector solution = random_vector(n), b = A * solution;
  for (Method method : kAll) {
    for (const Operator<double>* preconditioner : {(const Operator<double>*)nullptr, &M}) {
      CAPTURE(name(method));
      const auto [result, x] =
          run(A.as_operator(), b, {.method = method, .rtol = 1e-10, .restart = 0}, preconditioner);
      CHECK(result.converged);
      CHECK(result.iterations <= n);
      const Vector error = plus(x, -1, solution);  // a constant
      CHECK(norm(plus(error, -error[0], Vector(n, 1.0))) <= 1e-7 * norm(solution));
    }
  }
}

TEST_CASE("singular inconsistent systems: minres and gmres stop at the least residual") {
  const Index n = 40;
  const Dense A = path_laplacian(n);
  const Vector b = plus(A * random_vector(n), 0.1, Vector(n, 1.0));
  const double least = 0.1 * std::sqrt(double(n)) / norm(b);
  for (Method method : {Method::minres, Method::gmres, Method::fgmres}) {
    CAPTURE(name(method));
    const auto [result, x] = run(A.as_operator(), b, {.method = method, .restart = 0});
    CHECK_FALSE(result.converged);
    if (method == Method::minres)
      CHECK(result.reason == Reason::diverged_inconsistent);
    else
      CHECK((result.reason == Reason::diverged_stagnated ||
             result.reason == Reason::diverged_breakdown));
    CHECK(result.iterations <= n + 2);
    CHECK(result.true_residual == doctest::Approx(least).epsilon(1e-6));
  }
}

TEST_CASE("cg ends a singular inconsistent system at the guess, not at an x that has run away") {
  const Index n = 40;
  const Dense A = path_laplacian(n);
  const Vector b = plus(A * random_vector(n), 0.1, Vector(n, 1.0));
  for (const Vector& x0 : {Vector(n), random_vector(n, 5)}) {
    const auto [result, x] = run(A.as_operator(), b, {.method = Method::cg}, nullptr, x0);
    CHECK(result.reason == Reason::diverged_breakdown);
    CHECK(result.iterations <= n + 2);
    CHECK(x == x0);
    CHECK(result.history.back() == result.history.front());
    CHECK(result.true_residual == doctest::Approx(relative_residual(A, b, x0)));
  }
}

TEST_CASE("a right-hand side in the null space is left alone") {
  const Index n = 40;
  const Dense zero(n), A = path_laplacian(n);
  for (const Dense* matrix : {&zero, &A}) {
    for (Method method : kAll) {
      CAPTURE(name(method));
      const auto [result, x] = run(matrix->as_operator(), Vector(n, 1.0), {.method = method});
      CHECK_FALSE(result.converged);
      CHECK(result.reason != Reason::diverged_max_iterations);
      CHECK(result.iterations == 0);
      CHECK(result.true_residual == 1);
      CHECK(x == Vector(n));
    }
  }
}

TEST_CASE("NaN in A or M ends with the last good iterate") {
  const Index n = 20;
  const Dense A = random_spd(n), P = some_preconditioner(n);
  for (Method method : kAll) {
    for (bool in_operator : {true, false}) {
      for (double poison : {kNan, kInfinity, -kInfinity}) {
        CAPTURE(name(method));
        CAPTURE(in_operator);
        const auto poisoned = [&](const Dense& matrix, bool bad) -> Operator<double> {
          return [&, bad, calls = 0](const double* x, double* y) mutable {
            matrix.as_operator()(x, y);
            if (bad && ++calls == 5) y[7] = poison;
          };
        };
        const Operator<double> M = poisoned(P, !in_operator);
        const auto [result, x] =
            run(poisoned(A, in_operator), random_vector(n), {.method = method}, &M);
        CHECK(result.reason == Reason::diverged_nan);
        CHECK_FALSE(result.converged);
        CHECK(result.iterations >= 3);
        CHECK(all_finite(x));
        CHECK(result.true_residual < 1);
        CHECK(result.true_residual == doctest::Approx(relative_residual(A, random_vector(n), x)));
      }
    }
  }
}

TEST_CASE("NaN in the correction of a gmres cycle leaves x as it was before the cycle") {
  const Dense A = random_spd(10), P = some_preconditioner(10);
  int calls = 0;
  const Operator<double> M = [&](const double* r, double* z) {
    P.as_operator()(r, z);
    if (++calls == 8) z[3] = kNan;  // 3 + 1 applications a cycle
  };
  const auto [result, x] =
      run(A.as_operator(), random_vector(10), {.method = Method::gmres, .restart = 3}, &M);
  CHECK(result.reason == Reason::diverged_nan);
  CHECK(result.iterations == 6);
  CHECK(all_finite(x));
  CHECK(result.true_residual == doctest::Approx(result.history[3] / result.history[0]));
}

TEST_CASE("an operator that gives nothing but NaN leaves the guess alone") {
  const Operator<double> A = [](const double*, double* y) { y[0] = y[1] = kNan; };
  for (Method method : kAll) {
    const auto [result, x] = run(A, {1, 2}, {.method = method}, nullptr, {3, 4});
    CHECK(result.reason == Reason::diverged_nan);
    CHECK(result.iterations == 0);
    CHECK(x == Vector{3, 4});
  }
}
