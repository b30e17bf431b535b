#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"

using namespace pympf;

namespace {

using Vector = std::vector<double>;
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr Method kAll[] = {Method::cg, Method::fcg, Method::minres, Method::gmres, Method::fgmres};

// ---- dense reference

struct Dense {
  explicit Dense(Index rows) : n(rows), entries(static_cast<std::size_t>(rows) * rows) {}
  double& operator()(Index i, Index j) { return entries[static_cast<std::size_t>(i) * n + j]; }
  double operator()(Index i, Index j) const { return entries[static_cast<std::size_t>(i) * n + j]; }

  Vector operator*(const Vector& x) const {
    Vector y(n);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) y[i] += (*this)(i, j) * x[j];
    }
    return y;
  }

  Operator<double> as_operator() const {
    return [this](const double* x, double* y) { std::ranges::copy(*this * Vector(x, x + n), y); };
  }

  Index n;
  Vector entries;
};

Dense operator*(const Dense& A, const Dense& B) {
  Dense C(A.n);
  for (Index i = 0; i < A.n; ++i) {
    for (Index j = 0; j < A.n; ++j) {
      for (Index k = 0; k < A.n; ++k) C(i, j) += A(i, k) * B(k, j);
    }
  }
  return C;
}

Dense diagonal(const Vector& d) {
  Dense D(static_cast<Index>(d.size()));
  for (Index i = 0; i < D.n; ++i) D(i, i) = d[i];
  return D;
}

double dot(const Vector& x, const Vector& y) {
  return pympf::dot(static_cast<Index>(x.size()), x.data(), y.data());
}
double norm(const Vector& x) { return std::sqrt(dot(x, x)); }

Vector plus(const Vector& x, double a, const Vector& y) {
  Vector sum = x;
  for (std::size_t i = 0; i < x.size(); ++i) sum[i] += a * y[i];
  return sum;
}

// A^-1 b by Gaussian elimination with pivoting
Vector dense_solve(Dense A, Vector b) {
  for (Index k = 0; k < A.n; ++k) {
    Index pivot = k;
    for (Index i = k; i < A.n; ++i) {
      if (std::abs(A(i, k)) > std::abs(A(pivot, k))) pivot = i;
    }
    for (Index j = 0; j < A.n; ++j) std::swap(A(k, j), A(pivot, j));
    std::swap(b[k], b[pivot]);
    for (Index i = k + 1; i < A.n; ++i) {
      const double factor = A(i, k) / A(k, k);
      for (Index j = k; j < A.n; ++j) A(i, j) -= factor * A(k, j);
      b[i] -= factor * b[k];
    }
  }
  for (Index k = A.n; k-- > 0;) {
    for (Index j = k + 1; j < A.n; ++j) b[k] -= A(k, j) * b[j];
    b[k] /= A(k, k);
  }
  return b;
}

Vector random_vector(Index n, unsigned stream = 0) {
  Random random(11, stream, 0);
  Vector x(n);
  for (double& value : x) value = random.next() / 2147483648.0 - 1;
  return x;
}

Dense random_dense(Index n, unsigned stream = 0) {
  Dense A(n);
  A.entries = random_vector(n * n, stream);
  return A;
}

// Q diag(eigenvalues) Q^T with a random orthogonal Q: a product of reflections
Dense symmetric(const Vector& eigenvalues) {
  Dense A = diagonal(eigenvalues);
  const Index n = A.n;
  for (unsigned k = 0; k < 3; ++k) {
    const Vector u = random_vector(n, 100 + k);
    Dense H(n);
    for (Index i = 0; i < n; ++i) {
      for (Index j = 0; j < n; ++j) H(i, j) = (i == j) - 2 * u[i] * u[j] / dot(u, u);
    }
    A = H * A * H;
  }
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < i; ++j) A(i, j) = A(j, i);
  }
  return A;
}

Vector linspace(double from, double to, Index n) {
  Vector x(n);
  for (Index i = 0; i < n; ++i) x[i] = from + (to - from) * i / (n - 1);
  return x;
}

Dense random_spd(Index n) { return symmetric(linspace(1, 50, n)); }
Dense random_indefinite(Index n) {
  Vector d = linspace(-20, 30, n);
  for (double& value : d) value += value < 0 ? -1 : 1;
  return symmetric(d);
}
// Eigenvalues in the right half-plane, far from normal
Dense random_nonsymmetric(Index n) {
  Dense A = random_dense(n, 5);
  for (Index i = 0; i < n; ++i) A(i, i) += 6;
  return A;
}

// The Laplacian of a path: singular, null vector 1
Dense path_laplacian(Index n) {
  Dense A(n);
  for (Index i = 0; i + 1 < n; ++i) {
    A(i, i) += 1;
    A(i + 1, i + 1) += 1;
    A(i, i + 1) = A(i + 1, i) = -1;
  }
  return A;
}

// Orthonormal basis of span{r, B r, ..., B^(k-1) r}
std::vector<Vector> krylov_basis(const Dense& B, const Vector& r, int k) {
  std::vector<Vector> V;
  for (int j = 0; j < k; ++j) {
    Vector w = j == 0 ? r : B * V.back();
    for (int pass = 0; pass < 2; ++pass) {
      for (const Vector& v : V) w = plus(w, -dot(v, w), v);
    }
    V.push_back(plus(Vector(w.size()), 1 / norm(w), w));
  }
  return V;
}

// min || r - B q || over q in the Krylov space of B and r of dimension k
double smallest_residual(const Dense& B, const Vector& r, int k) {
  std::vector<Vector> image;
  Vector rest = r;
  for (const Vector& v : krylov_basis(B, r, k)) {
    Vector w = B * v;
    for (int pass = 0; pass < 2; ++pass) {
      for (const Vector& u : image) w = plus(w, -dot(u, w), u);
    }
    image.push_back(plus(Vector(w.size()), 1 / norm(w), w));
    rest = plus(rest, -dot(image.back(), rest), image.back());
  }
  return norm(rest);
}

// ---- one call

struct Outcome {
  KrylovResult result;
  Vector x;
};

Outcome run(const Operator<double>& A, const Vector& b, KrylovParams params,
            const Operator<double>* M = nullptr, Vector x0 = {},
            const KrylovCallback<double>& callback = {}) {
  if (x0.empty()) x0.resize(b.size());
  Outcome out{{}, x0};
  out.result = solve(A, M, static_cast<Index>(b.size()), b.data(), out.x.data(), params, callback);
  return out;
}

double relative_residual(const Dense& A, const Vector& b, const Vector& x) {
  return norm(plus(b, -1, A * x)) / norm(b);
}

bool all_finite(const Vector& x) {
  return std::ranges::all_of(x, [](double value) { return std::isfinite(value); });
}

// A preconditioner that is not M(r) = c r but leaves all methods convergent
Dense some_preconditioner(Index n) {
  Vector d(n);
  for (Index i = 0; i < n; ++i) d[i] = 1.0 / (1 + i % 4);
  return diagonal(d);
}

}  // namespace

// ---- solutions

TEST_CASE("all methods find the solution of an SPD system, with and without preconditioner") {
  const Dense A = random_spd(40), P = some_preconditioner(40);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(40), x = dense_solve(A, b);
  for (Method method : kAll) {
    for (const Operator<double>* preconditioner : {(const Operator<double>*)nullptr, &M}) {
      for (const Vector& x0 : {Vector(40), random_vector(40, 3)}) {
        CAPTURE(name(method));
        const auto [result, y] =
            run(A.as_operator(), b, {.method = method, .rtol = 1e-12, .restart = 0}, preconditioner,
                x0);
        CHECK(result.converged);
        CHECK(result.reason == Reason::converged_rtol);
        CHECK(result.true_residual <= 1e-11);
        CHECK(result.true_residual == doctest::Approx(relative_residual(A, b, y)).epsilon(1e-2));
        CHECK(result.history.size() == result.iterations + 1u);
        CHECK(result.history.front() == doctest::Approx(norm(plus(b, -1, A * x0))));
        CHECK(norm(plus(x, -1, y)) <= 1e-10 * norm(x));
      }
    }
  }
}

TEST_CASE("as many iterations as the matrix has distinct eigenvalues") {
  Vector d(24);
  for (Index i = 0; i < 24; ++i) d[i] = Vector{1, 2, 5, 9}[i % 4];
  const Dense A = symmetric(d);
  for (Method method : kAll) {
    CAPTURE(name(method));
    const auto [result, x] =
        run(A.as_operator(), random_vector(24), {.method = method, .rtol = 1e-10});
    CHECK(result.converged);
    CHECK(result.iterations == 4);
  }
}

TEST_CASE("at most n iterations") {
  const Dense spd = random_spd(20), indefinite = random_indefinite(20);
  const Dense nonsymmetric = random_nonsymmetric(20);
  const std::pair<Method, const Dense*> cases[] = {{Method::cg, &spd},
                                                   {Method::minres, &spd},
                                                   {Method::minres, &indefinite},
                                                   {Method::gmres, &indefinite},
                                                   {Method::gmres, &nonsymmetric},
                                                   {Method::fgmres, &nonsymmetric}};
  for (const auto& [method, A] : cases) {
    CAPTURE(name(method));
    const auto [result, x] =
        run(A->as_operator(), random_vector(20), {.method = method, .rtol = 1e-9, .restart = 0});
    CHECK(result.converged);
    CHECK(result.iterations <= 20);
    CHECK(relative_residual(*A, random_vector(20), x) <= 1e-8);
  }
}

TEST_CASE("one unknown takes one iteration") {
  const Dense A = diagonal({4});
  for (Method method : kAll) {
    CAPTURE(name(method));
    const auto [result, x] = run(A.as_operator(), {2}, {.method = method, .rtol = 0});
    CHECK(result.converged);
    CHECK(result.iterations == 1);
    CHECK(x[0] == 0.5);
  }
}

// ---- optimality

TEST_CASE("cg minimizes the A-norm of the error over the Krylov space") {
  const Index n = 16;
  const Dense A = random_spd(n), P = some_preconditioner(n);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(n), x0 = random_vector(n, 1), r0 = plus(b, -1, A * x0);
  std::vector<Vector> iterates;
  run(A.as_operator(), b, {.method = Method::cg, .max_iterations = 6}, &M, x0,
      [&](int, double, const double* x) {
        iterates.emplace_back(x, x + n);
        return false;
      });
  REQUIRE(iterates.size() == 7);
  for (int k = 1; k <= 6; ++k) {  // Galerkin: V^T A V y = V^T r0
    const auto V = krylov_basis(P * A, P * r0, k);
    Dense G(k);
    Vector rhs(k), best = x0;
    for (int i = 0; i < k; ++i) {
      rhs[i] = dot(V[i], r0);
      for (int j = 0; j < k; ++j) G(i, j) = dot(V[i], A * V[j]);
    }
    const Vector y = dense_solve(G, rhs);
    for (int i = 0; i < k; ++i) best = plus(best, y[i], V[i]);
    CHECK(norm(plus(best, -1, iterates[k])) <= 1e-11 * norm(best));
  }
}

TEST_CASE("minres minimizes the M-norm of the residual over the Krylov space") {
  const Index n = 16;
  const Dense A = random_indefinite(n), P = some_preconditioner(n);
  Vector root(n);
  for (Index i = 0; i < n; ++i) root[i] = std::sqrt(P(i, i));
  const Dense S = diagonal(root);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(n), x0 = random_vector(n, 1), r0 = plus(b, -1, A * x0);
  const auto check = [&](int k, double residual_norm, const double* x) {
    const Vector r = plus(b, -1, A * Vector(x, x + n));
    CHECK(residual_norm == doctest::Approx(norm(r)).epsilon(1e-10));  // the 2-norm in the history
    if (k > 0) {
      CHECK(norm(S * r) == doctest::Approx(smallest_residual(S * A * S, S * r0, k)).epsilon(1e-10));
    }
    return false;
  };
  run(A.as_operator(), b, {.method = Method::minres, .max_iterations = 8}, &M, x0, check);
}

TEST_CASE("gmres minimizes the residual from the right, the preconditioned one from the left") {
  const Index n = 16;
  const Dense A = random_nonsymmetric(n), P = random_nonsymmetric(n);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(n), x0 = random_vector(n, 1), r0 = plus(b, -1, A * x0);
  const auto right =
      run(A.as_operator(), b, {.method = Method::gmres, .max_iterations = 8}, &M, x0).result;
  const auto flexible =
      run(A.as_operator(), b, {.method = Method::fgmres, .max_iterations = 8}, &M, x0).result;
  const auto left = run(A.as_operator(), b,
                        {.method = Method::gmres, .max_iterations = 8, .side = Side::left}, &M, x0)
                        .result;
  CHECK(left.history[0] == doctest::Approx(norm(P * r0)));
  for (int k = 1; k <= 8; ++k) {
    const double best = smallest_residual(A * P, r0, k);
    CHECK(right.history[k] == doctest::Approx(best).epsilon(1e-10));
    CHECK(flexible.history[k] == doctest::Approx(best).epsilon(1e-10));
    CHECK(left.history[k] == doctest::Approx(smallest_residual(P * A, P * r0, k)).epsilon(1e-10));
  }
}

TEST_CASE("minres and full gmres are the same method on a symmetric matrix") {
  const Dense A = random_indefinite(30);
  const Vector b = random_vector(30);
  const auto minres = run(A.as_operator(), b, {.method = Method::minres, .rtol = 1e-6}).result;
  const auto gmres =
      run(A.as_operator(), b, {.method = Method::gmres, .rtol = 1e-6, .restart = 0}).result;
  CHECK(minres.iterations == gmres.iterations);
  for (int k = 0; k <= gmres.iterations; ++k) {
    CHECK(minres.history[k] == doctest::Approx(gmres.history[k]).epsilon(1e-6));
  }
}

// ---- gmres

TEST_CASE(
    "left-preconditioned gmres stops on the preconditioned residual and reports the true one") {
  const Index n = 30;
  const Dense A = random_nonsymmetric(n);
  Vector d(n);
  for (Index i = 0; i < n; ++i) d[i] = std::pow(10.0, -(i % 5));
  const Dense P = diagonal(d);
  const Operator<double> M = P.as_operator();
  const Vector b = random_vector(n);
  const auto [result, x] =
      run(A.as_operator(), b, {.method = Method::gmres, .rtol = 1e-3, .side = Side::left}, &M);
  CHECK(result.converged);
  const Vector r = plus(b, -1, A * x);
  CHECK(norm(P * r) <= 1e-3 * norm(P * b) * (1 + 1e-9));
  CHECK(result.history.back() == doctest::Approx(norm(P * r)));
  CHECK(result.true_residual == doctest::Approx(norm(r) / norm(b)));
}

TEST_CASE("without a preconditioner the side does not matter") {
  const Dense A = random_nonsymmetric(12);
  const Vector b = random_vector(12);
  const auto right = run(A.as_operator(), b, {.method = Method::gmres});
  const auto left = run(A.as_operator(), b, {.method = Method::gmres, .side = Side::left});
  CHECK(right.x == left.x);
  CHECK(right.result.history == left.result.history);
}

TEST_CASE("restarted gmres converges more slowly, its residual never grows") {
  const Dense A = random_spd(40);
  const Vector b = random_vector(40);
  const auto full = run(A.as_operator(), b, {.method = Method::gmres, .restart = 0}).result;
  const auto restarted = run(A.as_operator(), b, {.method = Method::gmres, .restart = 5}).result;
  CHECK(full.converged);
  CHECK(restarted.converged);
  CHECK(restarted.iterations > full.iterations);
  for (std::size_t k = 1; k < restarted.history.size(); ++k) {
    CHECK(restarted.history[k] <= restarted.history[k - 1] * (1 + 1e-12));
  }
  for (int k = 0; k <= 5; ++k) {
    CHECK(restarted.history[k] == doctest::Approx(full.history[k]).epsilon(1e-12));
  }
}

TEST_CASE("a restart that gains nothing is reported: the cyclic shift") {
  const Index n = 20;
  Dense A(n);
  for (Index i = 0; i < n; ++i) A((i + 1) % n, i) = 1;
  Vector b(n);
  b[0] = 1;
  for (Method method : {Method::gmres, Method::fgmres}) {
    const auto restarted = run(A.as_operator(), b, {.method = method, .restart = 10}).result;
    CHECK(restarted.reason == Reason::diverged_stagnated);
    CHECK_FALSE(restarted.converged);
    CHECK(restarted.iterations == 10);
    CHECK(restarted.true_residual == doctest::Approx(1));
    const auto full = run(A.as_operator(), b, {.method = method, .restart = 0}).result;
    CHECK(full.converged);
    CHECK(full.iterations == n);
  }
}

TEST_CASE("the basis stays orthogonal on an ill-conditioned matrix") {
  // With plain Gram-Schmidt the recurrence would drift away from the true residual.
  Vector d(60);
  for (Index i = 0; i < 60; ++i) d[i] = std::pow(10.0, -i / 6.0);
  const Dense A = symmetric(d);
  int calls = 0;
  const Operator<double> counted = [&](const double* x, double* y) {
    ++calls;
    A.as_operator()(x, y);
  };
  const auto [result, x] =
      run(counted, A * random_vector(60), {.method = Method::gmres, .rtol = 1e-12, .restart = 0});
  CHECK(result.converged);
  CHECK(result.true_residual <= 2e-12);
  CHECK(calls == result.iterations + 1);  // one cycle: no restart was needed
}

static Operator<double> changing(Index n) {
  return [n, calls = 0](const double* r, double* z) mutable {
    ++calls;
    for (Index i = 0; i < n; ++i) z[i] = r[i] * (1 + (i + calls) % 3);
  };
}

TEST_CASE("fgmres takes a preconditioner that changes; gmres does not claim to have converged") {
  const Index n = 60;
  const Dense A = random_spd(n);
  const Vector b = random_vector(n);
  const Operator<double> M = changing(n);
  const auto [flexible, x] =
      run(A.as_operator(), b, {.method = Method::fgmres, .rtol = 1e-10, .restart = 20}, &M);
  CHECK(flexible.converged);
  CHECK(relative_residual(A, b, x) <= 1e-9);
  const auto [rigid, y] =
      run(A.as_operator(), b,
          {.method = Method::gmres, .rtol = 1e-10, .max_iterations = 200, .restart = 20}, &M);
  CHECK(rigid.true_residual == doctest::Approx(relative_residual(A, b, y)).epsilon(1e-3));
  CHECK(rigid.converged == (rigid.true_residual <= kDrift * 1e-10));
}

TEST_CASE("fcg with a fixed preconditioner takes the steps of cg") {
  const Index n = 60;
  const Dense A = random_spd(n);
  const Vector b = random_vector(n);
  const Operator<double> M = [&](const double* r, double* z) {
    for (Index i = 0; i < n; ++i) z[i] = r[i] / A(i, i);
  };
  for (const Operator<double>* preconditioner :
       {static_cast<const Operator<double>*>(nullptr), &M}) {
    const KrylovParams few{.rtol = 0, .max_iterations = 15};
    KrylovParams flexible = few;
    flexible.method = Method::fcg;
    const auto [rigid, x] = run(A.as_operator(), b, few, preconditioner);
    const auto [varying, y] = run(A.as_operator(), b, flexible, preconditioner);
    REQUIRE(varying.history.size() == rigid.history.size());
    for (std::size_t k = 0; k < rigid.history.size(); ++k)
      CHECK(varying.history[k] == doctest::Approx(rigid.history[k]).epsilon(1e-6));
  }
}

TEST_CASE("fcg takes a preconditioner that changes") {
  const Index n = 60;
  const Dense A = random_spd(n);
  const Vector b = random_vector(n);
  const Operator<double> M = changing(n);
  const auto [result, x] = run(A.as_operator(), b, {.method = Method::fcg, .rtol = 1e-10}, &M);
  CHECK(result.converged);
  CHECK(relative_residual(A, b, x) <= 1e-9);
}

// ---- honesty

TEST_CASE("converged speaks of the true residual, also where a method does not apply") {
  const Dense nonsymmetric = random_nonsymmetric(30), skewed = random_dense(30, 8);
  for (const Dense* A : {&nonsymmetric, &skewed}) {
    for (Method method : kAll) {
      for (double rtol : {1e-4, 1e-8, 1e-14}) {
        CAPTURE(name(method));
        CAPTURE(rtol);
        const Vector b = random_vector(30);
        const auto [result, x] =
            run(A->as_operator(), b, {.method = method, .rtol = rtol, .max_iterations = 300});
        CHECK(all_finite(x));
        if (result.converged) CHECK(relative_residual(*A, b, x) <= kDrift * rtol * (1 + 1e-3));
        CHECK(result.history.back() ==
              doctest::Approx(relative_residual(*A, b, x) * norm(b)).epsilon(1e-3));
      }
    }
  }
}

TEST_CASE("a recurrence that has drifted is replaced by the true residual") {
  // Rounding errors of the size of the guess, 1e9, stay behind in b - A x.
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    CAPTURE(name(method));
    int calls = 0;
    const Operator<double> counted = [&](const double* x, double* y) {
      ++calls;
      A.as_operator()(x, y);
    };
    const auto [result, x] =
        run(counted, b, {.method = method, .rtol = 1e-10, .restart = 0}, nullptr, Vector(30, 1e9));
    CHECK(result.converged);
    CHECK(relative_residual(A, b, x) <= 1e-9);
    CHECK(calls >= result.iterations + 3);  // the guess, the first claim, the last one
  }
}

TEST_CASE("fresh starts go on as long as they help: an operator of two digits inside the cycles") {
  const Index n = 20;
  const Dense A = random_spd(n);
  Dense sloppy = A;
  for (Index i = 0; i < n; ++i) sloppy(i, i) *= 1 + 0.02 * (i % 3);
  const Vector b = random_vector(n);
  for (Method method : kAll) {
    CAPTURE(name(method));
    Vector x(n);
    int fresh = 0;
    const Operator<double> mixed = [&](const double* v, double* y) {
      const bool exact = v == x.data();
      fresh += exact;
      (exact ? A : sloppy).as_operator()(v, y);
    };
    const auto result = solve(mixed, nullptr, n, b.data(), x.data(),
                              {.method = method, .rtol = 1e-10, .restart = 0});
    CHECK(result.converged);
    CHECK(relative_residual(A, b, x) <= 1e-9);
    CHECK(fresh >= 5);
  }
}

TEST_CASE("a tolerance that double precision cannot reach ends as stagnated, at the floor") {
  Vector d(30);
  for (Index i = 0; i < 30; ++i) d[i] = std::pow(10.0, -i / 5.0);
  const Dense A = symmetric(d);
  for (Method method : kAll) {
    for (double rtol : {0.0, 1e-30, 1e-17}) {
      CAPTURE(name(method));
      CAPTURE(rtol);
      const auto [result, x] =
          run(A.as_operator(), random_vector(30), {.method = method, .rtol = rtol, .restart = 0});
      CHECK(result.reason == Reason::diverged_stagnated);
      CHECK(result.true_residual < 1e-9);
      CHECK(result.iterations < 1000);
    }
  }
}

TEST_CASE("on a nearly singular matrix the best of the iterates comes back") {
  const Index n = 60;
  for (double shift : {1e-11, 1e-12}) {
    Dense A = path_laplacian(n);
    for (Index i = 0; i < n; ++i) A(i, i) += shift;
    const Vector b = plus(A * random_vector(n), 0.1, Vector(n, 1.0));
    for (Method method : kAll) {
      CAPTURE(name(method));
      CAPTURE(shift);
      Vector x(n), checked;  // norms of b - A x, where it was computed from x
      const Operator<double> watched = [&](const double* v, double* y) {
        A.as_operator()(v, y);
        if (v == x.data()) checked.push_back(norm(plus(b, -1, Vector(y, y + n))));
      };
      const auto result = solve(watched, nullptr, n, b.data(), x.data(),
                                {.method = method, .max_iterations = 3000, .restart = 0});
      CHECK(result.reason == Reason::diverged_stagnated);
      CHECK(result.true_residual < 0.02);
      CHECK(result.true_residual * norm(b) <= *std::ranges::min_element(checked) * (1 + 1e-12));
      CHECK(checked.size() <= 40);
    }
  }
}

// ---- breakdown

TEST_CASE("cg reports an operator or a preconditioner that is not positive definite") {
  const Dense spd = random_spd(20), indefinite = random_indefinite(20);
  const Vector b = random_vector(20);
  const auto [result, x] = run(indefinite.as_operator(), b, {.method = Method::cg});
  CHECK(result.reason == Reason::diverged_indefinite_operator);
  CHECK_FALSE(result.converged);
  CHECK(result.true_residual == doctest::Approx(relative_residual(indefinite, b, x)));

  const auto zero = run(Dense(20).as_operator(), b, {.method = Method::cg}).result;
  CHECK(zero.reason == Reason::diverged_indefinite_operator);
  CHECK(zero.iterations == 0);
}

TEST_CASE("cg and minres report a preconditioner that is not positive definite") {
  const Dense spd = random_spd(20), negative = diagonal(Vector(20, -1.0));
  const Dense mixed = diagonal(linspace(3, -1, 20)), zero(20);
  Dense skew(20);  // r^T M r = 0
  for (Index i = 0; i < 20; i += 2) {
    skew(i, i + 1) = 1;
    skew(i + 1, i) = -1;
  }
  for (Method method : {Method::cg, Method::minres}) {
    for (const Dense& P : {negative, mixed, zero, skew}) {
      CAPTURE(name(method));
      const Operator<double> M = P.as_operator();
      const auto [result, x] = run(spd.as_operator(), Vector(20, 1.0), {.method = method}, &M);
      CHECK(result.reason == Reason::diverged_indefinite_preconditioner);
      CHECK_FALSE(result.converged);
      CHECK(all_finite(x));
    }
  }
}

TEST_CASE("minres notices an indefinite preconditioner in the first step it shows") {
  const Dense A = diagonal({1, 2}), P = diagonal({1, -1});
  const Operator<double> M = P.as_operator();
  const auto [result, x] = run(A.as_operator(), {1, 0.5}, {.method = Method::minres}, &M);
  CHECK(result.reason == Reason::diverged_indefinite_preconditioner);
  CHECK(result.iterations == 0);
}

TEST_CASE("gmres breaks down where its space holds no solution") {
  Dense nilpotent(2);
  nilpotent(0, 1) = 1;  // A e_1 = 0, A e_2 = e_1
  for (Method method : {Method::gmres, Method::fgmres}) {
    for (const Dense& A : {Dense(2), nilpotent}) {
      const auto [result, x] = run(A.as_operator(), {1, 0}, {.method = method});
      CHECK(result.reason == Reason::diverged_breakdown);
      CHECK(result.iterations == 0);
      CHECK(result.true_residual == 1);
      CHECK(x == Vector{0, 0});
    }
  }
}

TEST_CASE("a singular preconditioner from the left does not converge on nothing") {
  const Dense A = random_spd(4), zero(4);
  const Operator<double> M = zero.as_operator();
  const auto [result, x] =
      run(A.as_operator(), Vector(4, 1.0), {.method = Method::gmres, .side = Side::left}, &M);
  CHECK_FALSE(result.converged);
  CHECK(result.reason == Reason::diverged_breakdown);
  CHECK(result.true_residual == 1);
}

TEST_CASE("singular consistent systems: the Laplacian of a path") {
  const Index n = 40;
  const Dense A = path_laplacian(n), P = some_preconditioner(n);
  const Operator<double> M = P.as_operator();
  const Vector solution = random_vector(n), b = A * solution;
  for (Method method : kAll) {
    for (const Operator<double>* preconditioner : {(const Operator<double>*)nullptr, &M}) {
      CAPTURE(name(method));
      const auto [result, x] =
          run(A.as_operator(), b, {.method = method, .rtol = 1e-10, .restart = 0}, preconditioner);
      CHECK(result.converged);
      CHECK(result.iterations <= n);
      const Vector error = plus(x, -1, solution);  // a constant
      CHECK(norm(plus(error, -error[0], Vector(n, 1.0))) <= 1e-7 * norm(solution));
    }
  }
}

TEST_CASE("singular inconsistent systems: minres and gmres stop at the least residual") {
  const Index n = 40;
  const Dense A = path_laplacian(n);
  const Vector b = plus(A * random_vector(n), 0.1, Vector(n, 1.0));
  const double least = 0.1 * std::sqrt(double(n)) / norm(b);
  for (Method method : {Method::minres, Method::gmres, Method::fgmres}) {
    CAPTURE(name(method));
    const auto [result, x] = run(A.as_operator(), b, {.method = method, .restart = 0});
    CHECK_FALSE(result.converged);
    if (method == Method::minres)
      CHECK(result.reason == Reason::diverged_inconsistent);
    else
      CHECK((result.reason == Reason::diverged_stagnated ||
             result.reason == Reason::diverged_breakdown));
    CHECK(result.iterations <= n + 2);
    CHECK(result.true_residual == doctest::Approx(least).epsilon(1e-6));
  }
}

TEST_CASE("cg ends a singular inconsistent system at the guess, not at an x that has run away") {
  const Index n = 40;
  const Dense A = path_laplacian(n);
  const Vector b = plus(A * random_vector(n), 0.1, Vector(n, 1.0));
  for (const Vector& x0 : {Vector(n), random_vector(n, 5)}) {
    const auto [result, x] = run(A.as_operator(), b, {.method = Method::cg}, nullptr, x0);
    CHECK(result.reason == Reason::diverged_breakdown);
    CHECK(result.iterations <= n + 2);
    CHECK(x == x0);
    CHECK(result.history.back() == result.history.front());
    CHECK(result.true_residual == doctest::Approx(relative_residual(A, b, x0)));
  }
}

TEST_CASE("a right-hand side in the null space is left alone") {
  const Index n = 40;
  const Dense zero(n), A = path_laplacian(n);
  for (const Dense* matrix : {&zero, &A}) {
    for (Method method : kAll) {
      CAPTURE(name(method));
      const auto [result, x] = run(matrix->as_operator(), Vector(n, 1.0), {.method = method});
      CHECK_FALSE(result.converged);
      CHECK(result.reason != Reason::diverged_max_iterations);
      CHECK(result.iterations == 0);
      CHECK(result.true_residual == 1);
      CHECK(x == Vector(n));
    }
  }
}

TEST_CASE("NaN in A or M ends with the last good iterate") {
  const Index n = 20;
  const Dense A = random_spd(n), P = some_preconditioner(n);
  for (Method method : kAll) {
    for (bool in_operator : {true, false}) {
      for (double poison : {kNan, kInfinity, -kInfinity}) {
        CAPTURE(name(method));
        CAPTURE(in_operator);
        const auto poisoned = [&](const Dense& matrix, bool bad) -> Operator<double> {
          return [&, bad, calls = 0](const double* x, double* y) mutable {
            matrix.as_operator()(x, y);
            if (bad && ++calls == 5) y[7] = poison;
          };
        };
        const Operator<double> M = poisoned(P, !in_operator);
        const auto [result, x] =
            run(poisoned(A, in_operator), random_vector(n), {.method = method}, &M);
        CHECK(result.reason == Reason::diverged_nan);
        CHECK_FALSE(result.converged);
        CHECK(result.iterations >= 3);
        CHECK(all_finite(x));
        CHECK(result.true_residual < 1);
        CHECK(result.true_residual == doctest::Approx(relative_residual(A, random_vector(n), x)));
      }
    }
  }
}

TEST_CASE("NaN in the correction of a gmres cycle leaves x as it was before the cycle") {
  const Dense A = random_spd(10), P = some_preconditioner(10);
  int calls = 0;
  const Operator<double> M = [&](const double* r, double* z) {
    P.as_operator()(r, z);
    if (++calls == 8) z[3] = kNan;  // 3 + 1 applications a cycle
  };
  const auto [result, x] =
      run(A.as_operator(), random_vector(10), {.method = Method::gmres, .restart = 3}, &M);
  CHECK(result.reason == Reason::diverged_nan);
  CHECK(result.iterations == 6);
  CHECK(all_finite(x));
  CHECK(result.true_residual == doctest::Approx(result.history[3] / result.history[0]));
}

TEST_CASE("an operator that gives nothing but NaN leaves the guess alone") {
  const Operator<double> A = [](const double*, double* y) { y[0] = y[1] = kNan; };
  for (Method method : kAll) {
    const auto [result, x] = run(A, {1, 2}, {.method = method}, nullptr, {3, 4});
    CHECK(result.reason == Reason::diverged_nan);
    CHECK(result.iterations == 0);
    CHECK(x == Vector{3, 4});
  }
}

// ---- ends of a run

TEST_CASE("b = 0 gives x = 0 at once, whatever the guess") {
  const Dense A = random_spd(5);
  for (Method method : kAll) {
    const auto [result, x] =
        run(A.as_operator(), Vector(5), {.method = method}, nullptr, Vector(5, 9.0));
    CHECK(result.converged);
    CHECK(result.reason == Reason::converged_atol);
    CHECK(result.iterations == 0);
    CHECK(result.history == Vector{0});
    CHECK(result.true_residual == 0);
    CHECK(x == Vector(5));
  }
}

TEST_CASE("a guess that solves the system is returned as it came") {
  const Dense A = random_spd(8);
  const Vector x0 = random_vector(8), b = A * x0;
  for (Method method : kAll) {
    const auto [result, x] = run(A.as_operator(), b, {.method = method}, nullptr, x0);
    CHECK(result.converged);
    CHECK(result.iterations == 0);
    CHECK(x == x0);
  }
}

TEST_CASE("the absolute tolerance counts where it is the larger") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    const auto result =
        run(A.as_operator(), b, {.method = method, .rtol = 1e-12, .atol = 1e-3}).result;
    CHECK(result.reason == Reason::converged_atol);
    CHECK(result.history.back() <= 1e-3);
    CHECK(*(result.history.end() - 2) > 1e-3);
  }
}

TEST_CASE("the number of iterations is limited") {
  const Dense A = random_spd(40);
  for (Method method : kAll) {
    for (int limit : {0, 1, 7}) {
      CAPTURE(name(method));
      const auto [result, x] = run(A.as_operator(), random_vector(40),
                                   {.method = method, .max_iterations = limit, .restart = 3});
      CHECK(result.reason == Reason::diverged_max_iterations);
      CHECK_FALSE(result.converged);
      CHECK(result.iterations == limit);
      CHECK(result.history.size() == limit + 1u);
      CHECK(result.true_residual == doctest::Approx(relative_residual(A, random_vector(40), x)));
    }
  }
}

TEST_CASE("minres ends at the guess when its residual has grown: M hardly sees the second row") {
  Dense A(2);
  A.entries = {1, 3, 3, 1};
  const Dense P = diagonal(Vector{1, 1e-4});
  const Operator<double> M = P.as_operator();
  for (const Vector& x0 : {Vector{0, 0}, Vector{5, -7}}) {
    const Vector b = plus(A * x0, 1, Vector{1, 0});
    double grown = 0;
    const auto watch = [&](int, double residual_norm, const double*) {
      grown = residual_norm;
      return false;
    };
    KrylovParams params{.method = Method::minres, .max_iterations = 1};
    const auto [result, x] = run(A.as_operator(), b, params, &M, x0, watch);
    CHECK(grown > 2.9);
    CHECK(result.reason == Reason::diverged_residual_grew);
    CHECK_FALSE(result.converged);
    CHECK(x == x0);
    CHECK(result.iterations == 1);
    CHECK(result.history.back() == doctest::Approx(1));
    CHECK(result.true_residual == doctest::Approx(1 / norm(b)));
    params.max_iterations = 2;
    CHECK(run(A.as_operator(), b, params, &M, x0).result.converged);
    params.max_iterations = 1;
    params.method = Method::cg;
    CHECK(run(random_spd(2).as_operator(), b, params, &M, x0).result.reason ==
          Reason::diverged_max_iterations);
  }
}

TEST_CASE("an x that meets the tolerance has converged, whatever ended the run") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  int cases = 0;
  for (int limit = 1; limit < 20; ++limit) {
    double recurrence = 0;
    const auto watch = [&](int, double residual_norm, const double*) {
      recurrence = residual_norm;
      return false;
    };
    const KrylovParams limited{.method = Method::cg, .max_iterations = limit};
    const double norm_of_x =
        run(A.as_operator(), b, limited, nullptr, {}, watch).result.history.back();
    if (recurrence <= norm_of_x) continue;  // else the recurrence misses what x meets, by rounding
    ++cases;
    KrylovParams params = limited;
    params.atol = norm_of_x;
    CHECK(run(A.as_operator(), b, params).result.reason == Reason::converged_atol);
  }
  CHECK(cases > 0);
}

TEST_CASE("no fresh start after the last iteration allowed") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30), far(30, 1e9);
  for (Method method : kAll) {
    CAPTURE(name(method));
    KrylovParams params{.method = method, .rtol = 1e-10, .restart = 0};
    int first_claim = 0;
    const auto watch = [&](int iteration, double residual_norm, const double*) {
      if (first_claim == 0 && residual_norm <= 1e-10 * norm(b)) first_claim = iteration;
      return false;
    };
    const auto unlimited = run(A.as_operator(), b, params, nullptr, far, watch).result;
    REQUIRE(unlimited.iterations > first_claim);
    params.max_iterations = first_claim;
    const auto limited = run(A.as_operator(), b, params, nullptr, far).result;
    CHECK(limited.reason == Reason::diverged_max_iterations);
    CHECK(limited.iterations == first_claim);
  }
}

TEST_CASE("the callback sees the history, and x where it is formed") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    Vector seen;
    const bool every_iterate = method != Method::gmres && method != Method::fgmres;
    const auto watch = [&](int iteration, double residual_norm, const double* x) {
      CHECK(iteration == static_cast<int>(seen.size()));
      CHECK((x != nullptr) == (every_iterate || iteration == 0));
      if (x) {
        CHECK(residual_norm ==
              doctest::Approx(norm(plus(b, -1, A * Vector(x, x + 30)))).epsilon(1e-6));
      }
      seen.push_back(residual_norm);
      return false;
    };
    const auto result = run(A.as_operator(), b, {.method = method}, nullptr, {}, watch).result;
    REQUIRE(seen.size() == result.history.size());
    for (std::size_t k = 0; k < seen.size(); ++k) {
      CHECK(result.history[k] == doctest::Approx(seen[k]).epsilon(1e-5));
    }
  }
}

TEST_CASE("the callback stops the run, with the iterate of that moment") {
  const Dense A = random_spd(30);
  const Vector b = random_vector(30);
  for (Method method : kAll) {
    for (int last : {0, 4}) {
      const auto [result, x] =
          run(A.as_operator(), b, {.method = method}, nullptr, {},
              [&](int iteration, double, const double*) { return iteration == last; });
      CHECK(result.reason == Reason::stopped_by_callback);
      CHECK_FALSE(result.converged);
      CHECK(result.iterations == last);
      CHECK(result.history.back() == doctest::Approx(relative_residual(A, b, x) * norm(b)));
      CHECK((result.true_residual < 1) == (last > 0));
    }
  }
}

TEST_CASE("an exception of an operator or of the callback reaches the caller") {
  const Operator<double> A = [](const double*, double*) { throw std::runtime_error("lost"); };
  const Dense B = random_spd(3);
  for (Method method : kAll) {
    CHECK_THROWS_WITH(run(A, Vector(3, 1.0), {.method = method}), "lost");
    CHECK_THROWS_WITH(
        run(B.as_operator(), Vector(3, 1.0), {.method = method}, nullptr, {},
            [](int, double, const double*) -> bool { throw std::runtime_error("no"); }),
        "no");
  }
}

// ---- refused input

TEST_CASE("refused input") {
  const Dense A = random_spd(2);
  const Operator<double> op = A.as_operator(), empty;
  const Vector b{1, 1};
  const auto refused = [](const auto& call, const char* text) {
    CHECK_THROWS_WITH_AS(call(), doctest::Contains(text), InvalidArgument);
  };
  refused([&] { run(op, {}, {}); }, "0 unknowns; expected at least 1");
  refused([&] { run(empty, b, {}); }, "must be callable");
  refused([&] { run(op, b, {}, &empty); }, "must be callable");
  refused([&] { run(op, {1, kNan}, {}); }, "b has entries that are NaN or infinite");
  refused([&] { run(op, {1, kInfinity}, {}); }, "b has entries that are NaN or infinite");
  refused([&] { run(op, b, {}, nullptr, {kNan, 0}); }, "initial guess has entries that are NaN");
  refused([&] { run(op, b, {.rtol = 1}); }, "rtol: expected a number in [0, 1), got 1");
  refused([&] { run(op, b, {.rtol = -1e-3}); }, "rtol");
  refused([&] { run(op, b, {.rtol = kNan}); }, "rtol");
  refused([&] { run(op, b, {.atol = -1}); }, "atol: expected a finite number >= 0, got -1");
  refused([&] { run(op, b, {.atol = kInfinity}); }, "atol");
  refused([&] { run(op, b, {.max_iterations = -1}); },
          "max_iterations: expected at least 0, got -1");
  refused([&] { run(op, b, {.restart = -1}); }, "restart: expected at least 1, or 0 for never");
  refused([&] { run(op, b, {.method = Method::fgmres, .side = Side::left}); }, "'gmres' only");
  refused([&] { run(op, b, {.method = static_cast<Method>(77)}); }, "77");
}

TEST_CASE("names") {
  for (Method method : kAll) CHECK(method_from_name(name(method)) == method);
  for (Side side : {Side::right, Side::left}) CHECK(side_from_name(name(side)) == side);
  CHECK_THROWS_WITH_AS(
      method_from_name("bicg"),
      "method: expected one of 'cg', 'fcg', 'minres', 'gmres', 'fgmres'; got 'bicg'",
      InvalidArgument);
  CHECK_THROWS_AS(side_from_name(""), InvalidArgument);
  for (int k = 0; k <= static_cast<int>(Reason::stopped_by_callback); ++k) {
    CHECK(std::string_view(name(static_cast<Reason>(k))).size() > 8);
  }
}

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
