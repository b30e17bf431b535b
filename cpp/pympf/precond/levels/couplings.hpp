// The graph that decides which rows belong together, and the clusters along its strong edges.
//
// T-chain: w_ij = -b_i a_ij b_j where that is positive, and on the next stage W' = S^T W S without
// its diagonal, S the 0/1 matrix of the clusters. It stays a graph of about the same degree while
// the lifted matrices grow, and all its weights stay positive.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"
#include "pympf/precond/params.hpp"

namespace pympf::precond {

// Positive symmetric weights, no diagonal, sorted rows. Columns behind the own nodes are ghosts
// (border.hpp): they take part in the weights of clusters, but in none of this rank.
using Graph = Csr<double>;

// Row i of the matrix belongs to node i / block. With one row per node, weights -a_ij <B_i, B_j>,
// where B_i are the `vectors` numbers of row i; with several, the Frobenius norm of
// D_I^-1/2 A_IJ D_J^-1/2, d the diagonal of own rows and ghosts.
Graph couplings(const CsrView<double>& A, const double* B, Index block, Index vectors,
                const std::vector<double>& d);
Graph couplings(const CsrView<double>& A, const double* B, Index block, Index vectors = 1);

struct Clustering {
  Index count = 0;
  // Of each node; -1: no coupling at all, the smoother solves it exactly. Ghosts have numbers from
  // `count` on.
  std::vector<Index> label;
};

// The own nodes of cluster u, ascending: nodes[ptr[u]] .. nodes[ptr[u + 1] - 1].
struct Members {
  std::vector<Index> ptr, nodes;
};

Members members_of(const Clustering& clusters);

// A node j follows its neighbour i when w_ij >= theta max_k w_jk.
Clustering cluster(const Graph& W, Shape shape, double theta, Index largest);

// `known`: clusters with those of ghosts; 0: as many as there are.
Graph contract(const Graph& W, const Clustering& clusters, Index known = 0);

}  // namespace pympf::precond
