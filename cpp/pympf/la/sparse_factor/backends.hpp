// What sparse_factor.cpp knows of each backend. An `analyze_` is called only where its `has_` is
// true.
#pragma once

#include "pympf/la/sparse_factor/sparse_factor.hpp"

namespace pympf::sparse_factor {

// Whether nested dissection is tried beside AMD, by the flops that AMD predicts. On the plane
// Poisson problem with 65 025 rows METIS takes 3 us a row and SCOTCH 4, the time of some 15 000
// flops, and they save at most half of the flops.
inline bool worth_dissection(double flops, Index rows) { return flops > 3e4 * rows; }

bool has_cholmod();
bool has_mumps();  // between MPI_Init and MPI_Finalize only

std::unique_ptr<SparseFactor> analyze_cholmod(const CsrView<double>& A);
std::unique_ptr<SparseFactor> analyze_mumps(const CsrView<double>& A, bool definite);
std::unique_ptr<SparseFactor> analyze_superlu(const CsrView<double>& A, bool definite);

}  // namespace pympf::sparse_factor
