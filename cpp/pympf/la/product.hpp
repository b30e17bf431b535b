// R A P, the one product with two different sides. R = P^T in a congruence; a nonsymmetric
// hierarchy has other functions on the left; on many ranks P has columns that R has not. Both
// engines make their next matrix of it.
//
//   row i of R A P: w = sum_r R_ir A_r, then sum_k w_k P_k
//   cost: sum over R_ir of nnz(A_r), and over the w_k of nnz(P_k), multiply-adds
//
// The result does not depend on the number of threads.
#pragma once

#include <limits>
#include <optional>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf {

// R A P, rows sorted.
template <class T>
Csr<T> galerkin(const CsrView<T>& A, const CsrView<T>& R, const CsrView<T>& P);

// R A R^T.
template <class T>
Csr<T> galerkin(const CsrView<T>& A, const CsrView<T>& R);

// Diagonal of W A W^T.
template <class T>
std::vector<T> galerkin_diagonal(const CsrView<T>& A, const CsrView<T>& W);

// Some rows of R A P, sorted.
struct ProductRows {
  Csr<double> rows;
  std::vector<double> size;  // their diagonal of R |diag A| R^T
  Global work = 0;           // multiply-adds that they took
  // What is left of a component whose couplings are all inside a scaling function is rounding: no
  // more than 1e-13 of its size.
  std::vector<char> null;
};

inline constexpr Global unbounded = std::numeric_limits<Global>::max();

// Rows `first` to `last` - 1 of R A P with `brought` added, which has as many rows or none; empty
// when there would be more than `most` entries, as soon as that is seen.
std::optional<ProductRows> product_rows(const CsrView<double>& A, const CsrView<double>& R,
                                        const CsrView<double>& P, Index first, Index last,
                                        Global most, const ProductRows& brought = {});

// Rows and columns that are rounding become zero.
void zero_what_is_rounding(const std::vector<char>& null, Csr<double>& A);

// All of R A P, with zeros for what is rounding.
std::optional<Csr<double>> coarse_product(const CsrView<double>& A, const CsrView<double>& R,
                                          const CsrView<double>& P, Global most = unbounded);

// Its numbers where its entries are known: rows need neither be sorted nor be put together.
// `indptr` and `indices` are those of an earlier product with the same patterns.
std::vector<double> coarse_product(const CsrView<double>& A, const CsrView<double>& R,
                                   const CsrView<double>& P, const std::vector<Index>& indptr,
                                   const std::vector<Index>& indices);

}  // namespace pympf
