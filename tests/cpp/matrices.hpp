// Matrices that the tests of the engine share, dense references, and the one tolerance.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <utility>
#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/la/csr.hpp"

namespace pympf::test {

// What `operations` roundings of numbers of this size may add up to.
template <class T>
double rounding(double operations, double size = 1) {
  return operations * std::numeric_limits<T>::epsilon() * size;
}

// ---- dense reference

struct Dense {
  Dense(Index rows_, Index cols_)
      : rows(rows_), cols(cols_), entries(static_cast<std::size_t>(rows_) * cols_) {}

  double& operator()(Index i, Index j) { return entries[static_cast<std::size_t>(i) * cols + j]; }
  double operator()(Index i, Index j) const {
    return entries[static_cast<std::size_t>(i) * cols + j];
  }

  Index rows, cols;
  std::vector<double> entries;
};

inline Dense identity(Index n) {
  Dense I(n, n);
  for (Index i = 0; i < n; ++i) I(i, i) = 1;
  return I;
}

template <class T>
Dense dense(const Csr<T>& A) {
  Dense out(A.rows, A.cols);
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) out(i, A.indices[p]) += A.data[p];
  return out;
}

inline Dense transposed(const Dense& A) {
  Dense out(A.cols, A.rows);
  for (Index i = 0; i < A.rows; ++i)
    for (Index j = 0; j < A.cols; ++j) out(j, i) = A(i, j);
  return out;
}

inline Dense operator*(const Dense& A, const Dense& B) {
  Dense out(A.rows, B.cols);
  for (Index i = 0; i < A.rows; ++i)
    for (Index k = 0; k < A.cols; ++k) {
      const double a = A(i, k);
      if (a == 0) continue;
      double* row = &out.entries[static_cast<std::size_t>(i) * out.cols];
      const double* from = &B.entries[static_cast<std::size_t>(k) * B.cols];
      for (Index j = 0; j < B.cols; ++j) row[j] += a * from[j];
    }
  return out;
}

inline Dense operator-(Dense A, const Dense& B) {
  for (std::size_t k = 0; k < A.entries.size(); ++k) A.entries[k] -= B.entries[k];
  return A;
}

inline double norm(const Dense& A) {
  double sum = 0;
  for (double a : A.entries) sum += a * a;
  return std::sqrt(sum);
}

inline double distance(const Dense& A, const Dense& B) { return norm(A - B); }

inline double trace(const Dense& A) {
  double sum = 0;
  for (Index i = 0; i < A.rows; ++i) sum += A(i, i);
  return sum;
}

// ---- builders

inline double uniform(Random& random) { return random.next() / 4294967296.0; }

// Collects entries of a symmetric matrix.
class Builder {
 public:
  explicit Builder(Index n) : n_(n) {}

  void add(Index i, Index j, double value) {
    entries_[{i, j}] += value;
    if (i != j) entries_[{j, i}] += value;
  }

  // The graph Laplacian's share of an edge.
  void add_edge(Index i, Index j, double weight) {
    add(i, j, -weight);
    add(i, i, weight);
    add(j, j, weight);
  }

  template <class T = double>
  Csr<T> matrix() const {
    Csr<T> A{n_, n_, std::vector<Index>(n_ + 1, 0), {}, {}};
    for (const auto& [place, value] : entries_) {
      ++A.indptr[place.first + 1];
      A.indices.push_back(place.second);
      A.data.push_back(static_cast<T>(value));
    }
    for (Index i = 0; i < n_; ++i) A.indptr[i + 1] += A.indptr[i];
    return A;
  }

 private:
  Index n_;
  std::map<std::pair<Index, Index>, double> entries_;
};

template <class T = double>
Csr<T> diagonal_matrix(const std::vector<double>& values) {
  Builder A(static_cast<Index>(values.size()));
  for (Index i = 0; i < static_cast<Index>(values.size()); ++i) A.add(i, i, values[i]);
  return A.matrix<T>();
}

// Dirichlet Laplacian of a grid, 2 d + 1 entries in a row.
template <class T = double>
Csr<T> grid(const std::vector<Index>& shape) {
  const Index n = std::accumulate(shape.begin(), shape.end(), 1, std::multiplies<>());
  Builder A(n);
  for (Index i = 0; i < n; ++i) {
    A.add(i, i, 2.0 * shape.size());
    Index stride = 1;
    for (const Index length : shape) {
      if (i / stride % length + 1 < length) A.add(i, i + stride, -1);
      stride *= length;
    }
  }
  return A.matrix<T>();
}

// A random connected graph with about `degree` edges at each vertex and weights of both signs away
// from zero; indefinite, or strictly diagonally dominant.
enum class Kind { indefinite, definite };

template <class T = double>
Csr<T> random_symmetric(Index n, int degree, int seed, Kind kind = Kind::indefinite) {
  Random random(seed, 0, 0);
  const auto weight = [&] {
    const double w = 0.5 + uniform(random);
    return random.next() % 2 ? w : -w;
  };
  Builder A(n);
  std::vector<double> sums(n, 0);
  const auto couple = [&](Index i, Index j) {
    const double w = weight();
    A.add(i, j, w);
    sums[i] += std::abs(w);
    sums[j] += std::abs(w);
  };
  for (Index i = 1; i < n; ++i) couple(i, static_cast<Index>(random.below(i)));
  for (Index k = 0; k < n * (degree - 2) / 2; ++k) {
    const Index i = static_cast<Index>(random.below(n)), j = static_cast<Index>(random.below(n));
    if (i != j) couple(i, j);
  }
  for (Index i = 0; i < n; ++i) A.add(i, i, kind == Kind::definite ? sums[i] + 0.1 : weight());
  return A.matrix<T>();
}

// Laplacian of a star: row 0 couples with all others.
template <class T = double>
Csr<T> star(Index leaves) {
  Builder A(leaves + 1);
  for (Index i = 1; i <= leaves; ++i) A.add_edge(0, i, 1);
  return A.matrix<T>();
}

// A graph that grows by preferential attachment, m edges a vertex.
inline std::vector<std::pair<Index, Index>> attachment(Index n, Index m, Random& random) {
  std::vector<std::pair<Index, Index>> edges;
  std::vector<Index> ends;
  for (Index i = 1; i < n; ++i) {
    const std::size_t count = ends.size();
    for (Index e = 0; e < std::min(i, m); ++e) {
      const Index j = count == 0 ? 0 : ends[random.below(static_cast<std::uint32_t>(count))];
      edges.emplace_back(i, j);
      ends.insert(ends.end(), {i, j});
    }
  }
  return edges;
}

// Its Laplacian with random weights.
template <class T = double>
Csr<T> power_law(Index n, Index m, int seed) {
  Random random(seed, 0, 0);
  Builder A(n);
  for (auto [i, j] : attachment(n, m, random)) A.add_edge(i, j, 0.5 + uniform(random));
  return A.matrix<T>();
}

// Its adjacency matrix: small integers and no diagonal, so columns are parallel and choices tie.
template <class T = double>
Csr<T> adjacency(Index n, Index m, int seed) {
  Random random(seed, 0, 0);
  Builder A(n);
  for (auto [i, j] : attachment(n, m, random)) A.add(i, j, 1);
  return A.matrix<T>();
}

// Random blocks without couplings between them, in mixed order; every block of one row is zero.
template <class T = double>
Csr<T> disconnected(const std::vector<Index>& sizes, int seed) {
  const Index n = std::accumulate(sizes.begin(), sizes.end(), 0);
  std::vector<Index> place(n);
  std::iota(place.begin(), place.end(), 0);
  Random random(seed, 1, 0);
  for (Index k = n; k > 1; --k) std::swap(place[k - 1], place[random.below(k)]);
  Builder A(n);
  Index first = 0;
  for (const Index size : sizes) {
    if (size > 1) {
      const auto block = random_symmetric(size, 4, seed + first);
      for (Index i = 0; i < size; ++i)
        for (Index p = block.indptr[i]; p < block.indptr[i + 1]; ++p)
          if (block.indices[p] <= i)
            A.add(place[first + i], place[first + block.indices[p]], block.data[p]);
    }
    first += size;
  }
  return A.matrix<T>();
}

// Q^T H Q with Q the rotations of nested pairs by random angles, n = 2^levels: an exactly
// hierarchical matrix. Stage after stage the smooth half of the pairs goes on.
inline Csr<double> hierarchical(int levels, int seed) {
  Random random(seed, 0, 0);
  const Index n = Index{1} << levels;
  Dense A(n, n);
  for (Index i = 0; i < n; ++i) A(i, i) = 1 + uniform(random);
  const auto rotate_back = [&](Index i, Index j, double angle) {
    const double c = std::cos(angle), s = std::sin(angle);
    for (Index k = 0; k < n; ++k) {
      const double x = A(i, k), y = A(j, k);
      A(i, k) = c * x - s * y, A(j, k) = s * x + c * y;
    }
    for (Index k = 0; k < n; ++k) {
      const double x = A(k, i), y = A(k, j);
      A(k, i) = c * x - s * y, A(k, j) = s * x + c * y;
    }
  };
  for (Index stride = n / 2; stride >= 1; stride /= 2)
    for (Index i = 0; i < n; i += 2 * stride)
      rotate_back(i, i + stride, 0.4 + 0.7 * uniform(random));
  Builder out(n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j <= i; ++j) out.add(i, j, A(i, j));
  return out.matrix();
}

}  // namespace pympf::test
