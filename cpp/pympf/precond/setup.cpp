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
#include <limits>
#include <numeric>
#include <optional>
#include <type_traits>

#include "pympf/la/balance.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/dense.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/border.hpp"
#include "pympf/precond/choose.hpp"
#include "pympf/precond/nodes.hpp"
#include "pympf/precond/ordering.hpp"
#include "pympf/precond/product.hpp"
#include "pympf/precond/radius.hpp"
#include "pympf/precond/smoother.hpp"
#include "pympf/precond/wavelets.hpp"

namespace pympf::precond {
namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// Of a factor, relative to the diagonal. The cycle smooths, multiplies by A and smooths again: S is
// as large as 1 / pivot on the smoothest vectors, and what is rounded in A S is blown up by that
// once more, epsilon / pivot of S itself. In float32 M loses its sign at 1e-6 (the contrast of
// strong clusters) and CG some iterations at 7e-6; grids, jumps and inclusions have 5e-3 and more.
// In float64 it is less than doubtful.
constexpr double least_pivot_of_float = 2e-5, doubtful_pivot = 1e-8;
// Of the inverse of the last matrix, whose largest entry is about 1.
constexpr double largest_of_float = 1e30;
// Contraction that hardly shrinks the graph (expanders): lifting would fill in.
constexpr double expander = 0.6;
// 1 to 6 on all families but one, where the cuts triple the iterations; there it is above 20.
constexpr double most_cut_loss = 10;
// A stage must remove a fifth of the rows.
constexpr double least_reduction = 0.8;
// Multiply-adds of a product with lifted functions, over nnz.
constexpr double most_work = 15;
// With twice the truncation each, while work and entries are at most so many times too many.
constexpr int lift_attempts = 3;
constexpr int near_miss = 2;

template <class T>
Csr<T> cast(const CsrView<double>& A) {
  return {A.rows,
          A.cols,
          {A.indptr, A.indptr + A.rows + 1},
          {A.indices, A.indices + A.nnz()},
          {A.data, A.data + A.nnz()}};
}

// `exact`, unless it is null, gets the numbers when they are rounded.
template <class T>
Csr<T> cast(Csr<double>&& A, std::vector<double>* exact = nullptr) {
  if constexpr (std::is_same_v<T, double>) {
    return std::move(A);
  } else {
    Csr<T> out{
        A.rows, A.cols, std::move(A.indptr), std::move(A.indices), {A.data.begin(), A.data.end()}};
    if (exact) *exact = std::move(A.data);
    return out;
  }
}

template <class T>
OffDiagonal<T> cast(OffDiagonal<double> A) {
  return {std::move(A.halo), std::move(A.rows), cast<T>(std::move(A.block)), {}};
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

// The matrix, its graph and its near-nullspace on one level: rows of this rank, with columns for
// their ghosts, which B has numbers for too.
struct Stage {
  Csr<double> A;
  Graph W;
  NearNullspace B;
  Domains domains;
  Index block = 1;
  Border border;

  Index nodes() const { return A.rows / block; }
  Global rows() const { return border.alone() ? A.rows : border.layout.total(); }
  Global nnz() const { return border.comm.sum(Global{A.nnz()}); }
};

// Multiply-adds of A P: column k of A meets row k of P, and A is symmetric.
double product_work(const Stage& stage, const CsrView<double>& P) {
  const Csr<double>& A = stage.A;
  double sum = 0;
  for (Index k = 0; k < A.rows; ++k)
    sum += static_cast<double>(A.indptr[k + 1] - A.indptr[k]) * (P.indptr[k + 1] - P.indptr[k]);
  return stage.border.comm.sum(sum);
}

// b^T A b / b^T D b; leaves A b in `product`.
double rayleigh(const Stage& stage, const std::vector<double>& d, const std::vector<double>& b,
                std::vector<double>& product) {
  product.resize(b.size());
  stage.border.multiply(stage.A, b.data(), product.data());
  double energy = 0, mass = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    energy += b[i] * product[i];
    mass += d[i] * b[i] * b[i];
  }
  energy = stage.border.comm.sum(energy);
  mass = stage.border.comm.sum(mass);
  return mass > 0 ? energy / mass : 0;
}

// Whether |A b|_i is above a thousandth of a_ii |b_i| on half of the rows.
bool is_far_from_null(const Stage& stage, const std::vector<double>& Ab,
                      const std::vector<double>& d, const std::vector<double>& b) {
  Global far = 0;
  for (std::size_t i = 0; i < b.size(); ++i) {
    const double size = d[i] * std::abs(b[i]);
    far += size > 0 && std::abs(Ab[i]) > 1e-3 * size;
  }
  return 2 * stage.border.comm.sum(far) >= stage.rows();
}

bool is_far_from_null(const Stage& stage, const std::vector<double>& b) {
  const std::vector<double> d = diagonal(stage.A.view());
  std::vector<double> own(b.begin(), b.begin() + stage.A.rows), Ab;
  rayleigh(stage, d, own, Ab);
  return is_far_from_null(stage, Ab, d, own);
}

// One constant for each row of a node.
NearNullspace constants(Index rows, Index block) {
  NearNullspace B{block, std::vector<double>(static_cast<std::size_t>(rows) * block, 0.0)};
  for (Index i = 0; i < rows; ++i) B.values[static_cast<std::size_t>(i) * block + i % block] = 1;
  return B;
}

struct Found {
  NearNullspace B;
  bool poor = false;  // still no near-nullspace after the relaxation
};

// Constants; D^-1/2 1 when its Rayleigh quotient is ten times smaller; either relaxed on A b = 0
// when it is no near-nullspace.
template <class T>
Found default_vector(const Stage& stage, const Level<T>& level, const Params& params) {
  const Index n = stage.A.rows;
  const Communicator& comm = stage.border.comm;
  const std::vector<double> d = diagonal(stage.A.view());
  std::vector<double> b(n, 1.0), Ab;
  const double quotient = rayleigh(stage, d, b, Ab);
  double least = std::numeric_limits<double>::infinity(), most = -least;
  for (double x : d) least = std::min(least, x), most = std::max(most, x);
  least = comm.min(least), most = comm.max(most);
  if (least > 0 && least < most) {  // else they are the same vector
    std::vector<double> scaled(n), product;
    for (Index i = 0; i < n; ++i) scaled[i] = 1 / std::sqrt(d[i]);
    if (rayleigh(stage, d, scaled, product) < 0.1 * quotient) b.swap(scaled), Ab.swap(product);
  }
  bool poor = is_far_from_null(stage, Ab, d, b);
  if (params.relaxations > 0 && poor) {
    std::vector<T> x(b.begin(), b.end()), zero(n, T(0)), work(2 * static_cast<std::size_t>(n));
    for (int step = 0; step < params.relaxations; ++step)
      smooth(level, params, zero.data(), x.data(), work.data(), step % 2 == 0);
    b.assign(x.begin(), x.end());
    stage.border.multiply(stage.A, b.data(), Ab.data());
    poor = is_far_from_null(stage, Ab, d, b);
  }
  const double size = norm(comm, n, b.data());
  const auto rows = static_cast<double>(stage.rows());
  if (size > 0) scale(n, std::sqrt(rows) / size, b.data(), b.data());
  return {{1, std::move(b)}, poor};
}

// Powers of two that take the units from the rows, where these differ by more than 10^6: beside a
// large row the others would be rounded away, or taken for the nullspace. Ones otherwise.
std::vector<double> row_units(const Csr<double>& A) {
  constexpr int wide = 10;  // in square roots of the rows
  const std::vector<int> exponents = balancing_exponents(DistRows<double>(A));
  const auto [least, most] = std::minmax_element(exponents.begin(), exponents.end());
  std::vector<double> out(A.rows, 1.0);
  if (A.rows > 0 && *most - *least > wide)
    std::transform(exponents.begin(), exponents.end(), out.begin(),
                   [](int exponent) { return std::ldexp(1.0, exponent); });
  return out;
}

// The pseudo-inverse of the last matrix, D (D A D)^+ D with the units D of its rows: |D A D|^+ when
// it has negative eigenvalues.
template <class T>
void solve_coarse(const Border& border, const Csr<double>& own, Levels<T>& out, Report& report) {
  const Csr<double> A = gathered(border, own);
  const Index n = A.rows;
  const std::vector<double> D = row_units(A);
  std::vector<double> V(static_cast<std::size_t>(n) * n, 0.0);
  for (Index i = 0; i < n; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const double half = D[i] * A.data[p] * D[A.indices[p]] / 2;
      V[static_cast<std::size_t>(i) * n + A.indices[p]] += half;
      V[static_cast<std::size_t>(A.indices[p]) * n + i] += half;
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
  std::vector<double> inverse = congruence(V, values.data(), n);
  for (Index i = 0; i < n; ++i)
    for (Index j = 0; j < n; ++j) inverse[static_cast<std::size_t>(i) * n + j] *= D[i] * D[j];
  report.rounds_off =
      report.rounds_off || (std::is_same_v<T, float> &&
                            largest_magnitude(inverse.size(), inverse.data()) > largest_of_float);
  const auto first = static_cast<std::ptrdiff_t>(border.alone() ? 0 : border.layout.first());
  if (!border.alone()) {
    std::vector<Global> others;
    for (Global i = 0; i < n && own.rows > 0; ++i)
      if (!border.layout.owns(i)) others.push_back(i);
    out.coarse_first = static_cast<Index>(first);
    out.coarse_halo =
        std::make_shared<const Exchange>(Exchange::halo(border.comm, border.layout, others));
  }
  out.coarse.assign(inverse.begin() + first * n, inverse.begin() + (first + own.rows) * n);
  out.coarse_rows = report.coarse_rows = n;
}

struct Next {
  Csr<double> P, R;  // R = P^T
  OffDiagonal<double> P_off;
  Csr<double> exact_P;  // before it is taken apart, on several ranks
  Border known;         // its clusters
  Stage stage;
  Clustering clusters;
  bool lifted = false;
};

// Puts the rows of the next stage into the order of its strips.
void reorder(Next& next, const Params& params) {
  Stage& stage = next.stage;
  const int strips = stage.border.alone() ? params.strips : 1;
  stage.domains = cut(stage.A, natural_order(stage.A.rows), stage.block, strips);
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

// Largest eigenvalue of D^-1 A.
double largest_eigenvalue(const Stage& stage) {
  std::vector<double> inverse = diagonal(stage.A.view());
  for (double& d : inverse) d = d > 0 ? 1 / d : 0;
  return spectral_radius(stage.border.comm, inverse,
                         [&](const double* x, double* y) { stage.border.multiply(stage.A, x, y); });
}

// Gives the rows to the ranks of `to`.
void move(Stage& stage, const Layout& to) {
  const Border from = stage.border;
  const Index m = stage.B.vectors;
  const auto A = moved_rows(from, to, stage.A), W = moved_rows(from, to, stage.W, stage.block);
  stage.border = border_of(from.comm, to, A.indices, W.indices, stage.block);
  stage.A = localized(stage.border, A);
  stage.W = localized(stage.border, W, stage.block);
  std::vector<Global> targets(from.layout.own());
  std::iota(targets.begin(), targets.end(), from.layout.first());
  std::vector<double> B(static_cast<std::size_t>(to.own()) * m);
  ExchangeSpace<double> space;
  Exchange::moves(from.comm, to, targets).forward(stage.B.values.data(), B.data(), m, space);
  stage.border.share(B, m);
  stage.B.values = std::move(B);
}

// Completes the next stage on several ranks: gives it to fewer if it is small, and takes P apart.
void settle(const Params& params, Next& next) {
  Stage& stage = next.stage;
  const Border made = stage.border;
  const Layout to = next_layout(made.layout, params.rows_per_rank);
  const bool stays = to.starts == made.layout.starts;
  next.P_off = split(made, to, next.P);
  if (stays) return;
  move(stage, to);
  next.R = transpose(next.P.view());
}

// The next stage; empty when there is none worth having.
bool coarsen(const Stage& stage, const Params& params, int level, Global left, Next& next) {
  const Border& border = stage.border;
  const Global rows = stage.rows(), entries = stage.nnz();
  const double theta = params.strength * std::pow(params.strength_decay, level - 1);
  next.clusters = cluster(stage.W, params.shape, theta, params.cluster_size);
  const Index m = stage.B.vectors;
  Clustering& clusters = next.clusters;
  const Global coarse_rows = border.comm.sum(Global{clusters.count} * m);
  if (coarse_rows > least_reduction * rows) return false;
  Rotated Q = rotate(stage.B, clusters, stage.block);
  const Border known = reach(border, stage.block, clusters);
  share(border, known, Q);
  const auto known_clusters = clusters.count + static_cast<Index>(known.ghosts.size());
  Graph W = contract(stage.W, clusters, known_clusters);
  const auto projected = [&](Global most) {
    auto product = project(border, stage.A, known, m, most, next.P);
    if (!product) return false;
    next.stage.border = std::move(product->border);
    next.stage.A = std::move(product->A);
    next.R = std::move(product->R);
    return true;
  };
  const auto fewer = static_cast<Global>(rows <= 1000 ? left : std::min(left, entries * 9 / 10));
  const auto most = coarse_rows > 2500 ? std::min(left, entries) : left;
  const bool expands = border.comm.sum(Global{W.nnz()}) >
                       expander * static_cast<double>(border.comm.sum(Global{stage.W.nnz()}));
  const double radius = m > 1 || stage.block > 1 ? largest_eigenvalue(stage) : 0;
  // Lifted functions that would fill in a little are truncated more; if much, they stay unlifted.
  Params lifting = params;
  for (int attempt = 0; attempt < lift_attempts && !next.lifted; ++attempt) {
    if (!params.lift || expands) break;
    next.P = lifted_prolongation(stage.A, stage.B, Q, clusters, stage.block, lifting, radius);
    const double work = product_work(stage, next.P) / (most_work * static_cast<double>(entries));
    if (work > near_miss) break;
    if (work <= 1) {
      if (!projected(near_miss * fewer)) break;
      next.lifted = next.stage.nnz() <= fewer;
    }
    const double more = std::min(2 * lifting.truncation, 0.5);
    if (more <= lifting.truncation) break;
    lifting.truncation = more;
  }
  if (!next.lifted) {
    next.P = prolongation(Q, clusters, stage.block, stage.A.rows);
    if (!projected(most)) return false;
  }
  Stage& to = next.stage;
  to.block = m;
  next.known = clusters_known_to(known, to.border, m);
  renumber(known, next.known, W);
  to.W = std::move(W);
  to.B = std::move(Q.coarse);
  to.B.values.resize(static_cast<std::size_t>(clusters.count) * m * m);
  to.border.share(to.B.values, m);
  if (!border.alone()) {
    next.exact_P = next.P;
    settle(params, next);
  }
  reorder(next, params);
  return true;
}

// A matrix with the pattern of another one.
template <class T>
CsrView<double> with_data(const Csr<T>& pattern, const std::vector<double>& data) {
  return {pattern.rows, pattern.cols, pattern.indptr.data(), pattern.indices.data(), data.data()};
}

// P or R before it was rounded.
template <class T>
CsrView<double> exact(const Csr<T>& functions, const std::vector<double>& data) {
  if constexpr (std::is_same_v<T, double>)
    return functions.view();
  else
    return with_data(functions, data);
}

// The new matrix of a level; on one rank it has the pattern of the old one, and only its numbers
// are made.
struct Renewed {
  std::vector<double> data;
  Csr<double> whole;
  CsrView<double> view;

  explicit Renewed(Csr<double>&& A) : whole(std::move(A)), view(whole) {}
  template <class T>
  Renewed(const Csr<T>& pattern, std::vector<double>&& numbers)
      : data(std::move(numbers)), view(with_data(pattern, data)) {}
  Renewed(Renewed&&) = default;  // moved vectors stay where they are
  Renewed& operator=(Renewed&&) = default;
};

// P^T A P for new values, as the rows of the next stage lie: `next` is its border, and its matrix
// has the entries of `known`, where that is not null.
template <class T>
Renewed projected(const CsrView<double>& A, const Level<T>& level, const Csr<T>* known,
                  const Border& next) {
  if (next.alone()) {
    const auto P = exact(level.P, level.exact_P_data), R = exact(level.R, level.exact_R_data);
    if (!known) return Renewed(*coarse_product(A, P, R));
    return {*known, coarse_product(A, P, R, known->indptr, known->indices)};
  }
  Csr<double> P = level.exact_P;
  Projection product = *project(level.border, A, level.clusters, level.width,
                                std::numeric_limits<Global>::max() - 1, P);
  if (product.border.layout.starts == next.layout.starts) return Renewed(std::move(product.A));
  return Renewed(localized(next, moved_rows(product.border, next.layout, product.A)));
}

template <class T>
std::size_t bytes_of(const Level<T>& level) {
  return (level.A.data.size() + level.P.data.size() + level.R.data.size() + level.Z.data.size()) *
             (sizeof(T) + sizeof(Index)) +
         level.exact_P.data.size() * (sizeof(double) + sizeof(Index)) +
         (level.exact_P_data.size() + level.exact_R_data.size()) * sizeof(double) +
         level.factor.bytes();
}

// What a level is besides its scaling functions: the matrix in the precision of the cycle and the
// smoother. What it is worth to know goes to its line of the report.
template <class T>
void fill_level(const CsrView<double>& A, const Border& border, const Domains& domains,
                const Params& params, Level<T>& level, LevelReport& line, Report& report,
                Dropped dropped = Dropped::raises_diagonal) {
  const Communicator& comm = border.comm;
  if (!border.alone()) {
    pympf::split(A, A.rows, level.A, level.A_off);
    level.A_off.halo = border.halo;
    line.ranks = border.layout.ranks_with_rows();
  } else if (level.A.rows == A.rows) {  // new values on the same pattern
    level.A.data.assign(A.data, A.data + A.nnz());
  } else {
    level.A = cast<T>(A);
  }
  build_smoother(A, border, domains, params, level, dropped);
  line.rows = comm.sum(Global{A.rows});
  line.nnz = comm.sum(Global{A.nnz()});
  const auto factor = static_cast<double>(comm.sum(static_cast<Global>(level.factor.nnz())));
  line.factor = line.nnz > 0 ? factor / static_cast<double>(line.nnz) : 0;
  line.bytes = bytes_of(level);
  const bool negative = comm.max(Global{level.factor.found_negative()}) > 0;
  report.indefinite = report.indefinite || negative;
  if (dropped == Dropped::lowers_diagonal) return;  // it is no smoother: CG takes it alone
  const double pivot = comm.min(level.factor.least_pivot());
  report.rounds_off =
      report.rounds_off || (std::is_same_v<T, float> && pivot < least_pivot_of_float);
  report.doubtful = report.doubtful || pivot < doubtful_pivot;
}

// For the additive cycle the wavelets' solves take the place of both.
template <class T>
void fill_additive(const Stage& stage, const Clustering& clusters, Level<T>& level,
                   LevelReport& line) {
  Level<T> kept;
  kept.P = std::move(level.P), kept.R = std::move(level.R);
  kept.P_off = std::move(level.P_off), kept.strips = std::move(level.strips);
  level = std::move(kept);
  level.Z = cast<T>(wavelet_inverse(stage.A, stage.B, clusters, stage.block));
  line.rows = stage.rows();
  line.nnz = stage.nnz();
  const auto entries = static_cast<double>(stage.border.comm.sum(Global{level.Z.nnz()}));
  line.factor = line.nnz > 0 ? entries / static_cast<double>(line.nnz) : 0;
}

template <class T>
void fill_coarse(const Border& border, const Csr<double>& A, Levels<T>& out, LevelReport& line,
                 Report& report) {
  solve_coarse(border, A, out, report);
  line.rows = out.coarse_rows;
  if (!border.alone()) line.ranks = border.layout.ranks_with_rows();
  line.nnz = border.comm.sum(Global{A.nnz()});
  line.bytes = out.coarse.size() * sizeof(T);
}

void sum_up(const Params& params, Report& report) {
  double entries = 0, rows = 0;
  for (const LevelReport& line : report.levels) {
    entries += static_cast<double>(line.nnz);
    rows += static_cast<double>(line.rows);
  }
  const auto& first = report.levels.front();
  report.operator_complexity = first.nnz > 0 ? entries / static_cast<double>(first.nnz) : 1;
  report.grid_complexity = rows / static_cast<double>(first.rows);
  report.method = report.levels.size() > 1 ? "multilevel"
                  : report.coarse_rows > 0 ? "dense"
                                           : find_field(fields(), "smoother").text(params);
  if (report.reason.empty()) report.reason = reason_for(report, params);
}

// The power of two that brings the largest entry to [1, 2).
double range_factor(const Communicator& comm, const CsrView<double>& A) {
  return power_of_two(comm.max(largest_magnitude(A.nnz(), A.data)));
}

// The numbers of `permuted` where its pattern is known.
template <class T>
std::vector<double> permuted_data(const CsrView<double>& A, const std::vector<Index>& order,
                                  const Csr<T>& pattern, double factor) {
  std::vector<double> out(A.nnz());
  std::vector<Index> position(A.rows);
  for (Index i = 0; i < A.rows; ++i) position[order[i]] = i;
  parallel_for(A.rows, worth_threads(A.nnz()), [&](Index i) {
    const Index *first = pattern.indices.data() + pattern.indptr[i], *to = first;
    const Index* last = pattern.indices.data() + pattern.indptr[i + 1];
    for (Index p = A.indptr[order[i]]; p < A.indptr[order[i] + 1]; ++p, ++to) {
      const Index column = position[A.indices[p]];
      if (to == last || *to != column) to = std::lower_bound(first, last, column);
      out[to - pattern.indices.data()] = factor * A.data[p];
    }
  });
  return out;
}

// Own rows and all columns in `order`, times `scale`, and their border. Collective.
Csr<double> ordered(const DistRows<double>& A, const std::vector<Index>& order, Index block,
                    double scale, Border& border) {
  if (A.comm.size() == 1) return permuted(A.rows, order, scale);
  std::vector<Index> number;
  border = border_of(A, order, block, number);
  const Index cols = A.own() + static_cast<Index>(border.ghosts.size());
  return permuted(A.rows, order, number, cols, scale);
}

// The new matrix in the order of the first level. Collective.
template <class T>
Renewed renewed(const DistRows<double>& matrix, const Levels<T>& levels) {
  if (matrix.comm.size() == 1 && !levels.levels.empty())
    return {levels.levels[0].A,
            permuted_data(matrix.rows, levels.order, levels.levels[0].A, levels.scale)};
  Border border;
  return Renewed(ordered(matrix, levels.order, levels.block, levels.scale, border));
}

// The matrix in the order of the first level, times `scale`; the rest of the first stage follows
// when the smoother is there.
Stage first_stage(const DistRows<double>& A, double scale, Index block, const Params& params) {
  const bool alone = A.comm.size() == 1;
  const Csr<double> pattern = alone ? Csr<double>() : diagonal_pattern(A);
  const CsrView<double> own = alone ? A.rows : pattern.view();
  const bool keep = params.ordering == Ordering::natural || own.rows == 0 || is_banded(own);
  Stage stage;
  stage.block = block;
  stage.domains = cut(own, keep ? natural_order(own.rows) : reverse_cuthill_mckee(own, block),
                      block, params.strips);
  stage.A = ordered(A, stage.domains.order, block, scale, stage.border);
  return stage;
}

// Where the factor does what the hierarchy does not, along couplings that no cluster follows, it
// has to reach across the cuts: there its entries fade on the way from one to the next.
template <class T>
bool loses_by_cuts(const Stage& stage, const Level<T>& level) {
  return stage.border.comm.max(level.factor.cut_loss()) > most_cut_loss;
}

Graph first_couplings(const Stage& stage) {
  std::vector<double> d = diagonal(stage.A.view());
  stage.border.share(d, 1);
  return couplings(stage.A, stage.B.values.data(), stage.block, stage.B.vectors, d);
}

// The near-nullspace in the order of the first level; constants are tried with its smoother.
template <class T>
Found first_vectors(const NearNullspace& given, const Stage& stage, const Level<T>& level,
                    const Params& params) {
  // A rank without rows cannot tell from its part.
  const bool is_given = stage.border.comm.max(Global{!given.values.empty()}) > 0;
  Found found{given};
  if (is_given) {
    permute_rows(found.B.values, stage.domains.order, found.B.vectors);
    found.poor = found.B.vectors == 1 && is_far_from_null(stage, found.B.values);
  } else if (stage.block == 1)
    found = default_vector(stage, level, params);
  else
    found.B = constants(stage.A.rows, stage.block);
  stage.border.share(found.B.values, found.B.vectors);
  return found;
}

}  // namespace

template <class T>
Levels<T> build_levels(const DistRows<double>& A, const NearNullspace& near_nullspace, Index block,
                       const Params& given, Report& report) {
  const auto begin = Clock::now();
  Params params = tuned(given);
  const bool additive = params.cycle == CycleKind::additive;
  Levels<T> out;
  out.comm = A.comm;
  out.rows = A.own();
  out.scale = range_factor(A.comm, A.rows);
  // One vector tells that there are no nodes; several do not.
  const Global vectors =
      A.comm.max(Global{near_nullspace.values.empty() ? 0 : near_nullspace.vectors});
  if (block == 1 && vectors != 1 && params.method != Method::incomplete_cholesky)
    block = report.node_size = find_node_size(A);
  Stage stage = first_stage(A, out.scale, block, params);
  out.order = stage.domains.order;
  out.block = block;
  const Global entries = A.nnz();
  out.complete = stage.border.alone() && is_complete_cheap(stage.A, params);
  if (out.complete) params = without_drops(params);
  if (!out.complete && begins_with_finer_factor(A.comm, A.layout.total(), entries, params)) {
    params = with_fewer_drops(params);
    out.finer = true;
  }
  const Index smallest = coarse_size(entries, params);
  auto left = static_cast<Global>(params.max_complexity * static_cast<double>(entries));

  for (bool last = false; !last;) {
    const auto start = Clock::now();
    const bool first = out.levels.empty();
    LevelReport line;
    line.level = static_cast<int>(out.levels.size()) + 1;
    left -= stage.nnz();
    if (stage.rows() <= smallest && params.method != Method::incomplete_cholesky) {
      out.coarse_border = std::move(stage.border);
      fill_coarse(out.coarse_border, stage.A, out, line, report);
      last = true;
    } else {
      Level<T>& level = out.levels.emplace_back();
      const auto fill = [&](const Params& with, Dropped dropped) {
        fill_level(stage.A, stage.border, stage.domains, with, level, line, report, dropped);
      };
      if (first || !additive) fill(params, Dropped::raises_diagonal);
      if (report.rounds_off) return out;
      if (first && params.strips == 0 && loses_by_cuts(stage, level)) {
        params.strips = facing_strips;
        stage = first_stage(A, out.scale, block, params);
        out.order = stage.domains.order;
        level = {};
        fill(params, Dropped::raises_diagonal);
      }
      last = line.level == params.max_levels || params.method == Method::incomplete_cholesky;
      if (first && !last) {
        last = smoother_is_exact(stage.border, level, params, out.complete, report);
      }
      if (first && !last) {
        Found found = first_vectors(near_nullspace, stage, level, params);
        stage.B = std::move(found.B);
        const auto side = side_for_factor<T>(stage.A, stage.B, stage.border, params);
        const auto enough = [&](Dropped dropped) {
          return factor_is_enough(stage.A, side, stage.border, level, params, dropped, report);
        };
        const bool may_lower = !out.finer && may_lower_diagonal(stage.A, stage.border, params);
        if (may_lower && lowered_may_be_enough(side, stage.border, level, params)) {
          LevelReport raised_line = line;
          IncompleteCholesky<T> raised = std::move(level.factor);
          fill(params, Dropped::lowers_diagonal);
          out.lowered = last = enough(Dropped::lowers_diagonal);
          if (!last) level.factor = std::move(raised), line = std::move(raised_line);
        }
        if (!last && (!may_lower || raised_may_be_enough(stage.rows(), params)))
          last = enough(Dropped::raises_diagonal);
        out.foretold = last;
        if (!last && prefers_finer_factor(stage.rows(), found.poor, params, report)) {
          if (!out.finer) fill(with_fewer_drops(params), Dropped::raises_diagonal);
          last = out.finer = true;
        }
        if (!last) stage.W = first_couplings(stage);
      }
      Next next;
      last = last || !coarsen(stage, params, line.level, left, next);
      if (!last) {
        const bool keeps = stage.border.alone() && !additive;
        level.R = cast<T>(std::move(next.R), keeps ? &level.exact_R_data : nullptr);
        if (!additive) level.exact_P = std::move(next.exact_P);
        level.clusters = std::move(next.known);
        level.width = next.stage.block;
        line.clusters = A.comm.sum(Global{next.clusters.count});
        line.lifted = next.lifted;
        const Global functions = A.comm.sum(Global{next.P.nnz()} + next.P_off.block.nnz());
        line.prolongation = static_cast<double>(functions) / static_cast<double>(stage.rows());
        level.P = cast<T>(std::move(next.P), keeps ? &level.exact_P_data : nullptr);
        level.P_off = cast<T>(std::move(next.P_off));
      } else {
        next.clusters.label.assign(stage.nodes(), -1);
      }
      if (additive) fill_additive(stage, next.clusters, level, line);
      line.bytes = bytes_of(level);
      level.border = std::move(stage.border);
      if (!last) stage = std::move(next.stage);
    }
    line.seconds = seconds_since(start);
    report.levels.push_back(line);
  }
  sum_up(params, report);
  report.seconds = seconds_since(begin);
  return out;
}

// Whether a probe of the new values would choose the factor alone again.
template <class T>
bool is_still_enough(const CsrView<double>& A, const Levels<T>& levels, const Params& params) {
  const Level<T>& level = levels.levels.front();
  const NearNullspace B = constants(A.rows, 1);
  const auto side = side_for_factor<T>(A, B, level.border, params);
  Report report;
  return factor_is_enough(A, side, level.border, level, params,
                          levels.lowered ? Dropped::lowers_diagonal : Dropped::raises_diagonal,
                          report, steps_of_update);
}

template <class T>
void refresh_levels(const DistRows<double>& matrix, const Params& given, Levels<T>& levels,
                    Report& report) {
  const auto begin = Clock::now();
  const Params params = levels.complete ? without_drops(given)
                        : levels.finer  ? with_fewer_drops(given)
                                        : given;
  report.indefinite = report.rounds_off = report.doubtful = report.outgrown = false;
  report.coarse_nullity = report.coarse_negative = 0;
  levels.scale = range_factor(matrix.comm, matrix.rows);
  Renewed A = renewed(matrix, levels);
  for (std::size_t l = 0; l < report.levels.size(); ++l) {
    const auto start = Clock::now();
    LevelReport& line = report.levels[l];
    if (l == levels.levels.size()) {
      fill_coarse(levels.coarse_border, A.whole, levels, line, report);
    } else {
      Level<T>& level = levels.levels[l];
      level.factor = {};  // the new one gets its memory
      const bool lowers = levels.lowered && may_lower_diagonal(A.view, level.border, params);
      fill_level(A.view, level.border, Domains{{}, level.strips}, params, level, line, report,
                 lowers ? Dropped::lowers_diagonal : Dropped::raises_diagonal);
      if (report.rounds_off) return;
      if (l + 1 < report.levels.size()) {
        const bool last = l + 1 == levels.levels.size();
        A = projected(A.view, level, last ? nullptr : &levels.levels[l + 1].A,
                      last ? levels.coarse_border : levels.levels[l + 1].border);
      }
    }
    line.seconds = seconds_since(start);
  }
  report.outgrown = levels.foretold && !is_still_enough(A.view, levels, params);
  sum_up(params, report);
  report.seconds = seconds_since(begin);
}

#define PYMPF_SETUP(T)                                                                  \
  template Levels<T> build_levels(const DistRows<double>&, const NearNullspace&, Index, \
                                  const Params&, Report&);                              \
  template void refresh_levels(const DistRows<double>&, const Params&, Levels<T>&, Report&);
PYMPF_SETUP(float)
PYMPF_SETUP(double)
#undef PYMPF_SETUP

}  // namespace pympf::precond
