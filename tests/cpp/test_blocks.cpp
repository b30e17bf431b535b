// Several columns at once have the bits of column after column: products, smoothers, cycles, Krylov
// methods.
#include <doctest/doctest.h>

#include <limits>

#include "precond_matrices.hpp"
#include "pympf/la/dist_csr.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/precond/preconditioner.hpp"
#include "pympf/precond/smoothers/smoother.hpp"

using namespace pympf;
using namespace pympf::test;
using doctest::Contains;

namespace {

template <class T>
std::vector<std::vector<T>> columns(Index n, Index k) {
  std::vector<std::vector<T>> out;
  for (Index c = 0; c < k; ++c) {
    const auto x = random_vector(static_cast<std::size_t>(n), 7 + c);
    out.emplace_back(x.begin(), x.end());
  }
  return out;
}

template <class T>
Block<T> block_of(std::vector<std::vector<T>>& X) {
  Block<T> out(static_cast<Index>(X[0].size()), {});
  for (auto& x : X) out.add(x.data());
  return out;
}

// Y = Op X at once, by columns and as a row-major array, is Op of each column.
template <class T, class One, class All>
void check_block(Index n, Index k, const One& one, const All& all) {
  auto X = columns<T>(n, k), Y = X, expected = X;
  for (Index c = 0; c < k; ++c) one(X[c].data(), expected[c].data());
  all(Block<const T>(block_of(X)), block_of(Y));
  CHECK(Y == expected);
  std::vector<T> rows(static_cast<std::size_t>(n) * k), out(rows);
  for (Index i = 0; i < n; ++i)
    for (Index c = 0; c < k; ++c) rows[static_cast<std::size_t>(i) * k + c] = X[c][i];
  all(Block<const T>(n, rows.data(), k), Block<T>(n, out.data(), k));
  for (Index i = 0; i < n; ++i)
    for (Index c = 0; c < k; ++c) CHECK(out[static_cast<std::size_t>(i) * k + c] == expected[c][i]);
}

}  // namespace

TEST_CASE_TEMPLATE("products of a block are those of its columns", T, float, double) {
  const Csr<T> A = random_symmetric<T>(150, 6, 1);
  const OffDiagonal<T> none;
  const Operator<T> op = product_with(A.view(), none);
  for (Index k : {1, 2, 3, 5, 8, 11}) {
    CAPTURE(k);
    check_block<T>(
        150, k, [&](const T* x, T* y) { spmv(A.view(), x, y); },
        [&](const Block<const T>& X, const Block<T>& Y) { op(X, Y); });
  }
}

TEST_CASE("an operator without a product of blocks, or without a transpose") {
  Operator<double> op([](const double* x, double* y) { y[0] = 2 * x[1], y[1] = x[0]; });
  check_block<double>(2, 3, op.apply,
                      [&](const Block<const double>& X, const Block<double>& Y) { op(X, Y); });
  double x[2] = {1, 2}, y[2];
  CHECK_THROWS_WITH_AS(op.transpose(x, y), "this operator has no transpose", InvalidArgument);
  op.apply_transpose = [](const double* v, double* w) { w[0] = v[1], w[1] = 2 * v[0]; };
  op.transpose(x, y);
  CHECK(y[0] == 2);
  CHECK(y[1] == 2);
  check_block<double>(
      2, 3, op.apply_transpose,
      [&](const Block<const double>& X, const Block<double>& Y) { op.transpose(X, Y); });
}

TEST_CASE_TEMPLATE("M of a block is M of its columns", T, float, double) {
  using precond::CycleKind;
  using precond::SmootherKind;
  const Csr<double> grid64 = grid({16, 15});
  const Csr<T> A = owned<T>(grid64.view());
  const auto check = [&](const precond::Params& params) {
    const precond::Preconditioner<T> M(DistRows<T>(A), params);
    for (Index k : {1, 2, 3, 8, 13}) {
      CAPTURE(k);
      check_block<T>(
          A.rows, k, [&](const T* x, T* y) { M.apply(x, y); },
          [&](const Block<const T>& X, const Block<T>& Y) { M.apply(X, Y); });
    }
  };
  precond::Params params;
  params.coarse_size = 8;
  SUBCASE("jacobi") {
    params.method = precond::Method::jacobi;
    check(params);
  }
  SUBCASE("ict") {
    params.method = precond::Method::incomplete_cholesky;
    check(params);
  }
  SUBCASE("levels") {
    params.method = precond::Method::multilevel;
    for (auto precision : {precond::Precision::single, precond::Precision::working})
      for (auto smoother : {SmootherKind::incomplete_cholesky, SmootherKind::gauss_seidel,
                            SmootherKind::chebyshev, SmootherKind::l1_jacobi})
        for (auto cycle : {CycleKind::v, CycleKind::w, CycleKind::k}) {
          params.precision = precision;
          params.smoother = smoother;
          params.cycle = cycle;
          params.strips = 3;
          check(params);
        }
  }
  SUBCASE("additive") {
    params.method = precond::Method::multilevel;
    params.cycle = CycleKind::additive;
    check(params);
  }
  SUBCASE("no dense solve, two sweeps") {
    params.method = precond::Method::multilevel;
    params.max_levels = 2;
    params.sweeps = 2;
    check(params);
  }
}

TEST_CASE("columns that differ in size keep their bits in a float32 cycle") {
  const Csr<double> A = grid({16, 15});
  precond::Params params;
  params.method = precond::Method::multilevel;
  params.precision = precond::Precision::single;
  const precond::Preconditioner<double> M(DistRows<double>(A), params);
  auto R = columns<double>(A.rows, 3), Z = R, expected = R;
  for (double& v : R[1]) v *= 1e60;
  for (double& v : R[2]) v = 0;
  for (int c = 0; c < 3; ++c) M.apply(R[c].data(), expected[c].data());
  M.apply(Block<const double>(block_of(R)), block_of(Z));
  CHECK(Z == expected);
}

namespace {

// Every column of a block solve is what a solve of its own gives.
template <class T>
void check_solves(const Csr<T>& A, const Operator<T>* M, const KrylovParams& params,
                  std::vector<std::vector<T>> B) {
  const DistRows<T> rows(A);
  std::vector<std::vector<T>> X(B.size(), std::vector<T>(A.rows, T(0)));
  std::vector<const T*> b;
  std::vector<T*> x;
  for (std::size_t c = 0; c < B.size(); ++c) {
    b.push_back(B[c].data());
    x.push_back(X[c].data());
  }
  const auto results = solve<T>(rows, M, b, x, params);
  REQUIRE(results.size() == B.size());
  for (std::size_t c = 0; c < B.size(); ++c) {
    CAPTURE(c);
    std::vector<T> alone(A.rows, T(0));
    const auto result = solve<T>(rows, M, b[c], alone.data(), params);
    CHECK(alone == X[c]);
    CHECK(result.reason == results[c].reason);
    CHECK(result.iterations == results[c].iterations);
    CHECK(result.history == results[c].history);
    CHECK(result.true_residual == results[c].true_residual);
  }
}

}  // namespace

TEST_CASE_TEMPLATE("a solve of a block is a solve of each column", T, float, double) {
  const Csr<double> grid64 = grid({12, 11});
  const Csr<T> A = owned<T>(grid64.view());
  precond::Params multilevel;
  multilevel.method = precond::Method::multilevel;
  multilevel.coarse_size = 8;
  const precond::Preconditioner<T> P(DistRows<T>(A), multilevel);
  Operator<T> M([&](const T* r, T* z) { P.apply(r, z); });
  M.apply_block = [&](const Block<const T>& R, const Block<T>& Z) { P.apply(R, Z); };
  auto B = columns<T>(A.rows, 5);
  std::fill(B[1].begin(), B[1].end(), T(0));      // converged at once
  std::fill(B[2].begin() + 1, B[2].end(), T(0));  // another number of steps
  for (T& v : B[3]) v *= T(1e-20);
  for (Method method : {Method::cg, Method::fcg, Method::minres, Method::gmres, Method::fgmres})
    for (const Operator<T>* preconditioner :
         {static_cast<const Operator<T>*>(nullptr), &std::as_const(M)}) {
      KrylovParams params{.method = method, .rtol = sizeof(T) == 4 ? 1e-4 : 1e-9, .restart = 5};
      CAPTURE(name(method));
      check_solves<T>(A, preconditioner, params, B);
      if (method != Method::gmres) continue;
      params.side = Side::left;
      check_solves<T>(A, preconditioner, params, B);
    }
}

TEST_CASE("columns end in ways of their own") {
  const Csr<double> L = laplacian({9, 8});  // singular: constants
  auto B = columns<double>(L.rows, 3);
  double sum = 0;
  for (double v : B[0]) sum += v;
  for (double& v : B[0]) v -= sum / L.rows;  // in the range; the others are not
  for (Method method : {Method::cg, Method::minres, Method::gmres})
    check_solves<double>(L, nullptr, {.method = method, .max_iterations = 60, .symmetric = true},
                         B);
}

TEST_CASE("a block with NaN names the column, an error of an operator comes through") {
  const Csr<double> A = grid({4, 4});
  auto B = columns<double>(A.rows, 3);
  B[2][5] = std::numeric_limits<double>::quiet_NaN();
  auto X = B;
  for (auto& x : X) std::fill(x.begin(), x.end(), 0.0);
  const std::vector<const double*> b{B[0].data(), B[1].data(), B[2].data()};
  const std::vector<double*> x{X[0].data(), X[1].data(), X[2].data()};
  CHECK_THROWS_WITH_AS(solve<double>(DistRows<double>(A), nullptr, b, x, KrylovParams{}),
                       "column 2: b has entries that are NaN or infinite", InvalidArgument);
  const Operator<double> lost([](const double*, double*) { throw std::runtime_error("lost"); });
  B[2][5] = 1;
  CHECK_THROWS_WITH_AS(solve<double>(DistRows<double>(A), &lost, b, x, KrylovParams{}), "lost",
                       std::runtime_error);
}

TEST_CASE("the callback of a column stops that column") {
  const Csr<double> A = grid({12, 11});
  auto B = columns<double>(A.rows, 3), X = B;
  for (auto& x : X) std::fill(x.begin(), x.end(), 0.0);
  std::vector<KrylovCallback<double>> callbacks;
  for (int c = 0; c < 3; ++c)
    callbacks.push_back(
        [c](int iteration, double, const double*) { return c == 1 && iteration == 2; });
  const auto results = solve<double>(
      DistRows<double>(A), nullptr,
      std::vector<const double*>{B[0].data(), B[1].data(), B[2].data()},
      std::vector<double*>{X[0].data(), X[1].data(), X[2].data()}, KrylovParams{}, callbacks);
  CHECK(results[0].converged);
  CHECK(results[1].reason == Reason::stopped_by_callback);
  CHECK(results[1].iterations == 2);
  CHECK(results[2].converged);
}
