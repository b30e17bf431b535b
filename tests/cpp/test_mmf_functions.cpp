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

// ---- functions of the factorization

TEST_CASE("functions of a definite factorization") {
  const auto A = random_symmetric(90, 4, 2, test::Kind::definite);
  for (int order : {2, 3}) {
    const auto F = mmf_of(A, with([&](Params& p) { p.order = order; }));
    const Dense picture = restored(F.factors());
    const double small = rounding<double>(1e4);  // condition numbers are below 100
    CHECK(distance(dense(F), picture) <= rounding<double>(1000, norm(picture)));
    CHECK(distance(dense(F.inverse()) * picture, identity(90)) <= small);
    CHECK(distance(dense(F.inverse().inverse()), picture) <= small * norm(picture));
    CHECK(distance(dense(F.sqrt()) * dense(F.sqrt()), picture) <= small * norm(picture));
    CHECK(distance(dense(F.inv_sqrt()) * dense(F.sqrt()), identity(90)) <= small);
    CHECK(distance(dense(F.preconditioner()), dense(F.inverse())) <= small);
    CHECK(distance(dense(F.inverse(-1, true)), dense(F.inverse())) <= small);

    std::vector<double> values = F.spectrum();
    for (double& v : values) v = std::exp(-v);
    CHECK(distance(dense(F.with_values(values)),
                   function(picture, [](double v) { return std::exp(-v); })) <= small);

    double log = 0;
    for (double v : eigenvalues(picture)) log += std::log(v);
    CHECK(F.slogdet().sign == 1);
    CHECK(std::abs(F.slogdet().log - log) <= small * 90);
    CHECK(std::abs(F.trace() - test::trace(test::dense(A))) <= small * F.trace());
    CHECK(F.inverse().factors().Q == F.factors().Q);  // shared, not copied
  }
}

TEST_CASE("the spectrum lists the core in ascending order, then the wavelets") {
  const auto F = mmf_of(random_symmetric(60, 5, 2), with());
  const auto& H = F.factors().H;
  const auto& values = F.spectrum();
  REQUIRE(values.size() == 60);
  CHECK(std::is_sorted(values.begin(), values.begin() + H.core_size));
  for (Index i = H.core_size; i < 60; ++i) CHECK(values[i] == H.diagonal[i - H.core_size]);
}

TEST_CASE("an indefinite factorization has an inverse and a sign, but no root") {
  const auto A = random_symmetric(61, 5, 2);
  const auto F = mmf_of(A, with());
  const Dense picture = restored(F.factors());
  const auto all = eigenvalues(picture);
  const auto negative = std::count_if(all.begin(), all.end(), [](double v) { return v < 0; });
  REQUIRE(negative > 0);
  REQUIRE(std::abs(all[negative]) > 1e-3);
  const double small = rounding<double>(1e6);
  CHECK(distance(dense(F.inverse()) * picture, identity(61)) <= small);
  CHECK(F.slogdet().sign == (negative % 2 ? -1 : 1));
  CHECK_THROWS_WITH_AS(F.sqrt(), Contains("negative eigenvalue"), Singular);
  CHECK_THROWS_WITH_AS(F.inv_sqrt(), Contains("not positive"), Singular);
  const Dense positive = function(picture, [](double v) { return 1 / std::abs(v); });
  CHECK(distance(dense(F.inverse(-1, true)), positive) <= small * norm(positive));
  CHECK(distance(dense(F.preconditioner()), positive) <= small * norm(positive));
  CHECK(eigenvalues(dense(F.preconditioner())).front() > 0);
}

TEST_CASE("a singular factorization asks for a threshold and then gives the pseudo-inverse") {
  Builder B(40);
  for (Index i = 0; i < 40; ++i)
    for (Index j : {i + 1, i + 5})
      if (j < 40) B.add_edge(i, j, 1 + 0.1 * i);
  for (int stages : {0, 30}) {  // the nullspace in the core, exactly; nearly
    const auto F = mmf_of(B.matrix(), with([&](Params& p) { p.max_stages = stages; }));
    const Dense picture = restored(F.factors());
    const double rcond = stages == 0 ? 0 : 0.05;
    if (stages == 0) {
      CHECK_THROWS_WITH_AS(F.inverse(), Contains("1 of its 40 eigenvalues"), Singular);
      CHECK_THROWS_AS(F.inv_sqrt(), Singular);
      CHECK_NOTHROW(F.sqrt());
      CHECK(F.slogdet().sign == 0);
      CHECK(F.slogdet().log == -unlimited);
    }
    const double largest = eigenvalues(picture).back();
    const double cut = std::max(rcond, 1e-12) * largest;
    const Dense expected =
        function(picture, [&](double v) { return std::abs(v) <= cut ? 0 : 1 / v; });
    CHECK(distance(dense(F.inverse(rcond)), expected) <= rounding<double>(1e5, norm(expected)));
  }
  const auto F = mmf_of(B.matrix(), with([](Params& p) { p.max_stages = 0; }));
  const auto preconditioner = eigenvalues(dense(F.preconditioner()));
  CHECK(preconditioner.front() > 0);
  CHECK(preconditioner.back() < 1e6);
}

TEST_CASE("the zero matrix has a preconditioner and a pseudo-inverse, but no inverse") {
  const auto F = mmf_of(Builder(20).matrix(), with());
  CHECK_THROWS_AS(F.inverse(), Singular);
  CHECK(norm(dense(F.inverse(0))) == 0);
  CHECK(distance(dense(F.preconditioner()), identity(20)) == 0);
  CHECK(norm(dense(F.sqrt())) == 0);
}

TEST_CASE("values of a function must be finite and as many as the rows") {
  const auto F = mmf_of(grid({6, 6}), with());
  CHECK_THROWS_WITH_AS(F.with_values(std::vector<double>(35, 1.0)), Contains("expected 36 values"),
                       InvalidArgument);
  for (double bad : {std::nan(""), unlimited}) {
    std::vector<double> values(36, 1.0);
    values[7] = bad;
    CHECK_THROWS_WITH_AS(F.with_values(values), Contains("not finite"), InvalidArgument);
  }
}

TEST_CASE("functions in float") {
  const auto A = random_symmetric<float>(90, 4, 2, test::Kind::definite);
  const auto F = mmf_of(A, with());
  const Dense picture = restored(F.factors());
  CHECK(distance(dense(F.inverse()) * picture, identity(90)) <= rounding<float>(1e4));
  CHECK(distance(dense(F.sqrt()) * dense(F.sqrt()), picture) <=
        rounding<float>(1e3, norm(picture)));
}

// ---- other values

TEST_CASE("refactorize gives the same H for the same values, and the pinched one for others") {
  const auto A = random_symmetric(80, 5, 1);
  for (int order : {2, 3})
    for (bool prenormalize : {false, true}) {
      const auto F =
          mmf_of(A, with([&](Params& p) { p.order = order, p.prenormalize = prenormalize; }));
      const double small = rounding<double>(1000, F.factors().norm);
      const auto again = F.refactorize(A.view());
      CHECK(distance(dense(again.factors().H), dense(F.factors().H)) <= small);
      CHECK(std::abs(again.factors().dropped - F.factors().dropped) <= small);
      CHECK(std::abs(again.factors().norm - F.factors().norm) <= small);
      CHECK(again.factors().Q == F.factors().Q);
    }
  const auto F = mmf_of(A, with());
  const auto other = random_symmetric(80, 3, 2);
  check_invariants(other, F.refactorize(other.view()).factors());
  CHECK_THROWS_WITH_AS(F.refactorize(grid({9, 9}).view()), Contains("expected a 80 x 80 matrix"),
                       InvalidArgument);
  double relative_to = 0;
  CHECK_THROWS_AS(F.error(grid({9, 9}).view(), &relative_to), InvalidArgument);
}

// ---- what comes from a file

TEST_CASE("a hierarchy whose parts do not fit together is refused") {
  for (int order : {2, 3}) {
    const auto F = factorize(random_symmetric(60, 5, 2).view(),
                             with([&](Params& p) { p.order = order, p.max_cluster_size = 20; }));
    CHECK_NOTHROW(check(*F.Q));
    CHECK_NOTHROW(check(F.H, *F.Q));
    const auto refused = [&](const std::function<void(Hierarchy<double>&)>& damage) {
      auto Q = *F.Q;
      damage(Q);
      CHECK_THROWS_AS(check(Q), InvalidArgument);
    };
    refused([](auto& Q) { Q.rows = 61; });
    refused([](auto& Q) { Q.order[0] = Q.order[1]; });
    refused([](auto& Q) { Q.order[0] = 60; });
    refused([](auto& Q) { Q.order.pop_back(); });
    refused([](auto& Q) { Q.stages.pop_back(), Q.stages[0].kept -= 1; });
    refused([](auto& Q) { std::swap(Q.stages[0], Q.stages[1]); });
    refused([](auto& Q) { Q.stages[1].index[0] = -1; });
    refused([](auto& Q) { Q.stages[1].index[0] = Q.stages[1].rows; });
    refused([](auto& Q) { Q.stages[0].index.pop_back(); });
    refused([](auto& Q) { Q.stages[0].matrix.pop_back(); });
    refused([](auto& Q) { Q.stages[0].cluster_ptr[1] = -5; });
    refused([](auto& Q) { Q.stages[0].active_ptr[1] = 1000; });
    refused([](auto& Q) { Q.stages[0].rotation_ptr.back() += 1; });
    refused([](auto& Q) { Q.stages[0].destination[0] = Q.stages[0].destination[1]; });
    if (order == 3) {
      refused([](auto& Q) { Q.stages[0].index_start[1] += 1; });
      refused([](auto& Q) { Q.stages[0].matrix_start.back() += 1; });
    }
    auto H = F.H;
    H.diagonal.pop_back();
    CHECK_THROWS_AS(check(H, *F.Q), InvalidArgument);
    H = F.H;
    H.core.pop_back();
    CHECK_THROWS_AS(check(H, *F.Q), InvalidArgument);
  }
}
