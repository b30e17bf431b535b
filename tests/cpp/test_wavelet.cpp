#include <doctest/doctest.h>

#include <atomic>
#include <cmath>
#include <vector>

#include "matrices.hpp"
#include "pympf/approx/spai.hpp"
#include "pympf/approx/wavelet.hpp"
#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"

using namespace pympf;
using namespace pympf::approx;
using namespace pympf::test;

extern std::atomic<long> allocations;  // counted in count_allocations.cpp

namespace {

const double root = std::sqrt(0.5), third = std::sqrt(3.0);
const std::vector<double> haar{root, root};
// Daubechies' filter of order 2 in closed form.
const std::vector<double> order_2{root * (1 + third) / 4, root*(3 + third) / 4,
                                  root*(3 - third) / 4, root*(1 - third) / 4};

std::vector<double> random_vector(Index n, int seed) {
  Random random(seed, 0, 0);
  std::vector<double> x(n);
  for (double& v : x) v = 2 * uniform(random) - 1;
  return x;
}

// ||(A^T (A M - W)) on the pattern||, all by columns.
double slope(const Csr<double>& A, const Csr<double>& W, const Csr<double>& M) {
  double most = 0;
  for (Index j = 0; j < M.rows; ++j) {
    std::vector<double> r(A.cols, 0.0);
    for (Index p = W.indptr[j]; p < W.indptr[j + 1]; ++p) r[W.indices[p]] -= W.data[p];
    for (Index p = M.indptr[j]; p < M.indptr[j + 1]; ++p)
      for (Index q = A.indptr[M.indices[p]]; q < A.indptr[M.indices[p] + 1]; ++q)
        r[A.indices[q]] += A.data[q] * M.data[p];
    for (Index p = M.indptr[j]; p < M.indptr[j + 1]; ++p) {
      double sum = 0;
      for (Index q = A.indptr[M.indices[p]]; q < A.indptr[M.indices[p] + 1]; ++q)
        sum += A.data[q] * r[A.indices[q]];
      most = std::max(most, std::abs(sum));
    }
  }
  return most;
}

}  // namespace

TEST_CASE("wavelets: Haar's of four points") {
  const Wavelets W({4}, {2}, haar);
  const std::vector<double> x{1, 2, 3, 4};
  std::vector<double> y(4), back(4);
  W.transform(x.data(), y.data(), 1);
  const std::vector<double> expected{5, -2, -root, -root};
  for (Index i = 0; i < 4; ++i) CHECK(y[i] == doctest::Approx(expected[i]));
  W.transform(y.data(), back.data(), 1, true);
  for (Index i = 0; i < 4; ++i) CHECK(back[i] == doctest::Approx(x[i]));
}

TEST_CASE("wavelets: factors, matrix and transform agree, and nothing is allocated again") {
  const std::vector<Index> grid{12, 2, 8}, levels{2, 1, 3};
  const Wavelets W(grid, levels, order_2);
  const Index n = W.rows(), count = 3;
  REQUIRE(n == 192);
  const std::vector<double> X = random_vector(n * count, 1);
  std::vector<double> Y(n * count), back(n * count), x(n), y(n);
  W.transform(X.data(), Y.data(), count);
  W.transform(Y.data(), back.data(), count, true);
  for (Index i = 0; i < n * count; ++i) CHECK(std::abs(back[i] - X[i]) < 1e-13);
  const Csr<double> transposed = W.transposed();
  for (Index c = 0; c < count; ++c) {
    for (Index i = 0; i < n; ++i) x[i] = X[i * count + c];
    spmv(transposed.view(), x.data(), y.data());
    for (Index i = 0; i < n; ++i) CHECK(std::abs(y[i] - Y[i * count + c]) < 1e-13);
    for (Index a = 0; a < 3; ++a)
      for (Index l = 0; l < levels[a]; ++l) {
        spmv(W.factor(a, l).view(), x.data(), y.data());
        x = y;
      }
    for (Index i = 0; i < n; ++i) CHECK(std::abs(x[i] - Y[i * count + c]) < 1e-13);
  }
  const long before = allocations;
  W.transform(X.data(), Y.data(), count);
  W.transform(Y.data(), back.data(), count, true);
  CHECK(allocations == before);
}

TEST_CASE("wavelets: what does not fit is refused") {
  CHECK_THROWS_AS(Wavelets({6}, {2}, haar), InvalidArgument);
  CHECK_THROWS_AS(Wavelets({4}, {1, 1}, haar), InvalidArgument);
  CHECK_THROWS_AS(Wavelets({}, {}, haar), InvalidArgument);
  CHECK_THROWS_AS(Wavelets({0}, {0}, haar), InvalidArgument);
  CHECK_THROWS_AS(Wavelets({4}, {1}, {1.0, 1.0}), InvalidArgument);
  CHECK_THROWS_AS(Wavelets({4}, {1}, {1.0}), InvalidArgument);
  CHECK_THROWS_AS(Wavelets({Index{1} << 16, Index{1} << 16}, {1, 1}, haar), InvalidArgument);
  CHECK_THROWS_AS(Wavelets({4}, {1}, haar).factor(0, 1), InvalidArgument);
  CHECK_THROWS_AS(Wavelets({4}, {1}, haar).factor(1, 0), InvalidArgument);
}

TEST_CASE("spai: the residual is orthogonal to the allowed columns, by QR and by LSQR") {
  const Csr<double> A = grid({12, 16});
  const Wavelets basis({12, 16}, {2, 3}, order_2);
  const Csr<double> W = basis.transposed();
  const SparseInverse qr = iwspai(A, basis, {}), lsqr = iwspai(A, basis, {true, 1e-13, 1000});
  CHECK(qr.dependent == 0);
  CHECK(lsqr.unconverged == 0);
  CHECK(lsqr.most_iterations > 1);
  REQUIRE(qr.M.indices == W.indices);
  CHECK(slope(transpose(A.view()), W, qr.M) < 1e-12);
  CHECK(slope(transpose(A.view()), W, lsqr.M) < 1e-9);

  const SparseInverse blocks = wspai(A, basis, 5);
  const Csr<double> transformed = transpose(galerkin(A.view(), W.view()).view());
  const Csr<double> one = diagonal_matrix(std::vector<double>(A.rows, 1.0));
  CHECK(slope(transformed, one, blocks.M) < 1e-12);
  CHECK(blocks.M.nnz() == 38 * 25 + 4);
  CHECK_THROWS_AS(wspai(A, basis, 0), InvalidArgument);
  CHECK_THROWS_AS(iwspai(diagonal_matrix({1.0}), basis, {}), InvalidArgument);
}
