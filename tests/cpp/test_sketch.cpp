#include <doctest/doctest.h>

#include <cmath>
#include <random>
#include <set>
#include <vector>

#include "pympf/common/parallel.hpp"
#include "pympf/sketch/block_sparse.hpp"
#include "pympf/sketch/orthonormal.hpp"

using namespace pympf;
using namespace pympf::sketch;

namespace {

template <class T>
std::vector<T> random_numbers(std::size_t count, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<T> x(count);
  for (T& value : x) value = static_cast<T>(normal(random));
  return x;
}

// All entries, column after column, by the definition.
std::vector<double> dense(const Distribution& R) {
  const auto& [d, b, weight, q, seed, name] = R.params();
  const int p = R.p(), n = R.n_bits();
  const auto sign = [](Word word, int bit) { return word >> bit & 1 ? 1.0 : -1.0; };
  const Word sigma_m = R.matrix_signature();
  std::vector<double> A(static_cast<std::size_t>(d) * d);
  std::vector<Code> codes(R.most_codes(0, R.bands()));
  for (Index j = 0; j < d; ++j) {
    const Word sigma_s = R.random_string(j);
    const Code* const end = R.codes(j, 0, R.bands(), codes.data());
    for (const Code* code = codes.data(); code < end; ++code) {
      double* const block = A.data() + static_cast<std::size_t>(j) * d + (*code >> 3) * b;
      const double fs = sign(*code, 0), fc = sign(*code, 1), fm = sign(*code, 2);
      for (int r = 0; r < p; ++r) {
        double enc = 1;
        if (r >= 1 && r <= n) enc = sign(static_cast<Word>(j), n - r);
        if (r == n + 1) enc = fm * sign(sigma_m, 0);
        if (r == n + 2) enc = fs * sign(sigma_s, 0);
        block[r] = R.scale() * fs * sign(sigma_s, r);
        block[p + r] = R.scale() * fc * enc;
        block[2 * p + r] = R.scale() * fm * sign(sigma_m, r);
      }
    }
  }
  return A;
}

template <class T>
void check_products(const DistributionParams& params, bool stored, Index k, double tolerance) {
  const Index d = params.d;
  const BlockSparse R(params, stored);
  const auto A = dense(R.distribution());
  const auto X = random_numbers<T>(static_cast<std::size_t>(d) * k, 1);
  std::vector<T> Y(X.size()), Z(X.size());
  R.apply(X.data(), k, Y.data());
  R.apply_transpose(X.data(), k, Z.data());
  double worst = 0;
  for (Index v = 0; v < k; ++v) {
    for (Index i = 0; i < d; ++i) {
      double y = 0, z = 0;
      for (Index j = 0; j < d; ++j) {
        y += A[static_cast<std::size_t>(j) * d + i] * X[static_cast<std::size_t>(j) * k + v];
        z += A[static_cast<std::size_t>(i) * d + j] * X[static_cast<std::size_t>(j) * k + v];
      }
      const std::size_t at = static_cast<std::size_t>(i) * k + v;
      worst = std::max({worst, std::abs(y - Y[at]), std::abs(z - Z[at])});
    }
  }
  CHECK(worst < tolerance);
}

const std::vector<DistributionParams> kLaws{
    {132, 33, 2, 1, 7, 9}, {132, 33, 4, 1, 7, 9}, {132, 33, 0, 1, 7, 9}, {132, 33, 0, 0.3, 7, 9}};

}  // namespace

TEST_CASE("sketch: products are those of the dense matrix") {
  for (const auto& params : kLaws) {
    for (const bool stored : {false, true}) {
      for (const Index k : {1, 3, 33}) {
        check_products<double>(params, stored, k, 1e-13);
        check_products<float>(params, stored, k, 1e-5);
      }
    }
  }
}

TEST_CASE("sketch: the rows and columns of ranks are those of the whole, stored or not") {
  for (const auto& params : kLaws) {
    const BlockSparse whole(params, false);
    const auto x = random_numbers<double>(params.d, 2);
    std::vector<double> y(params.d), z(params.d);
    whole.apply(x.data(), 1, y.data());
    whole.apply_transpose(x.data(), 1, z.data());
    for (const bool stored : {false, true}) {
      for (int rank = 0; rank < 3; ++rank) {
        const Share share{rank, 3};
        const BlockSparse part(params, stored, share);
        std::vector<double> own(part.own_size());
        const auto check = [&](const std::vector<double>& all) {
          Index at = 0;
          for (Index i = 0; i < params.d; ++i) {
            if (share.owns(i / params.b)) CHECK(own[at++] == all[i]);
          }
          CHECK(at == part.own_size());
        };
        part.apply(x.data(), 1, own.data());
        check(y);
        part.apply_transpose(x.data(), 1, own.data());
        check(z);
      }
    }
  }
}

TEST_CASE("sketch: columns have the blocks of their law") {
  const Distribution exact({1050, 42, 5, 1, 3, 4});
  std::vector<Code> codes(exact.most_codes(0, exact.bands()));
  for (Index j = 0; j < 1050; j += 7) {
    const Code* const end = exact.codes(j, 0, 5, codes.data());
    REQUIRE(end - codes.data() == 5);
    for (Index t = 0; t < 5; ++t) {
      CHECK(static_cast<Index>(codes[t] >> 3) >= exact.band_begin(t));
      CHECK(static_cast<Index>(codes[t] >> 3) < exact.band_begin(t + 1));
    }
  }
  const Distribution all({1050, 42, 0, 1, 3, 4});
  std::vector<Code> every(all.most_codes(0, all.bands()));
  CHECK(all.codes(17, 0, all.bands(), every.data()) - every.data() == 25);
}

TEST_CASE("sketch: sizes that fit no blocks are refused") {
  const std::vector<DistributionParams> wrong{{100, 33, 2, 1, 0, 0}, {132, 12, 2, 1, 0, 0},
                                              {132, 32, 2, 1, 0, 0}, {132, 33, 5, 1, 0, 0},
                                              {132, 33, 0, 0, 0, 0}, {132, 33, 0, 1.1, 0, 0},
                                              {0, 33, 1, 1, 0, 0},   {132, 33, -1, 1, 0, 0}};
  for (const auto& params : wrong) CHECK_THROWS_AS(Distribution{params}, InvalidArgument);
  for (const Index d : {0, 1, 3, 48}) CHECK_THROWS_AS((Orthonormal{d, 0, 0}), InvalidArgument);
}

TEST_CASE("sketch: the orthonormal matrix is orthonormal") {
  for (const Index d : {2, 8, 128, 512}) {
    const Orthonormal R(d, 3, 4);
    const auto x = random_numbers<double>(static_cast<std::size_t>(d) * 11, 1);
    std::vector<double> y(x.size()), z(x.size());
    R.apply(x.data(), 11, y.data());
    R.apply_transpose(y.data(), 11, z.data());
    double before = 0, after = 0, worst = 0;
    for (std::size_t i = 0; i < x.size(); ++i) {
      before += x[i] * x[i];
      after += y[i] * y[i];
      worst = std::max(worst, std::abs(x[i] - z[i]));
    }
    CHECK(worst < 1e-13);
    CHECK(after == doctest::Approx(before).epsilon(1e-13));
  }
}
