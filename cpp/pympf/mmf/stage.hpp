// One stage of the factorization: Q_p = block-diagonal over clusters, each block a product of
// k-point rotations (thesis, eq. 2.3 and 2.4), and the split of the rotated columns into those that
// stay active and those that retire.
//
// Positions 0 .. rows-1 number the active columns cluster by cluster; inside a cluster those that
// stay active come first, those that retire follow in the order of their rotations. The
// coefficients of a stage are [active | wavelets]: the wavelets lie as their positions do, and
// `destination` sends the active ones to their places in the cluster order of the next stage. So a
// transform streams each stage once: the rotations in order, one copy, one scatter of the active
// part.
#pragma once

#include <array>
#include <vector>

#include "pympf/la/csr.hpp"

namespace pympf::mmf {

template <class T>
struct Stage {
  struct Rotation {
    Index k;
    const Index* index;  // positions
    const T* matrix;     // k x k row-major; for a pair only (c, s), standing for [[c, s], [-s, c]]
  };

  Index rows = 0, kept = 0;
  bool pairs = true;  // every rotation mixes two columns
  std::vector<Index>
      cluster_ptr;  // first position of each cluster; the last "cluster" holds the bypassed columns
  std::vector<Index> active_ptr;    // how many columns of the clusters before stay active
  std::vector<Index> rotation_ptr;  // first rotation of each cluster
  std::vector<Index> index;
  std::vector<T> matrix;
  std::vector<std::size_t> index_start, matrix_start;  // of each rotation, when not all are pairs
  std::vector<Index> destination;                      // of the active columns

  Index clusters() const { return static_cast<Index>(cluster_ptr.size()) - 1; }
  Index rotations() const { return rotation_ptr.empty() ? 0 : rotation_ptr.back(); }
  Rotation rotation(Index t) const {
    if (pairs)
      return {2, &index[2 * static_cast<std::size_t>(t)], &matrix[2 * static_cast<std::size_t>(t)]};
    return {static_cast<Index>(index_start[t + 1] - index_start[t]), &index[index_start[t]],
            &matrix[matrix_start[t]]};
  }
  // The active columns of cluster u: the first of its positions, and their places in `destination`.
  Index active(Index u) const { return active_ptr[u + 1] - active_ptr[u]; }
  // Coefficient of the first wavelet of cluster u.
  Index wavelets(Index u) const { return kept + cluster_ptr[u] - active_ptr[u]; }
  std::size_t bytes() const {
    return sizeof(Index) * (cluster_ptr.size() + active_ptr.size() + rotation_ptr.size() +
                            index.size() + destination.size()) +
           sizeof(T) * matrix.size() +
           sizeof(std::size_t) * (index_start.size() + matrix_start.size());
  }
};

// Rotates positions of one cluster in place, forward (Q_p) or backward (Q_p^T); v holds m numbers
// per position.
template <class T>
void rotate_cluster(const Stage<T>& stage, Index u, T* v, Index m);
template <class T>
void rotate_cluster_back(const Stage<T>& stage, Index u, T* v, Index m);

// The rows of Q_p as a sparse matrix: row = coefficient, column = number of the column in A_{p-1},
// which is members[position] (or the position itself when members is null). `first` and `last`
// bound the coefficients wanted.
template <class T>
Csr<T> stage_functions(const Stage<T>& stage, const Index* members, Index first, Index last);

}  // namespace pympf::mmf
