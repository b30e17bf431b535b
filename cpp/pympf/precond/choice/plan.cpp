#include "pympf/precond/choice/plan.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/choice/unit_costs.hpp"

namespace pympf::precond {
namespace {

using namespace unit_costs;

Offer diagonal_offer(const Facts& facts) {
  const double k = facts.row_entries();
  Offer out{"jacobi", diagonal_setup(k), diagonal_step(k)};
  if (facts.diagonal_steps) out.steps = *facts.diagonal_steps;
  if (!facts.positive_diagonal) out.note = "the diagonal is not positive";
  if (facts.has_negative_eigenvalue) out.note = "A has negative eigenvalues";
  return out;
}

Offer factor_offer(const Facts& facts) {
  const double k = facts.row_entries();
  Offer out{"ict", factor_setup(k), factor_step(k)};
  if (facts.diagonal_steps) out.steps = factor_least + factor_part * *facts.diagonal_steps;
  return out;
}

Offer levels_offer(const Facts& facts) {
  const double k = facts.row_entries();
  return {"multilevel", levels_setup(k), levels_step(k),
          facts.far_from_null ? poor_levels_steps : levels_steps};
}

Offer direct_offer(const Facts& facts) {
  Offer out{"direct"};
  if (!facts.fill) {
    out.note = facts.ranks > 1 ? "it is for one rank" : "not analyzed";
    return out;
  }
  const auto entries = static_cast<double>(std::max<Global>(facts.entries, 1));
  const Fill& fill = *facts.fill;
  out.setup = order_setup + (entry_setup * fill.entries + work_setup * fill.work) / entries;
  out.step = entry_step * fill.entries / entries;
  out.steps = 1;
  return out;
}

bool is_admissible(const Offer& offer) { return offer.note.empty(); }

const Offer& cheapest(const std::vector<Offer>& offers, double solves) {
  return *std::min_element(offers.begin(), offers.end(), [&](const Offer& a, const Offer& b) {
    if (is_admissible(a) != is_admissible(b)) return is_admissible(a);
    return a.total(solves) < b.total(solves);
  });
}

std::vector<std::string> after(const std::string& method, bool single) {
  if (method == "jacobi") return {};
  if (method == "ict") return {"jacobi"};
  std::vector<std::string> out{"ict", "jacobi"};
  if (single || method == "direct") out.insert(out.begin(), "multilevel in float64");
  return out;
}

}  // namespace

std::vector<Offer> offers_for(const Facts& facts) {
  return {diagonal_offer(facts), factor_offer(facts), levels_offer(facts), direct_offer(facts)};
}

const Offer& offer_of(const std::vector<Offer>& offers, const std::string& method) {
  return *std::find_if(offers.begin(), offers.end(),
                       [&](const Offer& one) { return one.method == method; });
}

double total_of_others(const Facts& facts, const Params& params) {
  std::vector<Offer> offers = offers_for(facts);
  offers.erase(offers.begin());
  return cheapest(offers, params.solves).total(params.solves);
}

double break_even_of_diagonal(Facts facts, Params params) {
  if (params.solves >= many_solves) return few_for_hierarchy;
  if (params.coarse_size > 0) params.solves = many_solves;  // levels are wanted, but not so much
  facts.diagonal_steps = 0;
  const Offer diagonal = diagonal_offer(facts), factor = factor_offer(facts);
  const auto more = [&](const Offer& other) {
    return other.total(params.solves) - diagonal.total(params.solves);
  };
  const double to_levels = more(levels_offer(facts)) / diagonal.step;
  const double gain = diagonal.step - factor_part * factor.step;  // of a step with the diagonal
  return gain > 0 ? std::min(to_levels, more(factor) / gain) : to_levels;
}

double break_even_of_factor(const Facts& facts, const Params& params) {
  const Offer factor = factor_offer(facts), levels = levels_offer(facts);
  const double more = (levels.setup - factor.setup) / params.solves;
  return (more + levels.step * levels.steps) / factor.step;
}

Plan choose(const Facts& facts, const Params& params) {
  Plan plan;
  plan.offers = offers_for(facts);
  plan.strips = params.strips;
  plan.krylov = facts.positive_diagonal && !facts.negative_sums ? "cg" : "minres";
  const bool single = !facts.is_double || params.precision == Precision::single ||
                      (params.precision == Precision::automatic && facts.entries > most_cached);
  if (!may_choose(params)) {
    plan.method = find_field(fields(), "method").text(params);
    plan.reason = "asked for";
  } else {
    Offer& diagonal = plan.offers.front();
    if (is_admissible(diagonal) && !(diagonal.steps <= break_even_of_diagonal(facts, params)))
      diagonal.note = "more steps than other offers are worth";
    const Offer& best = cheapest(plan.offers, params.solves);
    plan.method = best.method;
    plan.reason = concat("of all offers it costs least: about ",
                         std::llround(best.total(params.solves)), " products with A");
    if (best.method == "jacobi")
      plan.reason = concat("the diagonal alone needs about ", std::llround(best.steps),
                           " iterations to 1e-8 by a probe");
  }
  plan.precision = single && plan.method != "direct" ? "single" : "working";
  plan.then = after(plan.method, single);
  return plan;
}

std::string text(const Plan& plan, double solves) {
  std::string out;
  for (const Offer& offer : plan.offers) {
    const double total = offer.total(solves);
    const std::string cost = std::isfinite(total) ? concat(std::llround(total)) : "-";
    out += concat(out.empty() ? "" : ", ", offer.method, " ", cost);
  }
  return out;
}

}  // namespace pympf::precond
