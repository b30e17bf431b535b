// What a rank knows of the rows of others: its rows couple with "ghosts", which are numbered behind
// its own. All of it is for setups; products with a matrix that stays are in dist_csr.hpp.
//
//   border_of        which rows of others they are, and the pattern of messages for them
//   Border::share    numbers of ghosts, from their owners
//   moved_rows       rows go where another layout has them
#pragma once

#include <memory>
#include <vector>

#include "pympf/la/dist_csr.hpp"

namespace pympf {

struct Border {
  Communicator comm;
  Layout layout;               // of the rows
  std::vector<Global> ghosts;  // ascending; all rows of a node
  std::shared_ptr<const Exchange> halo = std::make_shared<const Exchange>();

  bool alone() const { return comm.size() == 1; }
  // Of a column here, among all of them.
  Global number(Index c) const {
    return c < layout.own() ? layout.first() + c : ghosts[c - layout.own()];
  }

  // `width` numbers for each own row -> for each own row and ghost.
  template <class V>
  void share(std::vector<V>& values, Index width) const {
    if (alone()) return;
    const auto own = values.size();
    values.insert(values.end(), ghosts.size() * static_cast<std::size_t>(width), V{});
    ExchangeSpace<V> space;
    halo->forward(values.data(), values.data() + own, width, space);
  }

  // y = A x for own rows A with columns of ghosts, own entries x.
  void multiply(const CsrView<double>& A, const double* x, double* y) const {
    if (alone()) return spmv(A, x, y);
    std::vector<double> shared(x, x + A.rows);
    share(shared, 1);
    spmv(A, shared.data(), y);
  }
};

// Collective.
Border border_of(const Communicator& comm, const Layout& layout, std::vector<Global> ghosts);

// The border of A when its own row order[i] becomes row i; column c of A is then column number[c].
// A node has `block` rows. Collective.
Border border_of(const DistRows<double>& A, const std::vector<Index>& order, Index block,
                 std::vector<Index>& number);

// Ascending, each once.
void sort_unique(std::vector<Global>& values);

// Where a value is, or belongs.
Index place(const std::vector<Global>& sorted, Global value);

// The rows of these nodes, `block` for each.
std::vector<Global> all_rows(const std::vector<Global>& nodes, Index block);

// Own rows of a matrix over the nodes of `from`, which have `block` rows each, where `to` has them.
// Collective.
GlobalRows<double> moved_rows(const Border& from, const Layout& to, const Csr<double>& rows,
                              Index block = 1);

// The border of rows in `layout` that have these columns, and of nodes with these; a node has
// `block` rows.
Border border_of(const Communicator& comm, const Layout& layout, const std::vector<Global>& columns,
                 const std::vector<Global>& nodes, Index block);

// Columns numbered by the border: own ones, then ghosts. block > 1: columns are nodes.
Csr<double> localized(const Border& border, const GlobalRows<double>& rows, Index block = 1);

// The whole matrix, on every rank. Collective.
Csr<double> gathered(const Border& border, const Csr<double>& rows);

// Rows with columns of `from`, taken apart for products with vectors that lie as `to` says: `rows`
// keep the own columns. Collective.
OffDiagonal<double> split(const Border& from, const Layout& to, Csr<double>& rows);

}  // namespace pympf
