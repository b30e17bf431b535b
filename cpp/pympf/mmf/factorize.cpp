// pMMF (thesis, section 2.2, Algorithm 1):
//
//   A_0 = A;  for p = 1 .. P:  cluster the active columns;  [Q_p]_uu =
//   FindRotationsForCluster([A_{p-1}]_{:,B_u}) for every cluster u;  A_p = the active part of Q_p
//   A_{p-1} Q_p^T;  H = core of A_P plus the diagonal entries that retired.
//
//   paper                        code
//   A_p (active part)            A
//   B_1 ∪ ... ∪ B_m              Clusters
//   Q_p                          Stage
//   eta                          rotation_fraction
//   P                            max_stages
//
// Cost of a stage: clusters O(nnz), Gram matrices sum_k min(deg_k, hub)^2, rotations O(entries of
// the Gram rows they merge), next matrix O(nnz). With pairs the active functions have disjoint
// supports, so A_p is a weighted contraction of the graph of A_{p-1} and never has more entries.
// Everything but the clustering runs over clusters or rows in parallel, and nothing depends on the
// number of threads.
//
// On several ranks each has clusters of its own rows, and does with them what one rank alone would
// do; communication: see ghosts.hpp, and move_rows where a stage changes its ranks. Active columns
// are numbered rank by rank and cluster by cluster, so for given clusters A_p is the same on any
// number of ranks, to the last bit.
#include "pympf/mmf/factorize.hpp"

#include <cmath>
#include <limits>
#include <numeric>

#include "pympf/common/clock.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/la/symmetry.hpp"
#include "pympf/mmf/cluster.hpp"
#include "pympf/mmf/ghosts.hpp"
#include "pympf/mmf/rotation.hpp"

namespace pympf::mmf {
namespace {

constexpr double infinity = std::numeric_limits<double>::infinity();

// D^-1 A D^-1.
template <class T>
DistRows<T> unscaled(const DistRows<T>& A, const std::vector<T>& scale) {
  const auto ghosts = ghosts_of(A);
  std::vector<T> ghost_scale(ghosts.size());
  ExchangeSpace<T> space;
  Exchange::halo(A.comm, A.layout, ghosts).forward(scale.data(), ghost_scale.data(), 1, space);
  const auto of_column = [&](Index c) {
    if (A.owns(c)) return scale[c - A.shift];
    return ghost_scale[A.ghost(c)];
  };
  return with_values<T>(A, [&](Index i, Index p) {
    return A.rows.data[p] / (scale[i] * of_column(A.rows.indices[p]));
  });
}

// The Gram matrix holds squares, and sums of squares, of the entries: they must neither overflow
// nor vanish.
template <class T>
void check_range(const DistRows<T>& A) {
  constexpr double least = 1e-70, most = 1e70;
  double largest = 0;
  for (Index p = 0; p < A.rows.nnz(); ++p)
    largest = std::max(largest, static_cast<double>(std::abs(A.rows.data[p])));
  largest = A.comm.max(largest);
  require(largest == 0 || (largest >= least && largest <= most), "the largest entry is ", largest,
          " in size, outside [1e-70, 1e70], where fourth powers are safe: scale the matrix");
}

// d_i = sqrt ||A_:,i||, so that the columns of D^-1 A D^-1 have comparable norms; 1 for a zero
// column.
template <class T>
std::vector<T> column_scale(const CsrView<T>& A) {
  std::vector<T> scale(A.rows, T(1));
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      sum += static_cast<double>(A.data[p]) * A.data[p];
    if (sum > 0) scale[i] = static_cast<T>(std::pow(sum, 0.25));
  }
  return scale;
}

// What a rank must know of the clusters of all.
struct Census {
  Global rows = 0, nnz = 0;
  Global clusters_before = 0, clustered_before = 0, clustered = 0;
};

template <class T>
Census count(const DistRows<T>& A, const Clusters& clusters) {
  const Global in_clusters = clusters.ptr.back();
  return {A.layout.total(), A.nnz(), A.comm.sum_before(Global{clusters.count()}),
          A.comm.sum_before(in_clusters), A.comm.sum(in_clusters)};
}

// What the clusters of a stage may drop together (see Limits).
struct Budget {
  double squares;
  bool certain;
};

// Shares out, in proportion to the sizes of the clusters, how many columns may retire before
// core_size is reached and how much they may drop.
std::vector<Limits> share_limits(const Clusters& clusters, const Census& census, Index core_size,
                                 const Budget& may_drop) {
  const Global budget = census.rows - core_size,
               in_clusters = std::max<Global>(1, census.clustered);
  std::vector<Limits> limits(clusters.count());
  for (Index u = 0; u < clusters.count(); ++u) {
    const auto share = [&](Global columns) {
      return budget * (census.clustered_before + columns) / in_clusters;
    };
    const Global retire = share(clusters.ptr[u + 1]) - share(clusters.ptr[u]);
    limits[u] = {static_cast<Index>(std::min<Global>(retire, clusters.size(u))),
                 may_drop.squares * clusters.size(u) / static_cast<double>(in_clusters),
                 may_drop.certain};
  }
  return limits;
}

// About what the Gram matrices cost, in products: one for each pair of entries of a row of A.
template <class T>
std::size_t gram_work(const CsrView<T>& A) {
  const std::size_t rows = A.rows, nnz = A.nnz();
  return rows > 0 ? nnz * nnz / rows : 0;
}

// The rotations of all clusters of this rank.
template <class T>
std::vector<RotationList> find_all_rotations(const CsrView<T>& A, const Clusters& clusters,
                                             const Census& census, const Params& params, int level,
                                             const Budget& may_drop) {
  const std::vector<T> diag = diagonal(A);
  const Index hub = hub_limit(census.rows, census.nnz, params);
  const auto limits = share_limits(clusters, census, params.core_size, may_drop);
  std::vector<Index> position(A.rows, -1);
  for (std::size_t i = 0; i < clusters.members.size(); ++i)
    position[clusters.members[i]] = static_cast<Index>(i);
  std::vector<RotationList> found(clusters.count());
  parallel_with(clusters.count(), Index{1}, worth_threads(gram_work(A)), [&] {
    return [&, gram = ClusterGram()](Index u) mutable {
      const Index first = clusters.ptr[u];
      gram.build(A, diag.data(), position, &clusters.members[first], first, clusters.size(u), hub,
                 params.gram);
      const auto stream = static_cast<std::uint32_t>(census.clusters_before + u);
      find_rotations(gram, params, Random(params.seed, level, stream), limits[u], found[u]);
    };
  });
  return found;
}

// Orders the columns of a cluster as a stage wants them: active ones first, then the retired ones
// in the order of their rotations. Returns the new local number of each old one.
std::vector<Index> sort_cluster(const std::vector<Index>& retired, Index* members, Index size) {
  std::vector<Index> number(size, -1), before(members, members + size);
  Index next = size - static_cast<Index>(retired.size());
  for (Index l : retired) number[l] = next++;
  next = 0;
  for (Index l = 0; l < size; ++l)
    if (number[l] < 0) number[l] = next++;
  for (Index l = 0; l < size; ++l) members[number[l]] = before[l];
  return number;
}

// The stage of these rotations; the members of the clusters are put into its order.
template <class T>
Stage<T> assemble(const std::vector<RotationList>& found, Clusters& clusters, Index rows) {
  Stage<T> stage;
  stage.rows = rows;
  stage.cluster_ptr = clusters.ptr;
  stage.active_ptr.push_back(0);
  stage.rotation_ptr.push_back(0);
  for (const auto& list : found)
    for (Index k : list.size) stage.pairs = stage.pairs && k == 2;
  if (!stage.pairs) stage.index_start = stage.matrix_start = {0};
  for (Index u = 0; u < clusters.count(); ++u) {
    const auto& list = found[u];
    const Index first = clusters.ptr[u], retired = static_cast<Index>(list.retired.size());
    const auto number = sort_cluster(list.retired, &clusters.members[first], clusters.size(u));
    for (Index l : list.index) stage.index.push_back(first + number[l]);
    if (stage.pairs) {
      for (std::size_t t = 0; t < list.size.size(); ++t)
        for (int e = 0; e < 2; ++e) stage.matrix.push_back(static_cast<T>(list.matrix[4 * t + e]));
    } else {
      for (double o : list.matrix) stage.matrix.push_back(static_cast<T>(o));
      for (Index k : list.size) {
        stage.index_start.push_back(stage.index_start.back() + k);
        stage.matrix_start.push_back(stage.matrix_start.back() + static_cast<std::size_t>(k) * k);
      }
    }
    stage.active_ptr.push_back(stage.active_ptr.back() + clusters.size(u) - retired);
    stage.rotation_ptr.push_back(stage.rotation_ptr.back() + static_cast<Index>(list.size.size()));
  }
  if (const Index bypassed = rows - clusters.ptr.back();
      bypassed > 0) {  // a last cluster without rotations
    stage.cluster_ptr.push_back(rows);
    stage.active_ptr.push_back(stage.active_ptr.back() + bypassed);
    stage.rotation_ptr.push_back(stage.rotation_ptr.back());
  }
  stage.kept = stage.active_ptr.back();
  stage.destination.resize(stage.kept);
  std::iota(stage.destination.begin(), stage.destination.end(), 0);
  return stage;
}

// Active part of Q_p A Q_p^T, and the diagonal of its wavelets.
template <class T>
struct Projected {
  DistRows<T> A;
  std::vector<T> diagonal;
};

// Active column i of this rank gets the number first + i.
std::vector<Global> numbers_from(Global first, Index count) {
  std::vector<Global> out(count);
  std::iota(out.begin(), out.end(), first);
  return out;
}

template <class T>
Projected<T> project_stage(const DistRows<T>& A, const Extended<T>& extended, const Stage<T>& stage,
                           const Index* members) {
  Csr<T> active = stage_functions(stage, members, 0, stage.kept);
  Csr<T> wavelets = stage_functions(stage, members, stage.kept, stage.rows);
  active.cols = wavelets.cols = extended.A.cols;
  Projected<T> out;
  out.A.comm = A.comm;
  out.A.layout = Layout(A.comm, stage.kept);
  const Global first = out.A.layout.first();
  auto [rows, columns] = congruence(A, extended, active, numbers_from(first, stage.kept));
  out.A.shift =
      static_cast<Index>(std::lower_bound(columns.begin(), columns.end(), first) - columns.begin());
  out.A.storage = std::move(rows);
  out.A.columns = std::move(columns);
  out.A.rows = out.A.storage.view();
  out.diagonal = galerkin_diagonal(extended.A, wavelets.view());
  return out;
}

double sum_of_squares(const auto& values) {
  double sum = 0;
  for (auto v : values) sum += static_cast<double>(v) * v;
  return sum;
}

// The squares that a stage drops: with r_w = A w - (w^T A w) w for its wavelets, 2 sum ||r_w||^2,
// less what the sum has twice, the entries between two wavelets. Collective.
template <class T>
double squares_dropped(const DistRows<T>& A, const Extended<T>& extended, const Stage<T>& stage,
                       const Index* members) {
  Csr<T> wavelets = stage_functions(stage, members, stage.kept, stage.rows);
  wavelets.cols = extended.A.cols;
  const Layout layout(A.comm, wavelets.rows);
  const auto number = numbers_from(layout.first(), wavelets.rows);
  const auto [B, columns] = congruence(A, extended, wavelets, number);
  double between = 0, rows = 0;
  for (double square : residual_squares(extended.A, wavelets.view())) rows += square;
  for (Index i = 0; i < B.rows; ++i)
    for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p)
      if ((columns.empty() ? B.indices[p] : columns[B.indices[p]]) != number[i])
        between += static_cast<double>(B.data[p]) * B.data[p];
  rows = A.comm.sum(rows);
  return std::max(rows, 2 * rows - A.comm.sum(between));
}

// Which rows shall retire, by the pairs of the first stage. Of a Laplacian's pair both rows drop
// about the same. Of a smooth kernel's, the sum has nearly all of the norm and its tangent off /
// |h| is the smaller one, so that `relative` throws away what matters most. (Of an indefinite
// matrix `absolute` may make H singular, hence the look at the diagonal.) Collective.
template <class T>
Retire fitting_rule(const DistRows<T>& A, const std::vector<RotationList>& found, double total2) {
  double excess2 = 0, least = infinity;
  for (const auto& list : found) excess2 += list.excess2;
  for (T d : diagonal(A)) least = std::min<double>(least, d);
  if (A.comm.min(least) <= 0) return Retire::relative;
  return A.comm.sum(excess2) > 0.1 * total2 ? Retire::absolute : Retire::relative;
}

// What a stage leaves of the squares of A, and what it drops.
struct Squares {
  double next, lost;
};

// By Pythagoras; where that difference is near the rounding of the norms, summed up by themselves.
// Collective.
template <class T>
Squares squares_after(double before, const Projected<T>& projected, const DistRows<T>& A,
                      const Extended<T>& extended, const Stage<T>& stage, const Index* members) {
  constexpr double near_rounding = 1e4 * std::numeric_limits<T>::epsilon();
  const double next = A.comm.sum(norm2(projected.A.rows));
  const double lost = before - next - A.comm.sum(sum_of_squares(projected.diagonal));
  if (lost > near_rounding * before) return {next, lost};
  return {next, squares_dropped(A, extended, stage, members)};
}

// The members as columns of the extended matrix.
Clusters shifted(Clusters clusters, Index shift) {
  for (Index& member : clusters.members) member += shift;
  return clusters;
}

std::vector<Index> inverse_of(const std::vector<Index>& members) {
  std::vector<Index> position(members.size());
  for (std::size_t i = 0; i < members.size(); ++i) position[members[i]] = static_cast<Index>(i);
  return position;
}

// Sends what comes into a stage to its places in the order of the clusters.
template <class T>
void arrange(Hierarchy<T>& Q, const std::vector<Index>& members) {
  const auto move = Q.moves.find(Q.levels());
  if (move != Q.moves.end()) {
    move->second.renumber_arrivals(inverse_of(members));
  } else if (Q.levels() == 0) {
    Q.order = members;
  } else {
    const auto position = inverse_of(members);
    for (Index& d : Q.stages.back().destination) d = position[d];
  }
}

// Moves the active columns to the places `targets` in `to`, and remembers that in Q. (What moves
// twice before a stage moves once in Q.)
template <class T>
void move_stage(Hierarchy<T>& Q, DistRows<T>& A, const Layout& to,
                const std::vector<Global>& targets, Labels& labels) {
  const Exchange move = Exchange::moves(A.comm, to, targets);
  ExchangeSpace<Global> space;
  for (auto& of_depth : labels) {
    std::vector<Global> moved(to.own());
    move.forward(of_depth.data(), moved.data(), 1, space);
    of_depth = std::move(moved);
  }
  if (const Exchange* before = Q.move(Q.levels())) {
    const Layout from = Q.levels() == 0 ? Q.layout : Layout(A.comm, Q.stages.back().kept);
    std::vector<Global> final_targets(from.own());
    before->backward(targets.data(), final_targets.data(), 1, space);
    Q.moves[Q.levels()] = Exchange::moves(A.comm, to, final_targets);
  } else {
    Q.moves[Q.levels()] = move;
  }
  A = move_rows(A, to, targets);
}

// Every step-th of the ranks that have rows gets those of the ones that follow it.
template <class T>
void move_to_fewer(Hierarchy<T>& Q, DistRows<T>& A, int step, Labels& labels) {
  if (step > 1)
    move_stage(Q, A, A.layout.thinned(step), numbers_from(A.layout.first(), A.own()), labels);
}

// Brings the clusters that labels give to one rank each.
template <class T>
void gather_clusters(Hierarchy<T>& Q, DistRows<T>& A, Labels& labels) {
  const auto [layout, targets] = by_labels(A.comm, A.layout, labels);
  move_stage(Q, A, layout, targets, labels);
}

// The clusters of the own columns, numbered on this rank.
template <class T>
Clusters find_clusters(const DistRows<T>& A, Params params, int level, const Labels& labels) {
  if (!labels.empty()) return runs(labels.front());
  if (A.comm.size() == 1) return cluster(A.rows, params, level);
  if (A.own() == 0) return {};
  params.clusters = static_cast<int>(Global{params.clusters} * A.own() / A.layout.total());
  return cluster(diagonal_block(A).view(), params, level);
}

// The labels of the active columns, from the next stage on.
template <class T>
void hand_down(const Stage<T>& stage, const std::vector<Index>& members, Labels& labels) {
  if (labels.size() > 1) labels.erase(labels.begin());
  for (auto& of_depth : labels) {
    std::vector<Global> kept(stage.kept);
    for (Index u = 0; u < stage.clusters(); ++u)
      for (Index l = 0; l < stage.active(u); ++l)
        kept[stage.active_ptr[u] + l] = of_depth[members[stage.cluster_ptr[u] + l]];
    of_depth = std::move(kept);
  }
}

// Whether D != I; a rank without rows cannot tell from its part.
template <class T>
bool is_scaled(const Hierarchy<T>& Q, const std::vector<T>& scale) {
  return Q.comm.max(Global{!scale.empty()}) > 0;
}

// What the first stage of Q works on: the matrix, or D^-1 A D^-1.
template <class T>
DistRows<T> input_of(const Hierarchy<T>& Q, const DistRows<T>& matrix,
                     const std::vector<T>& scale) {
  const auto& starts = matrix.layout.starts;
  require(starts == Q.layout.starts && matrix.rows.cols == matrix.column_count(), "expected a ",
          Q.layout.total(), " x ", Q.layout.total(), " matrix with ", Q.rows,
          " rows on this rank, not ", matrix.layout.total(), " rows, ", matrix.rows.rows,
          " of them here, with ", matrix.rows.cols, " columns");
  require_symmetric_pattern(matrix);
  check_range(matrix);
  return is_scaled(Q, scale) ? unscaled(matrix, scale) : view_of(matrix);
}

// Brings A, with the columns after `level` stages of Q, to the ranks of the next one.
template <class T>
void enter(const Hierarchy<T>& Q, int level, DistRows<T>& A) {
  const Exchange* move = Q.move(level);
  if (!move) return;
  const Layout to(A.comm, Q.entering(level));
  const std::vector<Global> positions = numbers_from(to.first(), to.own());
  std::vector<Global> targets(A.own());
  ExchangeSpace<Global> space;
  move->backward(positions.data(), targets.data(), 1, space);
  A = move_rows(A, to, targets);
}

// Position in stage level + 1 -> column of the extended matrix.
template <class T>
std::vector<Index> columns_at(const Hierarchy<T>& Q, int level, Index shift) {
  std::vector<Index> out(Q.stages[level].rows);
  std::iota(out.begin(), out.end(), 0);
  if (level == 0 && !Q.move(0)) out = Q.order;
  for (Index& c : out) c += shift;
  return out;
}

// What has been sent since then: messages by all ranks together, collective calls by each.
Traffic traffic_since(const Communicator& comm, const Traffic& before) {
  const Traffic now = comm.traffic();
  return {comm.sum(now.messages - before.messages), comm.sum(now.bytes - before.bytes),
          now.collectives - before.collectives};
}

template <class T>
StageReport report_of(const DistRows<T>& A, const Clusters& clusters, const Stage<T>& stage,
                      int level, Global retired) {
  const auto sum = [&](Global value) { return A.comm.sum(value); };
  StageReport out;
  out.level = level;
  out.rows = A.layout.total();
  out.nnz = A.nnz();
  out.clusters = sum(clusters.count());
  out.bypassed = sum(Global{A.own()} - clusters.ptr.back());
  out.rotations = sum(stage.rotations());
  out.retired = retired;
  out.ranks = A.layout.ranks_with_rows();
  out.bytes = sum(static_cast<Global>(stage.bytes()));
  return out;
}

// The core is where A is; the wavelets of the last stage come first.
template <class T>
CoreDiagonal<T> core_diagonal(const DistRows<T>& A, const std::vector<std::vector<T>>& diagonals) {
  CoreDiagonal<T> H = make_core(A.rows);
  for (auto level = diagonals.rbegin(); level != diagonals.rend(); ++level)
    H.diagonal.insert(H.diagonal.end(), level->begin(), level->end());
  return H;
}

constexpr const char* retire_names[] = {"relative", "absolute", "auto"};
constexpr const char* stop_names[] = {"core_size", "max_stages", "tolerance", "stalled"};

}  // namespace

const char* name(Retire retire) { return retire_names[static_cast<int>(retire)]; }

Retire retire_from_name(const std::string& text) {
  for (int i = 0; i < 3; ++i)
    if (text == retire_names[i]) return static_cast<Retire>(i);
  throw InvalidArgument("unknown rule of retirement: " + text);
}

const char* name(Stop stop) { return stop_names[static_cast<int>(stop)]; }

Stop stop_from_name(const std::string& text) {
  for (int i = 0; i < 4; ++i)
    if (text == stop_names[i]) return static_cast<Stop>(i);
  throw InvalidArgument("unknown reason of a stop: " + text);
}

template <class T>
Factorization<T> factorize(const DistRows<T>& matrix, const Params& given, const Progress& progress,
                           const Labels& given_labels) {
  check(given);
  require(matrix.rows.cols == matrix.column_count(), "a square matrix is needed, not ",
          matrix.rows.rows, " x ", matrix.rows.cols);
  require_symmetric_pattern(matrix);
  check_range(matrix);
  Factorization<T> F;
  F.params = given;
  F.retire = given.retire;
  Params params = given;
  DistRows<T> A = view_of(matrix);
  if (params.prenormalize) {
    F.scale = column_scale(A.rows);
    A = unscaled(A, F.scale);
  }
  const Communicator& comm = matrix.comm;
  const double total2 = comm.sum(norm2(A.rows));
  F.norm = std::sqrt(total2);
  auto Q = std::make_shared<Hierarchy<T>>();
  Q->comm = comm;
  Q->layout = A.layout;
  Q->rows = A.own();
  Labels labels = given_labels;
  Traffic before = comm.traffic();
  if (!labels.empty()) gather_clusters(*Q, A, labels);
  std::vector<std::vector<T>> diagonals;
  const double allowed2 = params.tolerance * params.tolerance * total2;
  double kept2 = total2, dropped2 = 0;

  for (int level = 1;; ++level) {
    F.stop = A.layout.total() <= params.core_size ? Stop::core_size : Stop::max_stages;
    if (A.layout.total() <= params.core_size || level > params.max_stages) break;
    const auto start = Clock::now();
    move_to_fewer(*Q, A, A.layout.crowding(params.rows_per_rank), labels);
    // Half of what the tolerance has left: what is cheap to drop now need not be cheap later. Where
    // the Gram matrix does not see all that a row drops (hubs, blocks, what is below the rounding
    // of its squares), the stage is tried again with less.
    Budget budget{params.tolerance > 0 ? 0.5 * (allowed2 - dropped2) : infinity, false};
    Clusters clusters;
    Stage<T> stage;
    Projected<T> projected;
    Squares squares{};
    Global retired = 0;
    for (int attempt = 0; attempt < 4; ++attempt, budget = {0.25 * budget.squares, true}) {
      clusters = find_clusters(A, params, level, labels);
      const Census census = count(A, clusters);
      const auto extended = extend(A, hub_limit(census.rows, census.nnz, params));
      const Clusters columns = shifted(clusters, extended.shift);
      const auto find = [&](const Budget& may_drop) {
        return find_all_rotations(extended.A, columns, census, params, level, may_drop);
      };
      const bool open = params.retire == Retire::automatic, bounded = params.tolerance > 0;
      auto found = find(open ? Budget{infinity, false} : budget);
      if (open) {
        params.retire = F.retire = fitting_rule(A, found, total2);
        if (bounded || params.retire == Retire::absolute) found = find(budget);
      }
      stage = assemble<T>(found, clusters, A.own());
      retired = comm.sum(Global{stage.rows} - stage.kept);
      if (retired == 0) break;
      const Clusters arranged = shifted(clusters, extended.shift);
      projected = project_stage(A, extended, stage, arranged.members.data());
      squares = squares_after(kept2, projected, A, extended, stage, arranged.members.data());
      if (!bounded || dropped2 + squares.lost <= allowed2) break;
      retired = 0;  // refused
    }
    if (retired == 0) {
      if (const int ranks = A.layout.ranks_with_rows(); ranks > 1 && labels.empty()) {
        move_to_fewer(*Q, A, ranks, labels);  // one rank has clusters that many have not
        --level;
        continue;
      }
      F.stop = params.tolerance > 0 ? Stop::tolerance : Stop::stalled;
      break;
    }

    arrange(*Q, clusters.members);
    hand_down(stage, clusters.members, labels);
    const Traffic traffic = traffic_since(comm, before);
    F.stages.push_back(report_of(A, clusters, stage, level, retired));
    F.stages.back().traffic = traffic;
    before = comm.traffic();
    F.stages.back().dropped = F.norm > 0 ? std::sqrt(squares.lost / total2) : 0;
    F.stages.back().seconds = seconds_since(start);
    if (progress) progress(F.stages.back());
    Q->stages.push_back(std::move(stage));
    diagonals.push_back(std::move(projected.diagonal));
    A = std::move(projected.A);
    kept2 = squares.next;
    dropped2 += squares.lost;
  }
  move_to_fewer(*Q, A, A.layout.ranks_with_rows(), labels);
  F.dropped = std::sqrt(dropped2);
  F.H = core_diagonal(A, diagonals);
  Q->core_rows = A.own();
  F.Q = std::move(Q);
  return F;
}

template <class T>
CoreDiagonal<T> project(const DistRows<T>& matrix, const Hierarchy<T>& Q,
                        const std::vector<T>& scale) {
  DistRows<T> A = input_of(Q, matrix, scale);
  std::vector<std::vector<T>> diagonals;
  for (int level = 0; level < Q.levels(); ++level) {
    enter(Q, level, A);
    const Stage<T>& stage = Q.stages[level];
    const auto extended = extend(A, std::numeric_limits<Index>::max());
    const auto members = columns_at(Q, level, extended.shift);
    Projected<T> projected = project_stage(A, extended, stage, members.data());
    diagonals.push_back(std::move(projected.diagonal));
    A = std::move(projected.A);
  }
  enter(Q, Q.levels(), A);
  return core_diagonal(A, diagonals);
}

template <class T>
double error(const DistRows<T>& matrix, const Hierarchy<T>& Q, const CoreDiagonal<T>& H,
             const std::vector<T>& scale, double* relative_to) {
  DistRows<T> A = input_of(Q, matrix, scale);
  *relative_to = std::sqrt(A.comm.sum(norm2(A.rows)));
  double sum = 0;
  for (int level = 0; level < Q.levels(); ++level) {
    enter(Q, level, A);
    const Stage<T>& stage = Q.stages[level];
    const auto extended = extend(A, std::numeric_limits<Index>::max());
    const auto members = columns_at(Q, level, extended.shift);
    Csr<T> functions = stage_functions(stage, members.data(), 0, stage.rows);
    functions.cols = extended.A.cols;
    // Q_p A Q_p^T: the active functions of all ranks have the first numbers, then the wavelets.
    const Layout active(A.comm, stage.kept), wavelets(A.comm, stage.rows - stage.kept);
    auto number = numbers_from(active.first(), stage.kept);
    const auto of_wavelets =
        numbers_from(active.total() + wavelets.first(), stage.rows - stage.kept);
    number.insert(number.end(), of_wavelets.begin(), of_wavelets.end());
    const auto [B, columns] = congruence(A, extended, functions, number);

    const T* diagonal = H.diagonal.data() + (Q.wavelet_start(level, Q.levels()) - H.core_size);
    GlobalRows<T> next;
    for (Index i = 0; i < stage.rows; ++i) {
      for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
        const Global j = columns.empty() ? B.indices[p] : columns[B.indices[p]];
        if (i < stage.kept && j < active.total()) {
          next.indices.push_back(j);
          next.data.push_back(B.data[p]);
        } else {
          const double d = B.data[p] - (number[i] == j ? diagonal[i - stage.kept] : T(0));
          sum += d * d;
        }
      }
      if (i < stage.kept) next.indptr.push_back(static_cast<Index>(next.data.size()));
    }
    A = number_columns(A.comm, active, next);
  }
  enter(Q, Q.levels(), A);
  std::vector<T> row(H.core_size);
  for (Index i = 0; i < H.core_size; ++i) {
    if (H.is_dense()) {
      const T* core = &H.core[static_cast<std::size_t>(i) * H.core_size];
      row.assign(core, core + H.core_size);
    } else {
      row.assign(H.core_size, T(0));
      for (Index p = H.sparse_core.indptr[i]; p < H.sparse_core.indptr[i + 1]; ++p)
        row[H.sparse_core.indices[p]] = H.sparse_core.data[p];
    }
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      row[A.rows.indices[p]] -= A.rows.data[p];
    sum += sum_of_squares(row);
  }
  return std::sqrt(A.comm.sum(sum));
}

template <class T>
double trace(const Hierarchy<T>& Q, const CoreDiagonal<T>& H, const std::vector<T>& scale) {
  if (!is_scaled(Q, scale)) return Q.comm.sum(H.trace());
  // trace(D Q^T H Q D) = <Q D^2 Q^T, H>.
  GlobalRows<T> D2;
  for (Index i = 0; i < Q.rows; ++i) {
    D2.indices.push_back(Q.layout.first() + i);
    D2.data.push_back(scale[i] * scale[i]);
    D2.indptr.push_back(i + 1);
  }
  const CoreDiagonal<T> K = project(number_columns(Q.comm, Q.layout, D2), Q, {});
  const bool sparse = !K.is_dense() || !H.is_dense();
  require(Q.comm.max(Global{sparse}) == 0,
          "the trace of a prenormalized factorization needs a dense core");
  double sum = 0;
  for (std::size_t i = 0; i < H.core.size(); ++i) sum += static_cast<double>(H.core[i]) * K.core[i];
  for (std::size_t i = 0; i < H.diagonal.size(); ++i)
    sum += static_cast<double>(H.diagonal[i]) * K.diagonal[i];
  return Q.comm.sum(sum);
}

#define PYMPF_INSTANTIATE(T)                                                              \
  template Factorization<T> factorize(const DistRows<T>&, const Params&, const Progress&, \
                                      const Labels&);                                     \
  template CoreDiagonal<T> project(const DistRows<T>&, const Hierarchy<T>&,               \
                                   const std::vector<T>&);                                \
  template double error(const DistRows<T>&, const Hierarchy<T>&, const CoreDiagonal<T>&,  \
                        const std::vector<T>&, double*);                                  \
  template double trace(const Hierarchy<T>&, const CoreDiagonal<T>&, const std::vector<T>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf::mmf
