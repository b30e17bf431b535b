#include "pympf/precond/choice/nonsymmetric_choice.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "pympf/common/clock.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/precond/probe.hpp"

namespace pympf::precond {
namespace {

// Iterations with ILU(0): up to the first it is taken alone. Up to the second ILUT is: about half
// as many with 1.6 times the work each and ten products' of setup, which with the orthogonalization
// of GMRES, n k^2 multiply-adds, is even from k = 8 on.
constexpr double few_without_fill = 8, few_with_factor = 12;
constexpr IlutRule fine_factor{1e-3, 10, false};
// Of the residual in one step: beyond the first ILU(0) is given up after two (0.00 to 0.13 where it
// is enough, above 0.2 where diffusion is felt); levels that do not stay below the second are no
// better than what follows (0.00 to 0.06 where they contract).
constexpr double factor_rate = 0.15, levels_rate = 0.5;
// Where diffusion rules ILU(0) is not even tried: at cell Peclet numbers of 30 it is enough, where
// the skewness is 0.94, or where rows have an excess of 0.15 (a walk, alpha = 0.85); at 8, which is
// 0.8, it is not.
constexpr double least_skewness = 0.8, least_excess = 0.1;
// Of what is off the diagonal, with the sign that an M-matrix has there.
// Central differences beyond a cell Peclet number p = 1 have (1 + p) / (2 p) where p is that large,
// and other matchings: levels solve them in 9 to 15 iterations and 114 to 189 multiply-adds for
// each entry (p = 8 to 23) where a sparse LU takes 312 to 2963.
constexpr double least_m_share = 0.75, nearly_m_share = 0.5;
// Rows whose diagonal entry is the largest one of its row or of its column.
constexpr double least_matched = 0.98;
// Multiply-adds of a factorization: for each entry, below which it is made before levels of a
// matrix that is not M-matrix-like, and of one that is nearly so; for each row, below which it is
// affordable at all.
constexpr double light_work = 400, lighter_work = 100, affordable_work = 30'000;
// Of the inverse of the scaled matrix, whose entries are at most 1: beyond it A is singular to
// rounding. What is added to a scaled diagonal then.
constexpr double singular_amplification = 1e13, raised_diagonal = 1e-10;

struct Facts {
  double sign = 1;  // of the diagonal, where it has one
  bool full_diagonal = false, one_sign = false;
  double matched = 0;  // part of the rows
  double m_share = 0;
  double excess = 0;    // of the diagonal over the rest of the row, in its unit, on average
  double skewness = 0;  // sum |a_ij - a_ji| / sum |a_ij + a_ji| off the diagonal

  bool diagonal_is_matching() const { return full_diagonal && matched >= least_matched; }
  bool is_m_like() const { return diagonal_is_matching() && one_sign && m_share >= least_m_share; }
  bool is_nearly_m_like() const { return one_sign && m_share >= nearly_m_share; }
  bool is_diffusive() const {
    return is_m_like() && skewness < least_skewness && excess < least_excess;
  }
};

// Of the pairs whose rows are both on this rank; rows are sorted and their pattern is symmetric.
double skewness(const DistRows<double>& A) {
  const CsrView<double> rows = A.rows;
  std::vector<Index> mirror(A.own());  // next entry left of the diagonal
  for (Index i = 0; i < A.own(); ++i) {
    const Index* const first = rows.indices + rows.indptr[i];
    const Index* const last = rows.indices + rows.indptr[i + 1];
    mirror[i] = static_cast<Index>(std::lower_bound(first, last, A.shift) - rows.indices);
  }
  double skew = 0, sum = 0;
  for (Index i = 0; i < A.own(); ++i)
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
      const Index j = rows.indices[p] - A.shift;
      if (j <= i || j >= A.own()) continue;
      const double a = rows.data[p], b = rows.data[mirror[j]++];
      skew += std::abs(a - b);
      sum += std::abs(a + b);
    }
  skew = A.comm.sum(skew), sum = A.comm.sum(sum);
  return sum > 0 ? skew / sum : 0;
}

Facts facts_of(const DistRows<double>& A) {
  const std::vector<double> d = diagonal(A);
  std::vector<double> column(A.column_count(), 0);
  Global negative = 0, zero = 0, matched = 0;
  for (Index i = 0; i < A.own(); ++i) {
    negative += d[i] < 0;
    zero += d[i] == 0;
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      column[A.rows.indices[p]] = std::max(column[A.rows.indices[p]], std::abs(A.rows.data[p]));
  }
  double good = 0, all = 0, excess = 0;
  for (Index i = 0; i < A.own(); ++i) {
    const double before = all;
    double row = 0, size = std::abs(d[i]);
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p) {
      const double v = A.rows.data[p];
      row = std::max(row, std::abs(v));
      if (A.rows.indices[p] == i + A.shift || size == 0) continue;
      all += std::abs(v) / size;
      if (v * d[i] < 0) good += std::abs(v) / size;
    }
    excess += std::max(0.0, 1 - (all - before));
    // Of a column only the entries of own rows are known here.
    matched += size > 0 && (size >= row || size >= column[i + A.shift]);
  }
  const Global rows = A.layout.total();
  negative = A.comm.sum(negative), zero = A.comm.sum(zero), matched = A.comm.sum(matched);
  good = A.comm.sum(good), all = A.comm.sum(all), excess = A.comm.sum(excess);
  Facts out;
  out.full_diagonal = zero == 0;
  out.one_sign = zero == 0 && (negative == 0 || negative == rows);
  out.sign = out.one_sign && negative > 0 ? -1 : 1;
  out.matched = static_cast<double>(matched) / static_cast<double>(std::max<Global>(rows, 1));
  out.m_share = all > 0 ? good / all : 1;
  out.excess = excess / static_cast<double>(std::max<Global>(rows, 1));
  if (out.is_m_like()) out.skewness = skewness(A);
  return out;
}

// Steps of GMRES from the right on a side of random signs s, as GCR: the residual r is made
// orthogonal to every w = A M r so far.
class Probe {
 public:
  Probe(const DistRows<double>& A, const Nonsymmetric& M)
      : A_(A), M_(M), multiply_(A), r_(signs(A)), z_(r_.size()), norms_{length(r_)} {}

  // To a residual of 10^-8, at this rate from now on.
  double iterations(double rate) const {
    const double left = norms_.back() > 0 ? norms_.back() / (probing::target * norms_[0]) : 1;
    return taken() + (left > 1 && rate > 0 ? -std::log(left) / std::log(rate) : 0);
  }

  // What is left after so many steps in all; infinity where they break down.
  double residual(int steps) {
    while (taken() < steps && std::isfinite(norms_.back()) && norms_.back() > 0) step();
    return norms_.back();
  }

  // Of a residual in one step, over the last ones.
  double rate(int steps, int last) {
    const double now = residual(steps);
    if (!std::isfinite(now) || taken() < steps || now == 0) return now > 0 ? HUGE_VAL : 0;
    return std::pow(now / norms_[steps - last], 1.0 / last);
  }

  int taken() const { return static_cast<int>(norms_.size()) - 1; }
  double work() const {
    return taken() * (static_cast<double>(A_.rows.nnz()) + M_.multiply_adds());
  }
  // ||D M s|| / ||s||, the first step's: what M amplifies in the unit of the diagonal.
  double amplification() const { return amplification_; }

 private:
  struct Direction {
    std::vector<double> w;
    double norm2;
  };

  static std::vector<double> signs(const DistRows<double>& A) {
    std::vector<double> s(A.own());
    const auto first = A.comm.sum_before(Global{A.own()});
    for (Index i = 0; i < A.own(); ++i) s[i] = probing::sign(first + i);
    return s;
  }

  double length(const std::vector<double>& x) const { return norm(A_.comm, A_.own(), x.data()); }
  double dot(const std::vector<double>& x, const std::vector<double>& y) const {
    return A_.comm.sum(pympf::dot(A_.own(), x.data(), y.data()));
  }

  void step() {
    const Index n = A_.own();
    M_.apply(false, r_.data(), z_.data());
    if (directions_.empty()) amplification_ = amplified() / norms_[0];
    std::vector<double> w(n);
    multiply_(z_.data(), w.data());
    for (const Direction& d : directions_) axpy(n, -dot(d.w, w) / d.norm2, d.w.data(), w.data());
    const double norm2 = dot(w, w);
    if (!(norm2 > 0) || !std::isfinite(norm2)) return norms_.push_back(HUGE_VAL);
    axpy(n, -dot(w, r_) / norm2, w.data(), r_.data());
    directions_.push_back({std::move(w), norm2});
    norms_.push_back(length(r_));
  }

  double amplified() const {
    std::vector<double> x = diagonal(A_);
    for (std::size_t i = 0; i < x.size(); ++i) x[i] *= z_[i];
    return length(x);
  }

  const DistRows<double>& A_;
  const Nonsymmetric& M_;
  RowProduct<double> multiply_;
  std::vector<double> r_, z_;
  std::vector<Direction> directions_;
  std::vector<double> norms_;
  double amplification_ = 0;
};

class Choice {
 public:
  Choice(const DistRows<double>& A, const NearNullspace& right, const NearNullspace& left,
         Index block, const Params& params, Report& report)
      : A_(A), right_(right), left_(left), block_(block), params_(params), report_(report) {
    refuse_what_is_symmetric();
  }

  std::unique_ptr<Nonsymmetric> run() {
    facts_ = facts_of(A_);
    auto M = asked_for();
    if (!M) M = automatic();
    name_singular(*M);
    return M;
  }

 private:
  bool alone() const { return A_.comm.size() == 1; }

  void refuse_what_is_symmetric() const {
    const auto refuse = [](bool is_so, const char* what, const char* instead) {
      require(!is_so, what, " is for symmetric matrices; for one that is not: ", instead);
    };
    refuse(params_.cycle != CycleKind::v, "cycle = 'w', 'k' or 'additive'", "cycle = 'v'");
    refuse(params_.smoother != SmootherKind::incomplete_cholesky,
           "smoother = 'gs', 'chebyshev' or 'l1_jacobi'",
           "smoother = 'ict', which is an incomplete LU factorization then");
    refuse(params_.method == Method::two_level, "method = 'two_level'",
           "'auto', 'multilevel', 'ict', 'direct' or 'jacobi'");
  }

  std::unique_ptr<Nonsymmetric> build(Recipe recipe) {
    const auto begin = Clock::now();
    Report found;
    const double before = report_.seconds, work = report_.setup_work;
    auto M = std::make_unique<Nonsymmetric>(A_, right_, left_, block_, params_, std::move(recipe),
                                            found);
    report_ = std::move(found);
    report_.single = M->recipe().single;
    report_.seconds = before + seconds_since(begin);
    report_.setup_work += work;
    return M;
  }

  // Why it was taken, and what the setup said.
  std::unique_ptr<Nonsymmetric> taken(std::unique_ptr<Nonsymmetric> M, const std::string& why) {
    report_.reason = report_.reason.empty() ? why : concat(why, "; ", report_.reason);
    return M;
  }

  Recipe factor_recipe(IlutRule rule) const {
    Recipe out;
    out.rules.smoother = rule;
    out.rules.factor_alone = true;
    return out;
  }

  Recipe levels_recipe() const {
    Recipe out;
    out.rules.smoother = {params_.drop_tolerance, static_cast<Index>(params_.fill), false};
    out.sign = facts_.sign;
    out.single = params_.precision == Precision::single;
    return out;
  }

  std::unique_ptr<Nonsymmetric> asked_for() {
    if (params_.method == Method::multilevel) return taken(build(levels_recipe()), "asked for");
    if (params_.method == Method::incomplete_cholesky)
      return taken(
          build(factor_recipe({params_.drop_tolerance, static_cast<Index>(params_.fill), false})),
          "asked for");
    if (params_.method != Method::direct) return {};
    auto M = direct(HUGE_VAL);
    require<Singular>(M && !is_singular(*M), "method = 'direct' is not available: ",
                      singular_.empty() ? "A is singular to rounding" : singular_);
    return taken(std::move(M), "asked for");
  }

  std::unique_ptr<Nonsymmetric> automatic() {
    if (auto M = factor_if_enough()) return M;
    const double entries = static_cast<double>(A_.nnz());
    const double rows = static_cast<double>(A_.layout.total());
    if (!facts_.is_m_like())
      if (auto M = direct((facts_.is_nearly_m_like() ? lighter_work : light_work) * entries))
        return direct_taken(std::move(M));
    if (facts_.diagonal_is_matching() || facts_.is_nearly_m_like() || !alone())
      if (auto M = levels_if_they_contract()) return M;
    if (auto M = direct(affordable_work * rows)) return direct_taken(std::move(M));
    return finer_factor();
  }

  // ILU(0), or ILUT where that needs more than a few iterations.
  std::unique_ptr<Nonsymmetric> factor_if_enough() {
    if (!facts_.full_diagonal || facts_.is_diffusive()) return {};
    auto M = build(factor_recipe(IlutRule::zero_fill()));
    Probe probe(A_, *M);
    const bool is_fast = probe.rate(2, 2) <= factor_rate;
    const double rate = is_fast ? probe.rate(6, 3) : HUGE_VAL;
    report_.setup_work += probe.work();
    if (!(rate < 1)) return {};
    const double iterations = std::ceil(probe.iterations(rate));
    if (iterations > few_with_factor) return {};
    if (iterations > few_without_fill) {
      M = build(factor_recipe(fine_factor));
      return taken(std::move(M), concat("ILUT(0.001, +10) alone, as a probe predicts ", iterations,
                                        " iterations for ILU(0)"));
    }
    amplification_ = probe.amplification();
    return taken(std::move(M),
                 concat("ILU(0) alone, as a probe predicts ", iterations, " iterations"));
  }

  std::unique_ptr<Nonsymmetric> levels_if_they_contract() {
    auto M = build(levels_recipe());
    Probe probe(A_, *M);
    // One step tells of nearly all of them; where the first is a bad one the second counts.
    double rate = probe.rate(1, 1);
    if (rate > levels_rate && std::isfinite(rate)) rate = probe.rate(2, 1);
    report_.setup_work += probe.work();
    if (M->is_unstable() || rate > levels_rate) {
      tried_ = concat("levels do not contract (", M->is_unstable() ? "a factor is unstable" : "",
                      M->is_unstable() ? ")" : concat("residual by ", rate, " in a step)"));
      if (alone() || facts_.full_diagonal == false) return {};
    }
    amplification_ = probe.amplification();
    return taken(std::move(M), facts_.is_m_like()
                                   ? "not symmetric, M-matrix-like: levels of A as it is"
                                   : "not symmetric, with a heavy diagonal: levels of A as it is");
  }

  // By matching, scaling and a sparse LU; empty when it costs more or A is structurally singular.
  std::unique_ptr<Nonsymmetric> direct(double most_work) {
    if (A_.layout.total() > 200'000 && most_work < HUGE_VAL) return {};
    Recipe recipe;
    recipe.rules.direct = true;
    recipe.rules.most_lu_work = most_work / static_cast<double>(std::max<Global>(A_.nnz(), 1));
    if (alone()) {
      if (!match()) return {};
      recipe.matched = matched_;
    }
    auto M = build(recipe);
    if (report_.method != "direct") return {};
    const bool solves = solves_in_range(*M);
    if ((!is_singular(*M) && solves) || params_.method == Method::direct) return M;
    // What b has in the range of A is solved for, when no pivot vanishes. A matching that has to
    // take entries that are rounding hides in its scales that A is singular.
    singular_ = "A is singular to rounding";
    recipe.rules.raised_diagonal = raised_diagonal;
    if (!solves) recipe.matched.reset();
    return build(std::move(recipe));
  }

  // M A w = w but for a tenth of A w.
  bool solves_in_range(const Nonsymmetric& M) const {
    constexpr double enough = 0.1;
    const Index n = A_.own();
    const auto first = A_.comm.sum_before(Global{n});
    std::vector<double> w(n), b(n), x(n), Ax(n);
    for (Index i = 0; i < n; ++i) w[i] = probing::sign(first + i);
    RowProduct<double> multiply(A_);
    multiply(w.data(), b.data());
    M.apply(false, b.data(), x.data());
    multiply(x.data(), Ax.data());
    axpy(n, -1, b.data(), Ax.data());
    return norm(A_.comm, n, Ax.data()) <= enough * norm(A_.comm, n, b.data());
  }

  std::unique_ptr<Nonsymmetric> direct_taken(std::unique_ptr<Nonsymmetric> M) {
    const std::string how = alone() ? "matching, scaling and a sparse LU" : "a sparse LU";
    return taken(std::move(M), with_tried(how));
  }

  std::unique_ptr<Nonsymmetric> finer_factor() {
    Recipe recipe = factor_recipe(fine_factor);
    if (alone() && match()) recipe.matched = matched_;
    auto M = build(std::move(recipe));
    return taken(std::move(M), with_tried("matching, scaling and ILUT(0.001, +10)"));
  }

  std::string with_tried(const std::string& how) const {
    return tried_.empty() ? "not symmetric: " + how : "not symmetric: " + how + ", as " + tried_;
  }

  // Whether there is a perfect matching.
  bool match() {
    if (!matched_ && singular_.empty()) {
      matched_ = Matched::of(A_.rows);
      if (!matched_) singular_ = "A is structurally singular: no matching of all rows with columns";
    }
    return matched_.has_value();
  }

  // A singular vector has about 1 / sqrt(n) of random signs: one step of a probe, a hundred times
  // below that, is enough to know that nothing is singular.
  bool is_singular(const Nonsymmetric& M) {
    if (M.is_singular()) return true;
    const double least =
        singular_amplification / std::sqrt(static_cast<double>(A_.layout.total())) / 100;
    if (amplification_ < least) return false;
    report_.setup_work += 2 * M.multiply_adds();
    return M.amplification(A_) > singular_amplification;
  }

  void name_singular(const Nonsymmetric& M) {
    if (singular_.empty() && is_singular(M)) singular_ = "A is singular to rounding";
    if (!singular_.empty()) report_.reason += "; " + singular_;
  }

  const DistRows<double>& A_;
  const NearNullspace &right_, &left_;
  const Index block_;
  const Params& params_;
  Report& report_;
  Facts facts_;
  std::optional<Matched> matched_;
  std::string singular_, tried_;
  double amplification_ = HUGE_VAL;  // of what was taken, by its probe
};

}  // namespace

std::unique_ptr<Nonsymmetric> choose_nonsymmetric(const DistRows<double>& A,
                                                  const NearNullspace& right,
                                                  const NearNullspace& left, Index block,
                                                  const Params& params, Report& report) {
  return Choice(A, right, left, block, params, report).run();
}

bool still_contracts(const DistRows<double>& A, const Nonsymmetric& M) {
  return Probe(A, M).rate(3, 3) <= levels_rate;
}

}  // namespace pympf::precond
