// FindRotationsForCluster (thesis, Algorithm 2), for rotations of any order k.
//
//   take a column i of the cluster, find its k - 1 best partners, rotate the k columns, retire
//   `eliminate` of them; repeat rotation_fraction * c / eliminate times.
//
// Which column i: the paper draws it uniformly at random from the active ones (`selection =
// random`; here without replacement until every column has had its turn). `best`, our default,
// takes them by the loss of their best partner.
//
// Which rotation: the eigenvectors O of [G], the k x k block of the Gram matrix. Where they are not
// determined, A decides: among rows of O with equal eigenvalues those that diagonalize O [A] O^T,
// and where all k columns are orthogonal the eigenvectors of [A], for those of [G] would rotate
// nothing. (The two columns of [0 a; a 0], the end of every bipartite graph, are orthogonal, and
// the paper's rule stalls; (e_1 ± e_2)/sqrt 2 retire without loss.) So columns are partners when
// G_ij or A_ij is not zero. For k = 2, with b = (A_ii - A_jj) / 2 and d = (G_ii - G_jj) / 2,
// orthogonal columns turn by tan 2 theta = A_ij / b instead of G_ij / d, and the two rows have
//     h = (A_ii + A_jj) / 2 ± r,  |row|^2 = (G_ii + G_jj) / 2 ± b d / r,  r^2 = b^2 + A_ij^2.
//
// Which row retires: the one that loses least. A retired row keeps its diagonal entry h_i =
// [QAQ^T]_ii and loses the rest of its row, off_i^2 = G_ii - h_i^2. `absolute` compares off_i, as
// the paper does; for a Laplacian the two rows of a rotated pair, (e_1 + e_2)/sqrt 2 and (e_1 -
// e_2)/sqrt 2, tie exactly there, and the smooth one, which carries the small eigenvalues, is
// thrown away half of the time (here ties retire the larger diagonal). `relative`, our default,
// compares off_i / |h_i|, the tangent of the angle between the wavelet w and A w: it vanishes when
// w is an eigenvector, and it does not change when A is scaled. Of rows that lose nothing the one
// with the larger diagonal retires, and of h and -h the latter: of an edge of weight a the rough
// one.
//
// What "zero" and "orthogonal" mean: the entries of A and G carry rounding errors, and a coupling
// of that size would be an arbitrary choice. Columns are orthogonal when |cos(U_i, U_j)| <= 64 eps,
// and a row loses nothing when off_i^2 <= 64 eps sum G_jj over its rotation (eps of the type of A;
// for float squares (64 eps)^2).
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
  // The squares that the rows chosen to retire drop beyond those that would drop least; counted for
  // Retire::automatic only, which chooses as `relative` does.
  double excess2 = 0;

  void clear() { *this = {}; }
};

// What a cluster may do in a stage: how many columns retire, and the squares that they drop at most
// (each dropped row counts with its column, so two wavelets that couple count that entry twice: an
// upper bound). `certain`: what a Gram matrix in double cannot tell from zero counts as its
// rounding.
struct Limits {
  Index retire;
  double dropped2;
  bool certain = false;
};

void find_rotations(ClusterGram& gram, const Params& params, Random random, const Limits& limits,
                    RotationList& out);

}  // namespace pympf::mmf
