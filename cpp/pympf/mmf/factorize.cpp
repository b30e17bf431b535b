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

#include "pympf/common/clock.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/la/symmetry.hpp"
#include "pympf/mmf/find_stage.hpp"

namespace pympf::mmf {
namespace {

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

constexpr const char* retire_names[] = {"relative", "absolute", "auto"};
constexpr const char* stop_names[] = {"core_size", "max_stages", "tolerance", "stalled"};

// The stages one after another.
template <class T>
class Run {
 public:
  Run(const DistRows<T>& matrix, const Params& given, const Progress& progress,
      const Labels& labels)
      : params_(given),
        progress_(progress),
        comm_(matrix.comm),
        A_(view_of(matrix)),
        labels_(labels),
        Q_(std::make_shared<Hierarchy<T>>()) {
    F_.params = given;
    F_.retire = given.retire;
    if (given.prenormalize) {
      F_.scale = column_scale(A_.rows);
      A_ = unscaled(A_, F_.scale);
    }
    const double total = comm_.sum(norm2(A_.rows));
    F_.norm = std::sqrt(total);
    account_ = {total, total, 0, given.tolerance * given.tolerance * total};
    Q_->comm = comm_;
    Q_->layout = A_.layout;
    Q_->rows = A_.own();
    before_ = comm_.traffic();
    if (!labels_.empty()) gather_clusters(*Q_, A_, labels_);
  }

  Factorization<T> run() {
    for (int level = 1; goes_on(level);) {
      const auto start = Clock::now();
      move_to_fewer(*Q_, A_, A_.layout.crowding(params_.rows_per_rank), labels_);
      FoundStage<T> found = find_stage(A_, params_, level, labels_, account_);
      params_.retire = F_.retire = found.retire;
      if (found.retired > 0) {
        add(std::move(found), level++, start);
      } else if (const int ranks = A_.layout.ranks_with_rows(); ranks > 1 && labels_.empty()) {
        move_to_fewer(*Q_, A_, ranks, labels_);  // one rank has clusters that many have not
      } else {
        F_.stop = params_.tolerance > 0 ? Stop::tolerance : Stop::stalled;
        break;
      }
    }
    move_to_fewer(*Q_, A_, A_.layout.ranks_with_rows(), labels_);
    F_.dropped = std::sqrt(account_.dropped);
    F_.H = core_diagonal(A_, diagonals_);
    Q_->core_rows = A_.own();
    F_.Q = std::move(Q_);
    return std::move(F_);
  }

 private:
  bool goes_on(int level) {
    const bool is_core = A_.layout.total() <= params_.core_size;
    F_.stop = is_core ? Stop::core_size : Stop::max_stages;
    return !is_core && level <= params_.max_stages;
  }

  void add(FoundStage<T> found, int level, Clock::time_point start) {
    arrange(*Q_, found.clusters.members);
    hand_down(found.stage, found.clusters.members, labels_);
    const Traffic traffic = traffic_since(comm_, before_);
    StageReport& line =
        F_.stages.emplace_back(report_of(A_, found.clusters, found.stage, level, found.retired));
    line.traffic = traffic;
    before_ = comm_.traffic();
    line.dropped = F_.norm > 0 ? std::sqrt(found.squares.lost / account_.total) : 0;
    line.seconds = seconds_since(start);
    if (progress_) progress_(line);
    Q_->stages.push_back(std::move(found.stage));
    diagonals_.push_back(std::move(found.projected.diagonal));
    A_ = std::move(found.projected.A);
    account_.kept = found.squares.next;
    account_.dropped += found.squares.lost;
  }

  Params params_;
  const Progress& progress_;
  const Communicator& comm_;
  DistRows<T> A_;  // the active part
  Labels labels_;
  Factorization<T> F_;
  std::shared_ptr<Hierarchy<T>> Q_;
  std::vector<std::vector<T>> diagonals_;
  Account account_{};
  Traffic before_;  // of the messages, when the stage began
};

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
Factorization<T> factorize(const DistRows<T>& A, const Params& params, const Progress& progress,
                           const Labels& labels) {
  check(params);
  require(A.rows.cols == A.column_count(), "a square matrix is needed, not ", A.rows.rows, " x ",
          A.rows.cols);
  require_symmetric_pattern(A);
  check_range(A);
  return Run<T>(A, params, progress, labels).run();
}

template Factorization<float> factorize(const DistRows<float>&, const Params&, const Progress&,
                                        const Labels&);
template Factorization<double> factorize(const DistRows<double>&, const Params&, const Progress&,
                                         const Labels&);

}  // namespace pympf::mmf
