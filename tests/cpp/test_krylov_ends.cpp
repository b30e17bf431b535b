#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "krylov_dense.hpp"

using namespace pympf;
using namespace pympf::krylov_test;

// ---- ends of a run

TEST_CASE("b = 0 gives x = 0 at once, whatever the guess") {
  const Dense A = random_spd(5);
  for (Method method : kAll) {
    const auto [result, x] =
        run(A.as_operator(), Vector(5), {.method = method}, nullptr, Vector(5, 9.0));
    CHECK(result.converged);
    CHECK(result.reason == Reason::converged_atol);
    CHECK(result.iterations == 0);
    CHECK(result.history == Vector{0});
    CHECK(result.true_residual == 0);
    CHECK(x == Vector(5));
  }
}

TEST_CASE("a guess that solves the system is returned as it came") {
  const Dense A = random_spd(8);
  const Vector x0 = random_vector(8), b = A * x0;
  for (Method method : kAll) {
    const auto [result, x] = run(A.as_operator(), b, {.method = method}, nullptr, x0);
    CHECK(result.converged);
    CHECK(result.iterations == 0);
    CHECK(x == x0);
  }
}

TEST_CASE("the absolute tolerance counts where it is the larger") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    const auto result =
        run(A.as_operator(), b, {.method = method, .rtol = 1e-12, .atol = 1e-3}).result;
    CHECK(result.reason == Reason::converged_atol);
    CHECK(result.history.back() <= 1e-3);
    CHECK(*(result.history.end() - 2) > 1e-3);
  }
}

TEST_CASE("the number of iterations is limited") {
  const Dense A = random_spd(40);
  for (Method method : kAll) {
    for (int limit : {0, 1, 7}) {
      CAPTURE(name(method));
      const auto [result, x] = run(A.as_operator(), random_vector(40),
                                   {.method = method, .max_iterations = limit, .restart = 3});
      CHECK(result.reason == Reason::diverged_max_iterations);
      CHECK_FALSE(result.converged);
      CHECK(result.iterations == limit);
      CHECK(result.history.size() == limit + 1u);
      CHECK(result.true_residual == doctest::Approx(relative_residual(A, random_vector(40), x)));
    }
  }
}

TEST_CASE("minres ends at the guess when its residual has grown: M hardly sees the second row") {
  Dense A(2);
  A.entries = {1, 3, 3, 1};
  const Dense P = diagonal(Vector{1, 1e-4});
  const Operator<double> M = P.as_operator();
  for (const Vector& x0 : {Vector{0, 0}, Vector{5, -7}}) {
    const Vector b = plus(A * x0, 1, Vector{1, 0});
    double grown = 0;
    const auto watch = [&](int, double residual_norm, const double*) {
      grown = residual_norm;
      return false;
    };
    KrylovParams params{.method = Method::minres, .max_iterations = 1};
    const auto [result, x] = run(A.as_operator(), b, params, &M, x0, watch);
    CHECK(grown > 2.9);
    CHECK(result.reason == Reason::diverged_residual_grew);
    CHECK_FALSE(result.converged);
    CHECK(x == x0);
    CHECK(result.iterations == 1);
    CHECK(result.history.back() == doctest::Approx(1));
    CHECK(result.true_residual == doctest::Approx(1 / norm(b)));
    params.max_iterations = 2;
    CHECK(run(A.as_operator(), b, params, &M, x0).result.converged);
    params.max_iterations = 1;
    params.method = Method::cg;
    CHECK(run(random_spd(2).as_operator(), b, params, &M, x0).result.reason ==
          Reason::diverged_max_iterations);
  }
}

TEST_CASE("an x that meets the tolerance has converged, whatever ended the run") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  int cases = 0;
  for (int limit = 1; limit < 20; ++limit) {
    double recurrence = 0;
    const auto watch = [&](int, double residual_norm, const double*) {
      recurrence = residual_norm;
      return false;
    };
    const KrylovParams limited{.method = Method::cg, .max_iterations = limit};
    const double norm_of_x =
        run(A.as_operator(), b, limited, nullptr, {}, watch).result.history.back();
    if (recurrence <= norm_of_x) continue;  // else the recurrence misses what x meets, by rounding
    ++cases;
    KrylovParams params = limited;
    params.atol = norm_of_x;
    CHECK(run(A.as_operator(), b, params).result.reason == Reason::converged_atol);
  }
  CHECK(cases > 0);
}

TEST_CASE("no fresh start after the last iteration allowed") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30), far(30, 1e9);
  for (Method method : kAll) {
    CAPTURE(name(method));
    KrylovParams params{.method = method, .rtol = 1e-10, .restart = 0};
    int first_claim = 0;
    const auto watch = [&](int iteration, double residual_norm, const double*) {
      if (first_claim == 0 && residual_norm <= 1e-10 * norm(b)) first_claim = iteration;
      return false;
    };
    const auto unlimited = run(A.as_operator(), b, params, nullptr, far, watch).result;
    REQUIRE(unlimited.iterations > first_claim);
    params.max_iterations = first_claim;
    const auto limited = run(A.as_operator(), b, params, nullptr, far).result;
    CHECK(limited.reason == Reason::diverged_max_iterations);
    CHECK(limited.iterations == first_claim);
  }
}

TEST_CASE("the callback sees the history, and x where it is formed") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    Vector seen;
    const bool every_iterate = method != Method::gmres && method != Method::fgmres;
    const auto watch = [&](int iteration, double residual_norm, const double* x) {
      CHECK(iteration == static_cast<int>(seen.size()));
      CHECK((x != nullptr) == (every_iterate || iteration == 0));
      if (x) {
        CHECK(residual_norm ==
              doctest::Approx(norm(plus(b, -1, A * Vector(x, x + 30)))).epsilon(1e-6));
      }
      seen.push_back(residual_norm);
      return false;
    };
    const auto result = run(A.as_operator(), b, {.method = method}, nullptr, {}, watch).result;
    REQUIRE(seen.size() == result.history.size());
    for (std::size_t k = 0; k < seen.size(); ++k) {
      CHECK(result.history[k] == doctest::Approx(seen[k]).epsilon(1e-5));
    }
  }
}

TEST_CASE("the callback stops the run, with the iterate of that moment") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    for (int last : {0, 4}) {
      const auto [result, x] =
          run(A.as_operator(), b, {.method = method}, nullptr, {},
              [&](int iteration, double, const double*) { return iteration == last; });
      CHECK(result.reason == Reason::stopped_by_callback);
      CHECK_FALSE(result.converged);
      CHECK(result.iterations == last);
      CHECK(result.history.back() == doctest::Approx(relative_residual(A, b, x) * norm(b)));
      CHECK((result.true_residual < 1) == (last > 0));
    }
  }
}

TEST_CASE("an exception of an operator or of the callback reaches the caller") {
  const Operator<double> A = [](const double*, double*) { throw std::runtime_error("lost"); };
  const Dense B = random_spd(3);
  for (Method method : kAll) {
    CHECK_THROWS_WITH(run(A, Vector(3, 1.0), {.method = method}), "lost");
    CHECK_THROWS_WITH(
        run(B.as_operator(), Vector(3, 1.0), {.method = method}, nullptr, {},
            [](int, double, const double*) -> bool { throw std::runtime_error("no"); }),
        "no");
  }
}

// ---- refused input

TEST_CASE("refused input") {
  const Dense A = random_spd(2);
  const Operator<double> op = A.as_operator(), empty;
  const Vector b{1, 1};
  const auto refused = [](const auto& call, const char* text) {
    CHECK_THROWS_WITH_AS(call(), doctest::Contains(text), InvalidArgument);
  };
  refused([&] { run(op, {}, {}); }, "0 unknowns; expected at least 1");
  refused([&] { run(empty, b, {}); }, "must be callable");
  refused([&] { run(op, b, {}, &empty); }, "must be callable");
  refused([&] { run(op, {1, kNan}, {}); }, "b has entries that are NaN or infinite");
  refused([&] { run(op, {1, kInfinity}, {}); }, "b has entries that are NaN or infinite");
  refused([&] { run(op, b, {}, nullptr, {kNan, 0}); }, "initial guess has entries that are NaN");
  refused([&] { run(op, b, {.rtol = 1}); }, "rtol: expected a number in [0, 1), got 1");
  refused([&] { run(op, b, {.rtol = -1e-3}); }, "rtol");
  refused([&] { run(op, b, {.rtol = kNan}); }, "rtol");
  refused([&] { run(op, b, {.atol = -1}); }, "atol: expected a finite number >= 0, got -1");
  refused([&] { run(op, b, {.atol = kInfinity}); }, "atol");
  refused([&] { run(op, b, {.max_iterations = -1}); },
          "max_iterations: expected at least 0, got -1");
  refused([&] { run(op, b, {.restart = -1}); }, "restart: expected at least 1, or 0 for never");
  refused([&] { run(op, b, {.method = Method::fgmres, .side = Side::left}); }, "'gmres' only");
  refused([&] { run(op, b, {.method = static_cast<Method>(77)}); }, "77");
}

TEST_CASE("names") {
  for (Method method : kAll) CHECK(method_from_name(name(method)) == method);
  for (Side side : {Side::right, Side::left}) CHECK(side_from_name(name(side)) == side);
  CHECK_THROWS_WITH_AS(
      method_from_name("bicg"),
      "method: expected one of 'cg', 'fcg', 'minres', 'gmres', 'fgmres', 'bicgstab'; got 'bicg'",
      InvalidArgument);
  CHECK_THROWS_AS(side_from_name(""), InvalidArgument);
  for (int k = 0; k <= static_cast<int>(Reason::stopped_by_callback); ++k) {
    CHECK(std::string_view(name(static_cast<Reason>(k))).size() > 8);
  }
}
