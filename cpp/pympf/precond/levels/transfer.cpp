#include "pympf/precond/levels/transfer.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pympf/la/radius.hpp"
#include "pympf/la/rows.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

std::size_t at(Index row, Index columns) { return static_cast<std::size_t>(row) * columns; }

// B_C = Q R by modified Gram-Schmidt, each column twice; a column that depends on those before
// leaves a zero column in Q and a zero row in R.
void orthonormalize(std::vector<double>& Q, Index rows, Index m, double* R) {
  std::fill(R, R + m * m, 0.0);
  const auto column_dot = [&](Index e, Index f) {
    double sum = 0;
    for (Index a = 0; a < rows; ++a) sum += Q[at(a, m) + e] * Q[at(a, m) + f];
    return sum;
  };
  for (Index e = 0; e < m; ++e) {
    const double before = std::sqrt(column_dot(e, e));
    for (int pass = 0; pass < 2; ++pass)
      for (Index f = 0; f < e; ++f) {
        const double r = column_dot(f, e);
        R[f * m + e] += r;
        for (Index a = 0; a < rows; ++a) Q[at(a, m) + e] -= r * Q[at(a, m) + f];
      }
    const double norm = std::sqrt(column_dot(e, e));
    const bool depends = norm <= 1e-10 * before;
    R[e * m + e] = depends ? 0 : norm;
    for (Index a = 0; a < rows; ++a) Q[at(a, m) + e] *= depends ? 0 : 1 / norm;
  }
}

// One row of P as it is made: blocks of m numbers, one for each cluster that it reaches.
class Row {
 public:
  Row(Index clusters, Index m) : m_(m), slot_(clusters, -1) {}

  void add(Index u, double factor, const double* values) {
    if (slot_[u] < 0) {
      slot_[u] = static_cast<Index>(cluster_.size());
      cluster_.push_back(u);
      value_.resize(value_.size() + m_, 0.0);
    }
    double* v = &value_[at(slot_[u], m_)];
    for (Index e = 0; e < m_; ++e) v[e] += factor * values[e];
  }

  void truncate(const NearNullspace& coarse, double delta) {
    const auto blocks = static_cast<Index>(cluster_.size());
    if (delta <= 0 || blocks < 2) return;
    reproduce(coarse, before_);
    weight_.resize(blocks);
    order_.resize(blocks);
    std::iota(order_.begin(), order_.end(), 0);
    for (Index s = 0; s < blocks; ++s) weight_[s] = weight(coarse, s);
    std::sort(order_.begin(), order_.end(), [&](Index x, Index y) {
      return weight_[x] != weight_[y] ? weight_[x] < weight_[y] : cluster_[x] > cluster_[y];
    });
    double left = delta * std::accumulate(weight_.begin(), weight_.end(), 0.0);
    dropped_.assign(blocks, false);
    Index drops = 0;
    for (; drops + 1 < blocks; ++drops) {
      const Index s = order_[drops];
      left -= weight_[s];
      if (left < 0) break;
      std::fill_n(&value_[at(s, m_)], m_, 0.0);
      dropped_[s] = true;
    }
    if (drops > 0) correct(coarse);
  }

  void flush(Entries& out) {
    order_.resize(cluster_.size());
    std::iota(order_.begin(), order_.end(), 0);
    std::sort(order_.begin(), order_.end(),
              [&](Index x, Index y) { return cluster_[x] < cluster_[y]; });
    for (Index s : order_)
      for (Index e = 0; e < m_; ++e)
        if (const double v = value_[at(s, m_) + e]; v != 0)
          out.emplace_back(cluster_[s] * m_ + e, v);
    for (Index u : cluster_) slot_[u] = -1;
    cluster_.clear();
    value_.clear();
  }

 private:
  double weight(const NearNullspace& coarse, Index s) const {
    double sum = 0;
    for (Index e = 0; e < m_; ++e) {
      const double* b = coarse.row(cluster_[s] * m_ + e);
      double norm2 = 0;
      for (Index f = 0; f < m_; ++f) norm2 += b[f] * b[f];
      sum += std::abs(value_[at(s, m_) + e]) * std::sqrt(norm2);
    }
    return sum;
  }

  // The row of P B'.
  void reproduce(const NearNullspace& coarse, std::vector<double>& out) const {
    out.assign(m_, 0.0);
    for (std::size_t s = 0; s < cluster_.size(); ++s)
      for (Index e = 0; e < m_; ++e) {
        const double* b = coarse.row(cluster_[s] * m_ + e);
        for (Index f = 0; f < m_; ++f) out[f] += value_[at(static_cast<Index>(s), m_) + e] * b[f];
      }
  }

  void correct(const NearNullspace& coarse) {
    reproduce(coarse, after_);
    if (m_ == 1) {
      const double factor = after_[0] != 0 ? before_[0] / after_[0] : 1;
      for (double& v : value_) v *= std::clamp(factor, 0.5, 2.0);
      return;
    }
    // The least change on the entries that stayed: v += C (C^T C)^-1 (before - after).
    gram_.assign(at(m_, m_), 0.0);
    for (std::size_t s = 0; s < cluster_.size(); ++s)
      for (Index e = 0; !dropped_[s] && e < m_; ++e) {
        const double* b = coarse.row(cluster_[s] * m_ + e);
        for (Index f = 0; f < m_; ++f)
          for (Index g = 0; g < m_; ++g) gram_[at(f, m_) + g] += b[f] * b[g];
      }
    for (Index f = 0; f < m_; ++f) before_[f] -= after_[f];
    solve_gram();
    for (std::size_t s = 0; s < cluster_.size(); ++s)
      for (Index e = 0; !dropped_[s] && e < m_; ++e) {
        double& v = value_[at(static_cast<Index>(s), m_) + e];
        const double* b = coarse.row(cluster_[s] * m_ + e);
        for (Index f = 0; f < m_; ++f) v += b[f] * before_[f];
      }
  }

  // before_ <- G^-1 before_ by Cholesky, with a small multiple of the trace on the diagonal.
  void solve_gram() {
    double trace = 0;
    for (Index f = 0; f < m_; ++f) trace += gram_[at(f, m_) + f];
    for (Index f = 0; f < m_; ++f) gram_[at(f, m_) + f] += 1e-12 * trace + 1e-300;
    for (Index f = 0; f < m_; ++f) {
      for (Index g = 0; g <= f; ++g) {
        double sum = gram_[at(f, m_) + g];
        for (Index h = 0; h < g; ++h) sum -= gram_[at(f, m_) + h] * gram_[at(g, m_) + h];
        gram_[at(f, m_) + g] =
            f == g ? std::sqrt(std::max(sum, 1e-300)) : sum / gram_[at(g, m_) + g];
      }
      for (Index h = 0; h < f; ++h) before_[f] -= gram_[at(f, m_) + h] * before_[h];
      before_[f] /= gram_[at(f, m_) + f];
    }
    for (Index f = m_ - 1; f >= 0; --f) {
      for (Index h = f + 1; h < m_; ++h) before_[f] -= gram_[at(h, m_) + f] * before_[h];
      before_[f] /= gram_[at(f, m_) + f];
    }
  }

  const Index m_;
  std::vector<Index> slot_, cluster_, order_;
  std::vector<char> dropped_;  // by truncate
  std::vector<double> value_, weight_, before_, after_, gram_;
};

// One row of P for one vector, as it is made.
class ScalarRow {
 public:
  explicit ScalarRow(const std::vector<double>& coarse)
      : coarse_(coarse), slot_(coarse.size(), -1) {}

  void add(Index u, double value) {
    if (slot_[u] < 0) {
      slot_[u] = static_cast<Index>(entries_.size());
      entries_.push_back({u, value, 0});
    } else {
      entries_[slot_[u]].value += value;
    }
  }

  void scale(double factor) {
    for (Entry& e : entries_) e.value *= factor;
  }

  void truncate(double delta) {
    if (delta <= 0 || entries_.size() < 2) return;
    double before = 0, total = 0, after = 0;
    for (Entry& e : entries_) {
      before += e.value * coarse_[e.cluster];
      e.weight = std::abs(e.value * coarse_[e.cluster]);
      total += e.weight;
    }
    std::sort(entries_.begin(), entries_.end(), [](const Entry& x, const Entry& y) {
      return x.weight != y.weight ? x.weight < y.weight : x.cluster > y.cluster;
    });
    double left = delta * total;
    std::size_t dropped = 0;
    while (dropped + 1 < entries_.size() && (left -= entries_[dropped].weight) >= 0)
      slot_[entries_[dropped++].cluster] = -1;
    if (dropped == 0) return;
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(dropped));
    for (const Entry& e : entries_) after += e.value * coarse_[e.cluster];
    if (after != 0) scale(std::clamp(before / after, 0.5, 2.0));
  }

  void flush(Entries& out) {
    std::sort(entries_.begin(), entries_.end(),
              [](const Entry& x, const Entry& y) { return x.cluster < y.cluster; });
    for (const Entry& e : entries_) {
      if (e.value != 0) out.emplace_back(e.cluster, e.value);
      slot_[e.cluster] = -1;
    }
    entries_.clear();
  }

 private:
  struct Entry {
    Index cluster;
    double value, weight;
  };
  const std::vector<double>& coarse_;
  std::vector<Index> slot_;  // of a cluster in entries_
  std::vector<Entry> entries_;
};

// P = Q - omega (Q + D^-1 K Q), truncated: see the header.
Csr<double> lifted_by_one_vector(const CsrView<double>& A, const std::vector<double>& b,
                                 const Rotated& Q, const Clustering& clusters,
                                 const Params& params) {
  const double omega = params.lift_weight;
  const auto known = static_cast<Index>(Q.coarse.values.size());
  return build_rows(A.rows, known, [&] {
    return [&, row = ScalarRow(Q.coarse.values)](Index i, Entries& out) mutable {
      if (clusters.label[i] < 0) return;
      double kept = 0, excess = 0;
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
        const Index j = A.indices[p];
        const double ab = A.data[p] * b[j];
        excess += ab;
        if (j == i || !(ab * b[i] < 0)) continue;
        kept += std::abs(ab);
        if (clusters.label[j] >= 0) row.add(clusters.label[j], -A.data[p] * Q.scaling[j]);
      }
      // total = D_i |b_i|
      const double total = kept + std::max(b[i] < 0 ? -excess : excess, 0.0);
      if (kept > 0) row.scale(omega * std::abs(b[i]) / total);
      row.add(clusters.label[i], (kept > 0 ? 1 - omega : 1) * Q.scaling[i]);
      row.truncate(params.truncation);
      row.flush(out);
    };
  });
}

}  // namespace

Rotated rotate(const NearNullspace& B, const Clustering& clusters, Index block) {
  const Index m = B.vectors;
  const Members members = members_of(clusters);
  Rotated out;
  out.scaling.assign(at(static_cast<Index>(clusters.label.size()), block * m), 0.0);
  out.coarse.vectors = m;
  out.coarse.values.assign(at(clusters.count, m * m), 0.0);
  parallel_with(clusters.count, Index{0}, clusters.count > 4096, [&] {
    return [&, Q = std::vector<double>()](Index u) mutable {
      const Index rows = (members.ptr[u + 1] - members.ptr[u]) * block;
      Q.resize(at(rows, m));
      const auto row_of = [&](Index a) {
        return members.nodes[members.ptr[u] + a / block] * block + a % block;
      };
      for (Index a = 0; a < rows; ++a) std::copy_n(B.row(row_of(a)), m, &Q[at(a, m)]);
      orthonormalize(Q, rows, m, &out.coarse.values[at(u, m * m)]);
      for (Index a = 0; a < rows; ++a) std::copy_n(&Q[at(a, m)], m, &out.scaling[at(row_of(a), m)]);
    };
  });
  return out;
}

Csr<double> prolongation(const Rotated& Q, const Clustering& clusters, Index block, Index rows) {
  const Index m = Q.coarse.vectors;
  if (rows == 0) rows = static_cast<Index>(clusters.label.size()) * block;
  return build_rows(rows, static_cast<Index>(Q.coarse.values.size()) / m, [&] {
    return [&](Index i, Entries& out) {
      const Index u = clusters.label[i / block];
      for (Index e = 0; u >= 0 && e < m; ++e)
        if (const double v = Q.scaling[at(i, m) + e]; v != 0) out.emplace_back(u * m + e, v);
    };
  });
}

Csr<double> lifted_prolongation(const CsrView<double>& A, const NearNullspace& B, const Rotated& Q,
                                const Clustering& clusters, Index block, const Params& params,
                                double radius) {
  const Index m = B.vectors;
  const double omega = params.lift_weight;
  const auto label = [&](Index i) { return clusters.label[i / block]; };
  const auto scaling = [&](Index i) { return &Q.scaling[at(i, m)]; };

  if (m == 1 && block == 1) return lifted_by_one_vector(A, B.values, Q, clusters, params);
  std::vector<double> inverse = diagonal(A);
  for (double& d : inverse) d = d > 0 ? 1 / d : 0;
  if (radius == 0)
    radius = spectral_radius(Communicator::self(), inverse,
                             [&](const double* x, double* y) { spmv(A, x, y); });
  const double step = 2 * omega / radius;
  const auto columns = static_cast<Index>(Q.coarse.values.size()) / m;
  return build_rows(A.rows, columns, [&] {
    return [&, row = Row(columns / m, m)](Index i, Entries& out) mutable {
      if (label(i) < 0) return;
      row.add(label(i), 1, scaling(i));
      for (Index p = A.indptr[i]; inverse[i] > 0 && p < A.indptr[i + 1]; ++p)
        if (const Index j = A.indices[p]; label(j) >= 0)
          row.add(label(j), -step * A.data[p] * inverse[i], scaling(j));
      row.truncate(Q.coarse, params.truncation);
      row.flush(out);
    };
  });
}

}  // namespace pympf::precond
