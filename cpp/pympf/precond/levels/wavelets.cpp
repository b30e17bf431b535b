#include "pympf/precond/levels/wavelets.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/la/rows.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

// Dense, symmetric, row-major; tiny.
class Small {
 public:
  explicit Small(Index n) : n_(n), values_(static_cast<std::size_t>(n) * n, 0.0) {}
  double& operator()(Index i, Index j) { return values_[static_cast<std::size_t>(i) * n_ + j]; }
  double operator()(Index i, Index j) const {
    return values_[static_cast<std::size_t>(i) * n_ + j];
  }
  Index size() const { return n_; }

  // The inverse by sweeps of Gauss and Jordan; a vanishing pivot leaves a zero row and column.
  void invert() {
    double largest = 0;
    for (Index i = 0; i < n_; ++i) largest = std::max(largest, std::abs((*this)(i, i)));
    for (Index k = 0; k < n_; ++k) {
      const double pivot = (*this)(k, k);
      if (std::abs(pivot) <= 1e-13 * largest) {
        for (Index i = 0; i < n_; ++i) (*this)(i, k) = (*this)(k, i) = 0;
        continue;
      }
      (*this)(k, k) = 1;
      for (Index j = 0; j < n_; ++j) (*this)(k, j) /= pivot;
      for (Index i = 0; i < n_; ++i) {
        if (i == k) continue;
        const double factor = (*this)(i, k);
        (*this)(i, k) = 0;
        for (Index j = 0; j < n_; ++j) (*this)(i, j) -= factor * (*this)(k, j);
      }
    }
  }

 private:
  Index n_;
  std::vector<double> values_;
};

// K^-1 - K^-1 g (g^T K^-1 g)^-1 g^T K^-1 for the columns of g that are not zero.
Small constrained_inverse(Small K, const std::vector<double>& g, Index m) {
  const Index c = K.size();
  K.invert();
  std::vector<double> Kg(static_cast<std::size_t>(c) * m, 0.0);
  for (Index i = 0; i < c; ++i)
    for (Index j = 0; j < c; ++j)
      for (Index e = 0; e < m; ++e) Kg[i * m + e] += K(i, j) * g[j * m + e];
  Small S(m);
  for (Index e = 0; e < m; ++e)
    for (Index f = 0; f < m; ++f)
      for (Index i = 0; i < c; ++i) S(e, f) += g[i * m + e] * Kg[i * m + f];
  S.invert();
  for (Index i = 0; i < c; ++i)
    for (Index j = 0; j < c; ++j)
      for (Index e = 0; e < m; ++e)
        for (Index f = 0; f < m; ++f) K(i, j) -= Kg[i * m + e] * S(e, f) * Kg[j * m + f];
  return K;
}

}  // namespace

Csr<double> wavelet_inverse(const CsrView<double>& A, const NearNullspace& B,
                            const Clustering& clusters, Index block) {
  const Index m = B.vectors;
  const Members members = members_of(clusters);
  const std::vector<double> d = diagonal(A);
  std::vector<Small> blocks(clusters.count, Small(0));
  parallel_with(clusters.count, Index{256}, clusters.count > 4096, [&] {
    return
        [&, local = std::vector<Index>(A.cols, -1), rows = std::vector<Index>()](Index u) mutable {
          rows.clear();
          for (Index q = members.ptr[u]; q < members.ptr[u + 1]; ++q)
            for (Index e = 0; e < block; ++e) rows.push_back(members.nodes[q] * block + e);
          const auto c = static_cast<Index>(rows.size());
          for (Index a = 0; a < c; ++a) local[rows[a]] = a;
          Small K(c);
          std::vector<double> g(static_cast<std::size_t>(c) * m);
          double largest = 0, size = 0;
          for (Index a = 0; a < c; ++a) {
            for (Index p = A.indptr[rows[a]]; p < A.indptr[rows[a] + 1]; ++p)
              if (const Index b = local[A.indices[p]]; b >= 0) K(a, b) = A.data[p];
            largest = std::max(largest, std::abs(d[rows[a]]));
            for (Index e = 0; e < m; ++e) {
              g[a * m + e] = d[rows[a]] * B.row(rows[a])[e];
              size += g[a * m + e] * g[a * m + e];
            }
          }
          for (Index a = 0; a < c && size > 0; ++a)
            for (Index b = 0; b < c; ++b)
              for (Index e = 0; e < m; ++e) K(a, b) += largest / size * g[a * m + e] * g[b * m + e];
          blocks[u] = constrained_inverse(std::move(K), g, m);
          for (Index i : rows) local[i] = -1;
        };
  });
  return build_rows(A.rows, A.rows, [&] {
    return [&](Index i, Entries& out) {
      const Index u = clusters.label[i / block];
      if (u < 0) {
        if (d[i] != 0) out.emplace_back(i, 1 / std::abs(d[i]));
        return;
      }
      const Index* first = &members.nodes[members.ptr[u]];
      const Index* last = &members.nodes[members.ptr[u + 1] - 1] + 1;
      const auto own = static_cast<Index>(std::lower_bound(first, last, i / block) - first);
      for (Index q = 0; q < static_cast<Index>(last - first); ++q)
        for (Index e = 0; e < block; ++e)
          out.emplace_back(first[q] * block + e, blocks[u](own * block + i % block, q * block + e));
    };
  });
}

}  // namespace pympf::precond
