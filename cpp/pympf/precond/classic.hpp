// The method `classic`: the factorization of the paper as a preconditioner (thesis, section 2.3.3,
// equation 2.13).
//
//   A ~ F = D Q^T H Q D,   M = |F|^-1 = D^-1 Q^T |H|^-1 Q D^-1
//
//   paper   here
//   Q, H    those of `factorization` (mmf/mmf.hpp); D = I unless it is prenormalized
//   |H|^-1  that of `inverse_`, which shares Q
//
// M is symmetric positive definite whatever A is: eigenvalues of H count by their absolute value,
// and zeros as the largest one. An application costs each rotation twice, and H once; over ranks
// the columns that change their rank between two stages, twice.
#pragma once

#include <memory>
#include <vector>

#include "pympf/common/pool.hpp"
#include "pympf/la/block.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/precond/params.hpp"
#include "pympf/precond/report.hpp"

namespace pympf::precond {

template <class T>
class Classic {
 public:
  using Factorization = std::shared_ptr<const mmf::Mmf<T>>;

  // Throws Singular where M is not finite. Collective, as all here but `factorization`.
  explicit Classic(Factorization F);

  static Classic of(const DistRows<T>& A, const mmf::Params& params,
                    const mmf::Progress& progress = {});
  // Of a matrix with other values, on the same rotations; its pattern may be another.
  Classic updated(const DistRows<T>& A) const;

  const Factorization& factorization() const { return factorization_; }
  Report report() const;
  // Z = M R = M^T R.
  void apply(const Block<const T>& R, const Block<T>& Z) const;

 private:
  double multiply_adds() const;

  Factorization factorization_;
  mmf::Mmf<T> inverse_;
  std::shared_ptr<Pool<std::vector<T>>> panels_ = std::make_shared<Pool<std::vector<T>>>();
};

}  // namespace pympf::precond
