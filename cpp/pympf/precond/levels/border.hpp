// What a stage of the hierarchy knows of other ranks: its border (la/border.hpp) and that of its
// clusters, which never cross ranks. All communication of the setup is in these functions and
// those; on one rank they do nothing.
//
//   reach            which clusters the ghosts are in
//   share            scaling functions of ghosts, from their owners
//   project          P^T A P: functions of ghosts are fetched, parts of rows of others sent there
//   next_layout      agglomeration: a stage with few rows moves to fewer ranks
#pragma once

#include <optional>
#include <vector>

#include "pympf/la/border.hpp"
#include "pympf/precond/levels/transfer.hpp"

namespace pympf::precond {

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

}  // namespace pympf::precond
