// The loop of the setup; the cycle is in petrov_cycle.cpp.
#include "pympf/precond/levels/petrov.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pympf/common/clock.hpp"
#include "pympf/common/progress.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/radius.hpp"
#include "pympf/la/rows.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/levels/direct.hpp"
#include "pympf/precond/levels/near_nullspace.hpp"
#include "pympf/precond/levels/stage.hpp"

namespace pympf::precond {
namespace {

// A stage must remove a fifth of the rows.
constexpr double least_reduction = 0.8;
// Multiply-adds of A P, over nnz, beyond which functions are truncated more, and then stay as they
// are.
constexpr double most_work = 15;
constexpr int lift_attempts = 3;
// A level of more than so many rows is not even ordered for a sparse LU where 0.9 nnz^(3/2)
// multiply-adds are too many: it takes 0.7 to 1.3 times that on the second level of flows in the
// plane, up to 3 on the next, and 3 to 100 in space.
constexpr double rows_worth_ordering = 600, least_lu_work = 0.9;
// Of |(L U)^-1 1| times the largest diagonal entry: 10 to 10^3 on levels that smooth, 5 10^10 and
// more on those that do not.
constexpr double most_growth = 1e6;
// Functions are lifted on both sides, so A' fills in twice: more of them is dropped, in the unit of
// `truncation`. 1.5 in place of 1 costs grids of up to 512^2 and 64^3 at most an iteration, and
// spares where A' fills in most (64^3, |v| = 10^4) 13 of 153 multiply-adds for each entry.
constexpr double truncated_more = 1.5;
// Of what negative row sums have beside the diagonal: more, and constants are no near-nullspace.
// None where A 1 >= 0, as of flows without sources; 0.03 to 0.1 of walks, whose stationary
// distribution is none.
constexpr double most_negative = 0.01;
constexpr int relaxing_steps = 2;

struct PetrovStage {
  Csr<double> A, At;  // own rows of A and of A^T, in one numbering
  Graph W;
  NearNullspace right, left;
  Border border;
  Index block = 1;

  Global rows() const { return border.alone() ? A.rows : border.layout.total(); }
  Global nnz() const { return border.comm.sum(Global{A.nnz()}); }
};

GlobalRows<double> with_global_columns(const Border& border, const Csr<double>& A) {
  GlobalRows<double> out{A.indptr, {}, A.data};
  for (const Index c : A.indices) out.indices.push_back(border.number(c));
  return out;
}

GlobalRows<double> transposed_rows(const Border& border, const Csr<double>& A) {
  const Csr<double> T = transpose(A.view());
  GlobalRows<double> rows;
  std::vector<Global> numbers;
  for (Index c = 0; c < T.rows; ++c) {
    if (T.indptr[c] == T.indptr[c + 1]) continue;
    numbers.push_back(border.number(c));
    for (Index p = T.indptr[c]; p < T.indptr[c + 1]; ++p) {
      rows.indices.push_back(border.layout.first() + T.indices[p]);
      rows.data.push_back(T.data[p]);
    }
    rows.indptr.push_back(static_cast<Index>(rows.data.size()));
  }
  return add_rows(border.comm, border.layout, rows, numbers);
}

// Makes A^T, and a border that knows the columns of both.
void add_transpose(PetrovStage& stage) {
  if (stage.border.alone()) {
    stage.At = transpose(stage.A.view());
    return;
  }
  const GlobalRows<double> own = with_global_columns(stage.border, stage.A);
  const GlobalRows<double> mirrored = transposed_rows(stage.border, stage.A);
  std::vector<Global> columns = own.indices, nodes;
  columns.insert(columns.end(), mirrored.indices.begin(), mirrored.indices.end());
  for (std::size_t g = 0; g < stage.border.ghosts.size(); g += stage.block)
    nodes.push_back(stage.border.ghosts[g] / stage.block);
  stage.border = border_of(stage.border.comm, stage.border.layout, columns, nodes, stage.block);
  stage.A = localized(stage.border, own);
  stage.At = localized(stage.border, mirrored);
}

// (A + A^T) / 2
Csr<double> symmetric_part(const CsrView<double>& A, const CsrView<double>& At) {
  return build_rows(A.rows, std::max(A.cols, At.cols), [&] {
    return [&](Index i, Entries& out) {
      Index p = A.indptr[i], q = At.indptr[i];
      const Index p_end = A.indptr[i + 1], q_end = At.indptr[i + 1];
      while (p < p_end || q < q_end) {
        const Index c = p < p_end ? A.indices[p] : At.indices[q];
        const Index j = q < q_end ? std::min(c, At.indices[q]) : c;
        double sum = 0;
        if (p < p_end && A.indices[p] == j) sum += A.data[p++];
        if (q < q_end && At.indices[q] == j) sum += At.data[q++];
        out.emplace_back(j, sum / 2);
      }
    };
  });
}

// sum |a_ij - a_ji| / sum |a_ij + a_ji| off the diagonal, over all rows: 0 symmetric, 1 one-sided.
double skewness(const PetrovStage& stage) {
  double skew = 0, sum = 0;
  for (Index i = 0; i < stage.A.rows; ++i) {
    Index q = stage.At.indptr[i];
    const Index end = stage.At.indptr[i + 1];
    for (Index p = stage.A.indptr[i]; p < stage.A.indptr[i + 1]; ++p) {
      const Index j = stage.A.indices[p];
      while (q < end && stage.At.indices[q] < j) ++q;
      const double mirror = q < end && stage.At.indices[q] == j ? stage.At.data[q] : 0;
      if (j == i) continue;
      skew += std::abs(stage.A.data[p] - mirror);
      sum += std::abs(stage.A.data[p] + mirror);
    }
  }
  skew = stage.border.comm.sum(skew), sum = stage.border.comm.sum(sum);
  return sum > 0 ? std::min(skew / sum, 1.0) : 0;
}

// Whether the incomplete factors amplify what they are given. Collective.
template <class S>
bool is_unstable(const PetrovStage& stage, const Ilut<S>& factor) {
  std::vector<S> x(stage.A.rows, S(1));
  factor.solve(x.data());
  double largest = 0, entry = 0;
  for (const S v : x) largest = std::max(largest, std::abs(double{v}));
  for (const double d : diagonal(stage.A.view())) entry = std::max(entry, std::abs(d));
  const bool finite = std::all_of(x.begin(), x.end(), [](S v) { return std::isfinite(v); });
  return stage.border.comm.max(Global{!finite || largest * entry > most_growth}) > 0;
}

double largest_eigenvalue(const Border& border, const Csr<double>& A) {
  std::vector<double> inverse = diagonal(A.view());
  for (double& d : inverse) d = d > 0 ? 1 / d : 0;
  return spectral_radius(border.comm, inverse,
                         [&](const double* x, double* y) { border.multiply(A, x, y); });
}

double product_work(const Border& border, const Csr<double>& A, const Csr<double>& P) {
  double sum = 0;
  for (Index p = 0; p < A.nnz(); ++p)
    if (const Index k = A.indices[p]; k < P.rows) sum += P.indptr[k + 1] - P.indptr[k];
  return border.comm.sum(sum);
}

double negative_share(const Border& border, const Csr<double>& A) {
  const std::vector<double> d = diagonal(A.view()), ones(A.rows, 1.0);
  std::vector<double> sums(A.rows);
  border.multiply(A, ones.data(), sums.data());
  double share = 0;
  for (Index i = 0; i < A.rows; ++i)
    if (d[i] > 0) share += std::max(0.0, -sums[i] / d[i]);
  return border.comm.sum(share) / std::max(border.comm.sum(static_cast<double>(A.rows)), 1.0);
}

// b <- b - S A b, a few times from constants, where these are no near-nullspace; solve(x): x <- S
// x. Returns the number of steps.
template <class S, class Solve>
int relax(const Border& border, const Csr<double>& A, int steps, const Solve& solve,
          NearNullspace& B) {
  if (negative_share(border, A) <= most_negative) return 0;
  std::vector<double> b(A.rows, 1.0), Ab(A.rows);
  for (int step = 0; step < steps; ++step) {
    border.multiply(A, b.data(), Ab.data());
    std::vector<S> x(Ab.begin(), Ab.end());
    solve(x.data());
    for (Index i = 0; i < A.rows; ++i) b[i] -= x[i];
    const double most = border.comm.max(largest_magnitude(b.size(), b.data()));
    if (!(most > 0) || !std::isfinite(most)) return step + 1;  // constants stay
    for (double& v : b) v /= most;
  }
  B.values = std::move(b);
  border.share(B.values, 1);
  return steps;
}

struct Next {
  Csr<double> P, L, R;
  OffDiagonal<double> P_off, L_off;
  Csr<double> exact_P, exact_L;
  Border known;
  PetrovStage stage;
  Index clusters = 0;
  bool lifted = false;
  double work = 0;
};

// Makes `next` of `stage`.
class Coarsening {
 public:
  Coarsening(const PetrovStage& stage, const Params& params, double damping, Global left,
             Next& next)
      : stage_(stage), params_(params), damping_(damping), left_(left), next_(next) {}

  bool run() {
    const Index m = stage_.right.vectors;
    clusters_ = cluster(stage_.W, params_.shape, params_.strength, params_.cluster_size);
    const Global coarse_rows = border_.comm.sum(Global{clusters_.count} * m);
    if (coarse_rows == 0 || coarse_rows > least_reduction * stage_.rows()) return false;
    right_ = rotate(stage_.right, clusters_, stage_.block);
    left_functions_ = rotate(stage_.left, clusters_, stage_.block);
    known_ = reach(border_, stage_.block, clusters_);
    share(border_, known_, right_);
    share(border_, known_, left_functions_);
    if (params_.lift) lift();
    if (!next_.lifted) {
      next_.P = prolongation(right_, clusters_, stage_.block, stage_.A.rows);
      next_.L = prolongation(left_functions_, clusters_, stage_.block, stage_.A.rows);
      if (!project_within(std::min(left_, entries_))) return false;
    }
    finish();
    return true;
  }

 private:
  bool project_within(Global most) {
    Csr<double> P = next_.P, L = next_.L;
    auto product = project(border_, stage_.A, known_, stage_.right.vectors, most, P, &L);
    if (!product) return false;
    next_.P = std::move(P), next_.L = std::move(L);
    next_.stage.border = std::move(product->border);
    next_.stage.A = std::move(product->A);
    next_.R = std::move(product->R);
    next_.work += static_cast<double>(product->work);
    return true;
  }

  // Functions that would fill in are truncated more, and stay unlifted if that is not enough.
  void lift() {
    const Index m = stage_.right.vectors;
    const bool several = m > 1 || stage_.block > 1;
    const double radius = several ? largest_eigenvalue(border_, stage_.A) : 0;
    const double left_radius = several ? largest_eigenvalue(border_, stage_.At) : 0;
    Params lifting = params_;
    lifting.truncation = std::min(truncated_more * lifting.truncation, 0.99);
    if (damping_ > 0) lifting.lift_weight = lifting.lift_weight * (1 - damping_ * skewness(stage_));
    for (int attempt = 0; attempt < lift_attempts && !next_.lifted; ++attempt) {
      next_.P = lifted_prolongation(stage_.A, stage_.right, right_, clusters_, stage_.block,
                                    lifting, radius);
      next_.L = lifted_prolongation(stage_.At, stage_.left, left_functions_, clusters_,
                                    stage_.block, lifting, left_radius);
      next_.work += 2.0 * static_cast<double>(stage_.A.nnz());
      const double work = product_work(border_, stage_.A, next_.P);
      if (work <= most_work * static_cast<double>(entries_))
        next_.lifted =
            project_within(stage_.rows() <= 1000 ? left_ : std::min(left_, entries_ * 9 / 10));
      lifting.truncation = std::max(lifting.truncation, std::min(2 * lifting.truncation, 0.5));
    }
  }

  void finish() {
    const Index m = stage_.right.vectors;
    PetrovStage& to = next_.stage;
    to.block = m;
    next_.clusters = clusters_.count;
    next_.known = clusters_known_to(known_, to.border, m);
    next_.exact_P = next_.P, next_.exact_L = next_.L;
    if (!border_.alone()) {
      next_.P_off = split(to.border, to.border.layout, next_.P);
      next_.L_off = split(to.border, to.border.layout, next_.L);
      next_.R = transpose(next_.L.view());
    }
    add_transpose(to);
    const auto known = clusters_.count + static_cast<Index>(known_.ghosts.size());
    to.W = contract(stage_.W, clusters_, known);
    renumber(known_, clusters_known_to(known_, to.border, m), to.W);
    take(right_, to.right);
    take(left_functions_, to.left);
  }

  void take(Rotated& functions, NearNullspace& B) {
    const Index m = stage_.right.vectors;
    B = std::move(functions.coarse);
    B.values.resize(static_cast<std::size_t>(clusters_.count) * m * m);
    next_.stage.border.share(B.values, m);
  }

  const PetrovStage& stage_;
  const Params& params_;
  const double damping_;
  const Global left_;
  Next& next_;
  const Border& border_ = stage_.border;
  const Global entries_ = stage_.nnz();
  Clustering clusters_;
  Rotated right_, left_functions_;
  Border known_;
};

// Those that are given, or those of the other side, or constants, in the order of the first level.
NearNullspace first_vectors(const NearNullspace& given, const NearNullspace& other,
                            const PetrovStage& stage, const std::vector<Index>& order) {
  const auto is_given = [&](const NearNullspace& B) {
    return stage.border.comm.max(Global{!B.values.empty()}) > 0;
  };
  const bool known = is_given(given), known_other = is_given(other);
  NearNullspace out = known ? given : known_other ? other : constants(stage.A.rows, stage.block);
  if (known || known_other) permute_rows(out.values, order, out.vectors);
  stage.border.share(out.values, out.vectors);
  return out;
}

// What setup and refresh do alike.
template <class S>
void fill_level(const PetrovStage& stage, const IlutRule& rule, PetrovLevel<S>& level,
                LevelReport& line) {
  const Communicator& comm = stage.border.comm;
  level.factor = Ilut<S>(stage.A, rule);
  if (stage.border.alone()) {
    level.A = owned<S>(stage.A.view());
  } else {
    pympf::split(stage.A.view(), stage.A.rows, level.A, level.A_off);
    level.A_off.halo = stage.border.halo;
    line.ranks = stage.border.layout.ranks_with_rows();
  }
  line.rows = stage.rows();
  line.nnz = stage.nnz();
  const auto factor = static_cast<double>(comm.sum(static_cast<Global>(level.factor.nnz())));
  line.factor = line.nnz > 0 ? factor / static_cast<double>(line.nnz) : 0;
}

template <class S>
std::size_t bytes_of(const PetrovLevel<S>& level) {
  return (level.A.data.size() + level.P.data.size() + level.R.data.size()) *
             (sizeof(S) + sizeof(Index)) +
         (level.exact_P.data.size() + level.exact_L.data.size()) *
             (sizeof(double) + sizeof(Index)) +
         level.factor.bytes();
}

// The whole matrix with sorted rows, on every rank. Collective.
Csr<double> whole(const Border& border, const Csr<double>& own) {
  if (border.alone()) return own;
  const Csr<double> columns = transpose(gathered(border, own).view());
  return transpose(columns.view());
}

// In the unit of the largest entry.
constexpr double raise_of_singular = 1e-10;

// Factors the last matrix, the same on every rank.
template <class S>
void factor_coarse(const Border& border, const Csr<double>& own, CoarsePlan&& plan, double raised,
                   PetrovLevels<S>& out, LevelReport& line, Report& report) {
  out.lu = CoarseLu::factor(plan, raised);
  out.is_singular = !out.lu;
  if (out.is_singular && !plan.empty_row) out.lu = CoarseLu::factor(plan, raise_of_singular);
  out.lu_work = plan.fill.work;
  out.coarse_own = own.rows;
  line.rows = plan.A.rows;
  line.nnz = border.comm.sum(Global{own.nnz()});
  if (!out.lu) return;
  line.factor =
      static_cast<double>(out.lu->nnz()) / static_cast<double>(std::max<Global>(line.nnz, 1));
  line.bytes = out.lu->bytes();
  if (out.lu->library()) describe(*out.lu->library(), line.nnz, line, report);
  if (border.alone()) return;
  std::vector<Global> others;
  for (Global i = 0; i < out.lu->rows() && own.rows > 0; ++i)
    if (!border.layout.owns(i)) others.push_back(i);
  out.coarse_first = static_cast<Index>(border.layout.first());
  out.coarse_halo =
      std::make_shared<const Exchange>(Exchange::halo(border.comm, border.layout, others));
  line.ranks = border.layout.ranks_with_rows();
}

template <class S>
class Setup {
 public:
  Setup(const DistRows<double>& A, const Params& params, const PetrovRules& rules, Report& report)
      : A_(A), params_(params), rules_(rules), report_(report) {
    params_.strips = 1;
  }

  PetrovLevels<S> run(const NearNullspace& right, const NearNullspace& left, Index block) {
    begin(block);
    stage_.right = first_vectors(right, left, stage_, out_.order);
    stage_.left = first_vectors(left, right, stage_, out_.order);
    is_given_ = A_.comm.max(Global{!right.values.empty() || !left.values.empty()}) > 0;
    require(stage_.left.vectors == stage_.right.vectors, "the near-nullspace has ",
            stage_.right.vectors, " vectors, that of A^T has ", stage_.left.vectors,
            ": expected as many");
    for (bool last = false; !last;) {
      const auto start = Clock::now();
      LevelReport line;
      line.level = static_cast<int>(out_.levels.size()) + 1;
      say_progress("level", out_.levels.size() + 1);
      left_ -= stage_.nnz();
      last = factor_within(rules_.most_lu_work, line) || add_level(line);
      line.seconds = seconds_since(start);
      report_.levels.push_back(line);
    }
    return std::move(out_);
  }

 private:
  void begin(Index block) {
    out_.comm = A_.comm;
    out_.rows = A_.own();
    out_.block = block;
    out_.scale = range_factor(A_.comm, A_.rows);
    Stage first = first_stage(A_, out_.scale, block, params_);
    out_.order = std::move(first.domains.order);
    stage_.A = std::move(first.A);
    stage_.border = std::move(first.border);
    stage_.block = block;
    entries_ = A_.nnz();
    left_ = static_cast<Global>(params_.max_complexity * static_cast<double>(entries_));
    if (!rules_.factor_alone) add_transpose(stage_);
  }

  // A sparse LU, when it costs at most so many multiply-adds for each entry of the first matrix.
  bool factor_within(double most_work, LevelReport& line) {
    if (rules_.factor_alone) return false;
    const double most = most_work * static_cast<double>(entries_);
    const auto rows = static_cast<double>(stage_.rows());
    const double least = least_lu_work * std::pow(static_cast<double>(stage_.nnz()), 1.5);
    if (!rules_.direct && rows > rows_worth_ordering && least > most) return false;
    CoarsePlan plan(whole(stage_.border, stage_.A), rules_.factor_backend, most);
    if (plan.fill.work > most && rows > 64) return false;
    factor_coarse(stage_.border, stage_.A, std::move(plan), rules_.raised_diagonal, out_, line,
                  report_);
    out_.coarse_border = stage_.border;
    report_.setup_work += out_.lu_work;
    report_.coarse_rows = static_cast<Index>(line.rows);
    return true;
  }

  // Returns whether it is the last one.
  bool add_level(LevelReport& line) {
    out_.levels.emplace_back();
    fill_level(stage_, rules_.smoother, out_.levels.back(), line);
    report_.setup_work += out_.levels.back().factor.work();
    if (line.level > 1 && is_unstable(stage_, out_.levels.back().factor)) {
      out_.is_unstable = !lift_less(line);
      if (out_.is_unstable && factor_in_need(line)) return true;
    }
    bool last = rules_.factor_alone || rules_.direct || out_.is_unstable ||
                line.level == params_.max_levels;
    if (!last && line.level == 1) {
      relax_constants(out_.levels.back().factor);
      first_couplings();
    }
    Next next;
    last = last || !Coarsening(stage_, params_, damping_, left_, next).run();
    PetrovLevel<S>& level = out_.levels.back();
    if (!last) take(next, level, line);
    line.bytes = bytes_of(level);
    previous_ = std::move(stage_);
    if (!last) stage_ = std::move(next.stage);
    return last;
  }

  bool factor_in_need(LevelReport& line) {
    LevelReport other;
    other.level = line.level;
    if (!factor_within(rules_.most_lu_work_in_need, other)) return false;
    out_.levels.pop_back();
    out_.is_unstable = false;
    line = other;
    out_.remedy = concat("the incomplete factor of level ", line.level,
                         " would grow without bound: a sparse LU takes its place");
    return true;
  }

  // The level is made again, by functions that are lifted less where A is one-sided.
  bool lift_less(LevelReport& line) {
    if (damping_ > 0) return false;
    damping_ = 1;
    Next next;
    if (!Coarsening(previous_, params_, damping_, left_ + stage_.nnz(), next).run()) return false;
    out_.levels.pop_back();
    left_ += stage_.nnz() - next.stage.nnz();
    take(next, out_.levels.back(), report_.levels.back());
    stage_ = std::move(next.stage);
    out_.levels.emplace_back();
    fill_level(stage_, rules_.smoother, out_.levels.back(), line);
    out_.remedy = concat("the incomplete factor of level ", line.level,
                         " would grow without bound: the functions from there on are lifted less "
                         "where A is one-sided");
    return !is_unstable(stage_, out_.levels.back().factor);
  }

  void relax_constants(const Ilut<S>& factor) {
    if (is_given_ || stage_.block > 1) return;
    const int steps = std::min(relaxing_steps, params_.relaxations);
    int taken = relax<S>(
        stage_.border, stage_.A, steps, [&](S* x) { factor.solve(x); }, stage_.right);
    taken += relax<S>(
        stage_.border, stage_.At, steps, [&](S* x) { factor.solve_transposed(x); }, stage_.left);
    report_.setup_work += taken * static_cast<double>(stage_.A.data.size() + factor.nnz());
  }

  void first_couplings() {
    const Csr<double> T = symmetric_part(stage_.A, stage_.At);
    std::vector<double> d = diagonal(T.view());
    stage_.border.share(d, 1);
    stage_.W = couplings(T, stage_.right.values.data(), stage_.block, stage_.right.vectors, d);
  }

  void take(Next& next, PetrovLevel<S>& level, LevelReport& line) {
    line.clusters = A_.comm.sum(Global{next.clusters});
    line.lifted = next.lifted;
    report_.setup_work += next.work;
    const Global functions = A_.comm.sum(Global{next.exact_P.nnz()});
    line.prolongation = static_cast<double>(functions) / static_cast<double>(line.rows);
    level.P = cast<S>(std::move(next.P));
    level.R = cast<S>(std::move(next.R));
    level.P_off = cast<S>(std::move(next.P_off));
    level.L_off = cast<S>(std::move(next.L_off));
    level.exact_P = std::move(next.exact_P);
    level.exact_L = std::move(next.exact_L);
    level.clusters = std::move(next.known);
    level.width = next.stage.block;
    level.is_last = false;
  }

  const DistRows<double>& A_;
  Params params_;
  const PetrovRules& rules_;
  Report& report_;
  PetrovLevels<S> out_;
  PetrovStage stage_, previous_;
  double damping_ = 0;
  bool is_given_ = false;
  Global entries_ = 0, left_ = 0;
};

}  // namespace

template <class S>
PetrovLevels<S> build_petrov(const DistRows<double>& A, const NearNullspace& right,
                             const NearNullspace& left, Index block, const Params& params,
                             const PetrovRules& rules, Report& report) {
  report.levels.clear();
  report.direct = {};
  report.direct_text.clear();
  report.coarse_rows = 0;
  return Setup<S>(A, params, rules, report).run(right, left, block);
}

template <class S>
void refresh_petrov(const DistRows<double>& A, const PetrovRules& rules, PetrovLevels<S>& levels,
                    Report& report) {
  levels.scale = range_factor(A.comm, A.rows);
  PetrovStage stage;
  stage.block = levels.block;
  stage.A = ordered(A, levels.order, levels.block, levels.scale, stage.border);
  for (std::size_t l = 0; l < levels.levels.size(); ++l) {
    PetrovLevel<S>& level = levels.levels[l];
    fill_level(stage, rules.smoother, level, report.levels[l]);
    if (level.is_last) break;
    auto product = project(stage.border, stage.A, level.clusters, level.width,
                           std::numeric_limits<Index>::max(), level.exact_P, &level.exact_L);
    stage.A = std::move(product->A);
    stage.border = std::move(product->border);
    stage.block = level.width;
  }
  if (!levels.lu && !levels.is_singular) return;
  CoarsePlan plan(whole(stage.border, stage.A), rules.factor_backend, HUGE_VAL);
  factor_coarse(stage.border, stage.A, std::move(plan), rules.raised_diagonal, levels,
                report.levels.back(), report);
}

#define PYMPF_PETROV(S)                                                                       \
  template PetrovLevels<S> build_petrov(const DistRows<double>&, const NearNullspace&,        \
                                        const NearNullspace&, Index, const Params&,           \
                                        const PetrovRules&, Report&);                         \
  template void refresh_petrov(const DistRows<double>&, const PetrovRules&, PetrovLevels<S>&, \
                               Report&);
PYMPF_PETROV(float)
PYMPF_PETROV(double)
#undef PYMPF_PETROV

}  // namespace pympf::precond
