#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>
#include <vector>

#include "krylov_dense.hpp"

using namespace pympf;
using namespace pympf::krylov_test;

// ---- scale, rows of different size, singular matrices

namespace {

constexpr double kScales[] = {0x1p-1000, 0x1p-530, 0x1p500, 0x1p980};

Csr<double> sparse(const Dense& A) {
  Csr<double> out{A.n, A.n, {0}, {}, {}};
  for (Index i = 0; i < A.n; ++i) {
    for (Index j = 0; j < A.n; ++j)
      if (A(i, j) != 0) {
        out.indices.push_back(j);
        out.data.push_back(A(i, j));
      }
    out.indptr.push_back(static_cast<Index>(out.data.size()));
  }
  return out;
}

Vector times(double a, Vector x) {
  for (double& value : x) value *= a;
  return x;
}

Outcome run_matrix(const Dense& A, const Vector& b, const KrylovParams& params,
                   const Operator<double>* M = nullptr, Vector x0 = {}) {
  x0.resize(b.size());
  Outcome out{{}, x0};
  const Csr<double> rows = sparse(A);
  out.result = solve(DistRows<double>(rows), M, b.data(), out.x.data(), params);
  return out;
}

// The Laplacian of a path with t added to the ends, whose values there are to be 1 and -1.
std::pair<Dense, Vector> path_with_penalty(Index n, double t) {
  Dense A = path_laplacian(n);
  A(0, 0) += t;
  A(n - 1, n - 1) += t;
  Vector b(n);
  b[0] = t;
  b[n - 1] = -t;
  return {A, b};
}

}  // namespace

TEST_CASE("a right-hand side times a power of two gives x times that, to the last bit") {
  const Dense A = random_spd(30), P = some_preconditioner(30);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    const auto [result, x] = run(A.as_operator(), b, {.method = method}, &M);
    for (double s : kScales) {
      CAPTURE(name(method));
      CAPTURE(s);
      const auto [scaled, sx] = run(A.as_operator(), times(s, b), {.method = method}, &M);
      CHECK(scaled.reason == result.reason);
      CHECK(sx == times(s, x));
      CHECK(scaled.history == times(s, result.history));
      CHECK(scaled.true_residual == result.true_residual);
    }
  }
}

TEST_CASE("a matrix times a power of two gives x over that, to the last bit") {
  const Dense A = random_spd(30), P = some_preconditioner(30);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(30);
  for (Method method : kAll)
    for (Side side : {Side::right, Side::left}) {
      if (side == Side::left && method != Method::gmres) continue;
      const KrylovParams params{.method = method, .side = side};
      const auto [result, x] = run_matrix(A, b, params, &M);
      for (double s : kScales) {
        CAPTURE(name(method));
        CAPTURE(s);
        Dense sA = A;
        sA.entries = times(s, A.entries);
        const Operator<double> over = [&](const double* r, double* z) {
          M(r, z);
          for (Index i = 0; i < 30; ++i) z[i] /= s;
        };
        const auto [scaled, sx] = run_matrix(sA, b, params, &over);
        CHECK(scaled.reason == result.reason);
        CHECK(sx == times(1 / s, x));
        CHECK(scaled.iterations == result.iterations);
      }
    }
}

TEST_CASE("a guess that is larger than the solution by more than the precision does no harm") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30), x = dense_solve(A, b);
  for (Method method : kAll)
    for (double size : {1e18, 1e160, 1e300}) {
      CAPTURE(name(method));
      const auto [result, found] =
          run(A.as_operator(), b, {.method = method}, nullptr, times(size, random_vector(30, 4)));
      CHECK(result.converged);
      CHECK(norm(plus(found, -1, x)) <= 1e-6 * norm(x));
    }
}

TEST_CASE("an x outside the range is told") {
  const Dense A = random_spd(10);
  Dense small = A, large = A;
  small.entries = times(0x1p-600, A.entries);
  large.entries = times(0x1p600, A.entries);
  const Vector b = random_vector(10);
  for (Method method : kAll) {
    CAPTURE(name(method));
    for (const auto& [matrix, side] : {std::pair(&small, 0x1p600), std::pair(&large, 0x1p-600)}) {
      const auto [result, x] = run_matrix(*matrix, times(side, b), {.method = method});
      CHECK_FALSE(result.converged);
      CHECK(result.reason == Reason::diverged_range);
    }
  }
}

TEST_CASE("penalty rows: what has converged is right in all rows") {
  const Index n = 50;
  const Dense P = some_preconditioner(n);
  for (double t : {1e6, 1e8, 1e12, 1e30}) {
    const auto [A, b] = path_with_penalty(n, t);
    const Operator<double> M = [&A = A](const double* r, double* z) {
      for (Index i = 0; i < A.n; ++i) z[i] = r[i] / A(i, i);
    };
    for (Method method : kAll) {
      CAPTURE(t);
      CAPTURE(name(method));
      const auto [result, x] = run_matrix(A, b, {.method = method, .restart = 0}, &M);
      CHECK(result.converged);
      CHECK(result.norm == ResidualNorm::row_scaled);
      CHECK(result.true_residual <= 1e-7);
      for (Index i = 0; i < n; ++i)  // 1 at the first end, -1 at the other, within 1 / t
        CHECK(std::abs(x[i] - (1 - 2.0 * i / (n - 1))) <= 1e-5 + 2 / t);
    }
  }
}

TEST_CASE("rows whose units lie far apart are solved in their units") {
  const Index n = 40;
  Vector units(n);
  for (Index i = 0; i < n; ++i) units[i] = std::ldexp(1.0, 13 * i % 97 - 48);
  const Dense S = random_spd(n), D = diagonal(units), A = D * S * D;
  const Operator<double> M = [&A](const double* r, double* z) {
    for (Index i = 0; i < A.n; ++i) z[i] = r[i] / A(i, i);
  };
  const auto over_units = [&](Vector x) {
    for (Index i = 0; i < n; ++i) x[i] /= units[i];
    return x;
  };
  const Vector b = random_vector(n), expected = over_units(dense_solve(S, over_units(b)));
  for (Method method : {Method::cg, Method::minres}) {
    CAPTURE(name(method));
    const auto [result, x] = run_matrix(A, b, {.method = method}, &M);
    CHECK(result.converged);
    CHECK(result.norm == ResidualNorm::balanced);
    CHECK(result.true_residual <= 1e-12);
    CHECK(norm(plus(x, -1, expected)) <= 1e-9 * norm(expected));
    // Where the units are small, the ones are below the rounding of their rows.
    const auto [lost, unknown] = run_matrix(A, A * Vector(n, 1.0), {.method = method}, &M);
    CHECK(lost.reason == Reason::diverged_stagnated);
  }
}

TEST_CASE("rows of one size are measured as they are") {
  const auto [result, x] = run_matrix(random_spd(30), random_vector(30), {});
  CHECK(result.norm == ResidualNorm::plain);
  const auto [left, y] = run(random_spd(30).as_operator(), random_vector(30),
                             {.method = Method::gmres, .side = Side::left});
  CHECK(left.norm == ResidualNorm::plain);  // without M
}

TEST_CASE("a Laplacian and a side outside its range: least squares on each part") {
  const Index n = 40;  // a path, another one, a path with a held end, a lonely vertex
  const Dense path = path_laplacian(n);
  Dense A(3 * n + 1);
  for (Index part = 0; part < 3; ++part)
    for (Index i = 0; i < n; ++i)
      for (Index j = 0; j < n; ++j) A(part * n + i, part * n + j) = path(i, j);
  for (bool held : {false, true}) {
    A(2 * n, 2 * n) = held ? 2 : 1;
    const Vector b = random_vector(A.n);
    Vector rest = b;
    for (Index part = 0; part < 4; ++part) {
      if (part == 2 && held) continue;
      const Index begin = part * n, end = std::min(A.n, begin + n);
      double mean = 0;
      for (Index i = begin; i < end; ++i) mean += b[i] / (end - begin);
      for (Index i = begin; i < end; ++i) rest[i] -= mean;
    }
    const double least = norm(plus(b, -1, rest)) / norm(b);
    for (Method method : kAll) {
      CAPTURE(held);
      CAPTURE(name(method));
      const auto [result, x] =
          run_matrix(A, b, {.method = method, .restart = 0, .symmetric = true});
      CHECK(result.reason == Reason::diverged_inconsistent);
      CHECK_FALSE(result.converged);
      CHECK(result.true_residual == doctest::Approx(least));
      CHECK(result.history.back() == doctest::Approx(least * norm(b)));
      CHECK(norm(plus(rest, -1, A * x)) <= 1e-6 * norm(b));
      const auto consistent = run_matrix(A, rest, {.method = method, .restart = 0});
      CHECK(consistent.result.converged);
    }
  }
}

TEST_CASE("minres tells a null vector from an eigenvector of a small eigenvalue") {
  Vector d = linspace(1, 50, 40);
  for (double least : {0.0, 1e-5}) {
    d[0] = least;
    const Dense A = symmetric(d);
    const auto [result, x] = run(A.as_operator(), random_vector(40), {.method = Method::minres});
    CHECK(result.converged == (least > 0));
    if (least == 0) CHECK(result.reason == Reason::diverged_inconsistent);
  }
}

TEST_CASE("a run ends where rounding keeps it from the tolerance") {
  const Index n = 200;  // the fourth difference: condition 4e8
  const Dense second = [&] {
    Dense D = path_laplacian(n);
    D(0, 0) = D(n - 1, n - 1) = 2;
    return D;
  }();
  const Dense A = second * second;
  const Operator<double> M = diagonal(Vector(n, 1 / 6.0)).as_operator();
  for (Method method : {Method::cg, Method::minres}) {
    const auto [result, x] =
        run(A.as_operator(), Vector(n, 1.0), {.method = method, .rtol = 1e-15}, nullptr);
    CAPTURE(name(method));
    CHECK(result.reason == Reason::diverged_stagnated);
    CHECK(result.iterations < 5000);
    CHECK(result.true_residual <= 1e-5);
  }
}

// ---- precision and threads

namespace {

// The 5-point Laplacian with a little convection, m x m
template <class T>
Csr<T> grid_matrix(Index m, double convection) {
  Csr<T> A{m * m, m * m, {0}, {}, {}};
  for (Index i = 0; i < m; ++i) {
    for (Index j = 0; j < m; ++j) {
      const auto add = [&](Index row, Index col, double value) {
        if (row < 0 || row >= m || col < 0 || col >= m) return;
        A.indices.push_back(row * m + col);
        A.data.push_back(static_cast<T>(value));
      };
      add(i - 1, j, -1);
      add(i, j - 1, -1 - convection);
      add(i, j, 4);
      add(i, j + 1, -1 + convection);
      add(i + 1, j, -1);
      A.indptr.push_back(static_cast<Index>(A.indices.size()));
    }
  }
  return A;
}

template <class T>
std::pair<KrylovResult, std::vector<T>> solve_grid(Index m, const KrylovParams& params) {
  const bool symmetric = params.method == Method::cg || params.method == Method::minres;
  const auto A = grid_matrix<T>(m, symmetric ? 0 : 0.2);
  const Operator<T> apply = [&](const T* x, T* y) { spmv(A.view(), x, y); };
  const Operator<T> M = [&](const T* r, T* z) {
    for (Index i = 0; i < A.rows; ++i) z[i] = r[i] / static_cast<T>(4 + i % 3);
  };
  const Vector b = random_vector(m * m);
  std::vector<T> x(m * m), b_rounded(b.begin(), b.end());
  auto result = solve(apply, &M, m * m, b_rounded.data(), x.data(), params);
  return {std::move(result), std::move(x)};
}

}  // namespace

TEST_CASE_TEMPLATE("the same bits on any number of threads", T, float, double) {
  const int before = thread_count();
  for (Method method : kAll) {
    CAPTURE(name(method));
    const KrylovParams params{.method = method, .max_iterations = 8, .restart = 5};
    set_thread_count(1);
    const auto [one, x] = solve_grid<T>(190, params);
    for (int threads : {2, 3}) {
      set_thread_count(threads);
      const auto [more, y] = solve_grid<T>(190, params);
      CHECK(more.history == one.history);
      CHECK(y == x);
    }
  }
  set_thread_count(before);
}

TEST_CASE("float converges to its precision as double does") {
  for (Method method : kAll) {
    CAPTURE(name(method));
    const KrylovParams params{.method = method, .rtol = 1e-4};
    const auto [single, x] = solve_grid<float>(30, params);
    const auto [full, y] = solve_grid<double>(30, params);
    CHECK(single.converged);
    CHECK(single.true_residual <= 1.01e-4);
    CHECK(std::abs(single.iterations - full.iterations) <= 1);
    for (int k = 0; k < 10; ++k) {
      CHECK(single.history[k] == doctest::Approx(full.history[k]).epsilon(1e-4));
    }
  }
}

TEST_CASE("a tolerance below the precision of float is not claimed") {
  for (Method method : kAll) {
    CAPTURE(name(method));
    const auto [result, x] = solve_grid<float>(30, {.method = method, .rtol = 1e-9});
    CHECK(result.reason == Reason::diverged_stagnated);
    CHECK(result.true_residual < 1e-5);
    CHECK(result.iterations < 2000);
  }
}
