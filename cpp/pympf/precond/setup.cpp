// The loop of the setup; what a stage is made of: couplings.hpp, transfer.hpp, smoother.hpp.
//
//   paper / ALGORITHMS.md      code
//   T_l                        W      graph of the couplings
//   B, b                       B      near-nullspace
//   clusters, S                clusters
//   Q = [scaling | wavelets]   Rotated::scaling
//   P                          P
//   A_{l+1} = P^T A_l P        coarse_matrix
#include "pympf/precond/setup.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <optional>
#include <type_traits>

#include "pympf/common/random.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/ordering.hpp"
#include "pympf/precond/smoother.hpp"
#include "pympf/precond/wavelets.hpp"

namespace pympf::precond {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Contraction that hardly shrinks the graph (expanders): lifting would fill in.
constexpr double expander = 0.6;
// A stage must remove a fifth of the rows.
constexpr double least_reduction = 0.8;
// Multiply-adds of a product with lifted functions, over nnz.
constexpr double most_work = 15;
// With twice the truncation each.
constexpr int lift_attempts = 3;

template <class T, class S>
Csr<T> cast(const Csr<S>& A) {
  Csr<T> out{A.rows, A.cols, A.indptr, A.indices, {}};
  out.data.resize(A.data.size());
  for_chunks(A.data.size(), [&](std::size_t, std::size_t begin, std::size_t end) {
    for (std::size_t p = begin; p < end; ++p) out.data[p] = static_cast<T>(A.data[p]);
  });
  return out;
}

std::vector<Index> natural_order(Index rows) {
  std::vector<Index> order(rows);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

template <class V>
void permute_rows(V& values, const std::vector<Index>& order, Index width) {
  V out(values.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    std::copy_n(&values[static_cast<std::size_t>(order[i]) * width], width, &out[i * width]);
  values = std::move(out);
}

// Multiply-adds of A P.
Global product_work(const CsrView<double>& A, const CsrView<double>& P) {
  Global sum = 0;
#pragma omp parallel for schedule(static) reduction(+ : sum) if (A.rows > 16384)
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      sum += P.indptr[A.indices[p] + 1] - P.indptr[A.indices[p]];
  return sum;
}

// x^T A x / x^T D x
double rayleigh(const CsrView<double>& A, const std::vector<double>& d, const double* x) {
  std::vector<double> y(A.rows);
  spmv(A, x, y.data());
  double energy = 0, mass = 0;
  for (Index i = 0; i < A.rows; ++i) {
    energy += x[i] * y[i];
    mass += d[i] * x[i] * x[i];
  }
  return mass > 0 ? energy / mass : 0;
}

// Median over the rows of |A b|_i / (a_ii |b_i|).
double relative_residual(const CsrView<double>& A, const std::vector<double>& d,
                         const std::vector<double>& b) {
  std::vector<double> r(A.rows);
  spmv(A, b.data(), r.data());
  for (Index i = 0; i < A.rows; ++i) {
    const double size = d[i] * std::abs(b[i]);
    r[i] = size > 0 ? std::abs(r[i]) / size : 0;
  }
  const auto middle = r.begin() + A.rows / 2;
  std::nth_element(r.begin(), middle, r.end());
  return A.rows > 0 ? *middle : 0;
}

// One constant for each row of a node.
NearNullspace constants(Index rows, Index block) {
  NearNullspace B{block, std::vector<double>(static_cast<std::size_t>(rows) * block, 0.0)};
  for (Index i = 0; i < rows; ++i) B.values[static_cast<std::size_t>(i) * block + i % block] = 1;
  return B;
}

// Constants; D^-1/2 1 when its Rayleigh quotient is ten times smaller; either relaxed on A b = 0
// when it is no near-nullspace.
template <class T>
NearNullspace default_vector(const CsrView<double>& A, const Level<T>& level,
                             const Params& params) {
  const Index n = A.rows;
  const std::vector<double> d = diagonal(A);
  std::vector<double> b(n, 1.0), scaled(n);
  if (std::all_of(d.begin(), d.end(), [](double x) { return x > 0; })) {
    for (Index i = 0; i < n; ++i) scaled[i] = 1 / std::sqrt(d[i]);
    if (rayleigh(A, d, scaled.data()) < 0.1 * rayleigh(A, d, b.data())) b = scaled;
  }
  if (params.relaxations > 0 && relative_residual(A, d, b) > 1e-3) {
    std::vector<T> x(b.begin(), b.end()), zero(n, T(0)), work(2 * static_cast<std::size_t>(n));
    for (int step = 0; step < params.relaxations; ++step)
      smooth(level, params, zero.data(), x.data(), work.data(), step % 2 == 0);
    b.assign(x.begin(), x.end());
  }
  const double size = norm(n, b.data());
  if (size > 0) scale(n, std::sqrt(static_cast<double>(n)) / size, b.data(), b.data());
  return {1, std::move(b)};
}

// The pseudo-inverse of the last matrix: |A|^+ when it has negative eigenvalues.
template <class T>
void solve_coarse(const CsrView<double>& A, Levels<T>& out, Report& report) {
  const Index n = A.rows;
  std::vector<double> V(static_cast<std::size_t>(n) * n, 0.0);
  for (Index i = 0; i < n; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      V[static_cast<std::size_t>(i) * n + A.indices[p]] += A.data[p] / 2;
      V[static_cast<std::size_t>(A.indices[p]) * n + i] += A.data[p] / 2;
    }
  std::vector<double> values = symmetric_eigen(V, n);
  double largest = 0;
  for (double v : values) largest = std::max(largest, std::abs(v));
  for (double& v : values) {
    const bool zero = std::abs(v) <= 1e-13 * largest;
    report.coarse_nullity += zero;
    report.coarse_negative += !zero && v < 0;
    v = zero ? 0 : 1 / std::abs(v);
  }
  report.indefinite = report.indefinite || report.coarse_negative > 0;
  const std::vector<double> inverse = congruence(V, values.data(), n);
  out.coarse.assign(inverse.begin(), inverse.end());
  out.coarse_rows = report.coarse_rows = n;
}

Index coarse_size(const CsrView<double>& A, const Params& params) {
  if (params.coarse_size > 0) return params.coarse_size;
  return std::max<Index>(64, static_cast<Index>(std::cbrt(20.0 * A.nnz())));
}

// The matrix, its graph and its near-nullspace on one level.
struct Stage {
  Csr<double> A;
  Graph W;
  NearNullspace B;
  Domains domains;
  Index block = 1;

  Index nodes() const { return A.rows / block; }
};

struct Next {
  Csr<double> P, R;  // R = P^T
  Stage stage;
  Clustering clusters;
  bool lifted = false;
};

// The coarse matrix R A R^T. What is left of a component whose couplings are all inside a scaling
// function is rounding, and becomes zero: the row and the column.
Csr<double> coarse_matrix(const CsrView<double>& A, const CsrView<double>& R) {
  Csr<double> out = galerkin(A, R);
  const std::vector<double> d = diagonal(A);
  std::vector<char> null(out.rows);
  for (Index i = 0; i < out.rows; ++i) {
    double size = 0, sum = 0;
    for (Index p = R.indptr[i]; p < R.indptr[i + 1]; ++p)
      size += R.data[p] * R.data[p] * std::abs(d[R.indices[p]]);
    for (Index p = out.indptr[i]; p < out.indptr[i + 1]; ++p) sum += std::abs(out.data[p]);
    null[i] = sum <= 1e-13 * size;
  }
  for (Index i = 0; i < out.rows; ++i)
    for (Index p = out.indptr[i]; p < out.indptr[i + 1]; ++p)
      if (null[i] || null[out.indices[p]]) out.data[p] = 0;
  return out;
}

// Puts the rows of the next stage into the order of its strips.
void reorder(Next& next, const Params& params) {
  Stage& stage = next.stage;
  stage.domains = cut(stage.A, natural_order(stage.A.rows), stage.block, params.strips);
  if (stage.domains.count() == 1) return;
  const auto& order = stage.domains.order;
  stage.A = permuted(stage.A, order);
  permute_rows(stage.B.values, order, stage.B.vectors);
  std::vector<Index> nodes(stage.nodes()), position(order.size());
  for (Index i = 0; i < stage.nodes(); ++i) nodes[i] = order[i * stage.block] / stage.block;
  stage.W = permuted(stage.W, nodes);
  for (std::size_t i = 0; i < order.size(); ++i) position[order[i]] = static_cast<Index>(i);
  for (Index& j : next.P.indices) j = position[j];
  next.R = transpose(next.P.view());
}

// The next stage; empty when there is none worth having.
bool coarsen(const Stage& stage, const Params& params, int level, Global left, Next& next) {
  const double theta = params.strength * std::pow(params.strength_decay, level - 1);
  next.clusters = cluster(stage.W, params.shape, theta, params.cluster_size);
  const Index m = stage.B.vectors;
  const Clustering& clusters = next.clusters;
  if (Global{clusters.count} * m > least_reduction * stage.A.rows) return false;
  Graph W = contract(stage.W, clusters);
  const Rotated Q = rotate(stage.B, clusters, stage.block);
  const auto project = [&] {
    next.R = transpose(next.P.view());
    next.stage.A = coarse_matrix(stage.A, next.R);
    return next.stage.A.nnz() <= left;
  };
  // Lifted functions that would fill in are truncated more, and at last left unlifted.
  Params lifting = params;
  for (int attempt = 0; attempt < lift_attempts && !next.lifted; ++attempt) {
    if (!params.lift || W.nnz() > expander * stage.W.nnz()) break;
    next.P = lifted_prolongation(stage.A, stage.B, Q, clusters, stage.block, lifting);
    next.lifted = product_work(stage.A, next.P) <= most_work * stage.A.nnz() && project() &&
                  (next.stage.A.nnz() <= 0.9 * stage.A.nnz() || stage.A.rows <= 1000);
    lifting.truncation = std::min(2 * lifting.truncation, 0.5);
  }
  if (!next.lifted) {
    next.P = prolongation(Q, clusters, stage.block);
    if (!project()) return false;
  }
  if (next.stage.A.nnz() > stage.A.nnz() && next.stage.A.rows > 2500) return false;
  next.stage.W = std::move(W);
  next.stage.B = Q.coarse;
  next.stage.block = m;
  reorder(next, params);
  return true;
}

template <class T>
const Csr<double>& exact_restriction(const Level<T>& level) {
  if constexpr (std::is_same_v<T, double>)
    return level.R;
  else
    return level.exact_R;
}

template <class T>
std::size_t bytes_of(const Level<T>& level) {
  return (level.A.data.size() + level.P.data.size() + level.R.data.size() + level.Z.data.size()) *
             (sizeof(T) + sizeof(Index)) +
         level.exact_R.data.size() * (sizeof(double) + sizeof(Index)) + level.factor.bytes();
}

// Iterations below which the smoother alone costs less than building and running a hierarchy.
constexpr int few_iterations = 35;
constexpr int probe_steps = 8;
// Clusters on which the slowest errors are guessed.
constexpr Index few_parts = 64;

// How far k steps of CG for A x = r, preconditioned by the smoother, bring sqrt(r^T M r) down, each
// relative to the first.
template <class T>
std::vector<double> probe(const Level<T>& level, const Params& params, std::vector<T> r,
                          int steps) {
  const Index n = level.rows();
  std::vector<T> z(n), p(n), q(n), work(2 * static_cast<std::size_t>(n));
  std::vector<double> reduction;
  double before = 0, first = 0;
  for (int k = 0; k <= steps; ++k) {
    smooth_from_zero(level, params, r.data(), z.data(), work.data());
    const double rho = dot(n, r.data(), z.data());
    if (k == 0) first = rho;
    if (k > 0) reduction.push_back(first > 0 ? std::sqrt(std::abs(rho) / first) : 0);
    axpby(n, 1, z.data(), k > 0 && before != 0 ? rho / before : 0, p.data());
    before = rho;
    spmv(level.A.view(), p.data(), q.data());
    const double curvature = dot(n, p.data(), q.data());
    if (!(curvature > 0)) break;
    axpy(n, -rho / curvature, q.data(), r.data());
  }
  return reduction;
}

template <class T>
T uniform(Random& random) {
  return static_cast<T>(random.next() / 2147483648.0 - 1);
}

template <class T>
std::vector<T> random_side(Index rows) {
  Random random(0, 0, 0);
  std::vector<T> r(rows);
  for (T& v : r) v = uniform<T>(random);
  return r;
}

// A x for an x that is a random multiple of the near-nullspace on each of a few large clusters:
// what a smoother is slowest on, as where coefficients jump.
template <class T>
std::vector<T> slow_side(const Stage& stage, const Level<T>& level, const Params& params) {
  Graph W = stage.W;
  std::vector<Index> part(stage.nodes());
  std::iota(part.begin(), part.end(), 0);
  while (W.rows > few_parts) {
    const Clustering clusters = cluster(W, params.shape, params.strength, params.cluster_size);
    if (clusters.count == 0 || clusters.count > least_reduction * W.rows) break;
    for (Index& u : part) u = u < 0 ? u : clusters.label[u];
    W = contract(W, clusters);
  }
  Random random(0, 0, 1);
  std::vector<double> multiple(W.rows);
  for (double& v : multiple) v = uniform<double>(random);
  std::vector<T> x(stage.A.rows), r(stage.A.rows);
  for (Index i = 0; i < stage.A.rows; ++i)
    if (const Index u = part[i / stage.block]; u >= 0)
      x[i] = static_cast<T>(multiple[u] * stage.B.row(i)[0]);
  spmv(level.A.view(), x.data(), r.data());
  return r;
}

// Iterations to 1e-8 as the last of the probe's steps foretells them, until when an outlying
// eigenvalue has shown itself as a slow step; no more than `most`, or none are foretold.
template <class T>
std::optional<int> foretell(const Level<T>& level, const Params& params, const std::vector<T>& side,
                            int most) {
  int iterations = 0;
  for (const int steps : {probe_steps / 2, probe_steps}) {
    const auto reduction = probe(level, params, side, steps);
    if (static_cast<int>(reduction.size()) < steps) return {};
    const double now = reduction[steps - 1], rate = now / reduction[steps - 2];
    if (now == 0) return steps;
    if (!(rate < 1)) return {};
    iterations = steps + std::max(0, static_cast<int>(std::log(1e-8 / now) / std::log(rate)));
    if (iterations > most * probe_steps / steps) return {};
  }
  return iterations;
}

// The smoother alone is exact, or converges so fast that a hierarchy would not pay for itself.
template <class T>
bool smoother_is_enough(const Stage& stage, const Level<T>& level, const Params& params,
                        Report& report) {
  if (params.method != Method::automatic || params.cycle == CycleKind::additive ||
      params.smoother != SmootherKind::incomplete_cholesky)
    return false;
  if (level.factor.compensation() == 0) {
    report.reason = "the incomplete Cholesky factorization dropped nothing: it is exact";
    return true;
  }
  const auto any = foretell(level, params, random_side<T>(level.rows()), few_iterations);
  if (!any) return false;
  const auto slow = foretell(level, params, slow_side(stage, level, params), few_iterations);
  if (!slow) return false;
  report.reason =
      concat("the incomplete Cholesky factorization alone needs about ", std::max(*any, *slow),
             " iterations to 1e-8 by a probe of ", probe_steps, " steps");
  return true;
}

// What a level is besides its scaling functions: the matrix in the precision of the cycle and the
// smoother. What it is worth to know goes to its line of the report.
template <class T>
void fill_level(const Csr<double>& A, const Domains& domains, const Params& params, Level<T>& level,
                LevelReport& line, Report& report) {
  level.A = cast<T>(A);
  build_smoother(A, domains, params, level);
  line.rows = A.rows;
  line.nnz = A.nnz();
  line.factor = A.nnz() > 0 ? static_cast<double>(level.factor.nnz()) / A.nnz() : 0;
  line.bytes = bytes_of(level);
  report.indefinite = report.indefinite || level.factor.found_negative();
}

// For the additive cycle the wavelets' solves take the place of both.
template <class T>
void fill_additive(const Stage& stage, const Clustering& clusters, Level<T>& level,
                   LevelReport& line) {
  level = {{}, std::move(level.P), std::move(level.R), level.strips, {}, {}, {}, 0, {}};
  level.Z = cast<T>(wavelet_inverse(stage.A, stage.B, clusters, stage.block));
  line.rows = stage.A.rows;
  line.nnz = stage.A.nnz();
  line.factor = stage.A.nnz() > 0 ? static_cast<double>(level.Z.nnz()) / stage.A.nnz() : 0;
}

template <class T>
void fill_coarse(const Csr<double>& A, Levels<T>& out, LevelReport& line, Report& report) {
  solve_coarse(A, out, report);
  line.rows = A.rows;
  line.nnz = A.nnz();
  line.bytes = out.coarse.size() * sizeof(T);
}

// Why this method was taken, where the probe of the smoother does not say it.
std::string reason_for(const Report& report, const Params& params) {
  if (report.method == "dense") return "few enough rows for a dense solve";
  if (report.method != "multilevel") {
    if (params.method == Method::incomplete_cholesky) return "asked for";
    return params.max_levels == 1 ? "asked for one level"
                                  : "a coarser level would not be small enough to be worth it";
  }
  if (params.method == Method::multilevel) return "asked for";
  if (params.smoother != SmootherKind::incomplete_cholesky)
    return "only the incomplete Cholesky smoother is tried alone";
  return "the incomplete Cholesky factorization alone would need too many iterations";
}

void sum_up(const Params& params, Report& report) {
  double entries = 0, rows = 0;
  for (const LevelReport& line : report.levels) entries += line.nnz, rows += line.rows;
  const auto& first = report.levels.front();
  report.operator_complexity = first.nnz > 0 ? entries / first.nnz : 1;
  report.grid_complexity = rows / first.rows;
  report.method = report.levels.size() > 1 ? "multilevel"
                  : report.coarse_rows > 0 ? "dense"
                                           : find_field(fields(), "smoother").text(params);
  if (report.reason.empty()) report.reason = reason_for(report, params);
}

// Multiplies by the power of two that brings the largest entry to [1, 2), and returns it.
double rescale(Csr<double>& A) {
  double largest = 0;
  for (double v : A.data) largest = std::max(largest, std::abs(v));
  const double factor = power_of_two(largest);
  if (factor != 1)
    for (double& v : A.data) v *= factor;
  return factor;
}

// The matrix in the order of the first level; the rest of the first stage follows when the smoother
// is there.
Stage first_stage(const CsrView<double>& A, Index block, const Params& params) {
  Stage stage;
  stage.block = block;
  stage.domains = cut(
      A, params.ordering == Ordering::rcm ? reverse_cuthill_mckee(A, block) : natural_order(A.rows),
      block, params.strips);
  stage.A = permuted(A, stage.domains.order);
  return stage;
}

// Near-nullspace and couplings of the first stage; constants are tried with its smoother.
template <class T>
void complete(const NearNullspace& given, const std::vector<Index>& order, const Level<T>& level,
              const Params& params, Stage& stage) {
  if (given.values.empty()) {
    stage.B = stage.block == 1 ? default_vector(stage.A, level, params)
                               : constants(stage.A.rows, stage.block);
  } else {
    stage.B = given;
    permute_rows(stage.B.values, order, given.vectors);
  }
  stage.W = couplings(stage.A, stage.B.values.data(), stage.block, stage.B.vectors);
}

}  // namespace

template <class T>
Levels<T> build_levels(const CsrView<double>& A, const NearNullspace& near_nullspace, Index block,
                       const Params& given, Report& report) {
  const auto begin = Clock::now();
  const Params params = tuned(given);
  const bool additive = params.cycle == CycleKind::additive;
  Levels<T> out;
  out.rows = A.rows;
  Stage stage = first_stage(A, block, params);
  out.scale = rescale(stage.A);
  out.order = stage.domains.order;
  const Index smallest = coarse_size(stage.A, params);
  auto left = static_cast<Global>(params.max_complexity * A.nnz());

  for (bool last = false; !last;) {
    const auto start = Clock::now();
    const bool first = out.levels.empty();
    LevelReport line;
    line.level = static_cast<int>(out.levels.size()) + 1;
    left -= stage.A.nnz();
    if (stage.A.rows <= smallest && params.method != Method::incomplete_cholesky) {
      fill_coarse(stage.A, out, line, report);
      last = true;
    } else {
      Level<T>& level = out.levels.emplace_back();
      if (first || !additive) fill_level(stage.A, stage.domains, params, level, line, report);
      last = line.level == params.max_levels || params.method == Method::incomplete_cholesky;
      if (first && !last) {
        complete(near_nullspace, out.order, level, params, stage);
        last = smoother_is_enough(stage, level, params, report);
      }
      Next next;
      last = last || !coarsen(stage, params, line.level, left, next);
      if (!last) {
        level.P = cast<T>(next.P);
        level.R = cast<T>(next.R);
        if (!std::is_same_v<T, double> && !additive) level.exact_R = std::move(next.R);
        line.clusters = next.clusters.count;
        line.lifted = next.lifted;
        line.prolongation = static_cast<double>(next.P.nnz()) / next.P.rows;
      } else {
        next.clusters.label.assign(stage.nodes(), -1);
      }
      if (additive) fill_additive(stage, next.clusters, level, line);
      line.bytes = bytes_of(level);
      if (!last) stage = std::move(next.stage);
    }
    line.seconds = seconds_since(start);
    report.levels.push_back(line);
  }
  sum_up(params, report);
  report.seconds = seconds_since(begin);
  return out;
}

template <class T>
void refresh_levels(const CsrView<double>& matrix, const Params& params, Levels<T>& levels,
                    Report& report) {
  const auto begin = Clock::now();
  report.indefinite = false;
  report.coarse_nullity = report.coarse_negative = 0;
  Csr<double> A = permuted(matrix, levels.order);
  levels.scale = rescale(A);
  for (std::size_t l = 0; l < report.levels.size(); ++l) {
    const auto start = Clock::now();
    LevelReport& line = report.levels[l];
    if (l == levels.levels.size()) {
      fill_coarse(A, levels, line, report);
    } else {
      Level<T>& level = levels.levels[l];
      fill_level(A, Domains{{}, level.strips}, params, level, line, report);
      if (level.P.rows > 0) A = coarse_matrix(A, exact_restriction(level));
    }
    line.seconds = seconds_since(start);
  }
  sum_up(params, report);
  report.seconds = seconds_since(begin);
}

#define PYMPF_SETUP(T)                                                                 \
  template Levels<T> build_levels(const CsrView<double>&, const NearNullspace&, Index, \
                                  const Params&, Report&);                             \
  template void refresh_levels(const CsrView<double>&, const Params&, Levels<T>&, Report&);
PYMPF_SETUP(float)
PYMPF_SETUP(double)
#undef PYMPF_SETUP

}  // namespace pympf::precond
