// The loop of the setup; what a stage is made of: couplings.hpp, transfer.hpp, smoother.hpp.
//
//   docs/preconditioner.md      code
//   T_l                        W      graph of the couplings
//   B, b                       B      near-nullspace
//   clusters, S                clusters
//   Q = [scaling | wavelets]   Rotated::scaling
//   P                          P
//   A_{l+1} = P^T A_l P        coarse_matrix
#include "pympf/precond/levels/setup.hpp"

#include "pympf/common/clock.hpp"
#include "pympf/common/progress.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/levels/build_level.hpp"
#include "pympf/precond/levels/coarse_solve.hpp"
#include "pympf/precond/levels/coarsen.hpp"
#include "pympf/precond/levels/near_nullspace.hpp"
#include "pympf/precond/levels/nodes.hpp"
#include "pympf/precond/levels/setup.hpp"
#include "pympf/precond/levels/wavelets.hpp"

namespace pympf::precond {
namespace {

// 1 to 6 on all families but one, where the cuts triple the iterations; there it is above 20.
constexpr double most_cut_loss = 10;

// For the additive cycle the wavelets' solves take the place of both.
template <class T>
void build_additive(const Stage& stage, const Clustering& clusters, Level<T>& level,
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

// The levels one after another.
template <class T>
class Setup {
 public:
  Setup(const DistRows<double>& A, const NearNullspace& near_nullspace, Index block,
        const Params& given, Report& report, const FirstLevelRule<T>& rule)
      : A_(A),
        near_nullspace_(near_nullspace),
        params_(tuned(given)),
        report_(report),
        rule_(rule) {
    out_.comm = A.comm;
    out_.rows = A.own();
    out_.scale = range_factor(A.comm, A.rows);
    out_.block = block_of(block);
    order_rows();
    const Global entries = A.nnz();
    rule_.prepare(stage_, entries, params_, out_);
    smallest_ = coarse_size(entries, params_);
    left_ = static_cast<Global>(params_.max_complexity * static_cast<double>(entries));
  }

  Levels<T> run() {
    for (bool last = false; !last;) {
      const auto start = Clock::now();
      LevelReport line;
      line.level = static_cast<int>(out_.levels.size()) + 1;
      say_progress("level", out_.levels.size() + 1);
      left_ -= stage_.nnz();
      if (stage_.rows() <= smallest_ && params_.method != Method::incomplete_cholesky) {
        out_.coarse_border = std::move(stage_.border);
        build_coarse(out_.coarse_border, stage_.A, out_, line, report_);
        last = true;
      } else {
        last = add_level(out_.levels.emplace_back(), line);
        if (rounds_off_) return std::move(out_);
      }
      line.seconds = seconds_since(start);
      report_.levels.push_back(line);
    }
    sum_up(params_, report_);
    return std::move(out_);
  }

 private:
  bool additive() const { return params_.cycle == CycleKind::additive; }

  Index block_of(Index given) {
    // One vector tells that there are no nodes; several do not.
    const bool is_given = !near_nullspace_.values.empty();
    const Global vectors = A_.comm.max(Global{is_given ? near_nullspace_.vectors : 0});
    if (given != 1 || vectors == 1 || params_.method == Method::incomplete_cholesky) return given;
    return report_.node_size = find_node_size(A_);
  }

  void order_rows() {
    stage_ = first_stage(A_, out_.scale, out_.block, params_);
    out_.order = stage_.domains.order;
  }

  void build(Level<T>& level, LevelReport& line, const Params& with, Dropped dropped) {
    build_level(stage_.A, stage_.border, stage_.domains, with, level, line, report_, dropped);
  }

  Dropped dropped() const {
    return out_.lowered ? Dropped::lowers_diagonal : Dropped::raises_diagonal;
  }

  // Returns whether it is the last one.
  bool add_level(Level<T>& level, LevelReport& line) {
    const bool first = line.level == 1;
    out_.lowered = first && lowers_as_asked(stage_.A, stage_.border, params_);
    if (first || !additive()) build(level, line, params_, dropped());
    rounds_off_ = report_.rounds_off;
    if (rounds_off_) return true;
    bool last = line.level == params_.max_levels || params_.method == Method::incomplete_cholesky;
    if (first) last = begin_levels(level, line, last);
    Next next;
    last = last || !coarsen(stage_, params_, line.level, left_, next);
    if (last)
      next.clusters.label.assign(stage_.nodes(), -1);
    else
      take_functions(next, level, line);
    if (additive()) build_additive(stage_, next.clusters, level, line);
    line.bytes = bytes_of(level);
    level.border = std::move(stage_.border);
    if (!last) stage_ = std::move(next.stage);
    return last;
  }

  // What the first level alone decides: strips or none, and whether others follow.
  bool begin_levels(Level<T>& level, LevelReport& line, bool last) {
    if (params_.strips == 0 && loses_by_cuts(stage_, level)) {
      params_.strips = facing_strips;
      order_rows();
      level = {};
      build(level, line, params_, dropped());
    }
    if (last) return true;
    const FirstLevel<T> first{stage_, params_, out_, line, report_};
    if (rule_.is_exact(first)) return true;
    Found found = first_vectors(near_nullspace_, stage_, level, params_);
    stage_.B = std::move(found.B);
    out_.poor = found.poor;
    if (rule_.is_enough(first)) return true;
    stage_.W = first_couplings(stage_);
    return false;
  }

  void take_functions(Next& next, Level<T>& level, LevelReport& line) {
    const Communicator& comm = A_.comm;
    const bool keeps = stage_.border.alone() && !additive();
    level.R = cast<T>(std::move(next.R), keeps ? &level.unrounded_R_data : nullptr);
    if (!additive()) level.unrounded_P = std::move(next.unrounded_P);
    level.clusters = std::move(next.known);
    level.width = next.stage.block;
    line.clusters = comm.sum(Global{next.clusters.count});
    line.lifted = next.lifted;
    const Global functions = comm.sum(Global{next.P.nnz()} + next.P_off.block.nnz());
    line.prolongation = static_cast<double>(functions) / static_cast<double>(stage_.rows());
    level.P = cast<T>(std::move(next.P), keeps ? &level.unrounded_P_data : nullptr);
    level.P_off = cast<T>(std::move(next.P_off));
  }

  const DistRows<double>& A_;
  const NearNullspace& near_nullspace_;
  Params params_;
  Report& report_;
  const FirstLevelRule<T>& rule_;
  Levels<T> out_;
  Stage stage_;
  Index smallest_ = 0;
  Global left_ = 0;  // entries that the levels may still have
  bool rounds_off_ = false;
};

}  // namespace

template <class T>
Levels<T> build_levels(const DistRows<double>& A, const NearNullspace& near_nullspace, Index block,
                       const Params& given, Report& report, const FirstLevelRule<T>& rule) {
  const auto begin = Clock::now();
  Levels<T> out = Setup<T>(A, near_nullspace, block, given, report, rule).run();
  report.seconds = seconds_since(begin);
  return out;
}

template Levels<float> build_levels(const DistRows<double>&, const NearNullspace&, Index,
                                    const Params&, Report&, const FirstLevelRule<float>&);
template Levels<double> build_levels(const DistRows<double>&, const NearNullspace&, Index,
                                     const Params&, Report&, const FirstLevelRule<double>&);

}  // namespace pympf::precond
