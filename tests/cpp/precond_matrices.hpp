// What the tests of the preconditioner share.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "matrices.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/levels/setup.hpp"

namespace pympf::test {

struct Named {
  std::string name;
  Csr<double> A;
};

inline Csr<double> laplacian(const std::vector<Index>& shape) {
  Csr<double> A = grid(shape);
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    Index own = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      if (A.indices[p] == i)
        own = p;
      else
        sum += A.data[p];
    }
    A.data[own] = -sum;
  }
  return A;
}

inline Csr<double> block_diagonal(const std::vector<Csr<double>>& parts) {
  Csr<double> out{0, 0, {0}, {}, {}};
  for (const auto& part : parts) {
    for (Index i = 0; i < part.rows; ++i)
      out.indptr.push_back(out.nnz() + part.indptr[i + 1] - part.indptr[i]);
    for (Index j : part.indices) out.indices.push_back(out.rows + j);
    out.data.insert(out.data.end(), part.data.begin(), part.data.end());
    out.rows = out.cols = out.rows + part.rows;
  }
  return out;
}

inline Csr<double> scaled(Csr<double> A, double factor) {
  for (double& v : A.data) v *= factor;
  return A;
}

// D A D
inline Csr<double> scaled(Csr<double> A, const std::vector<double>& d) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) A.data[p] *= d[i] * d[A.indices[p]];
  return A;
}

inline Csr<double> shifted(Csr<double> A, double shift) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (A.indices[p] == i) A.data[p] += shift;
  return A;
}

// B_ij = A_order[i],order[j]
inline Csr<double> reordered(const Csr<double>& A, const std::vector<Index>& order) {
  std::vector<Index> position(A.rows);
  for (Index i = 0; i < A.rows; ++i) position[order[i]] = i;
  Builder out(A.rows);
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (A.indices[p] <= i) out.add(position[i], position[A.indices[p]], A.data[p]);
  return out.matrix();
}

// Bilinear elements on a grid, diffusion strong along the diagonal (1, 1/2) and a thousandth
// across.
inline Csr<double> anisotropic(Index n) {
  const double c = 2 / std::sqrt(5.0), s = 1 / std::sqrt(5.0), epsilon = 1e-3;
  const double xx = c * c + epsilon * s * s, yy = s * s + epsilon * c * c,
               xy = (1 - epsilon) * c * s;
  Builder A(n * n);
  for (Index y = 0; y < n; ++y)
    for (Index x = 0; x < n; ++x) {
      const Index i = y * n + x;
      A.add(i, i, 4.0 / 3 * (xx + yy));
      if (x > 0) A.add(i, i - 1, -2.0 / 3 * xx + yy / 3);
      if (y > 0) A.add(i, i - n, -2.0 / 3 * yy + xx / 3);
      if (x > 0 && y > 0) A.add(i, i - n - 1, -(xx + yy) / 6 - xy / 2);
      if (x + 1 < n && y > 0) A.add(i, i - n + 1, -(xx + yy) / 6 + xy / 2);
    }
  return A.matrix();
}

inline std::vector<Index> shuffled(Index n, int seed) {
  std::vector<Index> order(n);
  std::iota(order.begin(), order.end(), 0);
  Random random(seed, 2, 0);
  for (Index k = n; k > 1; --k) std::swap(order[k - 1], order[random.below(k)]);
  return order;
}

inline std::vector<double> random_vector(std::size_t n, int seed) {
  Random random(seed, 3, 0);
  std::vector<double> out(n);
  for (double& v : out) v = 2 * uniform(random) - 1;
  return out;
}

// A plane net of springs of random stiffness: two rows for each of its points, which move freely.
// Its nullspace are the two translations and the rotation.
struct Springs {
  Csr<double> A;
  precond::NearNullspace modes;
};

inline Springs springs(Index width, Index height, int seed) {
  Random random(seed, 0, 0);
  const Index points = width * height;
  std::vector<double> x(points), y(points);
  for (Index k = 0; k < points; ++k) {
    x[k] = k % width + 0.4 * uniform(random);
    y[k] = k / width + 0.4 * uniform(random);
  }
  Builder A(2 * points);
  const auto connect = [&](Index k, Index l) {
    const double length = std::hypot(x[k] - x[l], y[k] - y[l]), stiffness = 0.5 + uniform(random);
    const double direction[] = {(x[k] - x[l]) / length, (y[k] - y[l]) / length};
    for (Index e = 0; e < 2; ++e)
      for (Index f = 0; f < 2; ++f) {
        const double v = stiffness * direction[e] * direction[f];
        if (e <= f) A.add(2 * k + e, 2 * k + f, v), A.add(2 * l + e, 2 * l + f, v);
        A.add(2 * k + e, 2 * l + f, -v);
      }
  };
  for (Index k = 0; k < points; ++k) {
    const bool right = k % width + 1 < width, up = k / width + 1 < height;
    if (right) connect(k, k + 1);
    if (up) connect(k, k + width);
    if (right && up) connect(k, k + width + 1), connect(k + 1, k + width);
  }
  Springs out{A.matrix(), {3, {}}};
  for (Index k = 0; k < points; ++k) {
    out.modes.values.insert(out.modes.values.end(), {1, 0, -y[k]});
    out.modes.values.insert(out.modes.values.end(), {0, 1, x[k]});
  }
  return out;
}

// ---- dense

// The matrix of a linear map of vectors in double.
inline Dense dense_map(Index n, const std::function<void(const double*, double*)>& map) {
  Dense out(n, n);
  std::vector<double> e(n, 0.0), column(n);
  for (Index j = 0; j < n; ++j) {
    e[j] = 1;
    map(e.data(), column.data());
    e[j] = 0;
    for (Index i = 0; i < n; ++i) out(i, j) = column[i];
  }
  return out;
}

inline Dense symmetric_part(Dense A) {
  for (Index i = 0; i < A.rows; ++i)
    for (Index j = 0; j < i; ++j) A(i, j) = A(j, i) = (A(i, j) + A(j, i)) / 2;
  return A;
}

inline std::vector<double> eigenvalues(const Dense& A) {
  std::vector<double> copy = symmetric_part(A).entries;
  return symmetric_eigen(copy, A.rows);
}

inline Dense inverse(const Dense& A) {
  Dense V = symmetric_part(A), out(A.rows, A.rows);
  std::vector<double> values = symmetric_eigen(V.entries, A.rows);
  for (double& v : values) v = 1 / v;
  out.entries = congruence(V.entries, values.data(), A.rows);
  return out;
}

inline Dense dense(const precond::NearNullspace& B) {
  Dense out(static_cast<Index>(B.values.size()) / B.vectors, B.vectors);
  out.entries = B.values;
  return out;
}

// A^1/2 M A^1/2 has these eigenvalues; A is positive definite.
inline std::vector<double> preconditioned_eigenvalues(const Dense& A, const Dense& M) {
  Dense V = A, root(A.rows, A.rows);
  std::vector<double> values = symmetric_eigen(V.entries, A.rows);
  for (double& v : values) v = std::sqrt(std::max(v, 0.0));
  root.entries = congruence(V.entries, values.data(), A.rows);
  return eigenvalues(root * M * root);
}

}  // namespace pympf::test
