// Symmetry is judged pair by pair, patterns are completed, no pattern gets past the setups' checks,
// and rows that determine their unknowns leave a symmetric rest.
#include <doctest/doctest.h>

#include <cmath>
#include <functional>
#include <memory>

#include "matrices.hpp"
#include "pympf/la/balance.hpp"
#include "pympf/la/determined.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/precond/preconditioner.hpp"

using namespace pympf;
using doctest::Contains;

namespace {

struct Triplet {
  Index row, column;
  double value;
};

template <class T = double>
Csr<T> matrix(Index n, const std::vector<Triplet>& entries) {
  std::map<std::pair<Index, Index>, double> sorted;
  for (const auto& [i, j, value] : entries) sorted[{i, j}] = value;
  Csr<T> A{n, n, std::vector<Index>(n + 1, 0), {}, {}};
  for (const auto& [place, value] : sorted) {
    ++A.indptr[place.first + 1];
    A.indices.push_back(place.second);
    A.data.push_back(static_cast<T>(value));
  }
  for (Index i = 0; i < n; ++i) A.indptr[i + 1] += A.indptr[i];
  return A;
}

// D A D
template <class T>
Csr<T> scaled(Csr<T> A, const std::function<double(Index)>& d) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      A.data[p] = static_cast<T>(d(i) * A.data[p] * d(A.indices[p]));
  return A;
}

double power(Index i) { return std::pow(10.0, (i * 37) % 101 - 50.0); }
double huge(Index i) { return i % 3 == 0 ? 1e150 : i % 3 == 1 ? 1e-150 : 1; }

template <class T>
double gap(const Csr<T>& A) {
  return asymmetry(DistRows<T>(A)).gap;
}

}  // namespace

TEST_CASE("a large entry hides nothing in other rows") {
  for (const double large : {1.0, 1e13, 1e30, 1e300}) {
    CHECK(gap(matrix(3, {{0, 0, large}, {1, 1, 1}, {1, 2, 0.5}, {2, 2, 1}})) == 0.5);
    CHECK(gap(matrix(3, {{0, 0, large}, {1, 1, 1}, {1, 2, 0.5}, {2, 1, 0.25}, {2, 2, 1}})) == 0.25);
    // A coupling of both rows to the large one does not either.
    CHECK(gap(matrix(3, {{0, 0, large},
                         {0, 1, 1},
                         {1, 0, 1},
                         {0, 2, 1},
                         {2, 0, 1},
                         {1, 1, 1},
                         {1, 2, 0.5},
                         {2, 2, 1}})) == 0.5);
  }
  CHECK(gap(matrix<float>(3, {{0, 0, 1e30}, {1, 1, 1}, {1, 2, 0.5}, {2, 2, 1}})) == 0.5);
}

TEST_CASE("what rounding leaves is small against its rows on any scale") {
  // Sums that cancel: the entries (0, 2) and (2, 0) are rounding, of sums of terms of size 1.
  const auto spd = matrix(3, {{0, 0, 4},
                              {0, 1, -1},
                              {0, 2, 1e-16},
                              {1, 0, -1},
                              {1, 1, 4},
                              {1, 2, -1},
                              {2, 0, -2e-16},
                              {2, 1, -1},
                              {2, 2, 4}});
  // A saddle point: rows 3 and 4 have no diagonal entry.
  const auto saddle = matrix(5, {{0, 0, 4},
                                 {0, 3, 1},
                                 {0, 4, 1e-17},
                                 {1, 1, 4},
                                 {1, 3, -1},
                                 {1, 4, 1},
                                 {3, 0, 1},
                                 {3, 1, -1},
                                 {4, 0, 3e-17},
                                 {4, 1, 1},
                                 {2, 2, 4},
                                 {2, 4, 1},
                                 {4, 2, 1}});
  for (const auto& A : {spd, saddle})
    for (const auto& d : {+[](Index) { return 1.0; }, power, huge}) {
      CHECK(gap(scaled(A, d)) == 0);
      Csr<double> wrong = A;
      wrong.data[1] *= 1 + 1e-9;
      CHECK(gap(scaled(wrong, d)) > 0);
    }
  // Neighbours with a tiny diagonal entry make nothing large.
  for (const double tiny : {1e-16, 1e-300}) {
    const auto A = matrix(4, {{0, 0, tiny},
                              {0, 1, 1},
                              {1, 0, 1},
                              {0, 2, 1},
                              {2, 0, 1},
                              {0, 3, 1},
                              {3, 0, 1},
                              {1, 1, 4},
                              {1, 2, 0.5},
                              {2, 2, 4},
                              {3, 1, 1e-3},
                              {1, 3, 0}});
    CHECK(gap(A) == 0.5);
    Csr<double> without = A;
    without.data[without.indptr[1] + 2] = 0;
    CHECK(gap(without) == 1e-3);
  }
}

TEST_CASE_TEMPLATE("gaps of a pattern are filled with zeros", T, double, float) {
  const auto A =
      matrix<T>(4, {{0, 0, 1}, {0, 3, 0}, {1, 1, 1}, {2, 1, 0}, {2, 2, 1}, {3, 2, 0}, {3, 3, 1}});
  const DistRows<T> rows(A);
  CHECK(asymmetry(rows).gap == 0);
  CHECK(asymmetry(rows).one_sided);
  CHECK_THROWS_WITH_AS(require_symmetric_pattern(rows),
                       Contains("a stored entry at i = 0, j = 3 and none at i = 3, j = 0"),
                       InvalidArgument);
  const auto completed = with_symmetric_pattern(rows);
  CHECK(completed.symmetric_pattern);
  CHECK(completed.storage.indptr == std::vector<Index>{0, 2, 4, 7, 10});
  CHECK(completed.storage.indices == std::vector<Index>{0, 3, 1, 2, 1, 2, 3, 0, 2, 3});
  CHECK(completed.storage.data == std::vector<T>{1, 0, 1, 0, 0, 1, 0, 0, 0, 1});
  CHECK_FALSE(asymmetry(completed).one_sided);
  require_symmetric_pattern(DistRows<T>(completed.storage));
  const auto grid = test::grid<T>({7, 5});
  const DistRows<T> whole(grid);
  CHECK_FALSE(asymmetry(whole).one_sided);
  CHECK(with_symmetric_pattern(whole).storage.indices == grid.indices);
}

TEST_CASE("columns out of range or order are refused") {
  for (const Index wrong : {-1, 3, 1 << 30}) {
    auto A = matrix(3, {{0, 0, 1}, {1, 1, 1}, {2, 2, 1}});
    A.indices[1] = wrong;
    CHECK_THROWS_AS(require_symmetric_pattern(DistRows<double>(A)), InvalidArgument);
    CHECK_THROWS_AS(precond::Preconditioner<double>(DistRows<double>(A), {}), InvalidArgument);
  }
  auto A = matrix(3, {{0, 0, 1}, {0, 1, 1}, {1, 0, 1}, {1, 1, 1}, {2, 2, 1}});
  std::swap(A.indices[0], A.indices[1]);
  CHECK_THROWS_AS(require_symmetric_pattern(DistRows<double>(A)), InvalidArgument);
}

namespace {

// Random rows, scales and zeros; mirror images may lack.
Csr<double> wild(int seed) {
  Random random(seed, 0, 0);
  const auto below = [&](int n) { return static_cast<Index>(random.next() % n); };
  const Index n = 2 + below(40);
  std::vector<double> scale(n, 1.0);
  if (below(2))
    for (double& s : scale) s = std::pow(10.0, below(200) - 100.0);
  std::vector<Triplet> entries;
  for (Index i = 0; i < n; ++i)
    if (below(8)) entries.push_back({i, i, scale[i] * scale[i] * (1.0 + below(3))});
  for (Index k = below(4 * n); k > 0; --k) {
    const Index i = below(n), j = below(n);
    if (i == j) continue;
    const double value = scale[i] * scale[j] * (below(3) ? below(5) - 2.0 : 0.0);
    entries.push_back({i, j, value});
    if (below(6)) entries.push_back({j, i, value});
  }
  return matrix(n, entries);
}

template <class T>
void apply_if_made(const Csr<T>& A, const precond::Params& params, const DistRows<T>& rows) {
  try {
    const precond::Preconditioner<T> M(rows, params);
    std::vector<T> ones(A.rows, T(1)), z(A.rows);
    M.apply(ones.data(), z.data());
  } catch (const Error&) {
  }
}

}  // namespace

TEST_CASE("no pattern and no scale leads out of bounds") {
  using precond::Method, precond::SmootherKind;
  std::vector<precond::Params> variants(9);
  const Method methods[] = {Method::automatic, Method::multilevel, Method::incomplete_cholesky,
                            Method::two_level, Method::direct};
  for (int k = 0; k < 5; ++k) variants[k].method = methods[k];
  for (int k = 5; k < 9; ++k) variants[k].method = Method::multilevel;
  variants[5].smoother = SmootherKind::gauss_seidel;
  variants[6].smoother = SmootherKind::chebyshev;
  variants[7].smoother = SmootherKind::l1_jacobi;
  variants[8].cycle = precond::CycleKind::additive;
  for (auto& params : variants) params.coarse_size = 4;
  int refused = 0;
  for (int seed = 0; seed < 120; ++seed) {
    const Csr<double> A = wild(seed);
    const DistRows<double> rows(A);
    const precond::Params& params = variants[seed % 9];
    if (asymmetry(rows).one_sided) {
      CHECK_THROWS_WITH_AS(precond::Preconditioner<double>(rows, params),
                           Contains("expected a symmetric pattern"), InvalidArgument);
      CHECK_THROWS_WITH_AS(mmf::factorize(rows, {}), Contains("expected a symmetric pattern"),
                           InvalidArgument);
      ++refused;
    }
    const auto admission = admit(std::make_shared<DistRows<double>>(A));
    if (admission.rows) apply_if_made(A, params, *admission.rows);
    // The pattern alone is what bounds depend on.
    const auto completed = with_symmetric_pattern(rows);
    apply_if_made(A, params, completed);
    try {
      mmf::factorize(completed, {});
    } catch (const Error&) {
    }
  }
  CHECK(refused > 50);
}

TEST_CASE_TEMPLATE("rows with nothing but a diagonal entry determine their unknowns", T, double,
                   float) {
  // Row 0 is one; row 4 becomes one by it, and row 3 by that. Zeros may be stored; row 5 is zero.
  const auto A = matrix<T>(7, {{0, 0, 2},
                               {0, 2, 0},
                               {4, 0, 3},
                               {4, 4, 5},
                               {3, 4, 7},
                               {3, 3, 4},
                               {1, 1, 6},
                               {1, 2, -1},
                               {1, 0, 8},
                               {2, 1, -1},
                               {2, 2, 6},
                               {2, 3, 9},
                               {5, 5, 0},
                               {6, 6, 3},
                               {6, 5, 0}});
  const DistRows<T> rows(A);
  const Determined<T> determined(rows);
  CHECK(determined.count() == 4);  // with row 6
  const auto rest = determined.rest(rows);
  CHECK(rest.storage.indptr == std::vector<Index>{0, 1, 3, 5, 6, 7, 8, 9});
  CHECK(rest.storage.indices == std::vector<Index>{0, 1, 2, 1, 2, 3, 4, 5, 6});
  CHECK(rest.storage.data == std::vector<T>{2, 6, -1, -1, 6, 4, 5, 0, 3});
  const std::vector<T> b{4, 1, 2, 3, 26, 0, 9};
  std::vector<T> x(7, T(-1)), c(7);
  determined.solve(b.data(), x.data());
  CHECK(x == std::vector<T>{2, -1, -1, -6.25, 4, -1, 3});
  determined.move_to_right(b.data(), x.data(), c.data());
  CHECK(c == std::vector<T>{4, -15, 58.25, -25, 20, 0, 9});

  const auto admission = admit(std::make_shared<DistRows<T>>(A));
  REQUIRE(admission.rows);
  CHECK(admission.determined->count() == 4);
  CHECK(admission.rows->symmetric_pattern);
}

TEST_CASE("the rest has the sign of its free part") {
  const auto A = matrix(3, {{0, 0, 1}, {1, 0, 1}, {1, 1, -2}, {1, 2, 1}, {2, 1, 1}, {2, 2, -2}});
  const auto rest = Determined<double>(DistRows<double>(A)).rest(DistRows<double>(A));
  CHECK(rest.storage.data == std::vector<double>{-1, -2, 1, 1, -2});
}

TEST_CASE("triangles of any order are determined in linear time") {
  const Index n = 200000;
  for (const bool upper : {false, true}) {
    std::vector<Triplet> entries;
    for (Index i = 0; i < n; ++i) {
      entries.push_back({i, i, 2});
      const Index j = upper ? i + 1 : i - 1;
      if (j >= 0 && j < n) entries.push_back({i, j, 1});
    }
    const auto A = matrix(n, entries);
    CHECK(Determined<double>(DistRows<double>(A)).count() == n);
  }
}

TEST_CASE("a refusal says what would do") {
  const auto refusal = [](const Csr<double>& A) {
    const auto admission = admit(std::make_shared<DistRows<double>>(A));
    CHECK_FALSE((admission.rows && !admission.determined));
    return admission.refusal("nothing does");
  };
  CHECK(refusal(matrix(2, {{0, 0, 1}, {0, 1, 1}, {1, 0, 2}, {1, 1, 1}})) ==
        "expected a symmetric matrix, got max|a_ij - a_ji| = 1 at i = 0, j = 1 (allowed: 2e-12); "
        "nothing does");
  const auto nearly = refusal(matrix(2, {{0, 0, 1}, {0, 1, 1}, {1, 0, 1 + 1e-9}, {1, 1, 1}}));
  CHECK(nearly.find("take (A + A.T) / 2") != nearly.npos);
  const auto dirichlet =
      refusal(matrix(3, {{0, 0, 1}, {1, 0, -1}, {1, 1, 2}, {1, 2, -1}, {2, 1, -1}, {2, 2, 2}}));
  CHECK(dirichlet.find("its 1 Dirichlet rows") != dirichlet.npos);
  CHECK(dirichlet.find("A.T") == dirichlet.npos);
}

TEST_CASE("balancing takes the units from the rows, exactly and whatever they are") {
  const Csr<double> S = test::grid({6, 7});
  const std::vector<int> of_S = balancing_exponents(DistRows<double>(S));
  for (const int most : {0, 3, 40, 240}) {
    const auto exponent = [&](Index i) { return (i * 37) % (2 * most + 1) - most; };
    const auto A = scaled(S, [&](Index i) { return std::ldexp(1.0, exponent(i)); });
    const std::vector<int> u = balancing_exponents(DistRows<double>(A));
    for (Index i = 0; i < A.rows; ++i) CHECK(u[i] == of_S[i] - exponent(i));
  }
}

TEST_CASE("rows that balancing has no diagonal for go by their largest entries") {
  const auto A = matrix(4, {{0, 0, 1e-200}, {0, 1, 1e80}, {1, 0, 1e80}, {3, 3, 1e-300}});
  const std::vector<int> u = balancing_exponents(DistRows<double>(A));
  const double largest = std::ldexp(std::ldexp(1e80, u[0]), u[1]);
  CHECK(largest >= 0.25);
  CHECK(largest <= 4);
  CHECK(u[2] == 0);
  CHECK(std::ldexp(std::ldexp(1e-300, u[3]), u[3]) >= 0.25);
  CHECK(std::ldexp(std::ldexp(1e-300, u[3]), u[3]) <= 4);
}
