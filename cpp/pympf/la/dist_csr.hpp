// A matrix over the ranks as solvers multiply with it: every rank has the block of its own rows and
// columns, and an off-diagonal block of what these rows have in the columns of other ranks
// ("ghosts"). The numbers of ghosts travel while the own block is at work.
#pragma once

#include <memory>
#include <vector>

#include "pympf/la/dist_rows.hpp"
#include "pympf/la/operator.hpp"

namespace pympf {

// Empty on one rank. One product at a time: MPI is called by one thread.
template <class T>
struct OffDiagonal {
  std::shared_ptr<const Exchange> halo;  // own entries of x -> ghosts
  std::vector<Index> rows;               // those that have ghosts
  Csr<T> block;                          // their entries, over the ghosts

  struct Space {
    ExchangeSpace<T> exchange;
    std::vector<T> ghosts;
  };
  mutable Space space;

  std::size_t bytes() const {
    return block.data.size() * (sizeof(T) + sizeof(Index)) + rows.size() * sizeof(Index);
  }
};

// y = A x and r = b - A x; r may be b. `own` is the block on the diagonal; of several `lanes` the
// vectors are panels (block.hpp).
template <class T>
void spmv(const CsrView<T>& own, const OffDiagonal<T>& off, const T* x, T* y, Index lanes = 1);
template <class T>
void residual(const CsrView<T>& own, const OffDiagonal<T>& off, const T* x, const T* b, T* r,
              Index lanes = 1);
// r = b - (what A has of ghosts) x, for n rows.
template <class T>
void subtract_ghosts(const OffDiagonal<T>& off, Index n, const T* x, const T* b, T* r,
                     Index lanes = 1);
// y = A^T x, given the own block transposed.
template <class T>
void spmv_transposed(const CsrView<T>& own_transposed, const OffDiagonal<T>& off, const T* x, T* y,
                     Index lanes = 1);

template <class T>
struct DistCsr {
  Communicator comm;
  Layout layout;
  Csr<T> own;
  OffDiagonal<T> off;

  DistCsr(const DistRows<T>& A);  // collective

  void multiply(const T* x, T* y, Index lanes = 1) const { spmv(own.view(), off, x, y, lanes); }
};

// x -> A x, of blocks too. Looks at `own` and `off`, which must stay.
template <class T>
Operator<T> product_with(const CsrView<T>& own, const OffDiagonal<T>& off);

// Takes rows over own columns (below `own`) and ghosts (from `own` on) apart.
template <class S, class T>
void split(const CsrView<S>& rows, Index own, Csr<T>& diagonal, OffDiagonal<T>& off);

}  // namespace pympf
