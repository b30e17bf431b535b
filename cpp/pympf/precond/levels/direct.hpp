// M = A^-1 with the signs of A, by a sparse direct factor (la/sparse_factor).
#pragma once

#include <memory>
#include <optional>

#include "pympf/common/pool.hpp"
#include "pympf/la/sparse_factor/sparse_factor.hpp"
#include "pympf/precond/params.hpp"
#include "pympf/precond/report.hpp"

namespace pympf::precond {

// A factor L of more entries is refused: 0.4 GB, or 1.2 GB with U.
inline constexpr double most_factor_entries = 5e7;

// What `params` ask of a factor.
FactorRequest request_for(MatrixKind kind, const Params& params);

bool is_available(const FactorRequest& request);
std::string why_not_available(const FactorRequest& request);

// Puts what a factor of the matrix of a level is into the report. False, with the reason, where it
// would have too many entries.
bool is_small_enough(const SparseFactor& factor, Report& report);
void describe(const SparseFactor& factor, Global nnz, LevelReport& line, Report& report);

class Direct {
 public:
  // What a factorization may cost: small, no more than MINRES would take.
  enum class Cost { small, any };

  // `kind`: definite, where A may be; then it is looked at as symmetric if it is not. Empty when it
  // is not available; then the report says why. M is positive definite if A is, as the report says,
  // and also if A is singular and semidefinite, and was taken for definite.
  static std::optional<Direct> factor(const CsrView<double>& A, MatrixKind kind,
                                      const Params& params, Report& report, Cost most = Cost::any);

  // The same for a definite or semidefinite A, in two steps. The first one is null where nothing
  // factors such a matrix.
  static std::shared_ptr<SparseFactor> analysis(const CsrView<double>& A, const Params& params,
                                                double most_entries = most_factor_entries);
  static std::optional<Direct> analyzed(const CsrView<double>& A,
                                        std::shared_ptr<SparseFactor> factor, Report& report);

  template <class T>
  void apply(const T* r, T* z) const;
  double multiply_adds() const { return factor_->multiply_adds(); }  // of an application

 private:
  // By a factor of `raised`, which is A but for its diagonal.
  static std::optional<Direct> of(const CsrView<double>& A, const CsrView<double>& raised,
                                  std::shared_ptr<SparseFactor> factor, Report& report);
  static std::optional<Direct> definite(const CsrView<double>& A, const Params& params,
                                        Report& report);
  // x^T A x / x^T D x for x = A^-1 b, b of random signs.
  double least_quotient(const CsrView<double>& A) const;
  Direct(const CsrView<double>& A, std::shared_ptr<SparseFactor> factor, Report& report);

  Index rows_;
  std::shared_ptr<SparseFactor> factor_;
  // Behind a pointer: a pool does not move.
  std::unique_ptr<Pool<std::vector<double>>> spaces_ =
      std::make_unique<Pool<std::vector<double>>>();
};

}  // namespace pympf::precond
