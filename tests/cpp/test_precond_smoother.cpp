// The smoothers of the preconditioner: the incomplete Cholesky and its bounds, and the others
// against their definitions.
#include <doctest/doctest.h>

#include "precond_matrices.hpp"
#include "pympf/precond/smoothers/smoother.hpp"

using namespace pympf;
using namespace pympf::precond;
using namespace pympf::test;

namespace {

constexpr int no_limit = 1 << 20;

std::vector<Named> positive_matrices() {
  return {{"grid", grid({8, 9})},
          {"random", random_symmetric(70, 5, 2, test::Kind::definite)},
          {"springs", shifted(springs(6, 5, 1).A, 0.01)},
          {"scaled", scaled(shifted(power_law(60, 3, 1), 0.1), random_vector(60, 1))},
          {"diagonal", diagonal_matrix({1, 2, 3, 4})}};
}

std::vector<Named> semidefinite_matrices() {
  return {{"Laplacian", laplacian({8, 9})},
          {"power law", power_law(80, 3, 1)},
          {"two components", block_diagonal({laplacian({5, 6}), laplacian({5, 6})})},
          {"springs", springs(6, 5, 1).A}};
}

std::vector<Named> indefinite_matrices() {
  return {{"shifted grid", shifted(grid({8, 9}), -1.5)},
          {"random", random_symmetric(70, 5, 2)},
          {"zero diagonal", adjacency(60, 3, 1)},
          {"signs", diagonal_matrix({1, -2, 3})},
          {"disconnected", disconnected({30, 1, 2, 25, 1, 9}, 4)}};
}

// A in the order of its strips, and where they are.
struct Cut {
  Csr<double> A;
  Domains domains;
};

Cut cut_into(const Csr<double>& A, Index strips) {
  std::vector<Index> order(A.rows);
  std::iota(order.begin(), order.end(), 0);
  Cut out;
  out.domains = cut(A, order, 1, strips);
  out.A = permuted(A, out.domains.order);
  return out;
}

template <class T = double>
Dense solve_map(const IncompleteCholesky<T>& factor, Index n) {
  return dense_map(n, [&](const double* x, double* y) {
    std::vector<T> v(x, x + n);
    factor.solve(v.data());
    std::copy(v.begin(), v.end(), y);
  });
}

// D^-1/2 A D^-1/2, D = |diag A|, or the l1 norms of the rows where that vanishes.
Dense scaled_to_ones(Dense A) {
  std::vector<double> s(A.rows);
  for (Index i = 0; i < A.rows; ++i) {
    for (Index j = 0; j < A.rows; ++j) s[i] += std::abs(A(i, j));
    if (A(i, i) != 0) s[i] = std::abs(A(i, i));
  }
  for (Index i = 0; i < A.rows; ++i)
    for (Index j = 0; j < A.rows; ++j)
      if (A(i, j) != 0) A(i, j) /= std::sqrt(s[i] * s[j]);
  return A;
}

Level<double> level_of(const Cut& matrix, const Params& params) {
  Level<double> level;
  level.A = matrix.A;
  build_smoother(matrix.A, matrix.domains, params, level);
  return level;
}

Params with(SmootherKind smoother, const std::function<void(Params&)>& change = {}) {
  Params params;
  params.smoother = smoother;
  if (change) change(params);
  return params;
}

// S, or S^T: one step from x = 0.
Dense step_map(const Level<double>& level, const Params& params, bool forward) {
  std::vector<double> work(2 * static_cast<std::size_t>(level.rows()));
  return dense_map(level.rows(), [&](const double* b, double* x) {
    std::fill_n(x, level.rows(), 0.0);
    smooth(level, params, b, x, work.data(), forward);
  });
}

const std::vector<SmootherKind> all_smoothers = {SmootherKind::incomplete_cholesky,
                                                 SmootherKind::gauss_seidel,
                                                 SmootherKind::chebyshev, SmootherKind::l1_jacobi};

}  // namespace

// ---- incomplete Cholesky

TEST_CASE("a Cholesky factorization that drops nothing is exact, in any number of strips") {
  for (const auto& [name, A] : positive_matrices())
    for (Index strips = 1; strips <= 4; ++strips) {
      CAPTURE(name);
      CAPTURE(strips);
      const Cut matrix = cut_into(A, strips);
      const IncompleteCholesky<double> factor(matrix.A, matrix.domains, 0, no_limit);
      CHECK(factor.compensation() == 0);
      CHECK_FALSE(factor.found_negative());
      const Dense I = solve_map(factor, A.rows) * dense(matrix.A);
      const auto values = eigenvalues(dense(A));
      CHECK(distance(I, identity(A.rows)) <=
            rounding<double>(100 * A.rows, values.back() / values.front()));
    }
}

TEST_CASE("two strips that face each other lose nothing; more do where the factor reaches far") {
  const auto loss = [](const Csr<double>& A, Index strips) {
    const Cut matrix = cut_into(A, strips);
    return IncompleteCholesky<double>(matrix.A, matrix.domains, 0.01, 1).cut_loss();
  };
  for (const Index strips : {1, 2, 3, 4}) {
    CAPTURE(strips);
    CHECK(loss(grid({160, 160}), strips) < 6);
    const double reaching = loss(anisotropic(160), strips);
    if (strips <= facing_strips)
      CHECK(reaching < 3);
    else
      CHECK(reaching > 10);
    CHECK(loss(diagonal_matrix({1, 2, 3, 4, 5, 6, 7, 8}), strips) == 0);
  }
}

TEST_CASE("a factorization leaves out columns of ghosts and takes the diagonal that it is given") {
  const Csr<double> A = random_symmetric(90, 6, 5, test::Kind::definite);
  const Index own = 60;
  Builder block(own);
  std::vector<double> diagonal(own);
  for (Index i = 0; i < own; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index j = A.indices[p];
      if (j == i) diagonal[i] = A.data[p] + 0.1 * i;
      if (j <= i) block.add(i, j, j == i ? diagonal[i] : A.data[p]);
    }
  const Csr<double> square = block.matrix();
  const Cut expected = cut_into(square, 1);
  const CsrView<double> rows{own, 90, A.indptr.data(), A.indices.data(), A.data.data()};
  const IncompleteCholesky<double> factor(rows, diagonal, expected.domains, 0.05, 2);
  const IncompleteCholesky<double> same(expected.A, expected.domains, 0.05, 2);
  CHECK(factor.nnz() == same.nnz());
  CHECK(distance(solve_map(factor, own), solve_map(same, own)) == 0);
}

TEST_CASE("a tridiagonal matrix needs no fill") {
  const Cut matrix = cut_into(grid({50}), 1);
  const IncompleteCholesky<double> factor(matrix.A, matrix.domains, 0, 0);
  CHECK(factor.compensation() == 0);
  CHECK(factor.nnz() == 49);
}

TEST_CASE("M >= A whatever is dropped, and positive definite") {
  auto matrices = positive_matrices();
  for (const auto& list : {semidefinite_matrices(), indefinite_matrices()})
    matrices.insert(matrices.end(), list.begin(), list.end());
  for (const auto& [name, A] : matrices)
    for (const double tolerance : {0.0, 0.01, 0.1, 0.5})
      for (const int fill : {0, 1, 5})
        for (const Index strips : {1, 3}) {
          if (name == "disconnected") continue;  // zero rows
          CAPTURE(name);
          CAPTURE(tolerance);
          CAPTURE(fill);
          CAPTURE(strips);
          const Cut matrix = cut_into(A, strips);
          const IncompleteCholesky<double> factor(matrix.A, matrix.domains, tolerance, fill);
          const Dense solve = solve_map(factor, A.rows);
          CHECK(distance(solve, transposed(solve)) <= rounding<double>(100, norm(solve)));
          CHECK(eigenvalues(solve).front() > 0);
          const Dense M = inverse(solve);
          const double size = eigenvalues(M).back();
          CHECK(eigenvalues(M - dense(matrix.A)).front() >= -1e-11 * size);
        }
}

TEST_CASE("the compensation is what was added to the scaled diagonal") {
  for (const auto& [name, A] : positive_matrices())
    for (const Index strips : {1, 3}) {
      CAPTURE(name);
      CAPTURE(strips);
      const Cut matrix = cut_into(A, strips);
      const IncompleteCholesky<double> factor(matrix.A, matrix.domains, 0.1, 0);
      const Dense a = dense(matrix.A), M = inverse(solve_map(factor, A.rows));
      double added = 0;
      for (Index i = 0; i < A.rows; ++i) added += (M(i, i) - a(i, i)) / a(i, i);
      CHECK(factor.compensation() == doctest::Approx(added / A.rows).epsilon(1e-9));
    }
}

TEST_CASE("a lowered diagonal keeps most of the row sums, the pattern and the sign") {
  Builder weights(72);
  for (Index i = 0; i < 72; ++i)
    for (const Index j : {i + 1, i + 9})
      if (j < 72) {
        const double w = (i % 3 == 0 ? 1000 : 1) * (1 + i % 5);
        weights.add(i, i, w), weights.add(j, j, w), weights.add(i, j, -w);
      }
  const std::vector<Named> matrices = {{"grid", grid({8, 9})},
                                       {"Laplacian", shifted(laplacian({8, 9}), 1e-3)},
                                       {"jumps", shifted(weights.matrix(), 1e-3)},
                                       {"power law", shifted(power_law(60, 3, 1), 0.1)}};
  for (const auto& [name, A] : matrices)
    for (const double tolerance : {0.0, 0.05})
      for (const Index strips : {1, 3}) {
        CAPTURE(name);
        CAPTURE(tolerance);
        CAPTURE(strips);
        const Cut matrix = cut_into(A, strips);
        const auto difference = [&](Dropped dropped, std::size_t& entries) {
          const IncompleteCholesky<double> factor(matrix.A, matrix.domains, tolerance, 0, dropped);
          entries = factor.nnz();
          const Dense solve = solve_map(factor, A.rows);
          CHECK(distance(solve, transposed(solve)) <= rounding<double>(100, norm(solve)));
          CHECK(eigenvalues(solve).front() > 0);
          return inverse(solve) - dense(matrix.A);
        };
        std::size_t entries = 0, others = 0;
        const Dense lowered = difference(Dropped::lowers_diagonal, entries);
        const Dense raised = difference(Dropped::raises_diagonal, others);
        CHECK(entries <= static_cast<std::size_t>(A.nnz() - A.rows) / 2);
        if (tolerance == 0) CHECK(entries == static_cast<std::size_t>(A.nnz() - A.rows) / 2);
        double sum = 0, raised_sum = 0;
        for (Index i = 0; i < A.rows; ++i) {
          double row = 0;
          for (Index j = 0; j < A.rows; ++j) row += lowered(i, j), raised_sum += raised(i, j);
          CHECK(row >= -1e-9 * norm(dense(A)));
          sum += row;
        }
        // Between a weak and a strong row little is lowered.
        if (name != "jumps") CHECK(sum < raised_sum / 2);
      }
}

TEST_CASE("the factor of an indefinite matrix is that of a diagonally dominant one") {
  for (const auto& [name, A] : indefinite_matrices()) {
    if (name == "disconnected") continue;  // zero rows
    for (const Index strips : {1, 3}) {
      CAPTURE(name);
      CAPTURE(strips);
      const Cut matrix = cut_into(A, strips);
      const IncompleteCholesky<double> factor(matrix.A, matrix.domains, 0, no_limit);
      Dense raised = dense(matrix.A);
      double added = 0;
      for (Index i = 0; i < A.rows; ++i) {
        double sum = 0;
        for (Index j = 0; j < A.rows; ++j) sum += j == i ? 0 : std::abs(raised(i, j));
        const double d = std::max(std::abs(raised(i, i)), (1 + 1e-6) * sum);
        added += (d - raised(i, i)) / d;
        raised(i, i) = d;
      }
      CHECK(distance(solve_map(factor, A.rows) * raised, identity(A.rows)) < 1e-6);
      CHECK(factor.compensation() == doctest::Approx(added / A.rows));
    }
  }
}

TEST_CASE("a column keeps as many entries as the matrix has, and `fill` more") {
  const Csr<double> A = random_symmetric(200, 6, 2, test::Kind::definite);
  const Cut matrix = cut_into(A, 1);
  const auto entries = static_cast<std::size_t>(A.nnz() - 200) / 2;
  std::size_t before = 0;
  for (const int fill : {0, 1, 3, 10}) {
    const IncompleteCholesky<double> factor(matrix.A, matrix.domains, 0, fill);
    CHECK(factor.nnz() <= entries + 200 * static_cast<std::size_t>(fill));
    CHECK(factor.nnz() > before);
    before = factor.nnz();
  }
  CHECK(IncompleteCholesky<double>(matrix.A, matrix.domains, 0.2, 10).nnz() < before);
}

TEST_CASE("a full factorization tells indefinite from positive semidefinite") {
  const auto found = [](const Csr<double>& A, Index strips) {
    const Cut matrix = cut_into(A, strips);
    return IncompleteCholesky<double>(matrix.A, matrix.domains, 0, no_limit).found_negative();
  };
  for (const Index strips : {1, 2, 4}) {
    for (const auto& [name, A] : positive_matrices()) {
      CAPTURE(name);
      CHECK_FALSE(found(A, strips));
    }
    for (const auto& [name, A] : semidefinite_matrices()) {
      CAPTURE(name);
      CHECK_FALSE(found(A, strips));
    }
    for (const auto& [name, A] : indefinite_matrices()) {
      CAPTURE(name);
      CHECK(found(A, strips));
    }
  }
}

TEST_CASE("a factorization that changed the diagonal does not call itself exact") {
  for (const auto& [name, A] : indefinite_matrices()) {
    CAPTURE(name);
    const Cut matrix = cut_into(A, 1);
    CHECK(IncompleteCholesky<double>(matrix.A, matrix.domains, 0, no_limit).compensation() > 0);
  }
}

TEST_CASE("zero rows give zero, and do not disturb the others") {
  const Csr<double> A =
      block_diagonal({diagonal_matrix({0}), grid({4, 4}), diagonal_matrix({0, 0}), grid({3})});
  for (const Index strips : {1, 3}) {
    const Cut matrix = cut_into(A, strips);
    const IncompleteCholesky<double> factor(matrix.A, matrix.domains, 0, no_limit);
    CHECK_FALSE(factor.found_negative());
    const Dense solve = solve_map(factor, A.rows), a = dense(matrix.A);
    CHECK(distance(a * solve * a, a) <= rounding<double>(1000, norm(a)));
    for (Index i = 0; i < A.rows; ++i)
      if (a(i, i) == 0)
        for (Index j = 0; j < A.rows; ++j) CHECK((solve(i, j) == 0 && solve(j, i) == 0));
  }
}

TEST_CASE("a factor in single precision is the rounded one") {
  const Csr<double> A = grid({9, 9});
  const Cut matrix = cut_into(A, 2);
  const Dense full = solve_map(IncompleteCholesky<double>(matrix.A, matrix.domains, 0.01, 1), 81);
  const Dense single = solve_map(IncompleteCholesky<float>(matrix.A, matrix.domains, 0.01, 1), 81);
  CHECK(distance(full, single) <= rounding<float>(100, norm(full)));
  CHECK(distance(full, single) > 0);
}

TEST_CASE("the factor does not depend on the number of threads") {
  const int threads = thread_count();
  const Cut matrix = cut_into(random_symmetric(4000, 5, 1, test::Kind::definite), 4);
  const std::vector<double> b = random_vector(4000, 1);
  std::vector<std::vector<double>> results;
  for (const int count : {1, 2, 3}) {
    set_thread_count(count);
    const IncompleteCholesky<double> factor(matrix.A, matrix.domains, 0.01, 2);
    results.push_back(b);
    factor.solve(results.back().data());
    results.back().push_back(factor.compensation());
  }
  set_thread_count(threads);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("no rows, one row") {
  const IncompleteCholesky<double> none(CsrView<double>{0, 0, nullptr, nullptr, nullptr},
                                        Domains{{}, {0, 0}}, 0.01, 1);
  none.solve(nullptr);
  CHECK(none.compensation() == 0);
  const Cut one = cut_into(diagonal_matrix({4}), 1);
  double x = 2;
  IncompleteCholesky<double>(one.A, one.domains, 0.01, 1).solve(&x);
  CHECK(x == doctest::Approx(0.5));
}

// ---- all smoothers

TEST_CASE("a backward step is the transpose of a forward one") {
  for (const auto& [name, A] : positive_matrices())
    for (const SmootherKind smoother : all_smoothers)
      for (const Index strips : {1, 3}) {
        CAPTURE(name);
        CAPTURE(static_cast<int>(smoother));
        CAPTURE(strips);
        const Params params = with(smoother);
        const auto level = level_of(cut_into(A, strips), params);
        const Dense forward = step_map(level, params, true);
        CHECK(distance(transposed(forward), step_map(level, params, false)) <=
              rounding<double>(100, norm(forward)));
      }
}

TEST_CASE("a step is x + S (b - A x), and from zero the same") {
  for (const auto& [name, A] : positive_matrices())
    for (const SmootherKind smoother : all_smoothers)
      for (const int sweeps : {1, 2, 3}) {
        CAPTURE(name);
        CAPTURE(static_cast<int>(smoother));
        CAPTURE(sweeps);
        const Params params = with(smoother, [&](Params& p) { p.sweeps = sweeps; });
        const Cut matrix = cut_into(A, 2);
        const auto level = level_of(matrix, params);
        const Dense S = step_map(level, params, true), a = dense(matrix.A);
        const auto n = static_cast<std::size_t>(A.rows);
        const std::vector<double> b = random_vector(n, 1);
        std::vector<double> x = random_vector(n, 2), expected = x, work(2 * n), r(n);
        const auto step = [&](std::vector<double>& y) {
          residual(matrix.A.view(), y.data(), b.data(), r.data());
          for (std::size_t i = 0; i < n; ++i)
            for (std::size_t j = 0; j < n; ++j) y[i] += S.entries[i * n + j] * r[j];
        };
        step(expected);
        smooth(level, params, b.data(), x.data(), work.data(), true);
        const auto near = [&](double p, double q) { return std::abs(p - q) < 1e-10; };
        CHECK(std::equal(x.begin(), x.end(), expected.begin(), near));
        std::fill(expected.begin(), expected.end(), 0.0);
        for (int sweep = 0; sweep < sweeps; ++sweep) step(expected);
        std::fill(x.begin(), x.end(), 1e300);
        smooth_from_zero(level, params, b.data(), x.data(), work.data());
        CHECK(std::equal(x.begin(), x.end(), expected.begin(), near));
      }
}

TEST_CASE("every step lowers the energy of the error: 0 < S + S^T - S^T A S") {
  for (const auto& [name, A] : positive_matrices())
    for (const SmootherKind smoother : all_smoothers)
      for (const int degree : {1, 2, 3, 5}) {
        if (degree != 2 && smoother != SmootherKind::chebyshev) continue;
        CAPTURE(name);
        CAPTURE(static_cast<int>(smoother));
        CAPTURE(degree);
        const Params params = with(smoother, [&](Params& p) { p.degree = degree; });
        const Cut matrix = cut_into(A, 2);
        const Dense S = step_map(level_of(matrix, params), params, true);
        const Dense St = transposed(S), minus = St * dense(matrix.A) * S;
        CHECK(eigenvalues(S - (minus - St)).front() > 0);
      }
}

TEST_CASE("Gauss-Seidel is (D + L)^-1, l1-Jacobi the inverse of the l1 norms") {
  const Csr<double> A = random_symmetric(50, 5, 2, test::Kind::definite);
  const Cut matrix = cut_into(A, 1);
  const Params gs = with(SmootherKind::gauss_seidel), l1 = with(SmootherKind::l1_jacobi);
  Dense lower = dense(A), norms(50, 50);
  for (Index i = 0; i < 50; ++i)
    for (Index j = 0; j < 50; ++j) {
      norms(i, i) += std::abs(lower(i, j));
      if (j > i) lower(i, j) = 0;
    }
  CHECK(distance(step_map(level_of(matrix, gs), gs, true) * lower, identity(50)) < 1e-12);
  CHECK(distance(step_map(level_of(matrix, l1), l1, true) * norms, identity(50)) < 1e-13);
}

TEST_CASE("the polynomial of degree 1 is 8 / (5 radius) D^-1, and the radius bounds D^-1 A") {
  const Params params = with(SmootherKind::chebyshev, [](Params& p) { p.degree = 1; });
  for (const auto& [name, A] : positive_matrices()) {
    CAPTURE(name);
    const auto level = level_of(cut_into(A, 1), params);
    CHECK(level.radius >= 0.9 * eigenvalues(scaled_to_ones(dense(A))).back());
    const Dense S = step_map(level, params, true);
    for (Index i = 0; i < A.rows; ++i)
      for (Index j = 0; j < A.rows; ++j)
        CHECK(S(i, j) == doctest::Approx(i == j ? 1.6 / level.radius * level.inverse[i] : 0));
  }
}

TEST_CASE("on the upper three quarters of the spectrum the polynomial is Chebyshev's") {
  const std::vector<double> d = {1, 0.9, 0.75, 0.6, 0.4, 0.3, 0.25};
  for (const int degree : {1, 2, 3, 6}) {
    const Params params = with(SmootherKind::chebyshev, [&](Params& p) { p.degree = degree; });
    Level<double> level;
    level.A = diagonal_matrix(d);
    level.inverse.assign(d.size(), 1);
    level.radius = 1;
    const Dense S = step_map(level, params, true);
    const double sigma = 5.0 / 3;
    const double bound = std::cosh(degree * std::acosh(sigma));
    for (Index i = 0; i < S.rows; ++i) {
      const double t = std::clamp((0.625 - d[i]) / 0.375, -1.0, 1.0);
      CHECK(1 - d[i] * S(i, i) == doctest::Approx(std::cos(degree * std::acos(t)) / bound));
    }
  }
}

TEST_CASE("no smoother touches a zero row") {
  const Csr<double> A = block_diagonal({diagonal_matrix({0}), grid({4, 4}), diagonal_matrix({0})});
  for (const SmootherKind smoother : all_smoothers) {
    CAPTURE(static_cast<int>(smoother));
    const Params params = with(smoother);
    const Dense S = step_map(level_of(cut_into(A, 1), params), params, true);
    CHECK((S(0, 0) == 0 && S(17, 17) == 0));
    for (double v : S.entries) CHECK(std::isfinite(v));
  }
}
