// What `auto` rests on: the probe, the order of the rows, the product that stops in time.
#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <optional>

#include "precond_matrices.hpp"
#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/saddle.hpp"
#include "pympf/precond/levels/nodes.hpp"
#include "pympf/precond/probe.hpp"
#include "pympf/precond/smoothers/ordering.hpp"

using namespace pympf;
using namespace pympf::precond;
using namespace pympf::test;

namespace {

// Iterations with the diagonal that a probe predicts.
std::optional<int> with_diagonal(const Csr<double>& A, int most) {
  const std::vector<double> d = diagonal(A.view());
  const auto rhs = probe_rhs<double>(
      Communicator::self(), A.rows, [&](Index i) { return d[i]; }, [](Index) { return 1.0; });
  return predict_iterations(
      Communicator::self(), rhs, most, [&](const double* x, double* y) { spmv(A.view(), x, y); },
      [&](const double* r, double* z) {
        for (Index i = 0; i < A.rows; ++i) z[i] = r[i] / d[i];
      });
}

}  // namespace

TEST_CASE("a probe predicts one iteration for a diagonal matrix, of any scale") {
  std::vector<double> d(500);
  for (std::size_t i = 0; i < d.size(); ++i) d[i] = std::pow(10.0, static_cast<double>(i % 13) - 6);
  CHECK(with_diagonal(diagonal_matrix(d), 5).value_or(99) <= 2);
}

TEST_CASE("a probe predicts what CG needs") {
  // kappa = 9: the error falls by (3 - 1) / (3 + 1) in a step, 1e-8 takes 27.
  const auto few = with_diagonal(shifted(grid({60, 60}), 1), 40);
  REQUIRE(few.has_value());
  CHECK(*few >= 15);
  CHECK(*few <= 30);
  CHECK_FALSE(with_diagonal(shifted(grid({60, 60}), 1), 10).has_value());
  CHECK_FALSE(with_diagonal(grid({60, 60}), 50).has_value());
}

TEST_CASE("a probe stops when it may believe what it sees") {
  // kappa = 5: rho is some 2 (0.38)^k, below that of one error in 10 000, 0.01, after six steps.
  const Csr<double> A = shifted(grid({100, 100}), 2);
  const std::vector<double> d = diagonal(A.view());
  int products = 0;
  const auto found = predict_iterations(
      Communicator::self(),
      probe_rhs<double>(
          Communicator::self(), A.rows, [&](Index i) { return d[i]; }, [](Index) { return 1.0; }),
      40,
      [&](const double* x, double* y) {
        spmv(A.view(), x, y);
        ++products;
      },
      [&](const double* r, double* z) {
        for (Index i = 0; i < A.rows; ++i) z[i] = r[i] / d[i];
      });
  CHECK(found.value_or(99) <= 25);
  CHECK(products > 4);
  CHECK(products < 8);
}

TEST_CASE("a short probe is judged by its end alone") {
  // By two steps 64 iterations are predicted on a plane grid, by four 100.
  const Csr<double> A = grid({100, 100});
  const std::vector<double> d = diagonal(A.view());
  const auto predicted = [&](int most, int longest, int& products) {
    products = 0;
    return predict_iterations(
        Communicator::self(),
        probe_rhs<double>(
            Communicator::self(), A.rows, [&](Index i) { return d[i]; }, [](Index) { return 1.0; }),
        most,
        [&](const double* x, double* y) {
          spmv(A.view(), x, y);
          ++products;
        },
        [&](const double* r, double* z) {
          for (Index i = 0; i < A.rows; ++i) z[i] = r[i] / d[i];
        },
        longest);
  };
  int products = 0;
  CHECK_FALSE(predicted(50, probing::longest, products).has_value());
  CHECK(products == 2);
  CHECK_FALSE(predicted(50, 4, products).has_value());
  CHECK(products == 4);
  const auto two = predicted(150, 2, products), four = predicted(150, 4, products);
  REQUIRE(two.has_value());
  REQUIRE(four.has_value());
  CHECK(*two < *four);
}

TEST_CASE("a graph in parts has a constant on each, which a probe leaves out") {
  const Csr<double> A = block_diagonal({laplacian({2}), laplacian({3}), laplacian({40, 2})});
  Components parts{3, std::vector<Index>(A.rows, 2)};
  std::fill_n(parts.label.begin(), 2, 0);
  std::fill_n(parts.label.begin() + 2, 3, 1);
  const std::vector<double> d = diagonal(A.view());
  const auto r = probe_rhs<double>(
      Communicator::self(), A.rows, [&](Index i) { return d[i]; }, [](Index) { return 1.0; },
      parts);
  CHECK(std::abs(r[0] + r[1]) <= rounding<double>(2, 2));
  CHECK(std::abs(r[2] + r[3] + r[4]) <= rounding<double>(3, 3));
  CHECK(std::abs(std::accumulate(r.begin() + 5, r.end(), 0.0)) <= rounding<double>(80, 80));
  CHECK(norm(Communicator::self(), A.rows, r.data()) > 1);
}

TEST_CASE("a probe of an indefinite matrix predicts nothing") {
  CHECK_FALSE(with_diagonal(shifted(grid({20, 20}), -1), 1000).has_value());
}

TEST_CASE("the constant is left out of the right-hand side of a probe") {
  const Csr<double> A = laplacian({30, 20});
  const std::vector<double> d = diagonal(A.view());
  const auto r = probe_rhs<double>(
      Communicator::self(), A.rows, [&](Index i) { return d[i]; }, [](Index) { return 1.0; });
  CHECK(std::abs(std::accumulate(r.begin(), r.end(), 0.0)) <= rounding<double>(A.rows, 600));
}

TEST_CASE("the order of a regular grid is good, a random one is not") {
  CHECK(is_banded(grid({50, 40}).view()));
  CHECK(is_banded(grid({12, 12, 12}).view()));
  CHECK(is_banded(grid({1}).view()));
  CHECK_FALSE(is_banded(reordered(grid({50, 40}), shuffled(2000, 1)).view()));
}

TEST_CASE("the coarse product is P^T A P, or nothing when it has too many entries") {
  const Csr<double> A = grid({30, 30});
  Csr<double> P{900, 100, {0}, {}, {}};
  for (Index i = 0; i < 900; ++i) {
    for (const Index j : {i / 9, (i / 9 + 7) % 100}) P.indices.push_back(j);
    std::sort(P.indices.end() - 2, P.indices.end());
    P.data.insert(P.data.end(), {0.5 + i % 3, -1});
    P.indptr.push_back(static_cast<Index>(P.indices.size()));
  }
  const Csr<double> R = transpose(P.view());
  const auto product = coarse_product(A, R, P, 10000);
  REQUIRE(product.has_value());
  const Dense expected = dense(R) * dense(A) * dense(P);
  CHECK(distance(dense(*product), expected) <= rounding<double>(100, norm(expected)));
  const Index entries = product->nnz();
  CHECK(coarse_product(A, R, P, entries).has_value());
  CHECK_FALSE(coarse_product(A, R, P, entries - 1).has_value());
  CHECK(coarse_product(A, R, P, product->indptr, product->indices) == product->data);
}

TEST_CASE("nodes are found where rows are their unknowns, and only there") {
  const Csr<double> net = springs(12, 10, 1).A;
  CHECK(find_node_size(net) == 2);
  CHECK(find_node_size(scaled(net, 1e-9)) == 2);
  CHECK(find_node_size(grid({60, 60})) == 1);
  CHECK(find_node_size(laplacian({12, 12, 12})) == 1);
  CHECK(find_node_size(diagonal_matrix(std::vector<double>(60, 2))) == 1);
  // Every row of a clique has the same pattern, but its rows are no displacements.
  Builder clique(24);
  for (Index i = 0; i < 24; ++i)
    for (Index j = i; j < 24; ++j) clique.add(i, j, i == j ? 23.1 : -1);
  CHECK(find_node_size(clique.matrix()) == 1);
}

TEST_CASE("the companion of a saddle point has F and the diagonal of the Schur complement") {
  // F = [2 -1; -1 4], B = [1 3; 0 2], C = [0 0; 0 5]; the last row is zero.
  Builder A(5);
  A.add(0, 0, 2), A.add(0, 1, -1), A.add(1, 1, 4);
  A.add(0, 2, 1), A.add(1, 2, 3), A.add(1, 3, 2), A.add(3, 3, -5);
  const Csr<double> matrix = A.matrix();
  const auto companion = definite_companion<double>(matrix, diagonal(matrix.view()));
  REQUIRE(companion.has_value());
  const CsrView<double>& rows = companion->rows;
  std::vector<double> x{1, 10, 100, 1000, 10000}, y(5);
  spmv(rows, x.data(), y.data());
  CHECK(y[0] == 2 - 10);
  CHECK(y[1] == -1 + 40);
  CHECK(y[2] == doctest::Approx(100 * (1 / 2.0 + 9 / 4.0)));
  CHECK(y[3] == doctest::Approx(1000 * (5 + 4 / 4.0)));
  CHECK(y[4] == 0);
}

TEST_CASE("a matrix of one sign on the diagonal has no companion") {
  const auto has = [](const Csr<double>& A) {
    return definite_companion<double>(A, diagonal(A.view())).has_value();
  };
  CHECK_FALSE(has(grid({9, 9})));
  CHECK_FALSE(has(scaled(grid({9, 9}), -1)));
  CHECK_FALSE(has(diagonal_matrix(std::vector<double>{1, 0, 2})));
  CHECK(has(diagonal_matrix(std::vector<double>{1, -1, 2})));
  CHECK_FALSE(has(diagonal_matrix(std::vector<double>(4, 0))));
}
