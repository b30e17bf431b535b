// Whether the factor of the first level is all that is needed, and which factor: one that drops
// nothing, one that drops less, one that lowers the diagonal. It is there before other levels are,
// so a few steps of CG with it tell what it is worth.
#pragma once

#include "pympf/precond/levels/first_level.hpp"

namespace pympf::precond {

template <class T>
struct FirstFactor final : FirstLevelRule<T> {
  void prepare(const Stage& stage, Global entries, Params& params,
               Levels<T>& levels) const override;
  bool is_exact(const FirstLevel<T>& first) const override;
  bool is_enough(const FirstLevel<T>& first) const override;
  bool is_still_enough(const CsrView<double>& A, const Levels<T>& levels,
                       const Params& params) const override;
  bool may_lower_diagonal(const CsrView<double>& A, const Border& border,
                          const Params& params) const override;
};

}  // namespace pympf::precond
