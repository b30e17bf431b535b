// The preconditioner as a whole: M is symmetric and positive, exact where it can be, the same on
// any number of threads, and its convergence does not depend on the size.
#include <doctest/doctest.h>

#include <atomic>
#include <cstdlib>
#include <new>
#include <thread>

#include "precond_matrices.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/precond/preconditioner.hpp"

using namespace pympf;
using namespace pympf::precond;
using namespace pympf::test;
using doctest::Contains;

extern std::atomic<long> allocations;  // counted in count_allocations.cpp

namespace {

using Change = std::function<void(Params&)>;

// Small levels in double precision, after `change`.
Params with(const Change& change = {}) {
  Params params;
  params.method = precond::Method::multilevel;
  params.precision = Precision::working;
  params.coarse_size = 8;
  if (change) change(params);
  return params;
}

template <class T>
Dense dense(const Preconditioner<T>& M) {
  const Index n = M.rows();
  return dense_map(n, [&](const double* x, double* y) {
    std::vector<T> in(x, x + n), out(n);
    M.apply(in.data(), out.data());
    std::copy(out.begin(), out.end(), y);
  });
}

std::vector<Named> positive_matrices() {
  return {{"grid", grid({12, 11})},
          {"random", random_symmetric(120, 4, 2, test::Kind::definite)},
          {"springs", shifted(springs(8, 7, 1).A, 0.01)},
          {"power law", shifted(power_law(120, 2, 1), 0.05)},
          {"path", grid({100})}};
}

struct Variation {
  std::string name;
  Params params;
};

std::vector<Variation> variations() {
  std::vector<Variation> out;
  const auto add = [&](const std::string& name, const Change& change) {
    out.push_back({name, with(change)});
  };
  const std::vector<std::pair<std::string, SmootherKind>> smoothers = {
      {"ict", SmootherKind::incomplete_cholesky},
      {"gs", SmootherKind::gauss_seidel},
      {"chebyshev", SmootherKind::chebyshev},
      {"l1_jacobi", SmootherKind::l1_jacobi}};
  for (const auto& [name, smoother] : smoothers) {
    const auto kind = smoother;
    add(name + " v", [&](Params& p) { p.smoother = kind; });
    add(name + " w", [&](Params& p) { p.smoother = kind, p.cycle = CycleKind::w; });
    add(name + " sweeps", [&](Params& p) { p.smoother = kind, p.sweeps = 2, p.strips = 3; });
    add(name + " one level", [&](Params& p) { p.smoother = kind, p.max_levels = 1; });
    add(name + " no dense solve", [&](Params& p) { p.smoother = kind, p.max_levels = 2; });
  }
  add("pairs", [](Params& p) { p.shape = Shape::pair; });
  add("not lifted", [](Params& p) { p.lift = false, p.overcorrection = 1.5; });
  add("natural", [](Params& p) { p.ordering = Ordering::natural, p.truncation = 0; });
  add("additive", [](Params& p) { p.cycle = CycleKind::additive; });
  add("additive, two levels", [](Params& p) { p.cycle = CycleKind::additive, p.max_levels = 2; });
  return out;
}

template <class T>
KrylovResult solve(const Csr<T>& A, const Preconditioner<T>& M, const std::vector<T>& b,
                   double rtol = 1e-8) {
  std::vector<T> x(b.size(), T(0));
  KrylovParams params;
  params.rtol = rtol;
  params.max_iterations = 200;
  const Operator<T> multiply = [&](const T* v, T* y) { spmv(A.view(), v, y); };
  const Operator<T> precondition = [&](const T* r, T* z) { M.apply(r, z); };
  return pympf::solve<T>(multiply, &precondition, A.rows, b.data(), x.data(), params);
}

int iterations(const Csr<double>& A, const Params& params) {
  const Preconditioner<double> M(A, params);
  const auto result = solve(A, M, random_vector(static_cast<std::size_t>(A.rows), 1));
  CHECK(result.converged);
  return result.iterations;
}

// b in the range of A.
std::vector<double> consistent(const Csr<double>& A) {
  const std::vector<double> x = random_vector(static_cast<std::size_t>(A.rows), 4);
  std::vector<double> b(A.rows);
  spmv(A.view(), x.data(), b.data());
  return b;
}

}  // namespace

TEST_CASE("M is symmetric and positive definite, and close to the inverse of A") {
  for (const auto& [name, A] : positive_matrices())
    for (const auto& [variation, params] : variations()) {
      CAPTURE(name);
      CAPTURE(variation);
      const Dense M = dense(Preconditioner<double>(A, params));
      CHECK(distance(M, transposed(M)) <= rounding<double>(200, norm(M)));
      CHECK(eigenvalues(M).front() > 0);
      const auto values = preconditioned_eigenvalues(test::dense(A), M);
      CHECK(values.front() > 0);
      CHECK(values.back() < (params.lift ? 2.5 : 4));
    }
}

TEST_CASE("a V-cycle contracts the error by much more than a smoother does") {
  for (const auto& [name, A] : positive_matrices()) {
    CAPTURE(name);
    const auto smallest = [&](const Change& change) {
      return preconditioned_eigenvalues(test::dense(A),
                                        dense(Preconditioner<double>(A, with(change))))
          .front();
    };
    const auto gs = [](Params& p) { p.smoother = SmootherKind::gauss_seidel; };
    const double cycle = smallest(gs);
    CHECK(cycle > (name == "springs" ? 0.01 : 0.3));  // springs need their rigid motions
    CHECK(smallest([&](Params& p) { gs(p), p.max_levels = 1; }) < cycle);
  }
}

TEST_CASE("a cycle whose smoother is exact is an exact solve") {
  for (const auto& [name, A] : positive_matrices())
    for (const auto cycle : {CycleKind::v, CycleKind::w, CycleKind::k})
      for (const int strips : {1, 3}) {
        CAPTURE(name);
        CAPTURE(strips);
        const Params params = with([&](Params& p) {
          p.cycle = cycle, p.strips = strips, p.drop_tolerance = 0, p.fill = 1 << 20;
        });
        const Dense I = dense(Preconditioner<double>(A, params)) * test::dense(A);
        CHECK(distance(I, identity(A.rows)) < 1e-9);
      }
}

TEST_CASE("a single level that is solved densely is exact") {
  for (const auto& [name, A] : positive_matrices()) {
    CAPTURE(name);
    const Preconditioner<double> M(A, with([](Params& p) { p.coarse_size = 1000; }));
    CHECK(distance(dense(M) * test::dense(A), identity(A.rows)) < 1e-9);
    CHECK(M.report().method == "dense");
    CHECK(M.report().coarse_rows == A.rows);
  }
}

TEST_CASE("K-cycles converge at least as fast as V-cycles, with methods that let M vary") {
  const Csr<double> A = grid({40, 40});
  const auto count = [&](CycleKind cycle, pympf::Method method) {
    const auto change = [&](Params& p) {
      p.cycle = cycle, p.lift = false, p.smoother = SmootherKind::gauss_seidel, p.truncation = 0;
    };
    const Preconditioner<double> M(A, with(change));
    const std::vector<double> b = random_vector(1600, 1);
    std::vector<double> x(1600, 0.0);
    KrylovParams krylov;
    krylov.method = method;
    const Operator<double> multiply = [&](const double* v, double* y) { spmv(A.view(), v, y); };
    const Operator<double> apply = [&](const double* r, double* z) { M.apply(r, z); };
    const auto result = pympf::solve<double>(multiply, &apply, 1600, b.data(), x.data(), krylov);
    CHECK(result.converged);
    return result.iterations;
  };
  for (const auto method : {pympf::Method::fgmres, pympf::Method::fcg})
    CHECK(count(CycleKind::k, method) < count(CycleKind::v, method));
}

TEST_CASE("the number of iterations does not grow with the grid") {
  const auto spread = [](const std::vector<std::vector<Index>>& shapes) {
    std::vector<int> counts;
    Params params;
    params.method = precond::Method::multilevel;
    for (const auto& shape : shapes) counts.push_back(iterations(grid(shape), params));
    const auto [least, most] = std::minmax_element(counts.begin(), counts.end());
    CAPTURE(*least);
    CAPTURE(*most);
    CHECK(*most <= 13);
    CHECK(*most - *least <= 2);
  };
  spread({{32, 32}, {64, 64}, {128, 128}});
  spread({{10, 10, 10}, {16, 16, 16}, {24, 24, 24}});
}

TEST_CASE("the same bits on any number of threads") {
  const int before = thread_count();
  const Csr<double> A = grid({420, 420});
  const std::vector<double> b = random_vector(static_cast<std::size_t>(A.rows), 1);
  const std::vector<std::pair<SmootherKind, CycleKind>> kinds = {
      {SmootherKind::incomplete_cholesky, CycleKind::v},
      {SmootherKind::gauss_seidel, CycleKind::w},
      {SmootherKind::chebyshev, CycleKind::k},
      {SmootherKind::l1_jacobi, CycleKind::additive}};
  for (const auto& [smoother, cycle] : kinds) {
    CAPTURE(static_cast<int>(smoother));
    Params params;
    params.method = precond::Method::multilevel;
    params.smoother = smoother;
    params.cycle = cycle;
    std::vector<std::vector<double>> results;
    for (const int threads : {1, 2, 3}) {
      set_thread_count(threads);
      const Preconditioner<double> M(A, params);
      M.apply(b.data(), results.emplace_back(b.size()).data());
    }
    CHECK(results[0] == results[1]);
    CHECK(results[0] == results[2]);
  }
  set_thread_count(before);
}

TEST_CASE("an application allocates nothing after the first, and several threads may apply") {
  const Csr<double> A = grid({60, 60});
  const std::vector<double> b = random_vector(3600, 1), c = random_vector(3600, 2);
  for (const auto& [name, params] : variations()) {
    CAPTURE(name);
    const Preconditioner<double> M(A, params);
    std::vector<double> x(3600), y(3600), z(3600);
    M.apply(b.data(), x.data());
    const long count = allocations;
    M.apply(c.data(), y.data());
    CHECK(allocations == count);
    std::thread other([&] {
      for (int k = 0; k < 10; ++k) M.apply(b.data(), z.data());
    });
    std::vector<double> again(3600);
    for (int k = 0; k < 10; ++k) M.apply(c.data(), again.data());
    other.join();
    CHECK(z == x);
    CHECK(again == y);
  }
}

TEST_CASE("the hierarchy of a power-law graph stays within its limit") {
  for (const int edges : {2, 5}) {
    const Csr<double> A = shifted(power_law(4000, edges, 1), 1e-3);
    for (const double most : {1.3, 2.5}) {
      const auto change = [&](Params& p) { p.max_complexity = most; };
      const Preconditioner<double> M(A, with(change));
      CHECK(M.report().operator_complexity <= most);
      CHECK(solve(A, M, random_vector(4000, 1)).converged);
    }
  }
}

TEST_CASE("singular matrices: Laplacians of one component and of several") {
  const std::vector<Named> list = {
      {"Laplacian", laplacian({20, 21})},
      {"copies", block_diagonal({laplacian({15, 16}), laplacian({15, 16})})},
      {"many",
       block_diagonal({laplacian({15, 16}), laplacian({4}), laplacian({2}), laplacian({9})})},
      {"power law", power_law(500, 3, 1)},
      {"springs", springs(12, 11, 1).A}};
  for (const auto& [name, A] : list)
    for (const auto& [variation, params] : variations()) {
      if (params.max_levels < 30) continue;
      CAPTURE(name);
      CAPTURE(variation);
      const Preconditioner<double> M(A, params);
      CHECK_FALSE(M.report().indefinite);
      const Dense map = dense(M);
      CHECK(distance(map, transposed(map)) <= rounding<double>(1000, norm(map)));
      CHECK(solve(A, M, consistent(A)).converged);
    }
}

TEST_CASE("rigid motions as near-nullspace: fewer iterations than constants give") {
  const Springs net = springs(24, 24, 1);
  const Csr<double> A = shifted(net.A, 1e-4);
  const auto count = [&](const NearNullspace& B) {
    const Preconditioner<double> M(A, with(), B, 2);
    CHECK(M.report().method == "multilevel");
    const auto result = solve(A, M, random_vector(static_cast<std::size_t>(A.rows), 1));
    CHECK(result.converged);
    return result.iterations;
  };
  const int rigid = count(net.modes), constant = count({1, std::vector<double>(A.rows, 1)});
  CHECK(rigid <= 20);
  CHECK(rigid < constant);
}

TEST_CASE("components of a few rows, and vectors that some of them do not tell apart") {
  // Centred coordinates before constants: the second scaling function of a component is null.
  Builder paths(160);
  Random random(1, 0, 0);
  for (Index k = 0; k < 160; ++k)
    if (k % 4 < 3) paths.add_edge(k, k + 1, 0.5 + uniform(random));
  const Csr<double> A = paths.matrix();
  NearNullspace B{2, {}};
  for (int k = 0; k < 160; ++k) B.values.insert(B.values.end(), {k % 4 - 1.5, 1});
  for (const auto smoother : {SmootherKind::incomplete_cholesky, SmootherKind::gauss_seidel}) {
    const auto change = [&](Params& p) {
      p.coarse_size = 1, p.smoother = smoother, p.drop_tolerance = 0.5, p.fill = 0;
      p.strength = 0.1;
    };
    const Preconditioner<double> M(A, with(change), B);
    for (double v : dense(M).entries) REQUIRE(std::isfinite(v));
    CHECK(solve(A, M, consistent(A)).converged);
  }
}

TEST_CASE("of a negative definite matrix M is that of -A") {
  const Csr<double> A = grid({12, 11}), minus = scaled(A, -1);
  const Preconditioner<double> M(A, with()), N(minus, with());
  CHECK(distance(dense(M), dense(N)) == 0);
  CHECK(N.report().indefinite);
}

TEST_CASE(
    "of an indefinite matrix M is positive definite with the incomplete Cholesky, and says so") {
  for (const auto& [name, A] : std::vector<Named>{{"grid", shifted(grid({20, 20}), -0.7)},
                                                  {"random", random_symmetric(200, 5, 1)}}) {
    CAPTURE(name);
    const Preconditioner<double> M(A, with());
    CHECK(M.report().indefinite);
    const Dense map = dense(M);
    CHECK(distance(map, transposed(map)) <= rounding<double>(1000, norm(map)));
    CHECK(eigenvalues(map).front() > 0);
  }
}

TEST_CASE("auto never calls an indefinite diagonal an exact factorization of a positive matrix") {
  std::vector<double> d(100, 2);
  d[7] = -3;
  const Preconditioner<double> M(diagonal_matrix(d), Params{});
  CHECK(M.report().indefinite);
  const Dense map = dense(M);
  CHECK(map(7, 7) > 0);
}

TEST_CASE("auto tells why it stops at the first level") {
  const Preconditioner<double> exact(grid({6000}), Params{});
  CHECK(exact.report().method == "ict");
  CHECK(exact.report().exact);
  CHECK(exact.report().reason.find("exact") != std::string::npos);
  Params params;
  for (const auto& [A, method] :
       {std::pair{shifted(grid({80, 80}), 2), "jacobi"}, std::pair{anisotropic(80), "ict"}}) {
    const Preconditioner<double> easy(A, params);
    CHECK(easy.report().method == method);
    CHECK(easy.report().reason.find("iterations") != std::string::npos);
  }
  const Preconditioner<double> hard(grid({300, 300}), params);
  CHECK(hard.report().method == "multilevel");
}

TEST_CASE("the floor that few slow errors leave keeps auto from the diagonal and the factor") {
  // Sixteen grids of strong couplings, joined by weak ones: fifteen errors that only they damp. (Of
  // fewer rows the factor is taken: CG passes fifteen errors by in fewer steps than a probe has.)
  constexpr Index side = 64, size = 16;
  Csr<double> A = laplacian({side, side});
  const auto cell = [](Index i) { return i / side / size * side + i % side / size; };
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (A.indices[p] != i) sum += A.data[p] = cell(i) == cell(A.indices[p]) ? -1 : -1e-6;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (A.indices[p] == i) A.data[p] = -sum;
  }
  CHECK(Preconditioner<double>(A, Params{}).report().method == "multilevel");
}

TEST_CASE("null rows are left as they are") {
  const Csr<double> A =
      block_diagonal({diagonal_matrix({0}), grid({12, 12}), diagonal_matrix({0, 0})});
  for (const auto& [name, params] : variations()) {
    CAPTURE(name);
    const Dense M = dense(Preconditioner<double>(A, params));
    for (const Index i : {0, 145, 146})
      for (Index j = 0; j < A.rows; ++j) CHECK(M(i, j) == (i == j ? 1 : 0));
  }
}

TEST_CASE("tiny, diagonal, zero") {
  for (const auto& [name, params] : variations()) {
    CAPTURE(name);
    CHECK(dense(Preconditioner<double>(diagonal_matrix({4}), params))(0, 0) ==
          doctest::Approx(0.25));
    CHECK(dense(Preconditioner<double>(diagonal_matrix({0}), params))(0, 0) == 1);
    const Csr<double> two = grid({2});
    CHECK(distance(dense(Preconditioner<double>(two, params)), inverse(test::dense(two))) < 1e-14);
    std::vector<double> d = random_vector(50, 1);
    for (double& v : d) v += 2;
    const Dense M = dense(Preconditioner<double>(diagonal_matrix(d), params));
    CHECK(eigenvalues(M).front() > 0);
    CHECK(
        distance(dense(Preconditioner<double>(diagonal_matrix(std::vector<double>(50, 0)), params)),
                 identity(50)) == 0);
  }
}

TEST_CASE("Jacobi is the inverse of the absolute diagonal, and 1 for a zero") {
  const auto params = with([](Params& p) { p.method = precond::Method::jacobi; });
  const Dense M = dense(Preconditioner<double>(diagonal_matrix({4, -2, 0}), params));
  CHECK(M(0, 0) == 0.25);
  CHECK(M(1, 1) == 0.5);
  CHECK(M(2, 2) == 1);
}

TEST_CASE("what does not fit is refused") {
  const Csr<double> A = grid({4, 4});
  const auto make = [&](const NearNullspace& B, Index block) {
    return Preconditioner<double>(A, Params{}, B, block);
  };
  CHECK_THROWS_WITH_AS(make({}, 3), Contains("block size 3"), InvalidArgument);
  CHECK_THROWS_AS(make({}, 0), InvalidArgument);
  CHECK_THROWS_WITH_AS(make({2, std::vector<double>(16, 1)}, 1), Contains("expected 16 x 2"),
                       InvalidArgument);
  CHECK_THROWS_AS(Preconditioner<double>(Csr<double>{0, 0, {0}, {}, {}}, Params{}),
                  InvalidArgument);
  CHECK_THROWS_AS(Preconditioner<double>(Csr<double>{1, 2, {0, 0}, {}, {}}, Params{}),
                  InvalidArgument);
  Params params;
  params.overcorrection = 3;
  CHECK_THROWS_WITH_AS(Preconditioner<double>(A, params), Contains("overcorrection"),
                       InvalidArgument);
}

TEST_CASE("single precision: for float matrices, and where it is asked for") {
  const Csr<double> A = grid({40, 40});
  const Csr<float> F = grid<float>({40, 40});
  const Params single = with([](Params& p) { p.precision = Precision::single; });
  const Preconditioner<double> full(A, with()), half(A, single);
  const Preconditioner<float> small(F, with());
  CHECK(half.report().single);
  CHECK_FALSE(full.report().single);
  CHECK_FALSE(small.report().single);
  const std::vector<double> b = random_vector(1600, 1);
  const std::vector<float> f(b.begin(), b.end());
  std::vector<double> x(1600), y(1600);
  std::vector<float> z(1600);
  full.apply(b.data(), x.data());
  half.apply(b.data(), y.data());
  small.apply(f.data(), z.data());
  double size = 0, error = 0, other = 0;
  for (int i = 0; i < 1600; ++i) {
    size = std::max(size, std::abs(x[i]));
    error = std::max(error, std::abs(x[i] - y[i]));
    other = std::max(other, std::abs(x[i] - z[i]));
  }
  CHECK(error <= rounding<float>(100, size));
  CHECK(other <= rounding<float>(100, size));
  CHECK(error > 0);
  CHECK(solve(A, half, b).iterations <= solve(A, full, b).iterations + 1);
  CHECK(solve(F, small, f, 1e-4).converged);
}

TEST_CASE("automatic precision: single only for matrices that leave the caches") {
  Params params;
  params.method = precond::Method::multilevel;
  for (const Index n : {100, 150}) {
    const Csr<double> A = grid({n, n});
    CHECK(Preconditioner<double>(A, params).report().single == (A.nnz() > 100000));
  }
}

// ---- new values on the same pattern

TEST_CASE("an update with the same values changes nothing, with twice the values it halves M") {
  const Csr<double> A = grid({16, 17}), doubled = scaled(A, 2);
  for (const auto& [name, params] : variations()) {
    CAPTURE(name);
    Preconditioner<double> M(A, params);
    const Dense before = dense(M);
    M.update(A);
    CHECK(distance(dense(M), before) == 0);
    M.update(doubled);
    Dense after = dense(M);
    for (double& v : after.entries) v *= 2;
    CHECK(distance(after, before) <= rounding<double>(100, norm(before)));
  }
}

TEST_CASE("an update of a singular matrix in single precision still sees its nullspace") {
  for (const auto& [name, A] :
       std::vector<Named>{{"Laplacian", laplacian({60, 61})},
                          {"copies", block_diagonal({laplacian({40, 41}), laplacian({40, 41})})},
                          {"power law", power_law(2000, 3, 1)}}) {
    CAPTURE(name);
    Params params;
    params.method = precond::Method::multilevel;
    params.precision = Precision::single;
    Preconditioner<double> M(A, params);
    const Index nullity = M.report().coarse_nullity;
    const int count = solve(A, M, consistent(A)).iterations;
    M.update(A);
    CHECK_FALSE(M.report().indefinite);
    CHECK(M.report().coarse_nullity == nullity);
    const auto result = solve(A, M, consistent(A));
    CHECK(result.converged);
    CHECK(result.iterations <= count + 1);
  }
}

TEST_CASE("an update of another pattern is refused") {
  Preconditioner<double> M(grid({10, 10}), with());
  CHECK_THROWS_AS(M.update(grid({20, 5})), InvalidArgument);
  CHECK_THROWS_AS(M.update(grid({9, 9})), InvalidArgument);
}
