// |F|^-1 of a multiresolution factorization as a method of the preconditioner.
#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "precond_matrices.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/precond/preconditioner.hpp"

using namespace pympf;
using namespace pympf::precond;
using namespace pympf::test;
using doctest::Contains;

extern std::atomic<long> allocations;  // counted in count_allocations.cpp

namespace {

Params classic(int core_size = 20) {
  Params params;
  params.method = Method::classic;
  params.factorization.core_size = core_size;
  return params;
}

std::vector<double> applied(const Preconditioner<double>& M, const std::vector<double>& r) {
  std::vector<double> z(r.size());
  M.apply(r.data(), z.data());
  return z;
}

}  // namespace

TEST_CASE("classic is the positive inverse of the factorization, to the last bit") {
  for (const auto& A : {grid({14, 15}), scaled(grid({14, 15}), -1.0), laplacian({12, 12})}) {
    const mmf::Mmf<double> F(mmf::factorize(A.view(), classic().factorization));
    const mmf::Mmf<double> inverse = F.preconditioner();
    const std::vector<double> r = random_vector(static_cast<std::size_t>(A.rows), 3);
    std::vector<double> expected(r.size());
    inverse.multiply(r.data(), expected.data(), 1);

    const Preconditioner<double> M(A.view(), classic());
    CHECK(applied(M, r) == expected);
    CHECK(M.report().method == "classic");
    CHECK(M.report().definite);
    REQUIRE(M.factorization());
    CHECK(M.factorization()->spectrum() == F.spectrum());
    // Made of a factorization, it is the same.
    const Preconditioner<double> same(std::make_shared<const mmf::Mmf<double>>(F));
    CHECK(applied(same, r) == expected);
    CHECK(same.params().factorization.core_size == 20);
    CHECK(same.params().method == Method::classic);
  }
  CHECK_FALSE(Preconditioner<double>(grid({9, 9}).view(), Params{}).factorization());
}

TEST_CASE("classic takes blocks, by rows and by columns, and allocates nothing after the first") {
  const Csr<double> A = grid({13, 13});
  const Preconditioner<double> M(A.view(), classic());
  const Index n = A.rows, k = 5;
  const std::vector<double> by_rows = random_vector(static_cast<std::size_t>(n) * k, 4);
  std::vector<double> Z(by_rows.size()), r(n), columns(by_rows.size()), out(by_rows.size());
  M.apply(Block<const double>(n, by_rows.data(), k), Block<double>(n, Z.data(), k));
  Block<const double> from(n, {});
  Block<double> to(n, {});
  for (Index c = 0; c < k; ++c) {
    for (Index i = 0; i < n; ++i) columns[c * n + i] = by_rows[i * k + c];
    from.add(&columns[c * n]);
    to.add(&out[c * n]);
  }
  M.apply(from, to);
  std::vector<double> z(n);
  for (Index c = 0; c < k; ++c) {
    M.apply(from.at(c), z.data());
    for (Index i = 0; i < n; ++i) {
      REQUIRE(Z[i * k + c] == z[i]);
      REQUIRE(out[c * n + i] == z[i]);
    }
  }
  const long before = allocations;
  M.apply(from, to);
  M.apply_transpose(from, to);
  CHECK(allocations == before);
}

TEST_CASE("classic takes new values on the same rotations, whatever their pattern") {
  const Csr<double> A = grid({12, 12});
  Preconditioner<double> M(A.view(), classic());
  const std::vector<double> r = random_vector(144, 5), before = applied(M, r);
  const Csr<double> twice = scaled(A, 2.0);
  M.update(twice.view());
  const std::vector<double> half = applied(M, r);
  for (std::size_t i = 0; i < r.size(); ++i) CHECK(half[i] == doctest::Approx(before[i] / 2));
  CHECK(M.has_pattern(block_diagonal({grid({9, 8}), grid({9, 8})}).view()));
  CHECK_FALSE(M.has_pattern(grid({12, 13}).view()));
  CHECK_THROWS_WITH_AS(M.update(grid({12, 13}).view()), Contains("an update needs a matrix"),
                       InvalidArgument);
  CHECK_FALSE(M.fall_back(twice.view(), "is not definite"));
}

TEST_CASE("classic says whether the factorization has negative eigenvalues") {
  Csr<double> A = grid({12, 12});
  CHECK_FALSE(Preconditioner<double>(A.view(), classic()).report().indefinite);
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (A.indices[p] == i) A.data[p] -= 3;
  const Preconditioner<double> M(A.view(), classic());
  CHECK(M.report().indefinite);
  CHECK(M.report().definite);
  const std::vector<double> r = random_vector(144, 6), z = applied(M, r);
  double product = 0;
  for (std::size_t i = 0; i < r.size(); ++i) product += r[i] * z[i];
  CHECK(product > 0);
}

TEST_CASE("what classic does not take is refused") {
  const Csr<double> A = grid({6, 6});
  const NearNullspace ones{1, std::vector<double>(36, 1.0)};
  const std::string text = "near_nullspace, block_size: the method 'classic' takes neither";
  CHECK_THROWS_WITH_AS(Preconditioner<double>(A.view(), classic(), ones), text.c_str(),
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(Preconditioner<double>(A.view(), classic(), {}, 2), text.c_str(),
                       InvalidArgument);
  Params params = classic();
  params.factorization.eliminate = 2;
  CHECK_THROWS_WITH_AS(Preconditioner<double>(A.view(), params), Contains("is not below order"),
                       InvalidArgument);
  Csr<float> tiny{A.rows, A.cols, A.indptr, A.indices, {}};
  for (double v : A.data) tiny.data.push_back(static_cast<float>(1e-43 * v));
  CHECK_THROWS_WITH_AS(Preconditioner<float>(tiny.view(), classic()), Contains("is not finite"),
                       Singular);
}

TEST_CASE("each method takes its own parameters, and those that all share") {
  const auto& list = precond::fields();
  const auto named = [&](const char* name) -> const Field<Params>& {
    return find_field(list, name);
  };
  Params params;
  CHECK(takes(params, named("cycle")));
  CHECK(takes(params, named("rows_per_rank")));
  CHECK_FALSE(takes(params, named("core_size")));
  CHECK_THROWS_WITH_AS(require_taken(params, named("core_size")),
                       "core_size is a parameter of the method 'classic'; the method is auto",
                       InvalidArgument);
  named("method").set(params, "classic");
  CHECK(takes(params, named("core_size")));
  CHECK(takes(params, named("rows_per_rank")));
  CHECK_THROWS_WITH_AS(require_taken(params, named("cycle")),
                       "cycle is not a parameter of the method 'classic'", InvalidArgument);
  named("rows_per_rank").set(params, 7);
  CHECK(params.rows_per_rank == 7);
  CHECK(params.factorization.rows_per_rank == 7);
  // What is given counts, though it be the default.
  CHECK_FALSE(named("strength").is_given(params));
  named("strength").set(params, named("strength").default_value());
  CHECK(named("strength").is_given(params));
  CHECK(named("method").is_given(params));
  CHECK_FALSE(named("core_size").is_given(params));
}
