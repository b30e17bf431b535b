// What sparse_factor.cpp knows of each backend. An `analyze_` is called only where its `has_` is
// true.
#pragma once

#include "pympf/la/sparse_factor/sparse_factor.hpp"

namespace pympf::sparse_factor {

bool has_cholmod();
bool has_mumps();  // between MPI_Init and MPI_Finalize only

std::unique_ptr<SparseFactor> analyze_cholmod(const CsrView<double>& A);
std::unique_ptr<SparseFactor> analyze_mumps(const CsrView<double>& A, bool definite);
std::unique_ptr<SparseFactor> analyze_superlu(const CsrView<double>& A, bool definite);

}  // namespace pympf::sparse_factor
