#include "pympf/precond/levels/two_level.hpp"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>
#include <string>

#include "pympf/common/error.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/product.hpp"
#include "pympf/la/radius.hpp"
#include "pympf/la/rows.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/levels/couplings.hpp"
#include "pympf/precond/levels/direct.hpp"
#include "pympf/precond/levels/level.hpp"

namespace pympf::precond {
namespace {

// The waves of A u = 0 have 2 pi / sqrt(2 d rho) rows in d dimensions; with less than seven (in two
// dimensions) scaling functions do not resolve them.
constexpr double deepest = 0.2;
constexpr double tau_over_rho = 11, least_tau = 0.15;
constexpr double many_neighbours = 6;

// What brings entries that LAPACK would not take to the size of 1, and back; 1 where they are
// usual.
double unit_of(const CsrView<double>& A) {
  constexpr double usual = 1e100;
  const double largest = largest_magnitude(A.nnz(), A.data);
  return largest > usual || (largest > 0 && largest < 1 / usual) ? 1 / power_of_two(largest) : 1;
}

// The largest -(A 1)_i / a_ii; empty if A is no graph Laplacian with a small shift.
std::optional<double> depth_of(const CsrView<double>& A, const std::vector<double>& d) {
  double rho = 0;
  for (Index i = 0; i < A.rows; ++i) {
    if (!(d[i] > 0)) return {};
    double sum = 0, positive = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      sum += A.data[p];
      if (A.indices[p] != i) positive += std::max(A.data[p], 0.0);
    }
    if (positive > deepest * d[i]) return {};
    rho = std::max(rho, -sum / d[i]);
  }
  if (rho > deepest) return {};
  return rho;
}

// Joins each row, those with the fewest neighbours first, with the free neighbour of the strongest
// coupling over both sizes: what is small grows first, so clusters come out equal and round.
Clustering matched(const Graph& W, const std::vector<Index>& size) {
  std::vector<Index> order(W.rows);
  std::iota(order.begin(), order.end(), 0);
  const auto degree = [&](Index i) { return W.indptr[i + 1] - W.indptr[i]; };
  std::stable_sort(order.begin(), order.end(),
                   [&](Index i, Index j) { return degree(i) < degree(j); });
  Clustering out{0, std::vector<Index>(W.rows, -1)};
  for (Index i : order) {
    if (out.label[i] >= 0) continue;
    Index mate = i;
    double best = 0;
    for (Index p = W.indptr[i]; p < W.indptr[i + 1]; ++p) {
      const Index j = W.indices[p];
      const double weight = W.data[p] / size[j];
      if (out.label[j] < 0 && weight > best) best = weight, mate = j;
    }
    out.label[i] = out.label[mate] = out.count++;
  }
  return out;
}

// Clusters of up to 2^rounds rows; every row is in one.
Clustering pairs_of_pairs(const CsrView<double>& A, int rounds) {
  const std::vector<double> ones(A.rows, 1.0);
  Graph W = couplings(A, ones.data(), 1);
  Clustering all{A.rows, std::vector<Index>(A.rows)};
  std::iota(all.label.begin(), all.label.end(), 0);
  std::vector<Index> size(A.rows, 1);
  for (int round = 0; round < rounds; ++round) {
    const Clustering pairs = matched(W, size);
    if (round + 1 < rounds) W = contract(W, pairs);
    size.assign(pairs.count, 0);
    for (Index& label : all.label) ++size[label = pairs.label[label]];
    all.count = pairs.count;
  }
  return all;
}

// K_C v = lambda D_C v for one cluster: appends the v with lambda < tau to the rows of Q.
class LocalModes {
 public:
  LocalModes(const CsrView<double>& A, const std::vector<double>& d, const Clustering& clusters,
             double tau)
      : A_(A), d_(d), clusters_(clusters), tau_(tau), place_(A.rows) {}

  // One mode after the other; false when they are not available.
  bool find(const Index* nodes, Index size, std::vector<double>& modes) {
    for (Index a = 0; a < size; ++a) place_[nodes[a]] = a;
    std::vector<double> K(static_cast<std::size_t>(size) * size, 0.0);
    for (Index a = 0; a < size; ++a) {
      const Index i = nodes[a];
      for (Index p = A_.indptr[i]; p < A_.indptr[i + 1]; ++p) {
        const Index j = A_.indices[p];
        if (j == i || clusters_.label[j] != clusters_.label[i]) continue;
        K[a * size + place_[j]] += A_.data[p] / std::sqrt(d_[i] * d_[j]);
        K[a * size + a] -= A_.data[p] / d_[i];
      }
    }
    if (!symmetric_eigen_below(K, size, tau_, modes)) return false;
    for (std::size_t m = 0; m < modes.size(); ++m) modes[m] /= std::sqrt(d_[nodes[m % size]]);
    return true;
  }

 private:
  const CsrView<double> A_;
  const std::vector<double>& d_;
  const Clustering& clusters_;
  const double tau_;
  std::vector<Index> place_;
};

// Q^T: a row for every scaling function.
Csr<double> scaling_functions(const CsrView<double>& A, const std::vector<double>& d, double tau) {
  const bool many = A.nnz() > many_neighbours * A.rows;
  const Clustering clusters = pairs_of_pairs(A, many ? 6 : 4);
  const Members members = members_of(clusters);
  std::vector<std::vector<double>> modes(clusters.count);
  const SerialBlas serial(team().threads());
  std::atomic<Index> failures{0};
  parallel_with(clusters.count, Index{16}, true, [&] {
    return [&, local = LocalModes(A, d, clusters, tau)](Index u) mutable {
      const Index begin = members.ptr[u], size = members.ptr[u + 1] - begin;
      if (!local.find(&members.nodes[begin], size, modes[u])) ++failures;
    };
  });
  require<Singular>(failures == 0, "eigenvalues inside of ", failures.load(),
                    " clusters did not converge (LAPACK dsyevr)");
  Csr<double> Q{0, A.rows, {0}, {}, {}};
  for (Index u = 0; u < clusters.count; ++u) {
    const auto begin = members.nodes.begin() + members.ptr[u];
    const Index size = members.ptr[u + 1] - members.ptr[u];
    for (std::size_t at = 0; at < modes[u].size(); at += size) {
      Q.indices.insert(Q.indices.end(), begin, begin + size);
      Q.data.insert(Q.data.end(), modes[u].begin() + at, modes[u].begin() + at + size);
      Q.indptr.push_back(to_index(Global(Q.data.size()), "entries of the scaling functions"));
    }
  }
  Q.rows = static_cast<Index>(Q.indptr.size()) - 1;
  return Q;
}

// (I - omega D^-1 A) Q
Csr<double> lifted(const CsrView<double>& A, const std::vector<double>& d, const Csr<double>& Q,
                   double omega) {
  return build_rows(A.rows, Q.cols, [&] {
    return [&, sum = Accumulator(Q.cols)](Index i, Entries& out) mutable {
      const auto add = [&](Index k, double factor) {
        for (Index q = Q.indptr[k]; q < Q.indptr[k + 1]; ++q)
          sum.add(i, Q.indices[q], factor * Q.data[q]);
      };
      add(i, 1);
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        add(A.indices[p], -omega / d[i] * A.data[p]);
      sum.flush([&](Index c, double v) { out.emplace_back(c, v); });
    };
  });
}

LevelReport line_of(int level, const CsrView<double>& A) {
  LevelReport line;
  line.level = level;
  line.rows = A.rows;
  line.nnz = A.nnz();
  return line;
}

}  // namespace

bool TwoLevel::is_for(const CsrView<double>& A) { return depth_of(A, diagonal(A)).has_value(); }

std::optional<TwoLevel> TwoLevel::with_stage(const CsrView<double>& given, const Params& params,
                                             Report& report) {
  const double unit = unit_of(given);
  Csr<double> scaled;
  if (unit != 1) {
    scaled = owned(given);
    for (double& v : scaled.data) v /= unit;
  }
  const CsrView<double> A = unit == 1 ? given : scaled.view();
  const std::vector<double> d = diagonal(A);
  const std::optional<double> rho = depth_of(A, d);
  if (!rho) {
    report.reason = "A is no graph Laplacian with a small negative shift";
    return {};
  }
  TwoLevel out;
  out.rows_ = A.rows;
  out.unit_ = unit;
  out.make_stage(A, d, *rho);
  const Csr<double> coarse = *coarse_product(A, out.R_, out.P_);
  const FactorRequest request = request_for(MatrixKind::symmetric, params);
  if (!is_available(request)) {
    report.reason = why_not_available(request);
    return {};
  }
  out.factor_ = analyze(coarse, request);
  if (!is_small_enough(*out.factor_, report)) return {};
  if (!out.factor_->factor(coarse)) {
    report.reason = "the matrix of the next stage is singular to rounding";
    return {};
  }
  out.A_ = owned(A);
  report.method = "two_level";
  // M is definite if the coarse matrix is: one damped step from either side is.
  report.definite = out.factor_->negative_eigenvalues() == 0;
  report.indefinite = !report.definite;
  report.levels = {line_of(1, A), line_of(2, coarse)};
  report.levels[0].prolongation = static_cast<double>(out.P_.nnz()) / A.rows;
  report.levels[0].bytes = 12 * (out.A_.data.size() + 2 * out.P_.data.size());
  describe(*out.factor_, coarse.nnz(), report.levels[1], report);
  report.operator_complexity = 1 + static_cast<double>(coarse.nnz()) / A.nnz();
  report.grid_complexity = 1 + static_cast<double>(coarse.rows) / A.rows;
  return out;
}

// omega = 4/3 and w = 1.4 over the largest eigenvalue of D^-1 A.
void TwoLevel::make_stage(const CsrView<double>& A, const std::vector<double>& d, double rho) {
  damped_.resize(d.size());
  for (std::size_t i = 0; i < d.size(); ++i) damped_[i] = 1 / d[i];
  const double radius = spectral_radius(Communicator::self(), damped_,
                                        [&](const double* x, double* y) { spmv(A, x, y); });
  const double tau = std::max(least_tau, tau_over_rho * rho);
  const Csr<double> Q = transpose(scaling_functions(A, d, tau).view());
  P_ = lifted(A, d, Q, 4 / (3 * radius));
  R_ = transpose(P_.view());
  for (double& w : damped_) w *= 1.4 / radius;
}

double TwoLevel::multiply_adds() const {
  return factor_->multiply_adds() + 2.0 * static_cast<double>(A_.data.size() + P_.data.size());
}

template <class T>
void TwoLevel::apply(const T* r, T* z) const {
  Pool<Space>::Lease space(*spaces_);
  space->resize(rows_, R_.rows);
  std::copy_n(r, rows_, space->b.data());
  cycle(*space);
  for (Index i = 0; i < rows_; ++i) z[i] = static_cast<T>(space->x[i] / unit_);
}

void TwoLevel::cycle(Space& space) const {
  double *b = space.b.data(), *x = space.x.data(), *left = space.left.data(),
         *coarse = space.coarse.data();
  const auto n = static_cast<std::size_t>(rows_);
  for_chunks(n, [&](std::size_t, std::size_t i, std::size_t end) {
    for (; i < end; ++i) x[i] = damped_[i] * b[i];
  });
  residual(A_.view(), x, b, left);
  spmv(R_.view(), left, coarse);
  factor_->solve(coarse);
  spmv(P_.view(), coarse, left);
  axpy(rows_, 1, left, x);
  residual(A_.view(), x, b, left);
  for_chunks(n, [&](std::size_t, std::size_t i, std::size_t end) {
    for (; i < end; ++i) x[i] += damped_[i] * left[i];
  });
}

void TwoLevel::Space::resize(Index rows, Index coarse_rows) {
  for (auto* v : {&b, &x, &left}) v->resize(rows);
  coarse.resize(coarse_rows);
}

template void TwoLevel::apply(const float*, float*) const;
template void TwoLevel::apply(const double*, double*) const;

}  // namespace pympf::precond
