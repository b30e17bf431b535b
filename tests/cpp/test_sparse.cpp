#include <doctest/doctest.h>

#include <vector>

#include "matrices.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"

using namespace pympf;
using namespace pympf::test;

namespace {

// Sorted rows with up to `longest` entries; every fourth row is empty.
template <class T>
Csr<T> random_rows(Index rows, Index cols, unsigned longest, int seed = 1) {
  Random random(seed, 0, 0);
  Csr<T> R{rows, cols, {0}, {}, {}};
  for (Index i = 0; i < rows; ++i) {
    const Index wanted = i % 4 == 3 ? 0 : static_cast<Index>(random.below(longest + 1));
    Index seen = 0;
    for (Index j = 0; j < cols && seen < wanted; ++j) {
      if (random.below(cols - j) >= static_cast<unsigned>(wanted - seen)) continue;
      R.indices.push_back(j);
      R.data.push_back(static_cast<T>(uniform(random) - 0.5));
      ++seen;
    }
    R.indptr.push_back(static_cast<Index>(R.indices.size()));
  }
  return R;
}

template <class T>
void check_sorted(const Csr<T>& A) {
  REQUIRE(A.indptr.size() == static_cast<std::size_t>(A.rows) + 1);
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i] + 1; p < A.indptr[i + 1]; ++p)
      REQUIRE(A.indices[p - 1] < A.indices[p]);
}

template <class T>
bool same(const Csr<T>& A, const Csr<T>& B) {
  return A.indptr == B.indptr && A.indices == B.indices && A.data == B.data;
}

}  // namespace

TEST_CASE_TEMPLATE("transpose swaps rows and columns and sorts", T, float, double) {
  for (auto [rows, cols] : {std::pair{1, 1}, {5, 9}, {9, 5}, {40, 3}}) {
    const auto A = random_rows<T>(rows, cols, 3);
    const auto At = transpose(A.view());
    CHECK(At.rows == cols);
    CHECK(At.cols == rows);
    check_sorted(At);
    CHECK(distance(dense(At), transposed(dense(A))) == 0);
    CHECK(same(transpose(At.view()), A));
  }
}

TEST_CASE("a transpose is the same on any number of threads") {
  const Csr<double> A = random_rows<double>(3000, 700, 300);
  REQUIRE(A.nnz() > 3 << 16);
  const int before = thread_count();
  set_thread_count(1);
  const Csr<double> alone = transpose(A.view());
  for (Index p = 0; p < 700; ++p)
    for (Index q = alone.indptr[p]; q + 1 < alone.indptr[p + 1]; ++q)
      REQUIRE(alone.indices[q] < alone.indices[q + 1]);
  for (const int threads : {2, 3, 5}) {
    set_thread_count(threads);
    const Csr<double> T = transpose(A.view());
    CHECK(T.indptr == alone.indptr);
    CHECK(T.indices == alone.indices);
    CHECK(T.data == alone.data);
    CHECK(transpose(T.view()).data == A.data);
  }
  set_thread_count(before);
}

TEST_CASE_TEMPLATE("galerkin is R A R^T", T, float, double) {
  for (auto [n, rows, longest] :
       {std::tuple{1, 1, 1u}, {30, 12, 4u}, {30, 30, 2u}, {30, 45, 3u}, {300, 7, 40u}}) {
    CAPTURE(n);
    const auto A = random_symmetric<T>(n, 5, 3);
    const auto R = random_rows<T>(rows, n, longest);
    const auto B = galerkin(A.view(), R.view());
    CHECK(B.rows == rows);
    CHECK(B.cols == rows);
    check_sorted(B);
    const Dense expected = dense(R) * dense(A) * transposed(dense(R));
    CHECK(distance(dense(B), expected) <= rounding<T>(20, norm(expected)));

    const auto diagonal_only = galerkin_diagonal(A.view(), R.view());
    REQUIRE(diagonal_only.size() == static_cast<std::size_t>(rows));
    for (Index i = 0; i < rows; ++i)
      CHECK(std::abs(diagonal_only[i] - expected(i, i)) <= rounding<T>(40, norm(expected)));
  }
}

TEST_CASE("a projection on no rows, and one of a zero matrix") {
  const auto A = random_symmetric(10, 4, 1);
  const Csr<double> none{0, 10, {0}, {}, {}};
  CHECK(galerkin(A.view(), none.view()).nnz() == 0);
  CHECK(galerkin(A.view(), none.view()).rows == 0);
  CHECK(galerkin_diagonal(A.view(), none.view()).empty());
  const auto zero = Builder(10).matrix();
  const auto R = random_rows<double>(4, 10, 3);
  CHECK(galerkin(zero.view(), R.view()).nnz() == 0);
  CHECK(galerkin_diagonal(zero.view(), R.view()) == std::vector<double>(4, 0.0));
}

TEST_CASE_TEMPLATE("products and norms have the same bits on any number of threads", T, float,
                   double) {
  const Index n = 9000;  // several chunks of rows
  const auto A = random_symmetric<T>(n, 6, 5);
  const auto R = random_rows<T>(5000, n, 3);
  const int before = thread_count();
  set_thread_count(1);
  const auto product = galerkin(A.view(), R.view());
  const auto part = galerkin_diagonal(A.view(), R.view());
  const double square = norm2(A.view());
  for (int threads : {2, 3}) {
    set_thread_count(threads);
    CHECK(same(galerkin(A.view(), R.view()), product));
    CHECK(galerkin_diagonal(A.view(), R.view()) == part);
    CHECK(norm2(A.view()) == square);
  }
  set_thread_count(before);
}

TEST_CASE_TEMPLATE("diagonal and norm of a matrix with absent entries", T, float, double) {
  Builder B(4);
  B.add(0, 0, 3);
  B.add(0, 2, -2);
  B.add(3, 3, 1);
  const auto A = B.matrix<T>();
  CHECK(diagonal(A.view()) == std::vector<T>{3, 0, 0, 1});
  CHECK(norm2(A.view()) == 9 + 2 * 4 + 1);
  CHECK(norm2(Builder(3).matrix<T>().view()) == 0);
}

TEST_CASE("columns are sorted whichever way is cheaper") {
  for (Index count : {8, 1000}) {  // dense among them, and sparse
    std::vector<Index> columns{7, 2, 5, 0}, sorted{0, 2, 5, 7};
    const auto touched = [&](Index j) {
      return std::find(sorted.begin(), sorted.end(), j) != sorted.end();
    };
    sort_columns(columns, count, touched);
    CHECK(columns == sorted);
  }
}

TEST_CASE("the dense eigensolver gives eigenvectors as rows in ascending order") {
  const Index n = 40;
  const Dense A = dense(random_symmetric(n, 6, 2));
  Dense V = A;
  const auto values = symmetric_eigen(V.entries, n);
  CHECK(std::is_sorted(values.begin(), values.end()));
  CHECK(distance(V * transposed(V), identity(n)) <= rounding<double>(10 * n));
  CHECK(distance(V * A * transposed(V), dense(diagonal_matrix(values))) <=
        rounding<double>(10 * n, norm(A)));

  Dense back(n, n);
  back.entries = congruence(V.entries, values.data(), n);
  CHECK(distance(back, A) <= rounding<double>(10 * n, norm(A)));
  CHECK(distance(back, transposed(back)) == 0);

  std::vector<double> none;
  CHECK(symmetric_eigen(none, 0).empty());
  CHECK(congruence(none, nullptr, 0).empty());
}
