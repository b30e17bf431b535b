// The run of rotations behind A ~ P H Q^T (thesis, section 2.4.2), S ~ P H P^T and, for a
// skew-symmetric matrix, K ~ P H P^T with 2 x 2 blocks (section 2.4.1), on all of A and in stages:
//
//   gains    g_ij = ||B_ij||^2 + ||B_ji||^2 of the groups i < j (a row with its column; a pair)
//   tau      a quarter of the last one, but not below the gain that would use up the rotations left
//            and a few more, of which the best are kept
//   parts    the graph of gains above tau, heaviest edge first, no part above 512 rows
//   rotate   each part as a dense block, best gain first, until none is above tau (local.hpp)
//   B        <- P_s^T B Q_s, and the smallest entries are dropped within what `drop` allows
//
// No row retires: a hub is rotated many times, and the core is chosen at the end. Parts are
// independent of each other and shared out to threads; the order of the rotations is that of parts.
//
//   paper              code
//   P_1 ... P_L, Q     rotations, in stages and parts
//   H                  B, before it is made sparse
//   row, column        where row and column of a position are in A; -1: a position without one
//
// Cost: a pass over the gains, a sort of those above tau, the dense blocks, and for each rotation
// the entries of its two rows and two columns.
#pragma once

#include <algorithm>
#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "pympf/approx/local.hpp"
#include "pympf/approx/sparse_row.hpp"
#include "pympf/common/pool.hpp"
#include "pympf/la/csr.hpp"

namespace pympf::approx {

// Which row and which column of A are at each position; positions of one group follow each other.
struct Pairing {
  std::vector<Index> row, column;
  bool exact = true;  // of the matching behind it
};

// By a matching of maximum sum on a_ij^2, greedy where it would take too long.
Pairing pair_direct(const CsrView<double>& A);
// Each row with its own column.
Pairing pair_symmetric(const CsrView<double>& A);
// Heaviest |k_ij| first; of an odd order the row left over comes first, behind a position without.
Pairing pair_skew(const CsrView<double>& K);

struct StageLine {
  double threshold = 0;  // tau / ||A||^2
  Global parts = 0, largest = 0, rotations = 0, nnz = 0;
  double dropped = 0;  // ||what this stage dropped|| / ||A||
  double seconds = 0;
};

enum class Stop { rotations, no_gain, max_fill };
const char* name(Stop stop);

struct RunParams {
  double drop = 0.03;    // of ||A||, in all
  double max_fill = 20;  // nnz(B) / nnz(A): a stage beyond it is given up and ends the run
  Global rotations = 0;  // that `drop` is shared out over
};

template <class Rotation>
class Run {
 public:
  // A: sorted rows without duplicates, finite; for the symmetric and skew kinds exactly so.
  Run(const CsrView<double>& A, Pairing pairing, const RunParams& params);

  // Goes on until there have been so many rotations in all, or the run ends for another reason.
  Stop advance(Global rotations);

  // B = 2^-exponent times P^T A Q over positions.
  const Csr<double>& B() const { return B_; }
  int exponent() const { return exponent_; }
  double norm2() const { return norm2_; }        // of the scaled A
  double dropped2() const { return dropped2_; }  // sum of squares, scaled
  double dropped() const { return dropped_; }    // sum of the norms of what stages dropped, scaled
  const Pairing& pairing() const { return pairing_; }
  const std::vector<Rotation>& rotations() const { return rotations_; }
  // First rotation of every part, and their number; first part of every stage, and their number.
  const std::vector<Index>& parts() const { return parts_; }
  const std::vector<Index>& stages() const { return stages_; }
  const std::vector<StageLine>& lines() const { return lines_; }
  std::size_t bytes() const;  // of a factorization that keeps no entries
  Index rows() const { return rows_; }
  Index cols() const { return cols_; }

 private:
  struct Edge {
    double gain;
    Index i, j;
  };
  struct Part {
    std::vector<Index> groups;
    std::vector<Rotation> rotations;
    std::vector<double> gains;
  };
  using Edges = std::vector<std::vector<Edge>>;  // chunk after chunk
  Stop run_stages(Global rotations);
  Edges gains(Global left) const;
  double least_gain(Global left) const;
  Global enough_gains(Global left) const;
  void add_gains_of_row(Index i, double least, std::vector<Edge>& found) const;
  void add_gains_of_group(Index i, std::vector<double>& sum, std::vector<Index>& touched,
                          std::vector<Edge>& found) const;
  bool lower_threshold(const Edges& edges, Global left);
  std::vector<Part> parts_of(const Edges& edges) const;
  void rotate_parts(std::vector<Part>& parts) const;
  static Global count(const std::vector<Part>& parts);
  double most_nnz() const { return params_.max_fill * std::max<double>(1, first_nnz_); }
  static void keep_best(std::vector<Part>& parts, Global most);
  void turn(const Csr<double>& B, const std::vector<Part>& parts, Side side, Csr<double>& out);
  double drop_smallest(Csr<double>& B, Global done);
  void append(const std::vector<Part>& parts);

  RunParams params_;
  Pairing pairing_;
  Index rows_, cols_, groups_;
  Csr<double> B_;
  bool flipped_ = false;  // B_ is B^T: stages begin with the side that the last one ended with
  // Memory of stages: pages that are given back and taken anew cost more than what is done in them.
  Csr<double> turned_, between_;
  std::vector<SparseRow> moved_;  // rows of parts
  Pool<RowMemory> memory_;
  std::vector<Global> above_diagonal_;  // entries, by their squares
  Index rounds_ = 0;
  Global first_nnz_ = 0;
  int exponent_ = 0;
  double norm2_ = 0, dropped2_ = 0, dropped_ = 0, threshold_ = 0;
  std::vector<Rotation> rotations_;
  std::vector<Index> parts_{0}, stages_{0};
  std::vector<StageLine> lines_;
};

}  // namespace pympf::approx
