// What a stage of the hierarchy knows of other ranks. Clusters never cross the border of a rank;
// its rows couple with "ghosts", rows of other ranks, which are numbered behind its own. All
// communication of the setup is in these functions; on one rank they do nothing.
//
//   share            numbers of ghosts, from their owners
//   reach            which clusters the ghosts are in
//   coarse_entries   P^T A P: functions of ghosts are fetched, parts of rows of others sent there
//   next_border      agglomeration: a stage with few rows moves to fewer ranks
#pragma once

#include <memory>
#include <vector>

#include "pympf/la/dist_csr.hpp"
#include "pympf/precond/transfer.hpp"

namespace pympf::precond {

struct Border {
  Communicator comm;
  Layout layout;               // of the rows
  std::vector<Global> ghosts;  // ascending; all rows of a node
  std::shared_ptr<const Exchange> halo = std::make_shared<const Exchange>();

  bool alone() const { return comm.size() == 1; }

  // `width` numbers for each own row -> for each own row and ghost.
  template <class V>
  void share(std::vector<V>& values, Index width) const {
    if (alone()) return;
    const auto own = values.size();
    values.resize(own + ghosts.size() * width);
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

// The clusters of other ranks that ghosts are in: their numbers here go on after the own ones.
struct Reach {
  Layout layout;
  std::vector<Global> ghosts;

  Index known() const { return layout.own() + static_cast<Index>(ghosts.size()); }
  Global number(Index u) const {
    return u < layout.own() ? layout.first() + u : ghosts[u - layout.own()];
  }
};

// Completes the labels, of own nodes, by those of the ghosts.
Reach reach(const Border& border, Index block, Clustering& clusters);

// Completes the scaling functions of own rows and clusters by those of ghosts.
void share(const Border& border, const Reach& reach, Rotated& Q);

// Rows over columns with global numbers, `width` of them for each known cluster.
GlobalRows<double> with_global_columns(const Csr<double>& rows, const Reach& reach, Index width);

// Where the next stage lies, `width` rows for each cluster: on as many ranks as `rows_per_rank`
// lets it.
Layout next_layout(const Reach& reach, Index width, Index rows_per_rank);

// The rows of P^T A P that `to` gives to this rank, and their diagonal entries of P^T |diag A| P.
// P: own rows, width numbers for each known cluster. Collective.
struct CoarseEntries {
  GlobalRows<double> rows;
  std::vector<double> size;
};
CoarseEntries coarse_entries(const Border& border, const CsrView<double>& A,
                             const GlobalRows<double>& P, const Reach& reach, Index width,
                             const Layout& to);

// From a stage to the matrix of the next one, on several ranks: all that does not change with
// values.
struct Projection {
  Reach known;
  Index width = 1;
  Layout to;
  GlobalRows<double> P;

  CoarseEntries operator()(const Border& border, const CsrView<double>& A) const {
    return coarse_entries(border, A, P, known, width, to);
  }
  std::size_t bytes() const { return P.data.size() * (sizeof(double) + sizeof(Global)); }
};

// The border of rows in `layout` that have these columns, and of nodes with these; a node has
// `block` rows.
Border border_of(const Communicator& comm, const Layout& layout, const std::vector<Global>& columns,
                 const std::vector<Global>& nodes, Index block);

// Columns numbered by the border: own ones, then ghosts. block > 1: columns are nodes.
Csr<double> localized(const Border& border, const GlobalRows<double>& rows, Index block = 1);

// The matrix of a stage from what the projection gives, without what is rounding error. Collective.
Csr<double> assembled(const Border& border, const CoarseEntries& entries);

// The whole matrix, on every rank. Collective.
Csr<double> gathered(const Border& border, const Csr<double>& rows);

// `rows` taken apart for products with vectors that lie as `columns` says.
template <class T>
void split(const Communicator& comm, const Layout& columns, const GlobalRows<double>& rows,
           Csr<T>& own, OffDiagonal<T>& off);

}  // namespace pympf::precond
