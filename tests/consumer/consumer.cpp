// A program outside this tree that uses the installed library: it solves -Δu = 1 on a square and
// factorizes the matrix of that problem. It ends with 1 and a sentence where a figure is wrong.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <exception>
#include <vector>

#include "pympf/common/error.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/precond/preconditioner.hpp"

using pympf::Csr;
using pympf::Index;

namespace {

// The five-point Laplacian of an n x n grid with zero boundary values, times the square of the
// width of a cell. Columns of a row ascend.
Csr<double> poisson(Index n) {
  Csr<double> A;
  A.rows = A.cols = n * n;
  A.indptr = {0};
  const auto add = [&](Index column, double value) {
    A.indices.push_back(column);
    A.data.push_back(value);
  };
  for (Index i = 0; i < n; ++i) {
    for (Index j = 0; j < n; ++j) {
      const Index row = i * n + j;
      if (i > 0) add(row - n, -1);
      if (j > 0) add(row - 1, -1);
      add(row, 4);
      if (j + 1 < n) add(row + 1, -1);
      if (i + 1 < n) add(row + n, -1);
      A.indptr.push_back(static_cast<Index>(A.indices.size()));
    }
  }
  return A;
}

void solve(const Csr<double>& A, Index n) {
  const pympf::precond::Preconditioner<double> preconditioner(A, {});
  const pympf::Operator<double> M = [&](const double* r, double* z) { preconditioner.apply(r, z); };

  const double h = 1.0 / (n + 1);
  const std::vector<double> b(A.rows, h * h);
  std::vector<double> x(A.rows, 0.0);
  const auto result = pympf::solve(pympf::DistRows<double>(A), &M, b.data(), x.data(),
                                   {.method = pympf::Method::cg, .rtol = 1e-10});

  const double middle = x[n / 2 * n + n / 2];
  std::printf("%s after %d iterations, u(1/2, 1/2) = %.5f\n", name(result.reason),
              result.iterations, middle);
  // The series of the solution gives 0.0736713; five points on cells of 1/64 are within 1e-4 of it.
  pympf::require(result.converged, "the solver ended with ", name(result.reason));
  pympf::require(std::abs(middle - 0.0736713) < 1e-4, "u(1/2, 1/2) is ", middle);
}

void factorize(const Csr<double>& A) {
  const pympf::mmf::Mmf<double> F(pympf::mmf::factorize(A.view(), {.core_size = 64}));

  std::vector<double> x(A.rows), y(A.rows), back(A.rows);
  for (Index i = 0; i < A.rows; ++i) x[i] = std::cos(0.1 * i);
  F.multiply(x.data(), y.data(), 1);
  F.inverse().multiply(y.data(), back.data(), 1);
  double error = 0;
  for (Index i = 0; i < A.rows; ++i) error = std::max(error, std::abs(back[i] - x[i]));

  std::printf("%d levels, core %d, trace %.6f, largest error of the inverse %.1e\n", F.levels(),
              F.core_size(), F.trace(), error);
  pympf::require(std::abs(F.trace() - 4.0 * A.rows) < 1e-8 * A.rows, "the trace is ", F.trace());
  pympf::require(error < 1e-9, "the inverse is off by ", error);
}

}  // namespace

int main() {
  try {
    const Index n = 63;
    const Csr<double> A = poisson(n);
    solve(A, n);
    factorize(A);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "consumer: %s\n", error.what());
    return 1;
  }
}
