#include "pympf/precond/choice/chooser.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

#include "pympf/la/sparse.hpp"
#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/two_level.hpp"

namespace pympf::precond {

template <class T>
Chooser<T>::Chooser(const DistRows<T>& A, const Params& params, bool has_near_nullspace)
    : A_(A), params_(params) {
  if (!may_choose(params) || params.coarse_size > 0 || params.cycle == CycleKind::k) return;
  const Global entries = A.nnz();
  if (A.layout.total() <= std::max<Global>(least_rows, coarse_size(entries, params))) return;
  facts_ = facts_of(A, has_near_nullspace);
  const bool is_looked_at_first = is_factored_first(A, params) || facts_.narrow;
  begins_ = facts_.positive_diagonal && !facts_.negative_sums && !is_looked_at_first;
  if (!begins_) return;
  Plan& plan = known_.plan;
  plan = choose(facts_, params);
  const Offer& diagonal = offer_of(plan.offers, "jacobi");
  plan.method = diagonal.method;
  plan.reason = "the cheapest offer begins, and others did not promise less";
  plan.precision = "working";
  plan.then = {"multilevel", "direct"};
  run_.emplace(diagonal.setup / params.solves, diagonal.step,
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

// The diagonal is left for the factor, for levels or, where these promise little, a direct factor;
// what took its place, for a direct factor alone.
template <class T>
double Chooser<T>::least_of_others(double steps) {
  if (running_ == "jacobi") {
    facts_.diagonal_steps = steps;
    return total_of_others(facts_, params_);
  }
  const double left = steps * offer_of(known_.plan.offers, running_).step;
  analyze(left);
  if (!facts_.fill) return Offer::unknown;
  return offer_of(offers_for(facts_), "direct").total(params_.solves);
}

// Its own time counts as spent by what the unit costs say of the order.
template <class T>
void Chooser<T>::analyze(double others) {
  if (is_analyzed_ || !std::isfinite(others)) return;
  constexpr double least_total = 200;  // of a direct factor on a system that is no network
  if (others < least_total) return;
  is_analyzed_ = true;
  if (!is_worth_analysis(A_, facts_, others)) return;
  if constexpr (std::is_same_v<T, double>) {
    analysis_ = std::make_shared<LuPlan>(TwoLevel::analysis(A_.rows));
    facts_.fill = analysis_->fill;
  }
}

template <class T>
void Chooser<T>::next(const std::string& why) {
  Plan& plan = known_.plan;
  const bool is_last = running_ != "jacobi";
  plan.spent += run_ ? run_->spent() : 0;
  facts_.diagonal_steps = !is_last && run_ ? run_->steps_left() : Offer::unknown;
  if (!is_last && !known_.has_negative_eigenvalue) analyze(total_of_others(facts_, params_));
  plan.offers = offers_for(facts_);
  const auto total = [&](const char* method) {
    return offer_of(plan.offers, method).total(params_.solves);
  };
  const bool takes_direct =
      facts_.fill && (is_last || total("direct") < std::min(total("ict"), total("multilevel")));
  plan.method = takes_direct ? "direct" : "multilevel";
  plan.reason = concat(running_, " ", why);
  known_.diagonal_was_left = true;
  known_.analysis = takes_direct ? analysis_ : nullptr;
  run_.reset();
}

template <class T>
void Chooser<T>::runs(const Plan& built) {
  const Plan before = std::exchange(known_.plan, built);
  known_.plan.spent = before.spent;
  known_.plan.offers = before.offers;
  running_ = built.method;
  run_.reset();
  // Only a direct factor is left, which is thought of where levels promise little.
  if ((running_ != "ict" && running_ != "multilevel") || !facts_.far_from_null) return;
  const Offer& offer = offer_of(built.offers, running_);
  run_.emplace(offer.setup / params_.solves, offer.step,
               [this](double steps) { return least_of_others(steps); });
}

template class Chooser<float>;
template class Chooser<double>;

}  // namespace pympf::precond
