// The active columns of one cluster while rotations are found: their inner products and their
// couplings.
//   paper            code
//   U                columns of A_{p-1} that form the cluster
//   G = U^T U        Entry::g, norm2 on the diagonal
//   [A]_{B_u,B_u}    Entry::a, diagonal on the diagonal
// Both are kept as one sparse symmetric matrix with sorted rows: on a mesh a row has a dozen
// entries however large the cluster is. Entries of retired columns stay behind until a row is half
// dead.
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"
#include "pympf/mmf/params.hpp"

namespace pympf::mmf {

class ClusterGram {
 public:
  struct Entry {
    Index column;
    double g, a;
  };

  // `members` are the columns of the cluster; position[j] - first is the local number of column j
  // when j is in it.
  template <class T>
  void build(const CsrView<T>& A, const T* diagonal, const std::vector<Index>& position,
             const Index* members, Index first, Index size, Index hub_limit, Gram gram);

  Index size() const { return static_cast<Index>(active.size()); }
  const std::vector<Entry>& row(Index i) const { return rows_[i]; }

  // Replaces the columns index[0..k) by O times them; those from `kept` on retire.
  void rotate(const Index* index, const double* O, Index k, Index kept);

  // Entry (i, j), zero when absent.
  Entry at(Index i, Index j) const;

  std::vector<char> active;
  std::vector<double> norm2;     // G_ii
  std::vector<double> diagonal;  // A_ii
  std::vector<char> isolated;    // couplings in the whole column are rounding errors
  double rounding = 0;           // of inner products, relative to the norms of their columns

 private:
  void begin(Index size);
  void end_row(Index i);
  void store(Index i, Index j, double g, double a);
  void drop_dead(Index i);
  void collect(const Index* index, Index k);
  void rotate_block(const Index* index, const double* O, Index k);

  std::vector<std::vector<Entry>> rows_;
  std::vector<Index> dead_;  // retired columns among the entries of a row
  // scratch
  std::vector<double> g_, a_;
  std::vector<Index> slot_, touched_;
  std::vector<double> mixed_;  // k inner products, then k couplings of each touched column
  std::vector<std::vector<Entry>> fresh_;
};

}  // namespace pympf::mmf
