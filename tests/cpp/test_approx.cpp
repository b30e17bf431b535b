#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <vector>

#include "matrices.hpp"
#include "pympf/approx/factorization.hpp"
#include "pympf/approx/sparse_row.hpp"
#include "pympf/la/matching.hpp"
#include "pympf/la/sparse.hpp"

using namespace pympf;
using namespace pympf::approx;
using namespace pympf::test;

extern std::atomic<long> allocations;  // counted in count_allocations.cpp

namespace {

// About `degree` entries in a row, of either sign.
Csr<double> random_matrix(Index rows, Index cols, double degree, int seed) {
  Random random(seed, 0, 0);
  Csr<double> A{rows, cols, {0}, {}, {}};
  for (Index i = 0; i < rows; ++i) {
    for (Index j = 0; j < cols; ++j) {
      if (uniform(random) * cols >= degree) continue;
      A.indices.push_back(j);
      A.data.push_back(2 * uniform(random) - 1);
    }
    A.indptr.push_back(static_cast<Index>(A.indices.size()));
  }
  return A;
}

template <class Rotation>
void check_decoupled(typename Rotation::Matrix M, double size) {
  constexpr int w = Rotation::width, k = 2 * w;
  Rotation r{0, 1, Rotation::decouple(M)};
  const auto U = r.matrix(Side::rows), V = r.matrix(Side::columns);
  double off = 0, orthogonal = 0;
  for (int a = 0; a < k; ++a)
    for (int b = 0; b < k; ++b) {
      double sum = 0, product = 0;
      for (int c = 0; c < k; ++c) {
        product += U[k * a + c] * U[k * b + c];
        for (int d = 0; d < k; ++d) sum += U[k * a + c] * M[k * c + d] * V[k * b + d];
      }
      orthogonal = std::max(orthogonal, std::abs(product - (a == b)));
      if (a / w != b / w) off = std::max(off, std::abs(sum));
    }
  CHECK(orthogonal < 1e-15 * k * 4);
  CHECK(off < 1e-15 * k * 4 * size);
}

double matched_sum(const Csr<double>& W, const Matching& M) {
  double sum = 0;
  for (Index i = 0; i < W.rows; ++i)
    for (Index p = W.indptr[i]; p < W.indptr[i + 1]; ++p)
      if (W.indices[p] == M.column[i]) sum += W.data[p];
  return sum;
}

}  // namespace

TEST_CASE("matching: the sum is that of the best permutation, and greedy has at least half") {
  for (int seed = 0; seed < 30; ++seed) {
    auto W = random_matrix(6, 6, 3, seed);
    for (double& w : W.data) w = std::abs(w);
    std::vector<Index> columns(6);
    std::iota(columns.begin(), columns.end(), 0);
    double best = 0;
    do {
      double sum = 0;
      for (Index i = 0; i < 6; ++i)
        for (Index p = W.indptr[i]; p < W.indptr[i + 1]; ++p)
          if (W.indices[p] == columns[i]) sum += W.data[p];
      best = std::max(best, sum);
    } while (std::next_permutation(columns.begin(), columns.end()));
    CHECK(matched_sum(W, maximum_sum_matching(W)) == doctest::Approx(best).epsilon(1e-12));
    CHECK(matched_sum(W, greedy_matching(W)) >= best / 2);
  }
}

TEST_CASE("matching: the product scales entries to at most one, and matched ones to one") {
  for (int seed = 0; seed < 10; ++seed) {
    const auto A = random_matrix(80, 70, 2.5, seed);
    const Matching M = maximum_product_matching(A);
    CHECK(M.exact);
    for (Index i = 0; i < A.rows; ++i)
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
        const Index j = A.indices[p];
        const double scaled = std::abs(M.row_scale[i] * A.data[p] * M.column_scale[j]);
        CHECK(scaled <= 1 + 1e-11);
        if (M.column[i] == j) CHECK(scaled >= 1 - 1e-11);
      }
  }
}

TEST_CASE("approx: closed forms decouple, also far from the unit scale") {
  Random random(1, 0, 0);
  const auto next = [&] { return 2 * uniform(random) - 1; };
  for (int k = 0; k < 200; ++k) {
    const double size = std::pow(10.0, k % 21 - 10);
    check_decoupled<DirectRotation>({size * next(), size * next(), size * next(), size * next()},
                                    size);
    const double b = size * next();
    check_decoupled<SymmetricRotation>({size * next(), b, b, size * next()}, size);
    SkewRotation::Matrix K{};
    for (int i = 0; i < 4; ++i)
      for (int j = i + 1; j < 4; ++j) K[4 * i + j] = -(K[4 * j + i] = size * next());
    check_decoupled<SkewRotation>(K, size);
  }
}

TEST_CASE("approx: rows and columns of zeros stay exactly where they are") {
  for (const DirectRotation::Matrix& M :
       {DirectRotation::Matrix{3, 4, 0, 0}, {0, 0, 3, 4}, {3, 0, 4, 0}, {0, 3, 0, 4}}) {
    const DirectRotation r{0, 1, DirectRotation::decouple(M)};
    const bool no_row = (M[0] == 0 && M[1] == 0) || (M[2] == 0 && M[3] == 0);
    CHECK(r.moves(no_row ? Side::rows : Side::columns) == false);
    check_decoupled<DirectRotation>(M, 5);
  }
  SkewRotation::Matrix K{};
  K[6] = -(K[9] = 2);
  K[7] = -(K[13] = -3);
  K[11] = -(K[14] = 5);
  const auto Q = SkewRotation{0, 1, SkewRotation::decouple(K)}.matrix(Side::rows);
  for (int j = 0; j < 4; ++j) {
    CHECK(Q[j] == (j == 0));
    CHECK(Q[4 * j] == (j == 0));
  }
  check_decoupled<SkewRotation>(K, 6);
}

TEST_CASE("approx: products are those of P H Q^T, and allocate nothing after the first") {
  const auto A = random_matrix(70, 50, 4, 3);
  Run<DirectRotation> run(A.view(), pair_direct(A.view()), {0.0, 1e9, 200});
  CHECK(run.advance(200) == Stop::rotations);
  const Factorization<DirectRotation> F(run, 5, Sparsify::top, 100000);
  CHECK(F.left_out() == 0);
  std::vector<double> x(50), y(70), z(70), back(50), expected(50);
  Random random(9, 0, 0);
  for (double& v : x) v = uniform(random);
  F.multiply(x.data(), y.data(), 1);
  spmv(A.view(), x.data(), z.data());
  for (Index i = 0; i < 70; ++i) CHECK(y[i] == doctest::Approx(z[i]).epsilon(1e-12));
  F.multiply(z.data(), back.data(), 1, true);
  spmv(transpose(A.view()).view(), z.data(), expected.data());
  for (Index i = 0; i < 50; ++i) CHECK(back[i] == doctest::Approx(expected[i]).epsilon(1e-12));
  const long count = allocations;
  F.multiply(x.data(), y.data(), 1);
  F.multiply(z.data(), back.data(), 1, true);
  CHECK(allocations == count);
}

TEST_CASE("approx: rows that grow keep apart, and memory given back is used again") {
  RowMemory memory;
  for (const Index round : {1, 2}) {
    const long before = allocations;
    memory.begin(round);
    std::vector<SparseRow> rows(200);
    std::vector<Index> index;
    std::vector<double> value;
    index.reserve(60);
    value.reserve(60);
    for (int length = 0; length < 60; ++length) {
      for (std::size_t i = 0; i < rows.size(); ++i) {
        value.assign(length, static_cast<double>(i));
        assign(rows[i], index.data(), value.data(), length, memory);
      }
      index.push_back(length);
    }
    if (round == 2) CHECK(allocations - before < 20);  // of the vectors here
    for (std::size_t i = 0; i < rows.size(); ++i) {
      REQUIRE(rows[i].size == 60);
      CHECK(rows[i].index[59] == kRowEnd);
      for (Index j = 0; j < 59; ++j) {
        REQUIRE(rows[i].index[j] == j);
        REQUIRE(rows[i].value[j] == static_cast<double>(i));
      }
    }
  }
}

TEST_CASE("approx: a run that goes on has what it had, and keeps the norm") {
  const auto A = random_matrix(120, 120, 5, 4);
  Run<DirectRotation> run(A.view(), pair_direct(A.view()), {0.0, 1e9, 100});
  run.advance(40);
  const auto first = run.rotations();
  run.advance(100);
  REQUIRE(run.rotations().size() == 100);
  for (std::size_t k = 0; k < first.size(); ++k) {
    CHECK(run.rotations()[k].i == first[k].i);
    CHECK(run.rotations()[k].t == first[k].t);
  }
  CHECK(norm2(run.B().view()) == doctest::Approx(run.norm2()).epsilon(1e-12));
}

TEST_CASE("approx: parts that do not fit together are refused") {
  const auto A = random_matrix(20, 20, 3, 5);
  Run<DirectRotation> run(A.view(), pair_direct(A.view()), {0.0, 1e9, 20});
  run.advance(20);
  const Factorization<DirectRotation> F(run, 2, Sparsify::greedy, 20);
  const auto refused = [&](const auto& change) {
    auto parts = F.parts();
    change(parts);
    CHECK_THROWS_AS(Factorization<DirectRotation>{parts}, InvalidArgument);
  };
  refused([](auto& p) { p.rotations[0].j = 1000; });
  refused([](auto& p) { p.rotations[0].t[0] = NAN; });
  refused([](auto& p) { p.pairing.row[0] = p.pairing.row[1]; });
  refused([](auto& p) { p.parts.back() += 1; });
  refused([](auto& p) { p.H.indices[0] = -1; });
  refused([](auto& p) { p.H.indptr.pop_back(); });
  refused([](auto& p) { p.core_rows.push_back(p.core_rows[0]); });
}
