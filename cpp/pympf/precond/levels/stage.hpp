// The matrix of one level on the way of the setup, and how the first one comes from the caller's.
#pragma once

#include <type_traits>
#include <utility>
#include <vector>

#include "pympf/precond/levels/border.hpp"
#include "pympf/precond/levels/couplings.hpp"
#include "pympf/precond/levels/transfer.hpp"
#include "pympf/precond/params.hpp"
#include "pympf/precond/smoothers/domains.hpp"

namespace pympf::precond {

// The matrix, its graph and its near-nullspace on one level: rows of this rank, with columns for
// their ghosts, which B has numbers for too.
struct Stage {
  Csr<double> A;
  Graph W;
  NearNullspace B;
  Domains domains;
  Index block = 1;
  Border border;

  Index nodes() const { return A.rows / block; }
  Global rows() const { return border.alone() ? A.rows : border.layout.total(); }
  Global nnz() const { return border.comm.sum(Global{A.nnz()}); }
};

// The matrix in the order of the first level, times `scale`; the rest of the first stage follows
// when the smoother is there. Collective.
Stage first_stage(const DistRows<double>& A, double scale, Index block, const Params& params);

// Own rows and all columns in `order`, times `scale`, and their border. Collective.
Csr<double> ordered(const DistRows<double>& A, const std::vector<Index>& order, Index block,
                    double scale, Border& border);

std::vector<Index> natural_order(Index rows);

// The power of two that brings the largest entry to [1, 2).
double range_factor(const Communicator& comm, const CsrView<double>& A);

template <class V>
void permute_rows(V& values, const std::vector<Index>& order, Index width) {
  V out(values.size());
  for (std::size_t i = 0; i < order.size(); ++i)
    std::copy_n(&values[static_cast<std::size_t>(order[i]) * width], width, &out[i * width]);
  values = std::move(out);
}

// `unrounded`, unless it is null, gets the numbers when they are rounded.
template <class T>
Csr<T> cast(Csr<double>&& A, std::vector<double>* unrounded = nullptr) {
  if constexpr (std::is_same_v<T, double>) {
    return std::move(A);
  } else {
    Csr<T> out{
        A.rows, A.cols, std::move(A.indptr), std::move(A.indices), {A.data.begin(), A.data.end()}};
    if (unrounded) *unrounded = std::move(A.data);
    return out;
  }
}

template <class T>
OffDiagonal<T> cast(OffDiagonal<double> A) {
  return {std::move(A.halo), std::move(A.rows), cast<T>(std::move(A.block)), {}};
}

}  // namespace pympf::precond
