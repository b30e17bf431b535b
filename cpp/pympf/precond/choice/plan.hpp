// choose(facts, params) -> Plan: what to build, before anything is built.
//
// Every admissible offer states its setup and a step of CG with it in products with A
// (unit_costs.hpp) and how many steps it is predicted to take; the least total for `solves`
// right-hand sides wins. What is no matter of cost is a rule with a name:
//
//   asked       a method, one level, an additive cycle or a smoother is asked for
//   signs       a diagonal that is not positive is for methods of indefinite matrices
//   networks    most rows have few or many neighbours, and there are few rows: a complete factor
//               or one that drops less is looked at before levels (probes.hpp)
//   hierarchy   who gives a size of the coarse solve or many solves wants levels, not their time:
//               the diagonal has to promise as few steps as these (few_for_hierarchy)
//
// The factor of the first level is the first thing that levels need. So `multilevel` begins with
// it, and a probe of it says whether it is enough alone (probes.hpp): the offer `ict`.
#pragma once

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "pympf/la/sparse_factor/sparse_factor.hpp"
#include "pympf/precond/params.hpp"
#include "pympf/precond/plan.hpp"

namespace pympf::precond {

// So many solves want an M that is good, whose setup hardly counts; and so few steps are as good.
inline constexpr double many_solves = 100;
inline constexpr int few_for_hierarchy = 12;

// What one pass over A tells (facts.hpp), and what probes and analyses have added.
struct Facts {
  Global rows = 0, entries = 0;
  int ranks = 1;
  bool is_double = true;
  bool positive_diagonal = true;         // in all rows but those of zeros
  bool far_from_null = false;            // no vectors are given, and constants are none
  bool has_nodes = false;                // none are given, and rows look like those of nodes
  bool negative_sums = false;            // of most rows, as of shifted Laplacians
  bool small_sums = false;               // of all rows, as of Laplacians
  bool has_negative_eigenvalue = false;  // for sure
  std::optional<double> diagonal_steps;  // of CG with the diagonal
  std::optional<Fill> fill;              // of a complete factor
  std::string backend;                   // which makes that
  double basis = 0;                      // vectors that GMRES keeps; of CG and MINRES none

  void take(const FactorAnalysis& analysis) {
    fill = analysis.fill;
    backend = analysis.backend;
  }

  double row_entries() const {
    return rows > 0 ? static_cast<double>(entries) / static_cast<double>(rows) : 1;
  }
  double entries_of_rank() const {
    return static_cast<double>(std::max<Global>(entries, 1)) / ranks;
  }
};

// jacobi, ict, multilevel, direct. What the facts do not tell is unknown.
std::vector<Offer> offers_for(const Facts& facts);
const Offer& offer_of(const std::vector<Offer>& offers, const std::string& method);

Plan choose(const Facts& facts, const Params& params);

// In a line: the totals of the offers for one of so many solves.
std::string text(const Plan& plan, double solves);

// The total of the cheapest offer but that of the diagonal, and the least of their setups.
double total_of_others(const Facts& facts, const Params& params);
double least_setup_of_others(const Facts& facts);

// Steps with the diagonal, and with a factor that is there, that cost as much as what would come
// after them.
double break_even_of_diagonal(Facts facts, Params params);
double break_even_of_factor(const Facts& facts, const Params& params);

}  // namespace pympf::precond
