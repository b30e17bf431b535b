// The matrix of the next stage.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf::precond {

// Some rows of P^T A P, sorted.
struct ProductRows {
  Csr<double> rows;
  std::vector<double> size;  // their diagonal of P^T |diag A| P
  Global work = 0;           // multiply-adds that they took
  // What is left of a component whose couplings are all inside a scaling function is rounding: no
  // more than 1e-13 of its size.
  std::vector<char> null;
};

// Rows `first` to `last` - 1 of R A P, R = P^T, with `brought` added, which has as many rows or
// none; empty when there would be more than `most` entries, as soon as that is seen.
std::optional<ProductRows> product_rows(const CsrView<double>& A, const CsrView<double>& P,
                                        const CsrView<double>& R, Index first, Index last,
                                        Global most, const ProductRows& brought = {});

// Rows and columns that are rounding become zero.
void zero_what_is_rounding(const std::vector<char>& null, Csr<double>& A);

// All of it.
std::optional<Csr<double>> coarse_product(const CsrView<double>& A, const CsrView<double>& P,
                                          const CsrView<double>& R,
                                          Global most = std::numeric_limits<Index>::max());

// Its numbers where its entries are known: rows need neither be sorted nor be put together.
// `indptr` and `indices` are those of an earlier product with the same patterns.
std::vector<double> coarse_product(const CsrView<double>& A, const CsrView<double>& P,
                                   const CsrView<double>& R, const std::vector<Index>& indptr,
                                   const std::vector<Index>& indices);

}  // namespace pympf::precond
