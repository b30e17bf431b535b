// Parameters of the preconditioner: those of its hierarchies, and for the method `classic` those of
// the factorization.
#pragma once

#include <vector>

#include "pympf/common/field.hpp"
#include "pympf/mmf/params.hpp"

namespace pympf::precond {

enum class Method {
  automatic,
  multilevel,
  incomplete_cholesky,
  jacobi,
  two_level,
  direct,
  classic
};
enum class CycleKind { v, w, k, additive };
enum class SmootherKind { incomplete_cholesky, gauss_seidel, chebyshev, l1_jacobi };
enum class Shape { star, triple, pair };
enum class Ordering { rcm, natural };
enum class FactorBackend { automatic, cholmod, mumps, superlu };
enum class Precision { automatic, single, working };
enum class Compensation { raise, lower };

struct Params {
  Method method = Method::automatic;
  bool definite = true;
  double solves = 10;
  CycleKind cycle = CycleKind::v;
  SmootherKind smoother = SmootherKind::incomplete_cholesky;
  int sweeps = 1;
  Shape shape = Shape::star;
  Given<double> strength = Given<double>::none(0.35);
  double strength_decay = 1;
  Given<int> cluster_size = Given<int>::none(64);
  bool lift = true;
  Given<double> lift_weight = Given<double>::none(0.72);
  double truncation = 0.07;
  double overcorrection = 1.05;
  double drop_tolerance = 0.01;
  int fill = 1;
  Compensation compensation = Compensation::raise;
  int degree = 2;
  int coarse_size = 0;
  int max_levels = 30;
  double max_complexity = 2.5;
  int relaxations = 5;
  Ordering ordering = Ordering::rcm;
  int strips = 0;
  int rows_per_rank = 2048;
  bool repartition = false;
  double most_cut = 0.1;
  Precision precision = Precision::automatic;
  FactorBackend factor_backend = FactorBackend::automatic;
  mmf::Params factorization = {};  // for the method `classic`
  double basis = 0;  // vectors that the Krylov method keeps, as GMRES does: of who calls, no field
};

// The additive cycle has best values of its own for what is not given.
Params tuned(Params params);

// With an incomplete factor that drops nothing, and with one that drops less.
Params without_drops(Params params);
Params with_fewer_drops(Params params);

// Their groups: "levels" for every method but `classic`, "classic" for that, and what all take.
const std::vector<Field<Params>>& fields();
void check(const Params& params);

// Whether the method that is asked for takes the field; one that it does not take is refused.
bool takes(const Params& params, const Field<Params>& field);
void require_taken(const Params& params, const Field<Params>& field);

}  // namespace pympf::precond
