// The matrix of the next stage.
#pragma once

#include <optional>

#include "pympf/la/csr.hpp"

namespace pympf::precond {

// P^T A P, rows sorted, R = P^T; empty when it would have more than `most`
// entries, as soon as that is seen. What is left of a component whose couplings are all inside a
// scaling function is rounding, and becomes zero: the row and the column.
std::optional<Csr<double>> coarse_product(const CsrView<double>& A, const CsrView<double>& P,
                                          const CsrView<double>& R, Global most);

}  // namespace pympf::precond
