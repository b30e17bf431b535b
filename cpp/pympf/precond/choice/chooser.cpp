#include "pympf/precond/choice/chooser.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "pympf/la/range.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/choice/unit_costs.hpp"
#include "pympf/precond/levels/direct.hpp"

namespace pympf::precond {

template <class T>
Chooser<T>::Chooser(const DistRows<T>& A, const Params& params, const NearNullspace& near_nullspace)
    : A_(A), params_(params), shared_(std::make_shared<Shared>()), facts_(sizes_of(A, params)) {
  shared_->diagonal = pympf::diagonal(A);
  if (within_range(A, shared_->diagonal)) return;  // which drops entries first
  if (!is_to_be_looked_at(facts_, params)) return;
  shared_->near_nullspace = near_nullspace;
  begin();
}

template <class T>
Chooser<T>::Chooser(const Chooser& other)
    : A_(other.A_),
      params_(other.params_),
      shared_(other.shared_),
      facts_(sizes_of(other.A_, other.params_)) {
  if (other.begins_ || other.has_looked_) begin();
}

// CG needs a positive diagonal; who solves often wants to know first.
template <class T>
void Chooser<T>::begin() {
  const auto& d = shared_->diagonal;
  begins_ = params_.cycle != CycleKind::k && params_.solves < many_solves &&
            A_.comm.min(Global{std::all_of(d.begin(), d.end(), [](T v) { return v > 0; })}) > 0;
  if (begins_) {
    known_.plan.reason = "less is left to do than any setup costs";
  } else {
    is_rehearsed_ = true;
    look();
    known_.plan = choose(facts_, params_);
    begins_ = known_.plan.method == "jacobi" && params_.cycle != CycleKind::k;
  }
  if (!begins_) return;
  known_.plan.method = "jacobi";
  known_.plan.krylov = "cg";
  known_.plan.precision = "working";
  known_.plan.strips = params_.strips;
  known_.plan.then = {"multilevel", "direct"};
  const Offer diagonal = offer_of(offers_for(facts_), "jacobi");
  watch_from(diagonal, is_rehearsed_ ? diagonal.total(params_.solves) : Offer::unknown);
}

template <class T>
void Chooser<T>::look() {
  if (std::exchange(has_looked_, true)) return;
  std::optional<Facts>& facts = shared_->looked_at;
  if (!facts)
    facts = look_at(A_, shared_->diagonal, shared_->near_nullspace, params_,
                    is_rehearsed_ ? sure : of_random);
  const bool has_met_negative = facts_.has_negative_eigenvalue;
  facts_ = *facts;
  facts_.has_negative_eigenvalue = facts_.has_negative_eigenvalue || has_met_negative;
  known_.facts = facts_;
}

template <class T>
bool Chooser<T>::is_easy() const {
  return run_->spent() + run_->left() <= least_setup_of_others(facts_) / params_.solves;
}

// Of CG with the diagonal. Where a random error would take no more steps than are worth it, that is
// a promise; where it would take up to half as many more, the run of a smooth one has to show it.
template <class T>
bool Chooser<T>::is_left(const KrylovStep& step) {
  constexpr int least_steps = 2;  // that a forecast needs
  const bool is_dearer = (*run_)(step);
  if (has_looked_) return is_dearer;
  if (run_->steps() < least_steps || is_easy()) return false;
  look();
  const double steps = *facts_.diagonal_steps;
  const bool is_promised = steps <= sure * break_even_of_diagonal(facts_, params_);
  if (!is_promised && !run_->is_smooth()) facts_.diagonal_steps = Offer::unknown;
  if (std::isinf(*facts_.diagonal_steps)) return true;
  run_->promise(is_promised ? offer_of(offers_for(facts_), "jacobi").total(params_.solves) : 0);
  known_.plan.reason = is_promised ? concat("the diagonal alone needs about ", std::llround(steps),
                                            " iterations to 1e-8 by a probe")
                                   : std::string("less is left to do than another offer costs");
  return false;
}

template <class T>
void Chooser<T>::watch_from(const Offer& offer, double promised) {
  run_.emplace(offer.setup / params_.solves, offer.step, promised,
               [this](double steps) { return least_of_others(steps); });
}

template <class T>
Plan Chooser<T>::plan() const {
  Plan plan = known_.plan;
  if (!begins_ || is_rehearsed_ || is_built_) return plan;
  Facts facts = facts_;
  facts.diagonal_steps = run_->steps() + run_->steps_left();
  plan.offers = offers_for(facts);
  return plan;
}

template <class T>
Operator<T> Chooser<T>::diagonal() const {
  std::vector<T> inverse = shared_->diagonal;
  for (T& d : inverse) d = d != 0 ? T(1) / std::abs(d) : T(1);
  return [inverse = std::move(inverse)](const T* r, T* z) {
    for_chunks(inverse.size(), [&](std::size_t, std::size_t i, std::size_t end) {
      for (; i < end; ++i) z[i] = inverse[i] * r[i];
    });
  };
}

template <class T>
KrylovWatch Chooser<T>::watch() {
  if (!run_) return {};
  return [this](const KrylovStep& step) {
    const bool is_first = running_ == "jacobi" && !facts_.has_negative_eigenvalue;
    return is_first ? is_left(step) : (*run_)(step);
  };
}

// The diagonal is left for the factor, for levels or a direct factor, the factor for the last two,
// and levels for the last.
template <class T>
double Chooser<T>::least_of_others(double steps) {
  constexpr double within_guess = 2;  // it is right to that
  Facts then = facts_;
  then.diagonal_steps = running_ == "jacobi" ? steps : Offer::unknown;
  if (running_ == "jacobi") {
    const double others = total_of_others(then, params_);
    return has_looked_ ? std::min(others, within_guess * guess_of_direct(others)) : others;
  }
  analyze(steps * offer_of(known_.plan.offers, running_).step);
  then.fill = facts_.fill;
  const std::vector<Offer> offers = offers_for(then);
  const double direct = offer_of(offers, "direct").total(params_.solves);
  if (running_ == "multilevel") return direct;
  return std::min(direct, offer_of(offers, "multilevel").total(params_.solves));
}

// It is thought of only where the others are dearer than it is on any system that is no network.
template <class T>
double Chooser<T>::guess_of_direct(double others) {
  constexpr double least_total = 300;
  if (!std::isfinite(others) || others < least_total) return Offer::unknown;
  if (!guess_) guess_ = guessed_total_of_direct(A_, facts_, params_);
  return *guess_;
}

// Its own time counts as spent by what the unit costs say of the order.
template <class T>
void Chooser<T>::analyze(double others) {
  if (analysis_ || guess_of_direct(others) >= others) return;
  if constexpr (std::is_same_v<T, double>) {
    analysis_ = Direct::analysis(A_.rows, params_);
    facts_.take(analysis_->analysis());
  }
}

template <class T>
void Chooser<T>::next(const std::string& why) {
  const bool was_worth_it = has_looked_ && std::isfinite(*facts_.diagonal_steps);
  const bool is_first =
      begins_ && !is_rehearsed_ && !std::exchange(is_built_, true) && !was_worth_it;
  const double spent = known_.plan.spent + (run_ ? run_->spent() : 0);
  look();
  Plan& plan = known_.plan;
  if (is_first) {  // what the plan takes has not run
    facts_.diagonal_steps = Offer::unknown;
    known_.facts = facts_;
    plan = choose(facts_, params_);
    plan.spent = spent;
    run_.reset();
    return;
  }
  plan.spent = spent;
  facts_.diagonal_steps = running_ == "jacobi" && run_ ? run_->steps_left() : Offer::unknown;
  if (running_ == "jacobi" && !facts_.has_negative_eigenvalue)
    analyze(total_of_others(facts_, params_));
  plan.offers = offers_for(facts_);
  const auto total = [&](const char* method) {
    return offer_of(plan.offers, method).total(params_.solves);
  };
  const double levels = running_ == "multilevel" ? Offer::unknown : total("multilevel");
  const double factor = running_ == "jacobi" ? total("ict") : Offer::unknown;
  const bool takes_direct = facts_.fill && total("direct") <= std::min(factor, levels);
  known_.factor_was_left = running_ == "ict";
  known_.diagonal_was_left = true;
  known_.facts = facts_;
  known_.analysis = takes_direct ? analysis_ : nullptr;
  plan.method = takes_direct ? "direct" : "multilevel";
  plan.reason = concat(running_, " ", why);
  run_.reset();
}

template <class T>
void Chooser<T>::meet_negative() {
  facts_.has_negative_eigenvalue = true;
  run_.reset();
  guess_ = guessed_total_of_direct(A_, facts_, params_);
  if (!std::isfinite(*guess_)) return;
  known_.plan.krylov = "minres";
  const double step = offer_of(offers_for(facts_), "jacobi").step;
  const double more = unit_costs::minres_row / facts_.row_entries();
  run_.emplace(0, step + more, 0, [this](double) { return *guess_; });
}

template <class T>
void Chooser<T>::runs(const Plan& built) {
  const Plan before = std::exchange(known_.plan, built);
  known_.plan.spent = before.spent;
  if (!before.offers.empty()) known_.plan.offers = before.offers;
  running_ = built.method;
  run_.reset();
  const bool is_direct_refused = known_.analysis && running_ != "direct";
  if (built.krylov != "cg" || is_direct_refused) return;
  if (running_ != "ict" && running_ != "multilevel") return;
  const Offer& offer = offer_of(known_.plan.offers, running_);
  watch_from(offer, offer.total(params_.solves));
}

template class Chooser<float>;
template class Chooser<double>;

}  // namespace pympf::precond
