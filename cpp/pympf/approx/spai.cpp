#include "pympf/approx/spai.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/dense.hpp"
#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::approx {

namespace {

double norm_of(const std::vector<double>& x) {
  double sum = 0;
  for (const double v : x) sum += v * v;
  return std::sqrt(sum);
}

void scale(std::vector<double>& x, double factor) {
  for (double& v : x) v *= factor;
}

// A(T_j, S_j) with columns of norm 1, and w_j(T_j).
struct Problem {
  std::vector<Index> place;  // of each row of A: where it is in T_j, or -1
  std::vector<Index> rows;   // T_j
  std::vector<Index> start, at;
  std::vector<double> value, norm, right;

  explicit Problem(Index n) : place(n, -1) {}

  void gather(const CsrView<double>& A, const CsrView<double>& W, const Index* S, Index count,
              Index j) {
    rows.clear(), at.clear(), value.clear(), norm.clear();
    start.assign(1, 0);
    for (Index c = 0; c < count; ++c) {
      double sum = 0;
      for (Index p = A.indptr[S[c]]; p < A.indptr[S[c] + 1]; ++p) {
        Index& here = place[A.indices[p]];
        if (here < 0) {
          here = static_cast<Index>(rows.size());
          rows.push_back(A.indices[p]);
        }
        at.push_back(here);
        value.push_back(A.data[p]);
        sum = std::hypot(sum, A.data[p]);
      }
      norm.push_back(sum > 0 ? sum : 1);
      for (Index p = start.back(); p < static_cast<Index>(at.size()); ++p) value[p] /= norm.back();
      start.push_back(static_cast<Index>(at.size()));
    }
    right.assign(rows.size(), 0.0);
    for (Index p = W.indptr[j]; p < W.indptr[j + 1]; ++p)
      if (const Index here = place[W.indices[p]]; here >= 0) right[here] += W.data[p];
    for (const Index i : rows) place[i] = -1;
  }

  Index columns() const { return static_cast<Index>(norm.size()); }

  // y += A x
  void multiply(const std::vector<double>& x, std::vector<double>& y) const {
    for (Index c = 0; c < columns(); ++c)
      for (Index p = start[c]; p < start[c + 1]; ++p) y[at[p]] += value[p] * x[c];
  }

  // y += A^T x
  void multiply_transpose(const std::vector<double>& x, std::vector<double>& y) const {
    for (Index c = 0; c < columns(); ++c) {
      double sum = 0;
      for (Index p = start[c]; p < start[c + 1]; ++p) sum += value[p] * x[at[p]];
      y[c] += sum;
    }
  }
};

// z by QR; false where columns are dependent: then z has the least norm.
bool by_qr(const Problem& problem, LeastSquares& dense, double* z) {
  const Index m = static_cast<Index>(problem.rows.size()), n = problem.columns();
  const auto fill = [&] {
    dense.D.assign(static_cast<std::size_t>(m) * n, 0.0);
    for (Index c = 0; c < n; ++c)
      for (Index p = problem.start[c]; p < problem.start[c + 1]; ++p)
        dense.D[static_cast<std::size_t>(c) * m + problem.at[p]] += problem.value[p];
    dense.b = problem.right;
    dense.b.resize(std::max(m, n), 0.0);
  };
  fill();
  const bool independent = dense.by_qr(m, n);
  if (!independent) {
    fill();
    dense.by_pivoted_qr(m, n);
  }
  for (Index c = 0; c < n; ++c) z[c] = dense.b[c] / problem.norm[c];
  return independent;
}

// z by LSQR (Paige, Saunders); returns the iterations, maxiter + 1 where they were not enough.
struct Lsqr {
  std::vector<double> u, v, w, x;

  Index operator()(const Problem& problem, const SpaiParams& params, double* z) {
    u = problem.right;
    x.assign(problem.columns(), 0.0);
    v.assign(problem.columns(), 0.0);
    const Index iterations = run(problem, params);
    for (Index c = 0; c < problem.columns(); ++c) z[c] = x[c] / problem.norm[c];
    return iterations;
  }

 private:
  // Makes a vector one of norm 1, and returns what its norm was.
  static double normalize(std::vector<double>& y) {
    const double norm = norm_of(y);
    if (norm > 0) scale(y, 1 / norm);
    return norm;
  }

  Index run(const Problem& problem, const SpaiParams& params) {
    const double right = normalize(u);
    problem.multiply_transpose(u, v);
    double alpha = normalize(v), phi_bar = right, rho_bar = alpha, norm2 = alpha * alpha;
    if (right == 0 || alpha == 0) return 0;
    w = v;
    for (Index k = 1; k <= params.maxiter; ++k) {
      scale(u, -alpha);
      problem.multiply(v, u);
      const double beta = normalize(u);
      scale(v, -beta);
      problem.multiply_transpose(u, v);
      alpha = normalize(v);
      norm2 += alpha * alpha + beta * beta;
      const double rho = std::hypot(rho_bar, beta), c = rho_bar / rho, s = beta / rho;
      const double step = c * phi_bar / rho, theta = s * alpha / rho;
      for (std::size_t i = 0; i < x.size(); ++i) {
        x[i] += step * w[i];
        w[i] = v[i] - theta * w[i];
      }
      rho_bar = -c * alpha;
      phi_bar *= s;
      if (phi_bar <= params.rtol * right) return k;
      if (alpha * std::abs(c) <= params.rtol * std::sqrt(norm2)) return k;
    }
    return params.maxiter + 1;
  }
};

void check_sizes(const CsrView<double>& A, const Wavelets& W) {
  require(A.rows == A.cols && W.rows() == A.rows,
          "expected a square matrix and wavelets of its size, got ", A.rows, " x ", A.cols, " and ",
          W.rows());
}

// W^T A W by columns. Level by level: W itself may be dense where its factors are sparse.
Csr<double> transformed(const CsrView<double>& A, const Wavelets& W) {
  Csr<double> B = transpose(A);
  for (Index a = 0; a < static_cast<Index>(W.levels().size()); ++a)
    for (Index l = 0; l < W.levels()[a]; ++l) B = galerkin<double>(B.view(), W.factor(a, l).view());
  return B;
}

}  // namespace

SparseInverse sparse_inverse(const CsrView<double>& A, const CsrView<double>& W,
                             const CsrView<double>& pattern, const SpaiParams& params) {
  SparseInverse out{owned(pattern)};
  std::vector<Index> iterations(pattern.rows, 0);
  std::vector<char> dependent(pattern.rows, 0);
  const SerialBlas serial(team().threads());
  constexpr Index chunk = 8;
  parallel_with(pattern.rows, chunk, pattern.rows > chunk, [&] {
    return [&, problem = Problem(A.cols), dense = LeastSquares(), lsqr = Lsqr()](Index j) mutable {
      const Index first = pattern.indptr[j], count = pattern.indptr[j + 1] - first;
      double* const z = out.M.data.data() + first;
      problem.gather(A, W, pattern.indices + first, count, j);
      if (params.lsqr)
        iterations[j] = lsqr(problem, params, z);
      else
        dependent[j] = !by_qr(problem, dense, z);
    };
  });
  for (Index j = 0; j < pattern.rows; ++j) {
    out.dependent += dependent[j];
    out.unconverged += iterations[j] > params.maxiter;
    out.most_iterations = std::max(out.most_iterations, std::min(iterations[j], params.maxiter));
  }
  return out;
}

SparseInverse wspai(const CsrView<double>& A, const Wavelets& W, Index block) {
  check_sizes(A, W);
  require(block > 0, "expected a block of at least one row, got ", block);
  const Index n = A.rows;
  Csr<double> one{n, n, {0}, {}, {}}, pattern{n, n, {0}, {}, {}};
  for (Index j = 0; j < n; ++j) {
    const Index first = j - j % block;
    for (Index i = first; i < std::min<Global>(n, Global{first} + block); ++i)
      pattern.indices.push_back(i);
    pattern.indptr.push_back(to_index(static_cast<Global>(pattern.indices.size()), "blocks"));
    one.indices.push_back(j);
    one.indptr.push_back(j + 1);
  }
  one.data.assign(n, 1.0);
  pattern.data.assign(pattern.indices.size(), 0.0);
  return sparse_inverse(transformed(A, W).view(), one.view(), pattern.view(), {});
}

SparseInverse iwspai(const CsrView<double>& A, const Wavelets& W, const SpaiParams& params) {
  check_sizes(A, W);
  const Csr<double> basis = W.transposed();
  return sparse_inverse(transpose(A).view(), basis.view(), basis.view(), params);
}

}  // namespace pympf::approx
