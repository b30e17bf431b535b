#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/csr.hpp"

using namespace pympf;

namespace {

double uniform(Random& random) { return random.next() / 4294967296.0 - 0.5; }

// Row i has random.below(longest + 1) entries; every fifth row is empty.
template <class T>
Csr<T> random_csr(Index rows, Index cols, unsigned longest) {
  Random random(3, 0, 0);
  Csr<T> A{rows, cols, {0}, {}, {}};
  for (Index i = 0; i < rows; ++i) {
    const unsigned count = i % 5 == 4 ? 0 : random.below(longest + 1);
    for (unsigned k = 0; k < count; ++k) {
      A.indices.push_back(static_cast<Index>(random.below(cols)));
      A.data.push_back(static_cast<T>(uniform(random)));
    }
    A.indptr.push_back(static_cast<Index>(A.indices.size()));
  }
  return A;
}

template <class T>
std::vector<T> random_vector(Index n) {
  Random random(4, 0, 0);
  std::vector<T> x(n);
  for (T& value : x) value = static_cast<T>(uniform(random));
  return x;
}

// y = b + sign A x, up to the rounding errors of the |a_ij x_j| of a row, from a sum in long
// double.
template <class T>
bool is_product(const Csr<T>& A, const std::vector<T>& x, const std::vector<T>& y,
                const std::vector<T>& b, double sign) {
  for (Index i = 0; i < A.rows; ++i) {
    long double sum = 0, size = std::abs(b[i]);
    for (Index k = A.indptr[i]; k < A.indptr[i + 1]; ++k) {
      const long double product = static_cast<long double>(A.data[k]) * x[A.indices[k]];
      sum += product;
      size += std::abs(product);
    }
    const Index terms = A.indptr[i + 1] - A.indptr[i] + 1;
    const auto bound = terms * std::numeric_limits<T>::epsilon() * size;
    if (std::abs(y[i] - (b[i] + sign * sum)) > bound) return false;
  }
  return true;
}

}  // namespace

TEST_CASE_TEMPLATE("spmv and residual of rectangular matrices with empty rows", T, float, double) {
  for (auto [rows, cols] : {std::pair{1, 1}, {7, 3}, {3, 7}, {50, 40}, {20000, 300}}) {
    CAPTURE(rows);
    const auto A = random_csr<T>(rows, cols, 9);
    const auto x = random_vector<T>(cols), b = random_vector<T>(rows);
    std::vector<T> y(rows, T(99)), r(rows, T(99));
    spmv(A.view(), x.data(), y.data());
    CHECK(is_product(A, x, y, std::vector<T>(rows), 1));
    residual(A.view(), x.data(), b.data(), r.data());
    CHECK(is_product(A, x, r, b, -1));
  }
}

TEST_CASE("the residual may overwrite the right-hand side") {
  const auto A = random_csr<double>(40, 40, 5);
  const auto x = random_vector<double>(40);
  auto b = random_vector<double>(40);
  std::vector<double> r(40);
  residual(A.view(), x.data(), b.data(), r.data());
  residual(A.view(), x.data(), b.data(), b.data());
  CHECK(b == r);
}

TEST_CASE("a matrix without entries gives zero, one without rows nothing") {
  const Csr<double> zero{3, 3, {0, 0, 0, 0}, {}, {}};
  std::vector<double> x(3, 1.0), y(3, 5.0);
  spmv(zero.view(), x.data(), y.data());
  CHECK(y == std::vector<double>(3, 0.0));
  spmv(CsrView<double>{}, x.data(), y.data());
  CHECK(y == std::vector<double>(3, 0.0));
}

TEST_CASE_TEMPLATE("spmv has the same bits on any number of threads", T, float, double) {
  const Index n = 30000;
  const auto A = random_csr<T>(n, n, 40);
  const auto x = random_vector<T>(n);
  const int before = thread_count();
  std::vector<std::vector<T>> results;
  for (int threads : {1, 2, 3}) {
    set_thread_count(threads);
    results.emplace_back(n);
    spmv(A.view(), x.data(), results.back().data());
  }
  set_thread_count(before);
  CHECK(results[0] == results[1]);
  CHECK(results[0] == results[2]);
}

TEST_CASE("a count past 2^31 - 1 is refused with its name and value") {
  CHECK(to_index(2147483647, "entries") == 2147483647);
  CHECK_THROWS_WITH_AS(to_index(2147483648, "entries"),
                       doctest::Contains("entries: 2147483648 is more than"), InvalidArgument);
}

TEST_CASE("entries of a row in their order, whatever their number") {
  for (Index begin : {0, 3})
    for (Index count = 0; count < 7; ++count) {
      std::vector<Index> seen, expected;
      for_entries(begin, begin + count, [&](Index p) { seen.push_back(p); });
      for (Index p = begin; p < begin + count; ++p) expected.push_back(p);
      CHECK(seen == expected);
    }
}

namespace {

// Row by row, as the definition says it.
template <class T>
bool is_canonical_by_rows(const Csr<T>& A) {
  if (A.indptr[0] != 0) return false;
  for (Index i = 0; i < A.rows; ++i)
    if (A.indptr[i] > A.indptr[i + 1]) return false;
  if (A.indptr[A.rows] != static_cast<Index>(A.data.size())) return false;
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (A.indices[p] < 0 || A.indices[p] >= A.cols || !std::isfinite(A.data[p]) ||
          (p > A.indptr[i] && A.indices[p] <= A.indices[p - 1]))
        return false;
  return true;
}

}  // namespace

TEST_CASE_TEMPLATE("what is canonical, and the checksum of what has changed", T, float, double) {
  constexpr Index rows = 40, cols = 30;
  Csr<T> A = random_csr<T>(rows, cols, 6);
  for (Index i = 0; i < rows; ++i) {  // every fifth row is empty, the first two as well
    for (Index p = A.indptr[i], c = 0; p < A.indptr[i + 1]; ++p) A.indices[p] = c += 1 + p % 4;
  }
  A.indptr[1] = A.indptr[2] = 0;
  for (Index p = 0, c = 0; p < A.indptr[3]; ++p) A.indices[p] = c++;
  const auto check = [](const Csr<T>& B) {
    const bool canonical = largest_if_canonical(B.view(), B.data.size()).has_value();
    CHECK(canonical == is_canonical_by_rows(B));
    return canonical;
  };
  REQUIRE(check(A));
  const std::uint64_t sum = checksum(A.view());
  Random random(7, 0, 0);
  int refused = 0;
  for (int run = 0; run < 2000; ++run) {
    Csr<T> B = A;
    const auto p = random.below(static_cast<unsigned>(A.data.size()));
    switch (random.below(4)) {
      case 0:
        B.indices[p] = static_cast<Index>(random.below(cols + 4)) - 2;
        break;
      case 1:
        B.indptr[random.below(rows + 1)] += static_cast<Index>(random.below(5)) - 2;
        break;
      case 2:
        B.data[p] = random.below(2) ? std::numeric_limits<T>::infinity() : -B.data[p];
        break;
      case 3:
        B.data[p] = std::numeric_limits<T>::quiet_NaN();
    }
    refused += !check(B);
    const bool same = B.indices == A.indices && B.indptr == A.indptr && B.data == A.data;
    if (B.nnz() == A.nnz()) CHECK((checksum(B.view()) == sum) == same);
  }
  CHECK(refused > 500);
  CHECK(refused < 1900);
}
