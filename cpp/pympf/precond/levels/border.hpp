// What a stage of the hierarchy knows of other ranks. Clusters never cross the border of a rank;
// its rows couple with "ghosts", rows of other ranks, which are numbered behind its own. All
// communication of the setup is in these functions; on one rank they do nothing.
//
//   border_of        which rows of others they are, and the pattern of messages for them
//   share            numbers of ghosts, from their owners
//   reach            which clusters the ghosts are in
//   project          P^T A P: functions of ghosts are fetched, parts of rows of others sent there
//   moved_rows       agglomeration: a stage with few rows moves to fewer ranks
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "pympf/la/dist_csr.hpp"
#include "pympf/precond/levels/transfer.hpp"

namespace pympf::precond {

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

// Completes the labels, of own nodes, by those of the ghosts. The border of the clusters: those of
// other ranks that ghosts are in have the numbers behind the own ones.
Border reach(const Border& border, Index block, Clustering& clusters);

// Completes the scaling functions of own rows and clusters by those of ghosts.
void share(const Border& border, const Border& clusters, Rotated& Q);

// P^T A P on the ranks of its clusters.
struct Projection {
  Border border;
  Csr<double> A, R;  // R = P^T, of own rows
  Global work = 0;   // multiply-adds on this rank
};

// P has `width` columns for each of the clusters; on return they are those of the result, which
// knows more ghosts. Empty when P^T A P has more than `most` entries. With `left`, functions like
// P, R = left^T takes the place of P^T. Collective.
std::optional<Projection> project(const Border& border, const CsrView<double>& A,
                                  const Border& clusters, Index width, Global most, Csr<double>& P,
                                  Csr<double>* left = nullptr);

// The clusters that coarse rows know, `width` rows for each; without a pattern of messages.
Border clusters_known_to(const Border& clusters, const Border& coarse, Index width);

// Columns over clusters become columns over the `known` ones.
void renumber(const Border& clusters, const Border& known, Csr<double>& rows);

// Where the next stage lies: on as many ranks as `rows_per_rank` lets it.
Layout next_layout(const Layout& coarse, Index rows_per_rank);

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

}  // namespace pympf::precond
