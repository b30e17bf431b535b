#include "pympf/precond/choice/plan.hpp"

#include <algorithm>
#include <cmath>

#include "pympf/precond/choice/probes.hpp"
#include "pympf/precond/choice/unit_costs.hpp"

namespace pympf::precond {
namespace {

using namespace unit_costs;

// With what GMRES adds: a step is made orthogonal to the vectors before it, in the mean to half of
// all. 4 n flops for each.
Offer offer(const char* method, const Facts& facts, const UnitCost& setup, const UnitCost& step,
            double steps) {
  const double k = facts.row_entries(), nnz = facts.entries_of_rank();
  const double vectors = std::min(steps, facts.basis) / 2;
  const double orthogonal = std::isfinite(vectors) ? vectors * basis_row / k : 0;
  return {method, setup(k, nnz), step(k, nnz) + orthogonal, steps};
}

Offer diagonal_offer(const Facts& facts) {
  const double steps = facts.diagonal_steps.value_or(Offer::unknown);
  Offer out = offer("jacobi", facts, diagonal_setup, diagonal_step, steps);
  if (!facts.positive_diagonal) out.note = "the diagonal is not positive";
  if (facts.has_negative_eigenvalue) out.note = "A has negative eigenvalues";
  return out;
}

Offer factor_offer(const Facts& facts, double steps) {
  return offer("ict", facts, factor_setup, factor_step, steps);
}

Offer factor_offer(const Facts& facts) {
  const double steps = facts.diagonal_steps.value_or(Offer::unknown);
  return factor_offer(facts, factor_least + factor_part * steps);
}

Offer levels_offer(const Facts& facts) {
  const double steps = facts.far_from_null ? poor_levels_steps
                       : facts.has_nodes   ? node_levels_steps
                                           : levels_steps;
  return offer("multilevel", facts, levels_setup, levels_step, steps);
}

const CompleteCost& complete_cost(const std::string& backend) {
  return backend == "cholmod" ? cholmod : backend == "mumps" ? mumps : superlu;
}

Offer direct_offer(const Facts& facts) {
  Offer out{"direct"};
  if (!facts.fill) {
    out.note = facts.ranks > 1 ? "it is for one rank" : "not analyzed";
    return out;
  }
  const double entries = facts.entries_of_rank(), rows = static_cast<double>(facts.rows);
  const Fill& fill = *facts.fill;
  const CompleteCost& cost = complete_cost(facts.backend);
  out.setup =
      cost.order +
      (cost.row * rows + cost.entry * fill.entries + cost.work * fill.work + cost.fixed) / entries;
  out.step = (cost.step_row * rows + cost.step_entry * fill.entries + cost.step_fixed) / entries;
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

// The most steps that fit, by bisection.
template <class Fits>
double most_steps(const Fits& fits) {
  double least = 0, most = 1e5;
  while (most - least > 0.01) {
    const double middle = (least + most) / 2;
    (fits(middle) ? least : most) = middle;
  }
  return least;
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

double least_setup_of_others(const Facts& facts) {
  double least = Offer::unknown;
  for (const Offer& one : offers_for(facts))
    if (one.method != "jacobi") least = std::min(least, one.setup);
  return least;
}

double break_even_of_diagonal(Facts facts, Params params) {
  if (params.solves >= many_solves) return few_for_hierarchy;
  if (params.coarse_size > 0) params.solves = many_solves;  // levels are wanted, but not so much
  facts.fill.reset();
  return most_steps([&](double steps) {
    facts.diagonal_steps = steps;
    return diagonal_offer(facts).total(params.solves) <= total_of_others(facts, params);
  });
}

double break_even_of_factor(const Facts& facts, const Params& params) {
  const double levels = levels_offer(facts).total(params.solves);
  return most_steps(
      [&](double steps) { return factor_offer(facts, steps).total(params.solves) <= levels; });
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
