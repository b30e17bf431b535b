// The choice by predicted cost: offers, break-evens, and the bound of a solve that pays as it goes.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>

#include "precond_matrices.hpp"
#include "pympf/common/random.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/facts.hpp"
#include "pympf/precond/choice/pay_as_you_go.hpp"
#include "pympf/precond/choice/plan.hpp"
#include "pympf/precond/choice/smooth_look.hpp"
#include "pympf/precond/choice/unit_costs.hpp"

using namespace pympf;
using namespace pympf::precond;
using namespace pympf::test;

namespace {

struct Numbers {
  Random random;
  double between(double least, double most) {  // evenly in logarithms
    const double u = (static_cast<double>(random.next()) + 0.5) / 4294967296.0;
    return least * std::pow(most / least, u);
  }
};

// What a solve costs whose first offer needs `whole` in all, for which the plan promised
// `promised`, and the others `other` from any x; at each look forecast(left) is what the running
// method says that it needs yet.
template <class Forecasts>
double cost_of(double whole, double promised, double other, const Forecasts& forecast,
               bool is_long = false) {
  double spent = other / 100;
  for (; spent < whole; spent *= 1 + 1.0 / 8)
    if (is_left({spent, forecast(whole - spent), promised, other, other, is_long}))
      return spent + other;
  return whole;
}

Facts grid_facts() {
  Facts facts;
  facts.rows = 10000;
  facts.entries = 50000;
  return facts;
}

}  // namespace

TEST_CASE("no system costs more than twice its best offer and a look, whatever was promised") {
  Numbers numbers{Random(7, 1, 0)};
  for (int trial = 0; trial < 20000; ++trial) {
    const double whole = numbers.between(1, 1e4), other = numbers.between(1, 1e4);
    const double promised = numbers.between(other / 1e3, other);
    const double cost = cost_of(whole, promised, other,
                                [&](double left) { return left * numbers.between(0.5, 4); });
    CHECK(cost <= (2 + 1.0 / 4) * std::min(whole, other));
  }
}

TEST_CASE("what the Ritz values say brings the end nearer, and not the bound") {
  Numbers numbers{Random(9, 1, 0)};
  for (int trial = 0; trial < 20000; ++trial) {
    const double whole = numbers.between(1, 1e4), other = numbers.between(1, 1e4);
    const auto forecast = [&](double left) { return left * numbers.between(0.5, 4); };
    CHECK(cost_of(whole, 0, other, forecast, true) <= (2 + 1.0 / 4) * std::min(whole, other));
    const double worst = cost_of(
        whole, 0, other, [](double) { return HUGE_VAL; }, true);
    CHECK(worst <= 17 * std::min(whole, other));
  }
}

TEST_CASE("a third of the bound by the Ritz values is what CG takes at least") {
  // alpha = 1 / 2 and beta = 1: T is 2 (1, 2, 2, ...) with 2 beside it, and has 2 - 2 cos(3 pi / (2
  // k + 1)) times 2 as its second eigenvalue.
  constexpr double pi = 3.14159265358979;
  for (const int k : {2, 5, 40}) {
    Forecast forecast;
    for (int i = 0; i < k; ++i) forecast.add({0.5, 1, 1e-8, 0.5});
    const double least = 4 - 4 * std::cos(3 * pi / (2 * k + 1)), most = k > 2 ? 8 : 6;
    const double bound = std::log(2e8) / 2 * std::sqrt(most / least);
    CHECK(forecast.takes(bound / 3.01));
    CHECK_FALSE(forecast.takes(bound / 2.99));
  }
}

TEST_CASE("one eigenvalue far below the others says nothing of the steps") {
  Forecast forecast;  // r^T z of 1 twice, then another direction: T is diag(1e-9, 1) but for 1e-14
  forecast.add({1e9, 1, 1e-8, 1e9});
  forecast.add({1e-14, 1, 1e-8, 1});
  CHECK_FALSE(forecast.takes(100));
}

TEST_CASE("forecasts by an adversary have their bounds too") {
  Numbers numbers{Random(8, 1, 0)};
  double worst_short = 0, worst_long = 0;
  for (int trial = 0; trial < 20000; ++trial) {
    const double whole = numbers.between(1, 1e4), other = numbers.between(1, 1e4);
    const double promised = numbers.between(other / 10, other);
    const double best = std::min(whole, other);
    const auto always = [](double said) { return [said](double) { return said; }; };
    worst_short = std::max(worst_short, cost_of(whole, promised, other, always(0)) / best);
    for (const double said : {1e9, HUGE_VAL}) {
      const double over = cost_of(whole, promised, other, always(said)) / best;
      CHECK(over <= 4);
      worst_long = std::max(worst_long, over);
    }
  }
  CHECK(worst_short <= 3.27);
  CHECK(worst_long > 3);  // the bound says something
}

TEST_CASE("nothing is left before it has had what the plan promised") {
  CHECK_FALSE(is_left({49, 1e9, 50, 100, 100}));
  CHECK(is_left({50, 1e9, 50, 100, 100}));
  CHECK_FALSE(is_left({50, 99, 50, 100, 100}));  // the others would cost more
  CHECK_FALSE(is_left({30, 1e9, 5, 100, 100}));  // too early to believe a forecast
  CHECK(is_left({100, 50, 50, 100, 100}));       // late: the rest is judged once
  CHECK_FALSE(is_left({100, 49, 50, 100, 100}));
  CHECK_FALSE(is_left({120, 399, 50, 100, 100}));  // and who has stayed stays
  CHECK(is_left({200, 1, 1e9, 100, 100}));
}

TEST_CASE("Ritz values of a Lanczos matrix are its extreme eigenvalues") {
  // T of CG with alpha = 1 / 2, beta = 1: 2 on the diagonal but for the first row, off it 2
  // sqrt(1).
  const Range one = ritz_range({0.5}, {});
  CHECK(one.least == doctest::Approx(2));
  CHECK(one.most == doctest::Approx(2));
  const Range two = ritz_range({0.5, 0.5}, {1});  // [[2, 2], [2, 4]]
  CHECK(two.least == doctest::Approx(3 - std::sqrt(5)));
  CHECK(two.most == doctest::Approx(3 + std::sqrt(5)));
}

TEST_CASE("the steps of CG with the diagonal are told before it runs") {
  const auto look = [](const Csr<double>& A) {
    Params params;
    params.solves = 1;
    const DistRows<double> rows(A);
    return look_at(rows, diagonal(rows), NearNullspace{}, params);
  };
  const Facts space = look(grid({18, 18, 18}));
  REQUIRE(space.diagonal_steps);
  CHECK(*space.diagonal_steps > 20);
  CHECK(*space.diagonal_steps < 140);
  CHECK_FALSE(space.far_from_null);
  Params params;
  params.solves = 1;
  CHECK(choose(space, params).method == "jacobi");
  const Facts plane = look(grid({90, 90}));
  CHECK(std::isinf(*plane.diagonal_steps));
  CHECK(choose(plane, params).method == "multilevel");
}

TEST_CASE("a forecast is right where the error falls evenly") {
  for (const double rate : {0.3, 0.7, 0.95}) {
    Forecast forecast;
    double error = 1;
    for (int k = 0; k < 30; ++k, error *= rate)
      forecast.add({error * error * (1 - rate * rate), error * rate, 1e-8});
    const double left = std::log(1e-8 / std::pow(rate, 30)) / std::log(rate);
    CHECK(forecast.steps_left() == doctest::Approx(std::max(0.0, left)).epsilon(1e-6));
  }
}

TEST_CASE("a forecast of what does not fall is infinite, and of what has converged zero") {
  Forecast forecast;
  for (int k = 0; k < 12; ++k) forecast.add({1, 1, 1e-8});
  CHECK(std::isinf(forecast.steps_left()));
  forecast.add({1, 1e-9, 1e-8});
  CHECK(forecast.steps_left() == 0);
}

TEST_CASE("the least total wins, and a break-even is where two totals meet") {
  Params params;
  params.solves = 1;
  Facts facts = grid_facts();
  facts.diagonal_steps = 10;
  CHECK(choose(facts, params).method == "jacobi");
  facts.diagonal_steps = 5000;
  CHECK(choose(facts, params).method == "multilevel");
  const double even = break_even_of_diagonal(facts, params);
  for (const double factor : {0.9, 1.1}) {
    facts.diagonal_steps = factor * even;
    const double ours = offer_of(offers_for(facts), "jacobi").total(1);
    CHECK((ours < total_of_others(facts, params)) == (factor < 1));
  }
  params.solves = 50;  // what a setup costs counts less
  CHECK(break_even_of_diagonal(facts, params) < even);
  CHECK(break_even_of_factor(facts, params) < break_even_of_factor(facts, {.solves = 1}));
}

TEST_CASE("a complete factor wins where its analysis says so") {
  Params params;
  params.solves = 1;
  Facts facts = grid_facts();
  facts.far_from_null = true;
  facts.diagonal_steps = 5000;
  facts.fill = Fill{100000, 1e6};
  CHECK(choose(facts, params).method == "direct");
  facts.fill = Fill{1e7, 1e10};
  CHECK(choose(facts, params).method == "multilevel");
}

TEST_CASE("what is asked for is no choice, and signs are a rule of their own") {
  Facts facts = grid_facts();
  facts.diagonal_steps = 1;
  Params params;
  params.method = precond::Method::incomplete_cholesky;
  CHECK(choose(facts, params).method == "ict");
  CHECK(choose(facts, params).reason == "asked for");
  facts.positive_diagonal = false;
  CHECK(choose(facts, Params()).method != "jacobi");
}
