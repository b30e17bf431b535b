// Each backend of the sparse direct factor against the dense matrix.
#include <doctest/doctest.h>

#ifdef PYMPF_HAVE_MPI
#include <mpi.h>
#endif

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "matrices.hpp"
#include "pympf/common/error.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse_factor/sparse_factor.hpp"

using namespace pympf;
using namespace pympf::test;

namespace {

// MUMPS can be called only while MPI runs.
std::vector<std::string> backends(bool definite) {
#ifdef PYMPF_HAVE_MPI
  static const struct Mpi {
    Mpi() { MPI_Init(nullptr, nullptr); }
    ~Mpi() { MPI_Finalize(); }
  } mpi;
#endif
  return factor_backends(definite);
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

std::vector<double> eigenvalues(const Csr<double>& A) {
  Dense D = dense(A);
  return symmetric_eigen(D.entries, A.rows);
}

// Solves for three columns and compares A X with B.
void check_solution(const SparseFactor& F, const Csr<double>& A, double condition) {
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
    CHECK(largest <= rounding<double>(100.0 * A.rows, condition));
  }
}

void check_factor(const Csr<double>& A, bool definite) {
  const std::vector<double> values = eigenvalues(A);
  Index negative = 0;
  double smallest = std::numeric_limits<double>::infinity(), largest = 0;
  for (double v : values) {
    negative += v < 0;
    smallest = std::min(smallest, std::abs(v));
    largest = std::max(largest, std::abs(v));
  }
  for (const std::string& name : backends(definite)) {
    CAPTURE(name);
    const auto F = analyze(A, definite, name);
    CHECK(F->analysis().backend == name);
    std::vector<double> unsolved(A.rows, 1.0);
    CHECK_THROWS_AS(F->solve(unsolved.data(), 1), InvalidArgument);
    REQUIRE(F->factor(A));
    if (!std::isnan(F->analysis().entries)) CHECK(F->analysis().entries >= A.rows);
    check_solution(*F, A, largest / smallest);
    if (const auto found = F->negative_eigenvalues()) CHECK(*found == negative);
    if (name != "superlu") CHECK(F->negative_eigenvalues().has_value());
    // Other values on the same pattern, and the first ones again.
    Csr<double> twice = A;
    for (double& a : twice.data) a *= 2;
    REQUIRE(F->factor(twice));
    check_solution(*F, twice, largest / smallest);
  }
}

}  // namespace

TEST_CASE("a sparse factor solves definite systems") {
  check_factor(random_symmetric(90, 6, false, 1), true);
  check_factor(diagonal_matrix<double>({4.0}), true);
}

TEST_CASE("a sparse factor solves indefinite systems and counts negative eigenvalues") {
  check_factor(random_symmetric(90, 2, true, 2), false);
  check_factor(saddle_point(60, 25), false);
  check_factor(diagonal_matrix<double>({-4.0}), false);
}

TEST_CASE("a sparse factor tells matrices that are singular, or not definite") {
  Builder ring(30);  // the Laplacian of a circle: constants are in its kernel
  for (Index i = 0; i < 30; ++i) ring.add_edge(i, (i + 1) % 30, 1);
  Builder empty(4);  // row 2 has no entry
  for (Index i : {0, 1, 3}) empty.add(i, i, 1);
  for (const Csr<double>& A : {ring.matrix(), empty.matrix()})
    for (bool definite : {true, false})
      for (const std::string& name : backends(definite)) {
        if (name == "superlu" && A.rows == 30) continue;  // it knows pivots that are exactly zero
        CAPTURE(name);
        CAPTURE(A.rows);
        CAPTURE(definite);
        CHECK_FALSE(analyze(A, definite, name)->factor(A));
      }
  const Csr<double> indefinite = random_symmetric(40, 3, true, 3);
  for (const std::string& name : backends(true)) {
    CAPTURE(name);
    CHECK_FALSE(analyze(indefinite, true, name)->factor(indefinite));
  }
}

TEST_CASE("a sparse factor takes nested dissection where that predicts less") {
  constexpr Index m = 22;  // a cube of m^3 unknowns; on a path AMD is the best there is
  Builder cube(m * m * m), path(50);
  for (Index i = 0; i < m * m * m; ++i) {
    cube.add(i, i, 6.1);
    if (i % m) cube.add(i, i - 1, -1);
    if (i / m % m) cube.add(i, i - m, -1);
    if (i / (m * m)) cube.add(i, i - m * m, -1);
  }
  for (Index i = 0; i < 50; ++i) path.add(i, i, 3);
  for (Index i = 1; i < 50; ++i) path.add(i, i - 1, -1);
  for (const std::string& name : backends(true)) {
    if (name == "superlu") continue;
    CAPTURE(name);
    CHECK(analyze(cube.matrix(), true, name)->analysis().order != "AMD");
    CHECK(analyze(path.matrix(), true, name)->analysis().order == "AMD");
  }
}

TEST_CASE("a sparse factor refuses what it has not") {
  const Csr<double> A = diagonal_matrix<double>({1.0, 2.0});
  CHECK_THROWS_AS(analyze(A, true, "pardiso"), InvalidArgument);
  const Csr<double> wide{1, 2, {0, 1}, {0}, {1.0}}, none{0, 0, {0}, {}, {}};
  CHECK_THROWS_AS(analyze(wide, true), InvalidArgument);
  CHECK_THROWS_AS(analyze(none, true), InvalidArgument);
}
