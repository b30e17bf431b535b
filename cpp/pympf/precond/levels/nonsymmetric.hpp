// M ~ A^-1 of a matrix that need not be symmetric, as `Preconditioner` holds it.
//
//   M = D_c M' Pi D_r     Pi, D_r, D_c: rows exchanged and scaled by the matching of maximum
//   product
//                         (la/matching.hpp), or none of it
//   M'                    levels, a sparse LU or an incomplete one, all in one structure
//   (petrov.hpp):
//                         an LU is a hierarchy that ends before its first level, an incomplete LU
//                         one of a single level
//
// Which of them it is: nonsymmetric_choice.hpp.
#pragma once

#include <memory>
#include <optional>
#include <variant>
#include <vector>

#include "pympf/precond/levels/petrov.hpp"

namespace pympf::precond {

// B = Pi D_r A D_c: row i of B is row[i] of A, and its diagonal is 1. One rank.
struct Matched {
  std::vector<Index> row;
  std::vector<double> row_scale, column_scale;  // by the rows and the columns of A; signs, too
  bool exact = false;

  // Empty for a matrix that is structurally singular.
  static std::optional<Matched> of(const CsrView<double>& A);
  DistRows<double> apply(const CsrView<double>& A) const;  // with a symmetric pattern
};

// How an M is made.
struct Recipe {
  PetrovRules rules;
  std::optional<Matched> matched;
  double sign = 1;      // -1: of -A, whose diagonal is positive
  bool single = false;  // levels in float32
};

class Nonsymmetric {
 public:
  // The pattern of A is symmetric (with zeros where only the mirror image has an entry).
  // `left`: near-nullspace of A^T. Collective, as all here is but multiply_adds.
  Nonsymmetric(const DistRows<double>& A, const NearNullspace& right, const NearNullspace& left,
               Index block, const Params& params, Recipe recipe, Report& report);
  ~Nonsymmetric();

  // New values on the same pattern: keeps clusters, functions, exchanges and scales.
  void refresh(const DistRows<double>& A, Report& report);

  // z = M r, or M^T r.
  template <class T>
  void apply(bool transposed, const T* r, T* z) const;
  double multiply_adds() const;

  const Recipe& recipe() const { return recipe_; }
  bool is_singular() const;
  bool is_unstable() const;
  double lu_work() const;  // multiply-adds
  // About the norm of B^-1, B = D^-1 A or the matched matrix, by two steps of the power method.
  double amplification(const DistRows<double>& A) const;

 private:
  template <class S>
  struct Cycles;
  template <class Use>
  auto with_cycles(const Use& use) const;
  // What M' is made of.
  DistRows<double> working(const DistRows<double>& A) const;
  void tell(Report& report) const;

  Recipe recipe_;
  Index rows_ = 0;
  std::variant<std::unique_ptr<Cycles<float>>, std::unique_ptr<Cycles<double>>> cycles_;
};

}  // namespace pympf::precond
