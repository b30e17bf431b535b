// The dense solve on the last level.
#pragma once

#include "pympf/precond/levels/level.hpp"
#include "pympf/precond/report.hpp"

namespace pympf::precond {

// The pseudo-inverse of the last matrix, D (D A D)^+ D with the units D of its rows: |D A D|^+ when
// it has negative eigenvalues. Collective.
template <class T>
void build_coarse(const Border& border, const Csr<double>& A, Levels<T>& out, LevelReport& line,
                  Report& report);

// Rows at which the hierarchy ends with a dense solve.
Index coarse_size(Global nnz, const Params& params);

}  // namespace pympf::precond
