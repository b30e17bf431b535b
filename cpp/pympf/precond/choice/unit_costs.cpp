#include "pympf/precond/choice/unit_costs.hpp"

#include <cmath>

#include "pympf/common/error.hpp"

namespace pympf::precond::unit_costs {
namespace {

using Places = std::map<std::string, double*>;

void add(Places& out, const std::string& name, UnitCost& cost) {
  out[name + ".entry"] = &cost.entry;
  out[name + ".row"] = &cost.row;
  out[name + ".fixed"] = &cost.fixed;
}

void add(Places& out, const std::string& name, CompleteCost& cost) {
  out[name + ".order"] = &cost.order;
  out[name + ".row"] = &cost.row;
  out[name + ".entry"] = &cost.entry;
  out[name + ".work"] = &cost.work;
  out[name + ".fixed"] = &cost.fixed;
  out[name + ".step_row"] = &cost.step_row;
  out[name + ".step_entry"] = &cost.step_entry;
  out[name + ".step_fixed"] = &cost.step_fixed;
}

Places places() {
  Places out{{"basis_row", &basis_row},
             {"minres_row", &minres_row},
             {"factor_least", &factor_least},
             {"factor_part", &factor_part},
             {"levels_steps", &levels_steps},
             {"node_levels_steps", &node_levels_steps},
             {"poor_levels_steps", &poor_levels_steps}};
  add(out, "diagonal_setup", diagonal_setup);
  add(out, "diagonal_step", diagonal_step);
  add(out, "factor_setup", factor_setup);
  add(out, "factor_step", factor_step);
  add(out, "levels_setup", levels_setup);
  add(out, "levels_step", levels_step);
  add(out, "cholmod", cholmod);
  add(out, "mumps", mumps);
  add(out, "superlu", superlu);
  return out;
}

}  // namespace

std::map<std::string, double> numbers() {
  std::map<std::string, double> out;
  for (const auto& [name, place] : places()) out[name] = *place;
  return out;
}

void set(const std::string& name, double value) {
  Places all = places();
  const auto found = all.find(name);
  require(found != all.end(), "expected the name of a unit cost, as levels_step.entry, got '", name,
          "'");
  require(std::isfinite(value) && value >= 0, "expected a cost of ", name, " in products with A, ",
          "0 or more, got ", value);
  *found->second = value;
}

}  // namespace pympf::precond::unit_costs
