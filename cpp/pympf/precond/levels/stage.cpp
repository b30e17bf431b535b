#include "pympf/precond/levels/stage.hpp"

#include <numeric>

#include "pympf/la/blas1.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/levels/level.hpp"
#include "pympf/precond/smoothers/ordering.hpp"

namespace pympf::precond {

std::vector<Index> natural_order(Index rows) {
  std::vector<Index> order(rows);
  std::iota(order.begin(), order.end(), 0);
  return order;
}

double range_factor(const Communicator& comm, const CsrView<double>& A) {
  return power_of_two(comm.max(largest_magnitude(A.nnz(), A.data)));
}

Csr<double> ordered(const DistRows<double>& A, const std::vector<Index>& order, Index block,
                    double scale, Border& border) {
  if (A.comm.size() == 1) return permuted(A.rows, order, scale);
  std::vector<Index> number;
  border = border_of(A, order, block, number);
  const Index cols = A.own() + static_cast<Index>(border.ghosts.size());
  return permuted(A.rows, order, number, cols, scale);
}

Stage first_stage(const DistRows<double>& A, double scale, Index block, const Params& params) {
  const bool alone = A.comm.size() == 1;
  const Csr<double> pattern = alone ? Csr<double>() : diagonal_pattern(A);
  const CsrView<double> own = alone ? A.rows : pattern.view();
  const bool keep = params.ordering == Ordering::natural || own.rows == 0 || is_banded(own);
  Stage stage;
  stage.block = block;
  stage.domains = cut(own, keep ? natural_order(own.rows) : reverse_cuthill_mckee(own, block),
                      block, params.strips);
  stage.A = ordered(A, stage.domains.order, block, scale, stage.border);
  return stage;
}

}  // namespace pympf::precond
