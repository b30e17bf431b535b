// What was chosen, and among which offers; choice/plan.hpp chooses.
#pragma once

#include <limits>
#include <string>
#include <vector>

namespace pympf::precond {

struct Offer {
  static constexpr double unknown = std::numeric_limits<double>::infinity();

  std::string method;
  double setup = unknown, step = unknown, steps = unknown;  // in products with A; predicted
  std::string note = {};  // why it is not admissible; empty: it is

  double total(double solves) const { return setup / solves + step * steps; }  // of one solve
};

struct Plan {
  std::string method, variant, precision, krylov, reason;
  int strips = 0;
  std::vector<Offer> offers;
  std::vector<std::string> then;  // what follows where it fails
  double spent = 0;               // products with A, by the same costs, on what was left again
};

}  // namespace pympf::precond
