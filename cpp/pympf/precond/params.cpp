#include "pympf/precond/params.hpp"

namespace pympf::precond {
namespace {

const char *const levels = "levels", *const classic = "classic";

constexpr double big = 2147483647;

std::vector<Field<Params>> fields_of_cycle() {
  return {
      field(
          "method", &Params::method,
          {"auto", "multilevel", "ict", "jacobi", "two_level", "direct", "classic"},
          "Multilevel cycle, incomplete Cholesky (or LU) alone, or Jacobi; a sparse direct factor "
          "alone (one rank), or, for indefinite matrices, one stage and a factor of the next "
          "matrix; classic: |F|^-1 of the multiresolution factorization F; auto: what promises "
          "least work, with the reason in the report."),
      field(
          "cycle", &Params::cycle, {"v", "w", "k", "additive"},
          "Way through the stages; k varies from one application to the next and needs flexible CG "
          "or FGMRES; additive: no smoother, the wavelets of each cluster are solved for, all "
          "stages at once, "
          "with 0.5 for strength, 16 for cluster_size and 0.55 for lift_weight as defaults."),
      field("smoother", &Params::smoother, {"ict", "gs", "chebyshev", "l1_jacobi"},
            "Threshold incomplete Cholesky (Ajiz-Jennings), Gauss-Seidel (forward, then backward), "
            "Chebyshev polynomial, or l1-Jacobi."),
      field("sweeps", &Params::sweeps, 1, 100,
            "Smoothing steps before and after the coarse stage."),
      field("shape", &Params::shape, {"star", "triple", "pair"},
            "Clusters: a root and all that follow it, or at most three or two rows."),
      field("strength", &Params::strength, 0, 1,
            "A row follows a neighbour whose coupling is at least this part of its strongest one."),
      field("strength_decay", &Params::strength_decay, 0, 1,
            "Factor of the strength from one stage to the next."),
      field("cluster_size", &Params::cluster_size, 2, big, "Most rows (nodes) of a cluster."),
      field("lift", &Params::lift, 0, 1, "Smooth the scaling functions."),
      field("lift_weight", &Params::lift_weight, 0, 1, "Weight omega of the smoothing step."),
      field("truncation", &Params::truncation, 0, 0.99,
            "Part of each row of the lifted scaling functions that may be dropped."),
      field("overcorrection", &Params::overcorrection, 0.5, 1.9,
            "Factor of the correction that comes from the coarse stage."),
  };
}

std::vector<Field<Params>> fields_of_setup() {
  return {
      field("drop_tolerance", &Params::drop_tolerance, 0, 1,
            "The incomplete Cholesky drops below this part of a column's norm."),
      field(
          "fill", &Params::fill, 0, big,
          "The incomplete Cholesky keeps this many entries of a column more than the matrix has."),
      field("compensation", &Params::compensation, {"raise", "lower"},
            "With method ict alone, what is dropped raises the diagonal, so that the factor is "
            "positive definite, or lowers it, so that the row sums are kept: where no entry off "
            "the diagonal is positive and no row sum negative, on one rank; else it raises."),
      field("degree", &Params::degree, 1, 100, "Degree of the Chebyshev polynomial."),
      field("coarse_size", &Params::coarse_size, 0, 20000,
            "Rows at which the hierarchy ends with a dense solve; 0: max(64, cbrt(20 nnz))."),
      field("max_levels", &Params::max_levels, 1, 1000, "Most levels, with the matrix itself."),
      field("max_complexity", &Params::max_complexity, 1, 100,
            "The entries of all levels stay below this many times those of the matrix."),
      field("relaxations", &Params::relaxations, 0, 1000,
            "Steps of relaxation that adapt the constant vector when it is no near-nullspace; none "
            "when vectors are given."),
      field("ordering", &Params::ordering, {"rcm", "natural"},
            "Order of the rows: reverse Cuthill-McKee, or as given."),
      field(
          "strips", &Params::strips, 0, 4096,
          "Strips of rows that threads smooth side by side (at most that many threads help there); "
          "0: one for each 65 536 rows, at most 16. The result depends on it, not on the threads."),
      field("rows_per_rank", &Params::rows_per_rank, 1, big,
            "On several ranks: with fewer rows for each, a stage moves to fewer ranks."),
      field("definite", &Params::definite, 0, 1,
            "What auto makes for an indefinite matrix: true: |M| as far as it can, for MINRES; "
            "false: M with the signs of A (two_level or direct), for GMRES."),
      field("solves", &Params::solves, 1, big,
            "Systems that one M is for: auto weighs its setup against so many (pympf.solve: 1 by "
            "default). A block of another preconditioner, applied once in each outer iteration "
            "(fieldsplit under preonly), is to be good: give 100, and auto takes the factor alone "
            "only where it is as good as levels."),
      field("repartition", &Params::repartition, 0, 1,
            "On several ranks: move the rows to the ranks that a graph partitioner of PETSc gives "
            "them. For matrices whose ranges of rows are not compact, such as graphs in random "
            "order."),
      field("most_cut", &Params::most_cut, 0, 1,
            "On several ranks: part of the couplings that may cross ranks. When more do, and more "
            "than the surface of compact parts, rows are moved as by repartition, if a partitioner "
            "is there and cuts less than half of it; 1: never."),
      field(
          "precision", &Params::precision, {"auto", "single", "working"},
          "Numbers of the cycle: float32, those of the matrix, or float32 only above "
          "100 000 entries, where memory bounds the speed. The setup works in float64, and so does "
          "auto for matrices that are not symmetric."),
      field("factor_backend", &Params::factor_backend, {"auto", "cholmod", "mumps", "superlu"},
            "Library of sparse direct factors, if pympf was built with it: cholmod for positive "
            "definite matrices, mumps or superlu for others; auto: what promises least time."),
  };
}

// Those of the factorization behind the others. Both have rows_per_rank.
std::vector<Field<Params>> all_fields() {
  std::vector<Field<Params>> list = joined(fields_of_cycle(), fields_of_setup());
  const std::string shared = "rows_per_rank";
  for (auto& f : list)
    if (f.name != "method" && f.name != shared) f.group = levels;
  for (const auto& f : mmf::fields())
    if (f.name != shared) {
      list.push_back(field_of_part(f, &Params::factorization));
      list.back().group = classic;
    }
  for (auto& f : list)
    if (f.name == shared)
      f.assign = [assign = f.assign](Params& p, double value) {
        assign(p, value);
        p.factorization.rows_per_rank = p.rows_per_rank;
      };
  return list;
}

}  // namespace

const std::vector<Field<Params>>& fields() {
  static const std::vector<Field<Params>> list = all_fields();
  return list;
}

bool takes(const Params& params, const Field<Params>& field) {
  return field.group.empty() || (field.group == classic) == (params.method == Method::classic);
}

void require_taken(const Params& params, const Field<Params>& field) {
  const std::string method = find_field(fields(), "method").text(params);
  const bool is_other = field.group == classic;
  require(takes(params, field), field.name, is_other ? " is" : " is not",
          " a parameter of the method 'classic'", is_other ? "; the method is " + method : "");
}

Params tuned(Params params) {
  if (params.cycle != CycleKind::additive) return params;
  params.strength = params.strength.value_or(0.5);
  params.cluster_size = params.cluster_size.value_or(16);
  params.lift_weight = params.lift_weight.value_or(0.55);
  return params;
}

void check(const Params& params) {
  for (const auto& f : fields()) {
    Params copy;
    f.set(copy, f.get(params));
  }
  mmf::check(params.factorization);
}

Params without_drops(Params params) {
  params.drop_tolerance = 0;
  params.fill = std::numeric_limits<int>::max();
  return params;
}

Params with_fewer_drops(Params params) {
  params.drop_tolerance /= 10;
  params.fill = std::max(params.fill, 10);
  return params;
}

}  // namespace pympf::precond
