// FindRotationsForCluster (thesis, Algorithm 2), for rotations of any order k.
//
//   take a column i of the cluster, find its k - 1 best partners, rotate the k columns, retire
//   `eliminate` of them; repeat rotation_fraction * c / eliminate times.
//
// Which column i: the paper draws it uniformly at random from the active ones (`selection =
// random`; here without replacement until every column has had its turn). `best`, our default,
// takes them by the loss of their best partner.
//
// Which rotation: the eigenvectors of the k x k block of the Gram matrix.
//
// Which row retires: the one that loses least. A retired row keeps its diagonal entry h_i =
// [QAQ^T]_ii and loses the rest of its row, off_i^2 = G_ii - h_i^2. `absolute` compares off_i, as
// the paper does; for a Laplacian the two rows of a rotated pair, (e_1 + e_2)/sqrt 2 and (e_1 -
// e_2)/sqrt 2, tie exactly there, and the smooth one, which carries the small eigenvalues, is
// thrown away half of the time (here ties retire the larger diagonal). `relative`, our default,
// compares off_i / |h_i|, the tangent of the angle between the wavelet w and A w: it vanishes when
// w is an eigenvector, and it does not change when A is scaled.
#pragma once

#include <vector>

#include "pympf/common/random.hpp"
#include "pympf/mmf/gram.hpp"

namespace pympf::mmf {

// Rotations of a cluster in order: rotation t mixes size[t] columns; index and matrix (row-major)
// lie behind each other.
struct RotationList {
  std::vector<Index> size, index;
  std::vector<double> matrix;
  std::vector<Index> retired;

  void clear() { size.clear(), index.clear(), matrix.clear(), retired.clear(); }
};

// What a cluster may do in a stage: how many columns retire, and the squares that they drop at most
// (each dropped row counts with its column, so two wavelets that couple count that entry twice: an
// upper bound).
struct Limits {
  Index retire;
  double dropped2;
};

void find_rotations(ClusterGram& gram, const Params& params, Random random, const Limits& limits,
                    RotationList& out);

}  // namespace pympf::mmf
