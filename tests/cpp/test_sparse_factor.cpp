// Each backend of the sparse direct factor against the dense matrix.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "matrices.hpp"
#include "pympf/common/error.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/la/sparse_factor/sparse_factor.hpp"

using namespace pympf;
using namespace pympf::test;

namespace {

std::unique_ptr<SparseFactor> analyzed(const Csr<double>& A, MatrixKind kind,
                                       const std::string& backend = "auto") {
  return analyze(A, {kind, backend});
}

// A random sparse symmetric matrix; `shift` on the diagonal, with alternating signs or not.
Csr<double> random_symmetric(Index n, double shift, bool alternating, int seed) {
  Random random(seed, 0, 0);
  Builder builder(n);
  for (Index i = 0; i < n; ++i) {
    builder.add(i, i, alternating && i % 3 == 1 ? -shift : shift);
    for (int k = 0; k < 3; ++k) {
      const auto j = static_cast<Index>(random.below(n));
      if (j != i) builder.add(i, j, uniform(random) - 0.5);
    }
  }
  return builder.matrix();
}

// K = [I B^T; B 0]: a zero block on the diagonal.
Csr<double> saddle_point(Index n, Index m) {
  Random random(5, 0, 0);
  Builder builder(n + m);
  for (Index i = 0; i < n; ++i) builder.add(i, i, 1 + uniform(random));
  for (Index k = 0; k < m; ++k) {
    builder.add(n + k, k, 1 + uniform(random));
    builder.add(n + k, (k + 1) % n, uniform(random));
  }
  return builder.matrix();
}

// 2x2 blocks whose diagonal is noise.
Csr<double> without_pivots(Index n) {
  Builder pairs(n);
  for (Index i = 0; i < n; i += 2)
    pairs.add(i, i, 1e-20), pairs.add(i + 1, i, 1), pairs.add(i + 1, i + 1, 1e-20);
  return pairs.matrix();
}

std::vector<double> eigenvalues(const Csr<double>& A) {
  Dense D = dense(A);
  return symmetric_eigen(D.entries, A.rows);
}

// Solves for three columns and compares A X with B.
void check_solution(const SparseFactor& F, const Csr<double>& A, double condition,
                    double other = 0) {
  constexpr Index columns = 3;
  Random random(9, 0, 0);
  std::vector<double> B(static_cast<std::size_t>(A.rows) * columns);
  for (double& b : B) b = uniform(random) - 0.5;
  std::vector<double> X = B, again = B;
  F.solve(X.data(), columns);
  F.solve(again.data(), columns);
  CHECK(X == again);
  for (Index j = 0; j < columns; ++j) {
    std::vector<double> r(A.rows);
    residual(A.view(), X.data() + j * A.rows, B.data() + j * A.rows, r.data());
    double largest = 0;
    for (double v : r) largest = std::max(largest, std::abs(v));
    CHECK(largest <= rounding<double>(100.0 * A.rows, condition) + other);
  }
}

double smallest_diagonal(const Csr<double>& A) {
  const std::vector<double> d = diagonal(A.view());
  return *std::min_element(d.begin(), d.end());
}

void check_factor(const Csr<double>& A, MatrixKind kind) {
  const std::vector<double> values = eigenvalues(A);
  Index negative = 0;
  double smallest = std::numeric_limits<double>::infinity(), largest = 0;
  for (double v : values) {
    negative += v < 0;
    smallest = std::min(smallest, std::abs(v));
    largest = std::max(largest, std::abs(v));
  }
  for (const std::string& name : factor_backends(kind)) {
    CAPTURE(name);
    const auto F = analyzed(A, kind, name);
    CHECK(F->analysis().backend == name);
    std::vector<double> unsolved(A.rows, 1.0);
    CHECK_THROWS_AS(F->solve(unsolved.data(), 1), InvalidArgument);
    REQUIRE(F->factor(A));
    REQUIRE(F->analysis().known);
    CHECK(F->predicted() >= A.rows);
    CHECK(F->stored() >= A.rows);
    // SuperLU takes 1e-8 for zeros on the diagonal.
    const double other = name == "superlu" && smallest_diagonal(A) == 0 ? 1e-6 : 0;
    check_solution(*F, A, largest / smallest, other);
    if (const auto found = F->negative_eigenvalues()) CHECK(*found == negative);
    if (name != "superlu") CHECK(F->negative_eigenvalues().has_value());
    // Other values on the same pattern, and the first ones again.
    Csr<double> twice = A;
    for (double& a : twice.data) a *= 2;
    REQUIRE(F->factor(twice));
    check_solution(*F, twice, largest / smallest, other);
  }
}

}  // namespace

TEST_CASE("a sparse factor solves definite systems") {
  check_factor(random_symmetric(90, 6, false, 1), MatrixKind::definite);
  check_factor(diagonal_matrix<double>({4.0}), MatrixKind::definite);
}

TEST_CASE("a sparse factor solves indefinite systems and counts negative eigenvalues") {
  check_factor(random_symmetric(90, 2, true, 2), MatrixKind::symmetric);
  check_factor(saddle_point(60, 25), MatrixKind::symmetric);
  check_factor(diagonal_matrix<double>({-4.0}), MatrixKind::symmetric);
}

TEST_CASE("a sparse factor tells matrices that are singular, or not definite") {
  Builder ring(30);  // the Laplacian of a circle: constants are in its kernel
  for (Index i = 0; i < 30; ++i) ring.add_edge(i, (i + 1) % 30, 1);
  Builder empty(4);  // row 2 has no entry
  for (Index i : {0, 1, 3}) empty.add(i, i, 1);
  for (const Csr<double>& A : {ring.matrix(), empty.matrix()})
    for (MatrixKind kind : {MatrixKind::definite, MatrixKind::symmetric})
      for (const std::string& name : factor_backends(kind)) {
        CAPTURE(name);
        CAPTURE(A.rows);
        CAPTURE(kind == MatrixKind::definite);
        CHECK_FALSE(analyzed(A, kind, name)->factor(A));
      }
  const Csr<double> indefinite = random_symmetric(40, 3, true, 3);
  for (const std::string& name : factor_backends(MatrixKind::definite)) {
    CAPTURE(name);
    CHECK_FALSE(analyzed(indefinite, MatrixKind::definite, name)->factor(indefinite));
  }
}

TEST_CASE("a sparse factor solves systems that are not symmetric, and transposed ones") {
  Random random(7, 0, 0);
  for (bool full : {true, false}) {
    Csr<double> A = full ? random_symmetric(80, 3, true, 4) : saddle_point(50, 20);
    for (double& a : A.data) a *= 1 + 0.3 * uniform(random);
    for (const std::string& name : factor_backends(MatrixKind::general)) {
      CAPTURE(name);
      const auto F = analyzed(A, MatrixKind::general, name);
      REQUIRE(F->factor(A));
      CHECK(!F->negative_eigenvalues());
      check_solution(*F, A, 1e3);
      std::vector<double> x(A.rows, 1.0), b(A.rows, 0.0);
      for (Index i = 0; i < A.rows; ++i)
        for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) b[A.indices[p]] += A.data[p];
      F->solve_transposed(b.data());
      for (Index i = 0; i < A.rows; ++i) CHECK(std::abs(b[i] - x[i]) < 1e-10);
    }
  }
}

TEST_CASE("a pattern that leaves no pivot is told") {
  Csr<double> A = saddle_point(36, 12);
  for (Index p = A.indptr[A.rows - 1]; p < A.nnz(); ++p) A.data[p] = 0;
  const Csr<double> zero{3, 3, {0, 0, 0, 0}, {}, {}};
  for (const Csr<double>& matrix : {A, zero})
    for (MatrixKind kind : {MatrixKind::symmetric, MatrixKind::general})
      for (const std::string& name : factor_backends(kind)) {
        CAPTURE(name);
        CHECK_FALSE(analyzed(matrix, kind, name)->factor(matrix));
      }
}

TEST_CASE("pivots are taken off the diagonal where that has no good ones") {
  const Csr<double> A = without_pivots(100);
  for (const std::string& name : factor_backends(MatrixKind::symmetric)) {
    CAPTURE(name);
    const auto F = analyzed(A, MatrixKind::symmetric, name);
    REQUIRE(F->factor(A));
    check_solution(*F, A, 1);
  }
}

// Fixed pivots fail there, and free ones would fill up.
TEST_CASE("a symmetric matrix whose pivots fail on the diagonal goes on to the next backend") {
  const Csr<double> A = without_pivots(300);
  const std::vector<std::string> names = factor_backends(MatrixKind::symmetric);
  if (names.empty()) return;  // a build without libraries
  const auto F = analyzed(A, MatrixKind::symmetric);
  REQUIRE(F->factor(A));
  check_solution(*F, A, 1);
  const bool has_mumps = std::find(names.begin(), names.end(), "mumps") != names.end();
  CHECK(F->analysis().backend == (has_mumps ? "mumps" : "superlu"));
  REQUIRE(F->factor(A));  // new values begin with what has worked
  check_solution(*F, A, 1);
}

TEST_CASE("a definite matrix of entries of any size is factored") {
  Csr<double> A = random_symmetric(90, 6, false, 1);
  for (Index i = 0; i < A.rows; ++i)  // D A D, D from 1e-9 to 1e9
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      A.data[p] *= std::pow(10.0, (i + A.indices[p]) / 5 - 18);
  for (const std::string& name : factor_backends(MatrixKind::definite)) {
    CAPTURE(name);
    if (name != "mumps") CHECK(analyzed(A, MatrixKind::definite, name)->factor(A));
  }
}

TEST_CASE("a factor has about the entries that are predicted") {
  Builder grid(900);
  for (Index i = 0; i < 900; ++i) {
    grid.add(i, i, 4);
    if (i % 30) grid.add(i, i - 1, -1);
    if (i / 30) grid.add(i, i - 30, -1);
  }
  const Csr<double> A = grid.matrix();
  for (MatrixKind kind : {MatrixKind::definite, MatrixKind::symmetric, MatrixKind::general})
    for (const std::string& name : factor_backends(kind)) {
      CAPTURE(name);
      const auto F = analyzed(A, kind, name);
      REQUIRE(F->factor(A));
      CHECK(F->stored() > 0.9 * F->predicted());
      CHECK(F->stored() < 3 * F->predicted());  // with zeros, where columns are made alike
      CHECK(F->analysis().fill.work > 900);
    }
}

TEST_CASE("a sparse factor takes nested dissection where that predicts less") {
  constexpr Index m = 32;  // a cube of m^3 unknowns; on a path AMD is the best there is
  Builder cube(m * m * m), path(50);
  for (Index i = 0; i < m * m * m; ++i) {
    cube.add(i, i, 6.1);
    if (i % m) cube.add(i, i - 1, -1);
    if (i / m % m) cube.add(i, i - m, -1);
    if (i / (m * m)) cube.add(i, i - m * m, -1);
  }
  for (Index i = 0; i < 50; ++i) path.add(i, i, 3);
  for (Index i = 1; i < 50; ++i) path.add(i, i - 1, -1);
  for (const std::string& name : factor_backends(MatrixKind::definite)) {
    if (name == "superlu") continue;
    CAPTURE(name);
    CHECK(analyzed(cube.matrix(), MatrixKind::definite, name)->analysis().order != "AMD");
    CHECK(analyzed(path.matrix(), MatrixKind::definite, name)->analysis().order == "AMD");
  }
}

TEST_CASE("a sparse factor refuses what it has not") {
  const Csr<double> A = diagonal_matrix<double>({1.0, 2.0});
  CHECK_THROWS_AS(analyzed(A, MatrixKind::definite, "pardiso"), InvalidArgument);
  const Csr<double> wide{1, 2, {0, 1}, {0}, {1.0}}, none{0, 0, {0}, {}, {}};
  CHECK_THROWS_AS(analyzed(wide, MatrixKind::general), InvalidArgument);
  CHECK_THROWS_AS(analyzed(none, MatrixKind::symmetric), InvalidArgument);
}
