#include "pympf/precond/choice/chooser.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "pympf/la/range.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/levels/direct.hpp"

namespace pympf::precond {

template <class T>
Chooser<T>::Chooser(const DistRows<T>& A, const Params& params, const NearNullspace& near_nullspace)
    : A_(A), params_(params) {
  const std::vector<T> d = pympf::diagonal(A);
  if (within_range(A, d)) return;  // which drops entries first
  facts_ = look_at(A, d, near_nullspace, params);
  if (!facts_.diagonal_steps) return;  // not looked at
  known_.facts = facts_;
  known_.plan = choose(facts_, params);
  begins_ = known_.plan.method == "jacobi" && params.cycle != CycleKind::k;
  begin();
}

template <class T>
Chooser<T>::Chooser(const Chooser& other)
    : A_(other.A_), params_(other.params_), facts_(other.facts_), begins_(other.begins_) {
  if (!facts_.diagonal_steps) return;
  known_.facts = facts_;
  known_.plan = choose(facts_, params_);
  begin();
}

template <class T>
void Chooser<T>::begin() {
  if (!begins_) return;
  known_.plan.precision = "working";
  known_.plan.then = {"multilevel", "direct"};
  watch_from(offer_of(known_.plan.offers, "jacobi"));
}

template <class T>
void Chooser<T>::watch_from(const Offer& offer) {
  run_.emplace(offer.setup / params_.solves, offer.step, offer.total(params_.solves),
               [this](double steps) { return least_of_others(steps); });
}

template <class T>
Operator<T> Chooser<T>::diagonal() const {
  std::vector<T> inverse = pympf::diagonal(A_);
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
  return [this](const KrylovStep& step) { return (*run_)(step); };
}

// The diagonal is left for the factor, for levels or a direct factor, the factor for the last two,
// and levels for the last.
template <class T>
double Chooser<T>::least_of_others(double steps) {
  Facts then = facts_;
  then.diagonal_steps = running_ == "jacobi" ? steps : Offer::unknown;
  if (running_ == "jacobi") return total_of_others(then, params_);
  analyze(steps * offer_of(known_.plan.offers, running_).step);
  then.fill = facts_.fill;
  const std::vector<Offer> offers = offers_for(then);
  const double direct = offer_of(offers, "direct").total(params_.solves);
  if (running_ == "multilevel") return direct;
  return std::min(direct, offer_of(offers, "multilevel").total(params_.solves));
}

// Its own time counts as spent by what the unit costs say of the order. It is thought of only for
// what is dearer than a direct factor on any system that is no network.
template <class T>
void Chooser<T>::analyze(double others) {
  constexpr double least_total = 300;
  if (analysis_ || !std::isfinite(others) || others < least_total) return;
  if (!guess_) guess_ = guessed_total_of_direct(A_, facts_, params_);
  if (*guess_ >= others) return;
  if constexpr (std::is_same_v<T, double>) {
    analysis_ = Direct::analysis(A_.rows, params_);
    facts_.fill = analysis_->analysis().fill;
  }
}

template <class T>
void Chooser<T>::next(const std::string& why) {
  Plan& plan = known_.plan;
  plan.spent += run_ ? run_->spent() : 0;
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
  if (running_ == "ict" || running_ == "multilevel")
    watch_from(offer_of(known_.plan.offers, running_));
}

template class Chooser<float>;
template class Chooser<double>;

}  // namespace pympf::precond
