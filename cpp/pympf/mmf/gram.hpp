// The active columns of one cluster while rotations are found: their inner products and their
// couplings.
//   paper            code
//   U                columns of A_{p-1} that form the cluster
//   G = U^T U        Entry::g, norm2 on the diagonal
//   [A]_{B_u,B_u}    Entry::a, diagonal on the diagonal
// Both are kept as one sparse symmetric matrix: on a mesh a row has a dozen entries however large
// the cluster is. Rows are in no order. Each entry knows the place of its mirror image, so a
// rotation finds what it changes without searching: it costs O(entries of its k rows).
#pragma once

#include <vector>

#include "pympf/la/csr.hpp"
#include "pympf/mmf/params.hpp"

namespace pympf::mmf {

class ClusterGram {
 public:
  struct Entry {
    Index column, mirror;  // entry (i, column) is the mirror image of row(column)[mirror]
    double g, a;
  };

  // `members` are the columns of the cluster; position[j] - first is the local number of column j
  // when j is in it.
  template <class T>
  void build(const CsrView<T>& A, const T* diagonal, const std::vector<Index>& position,
             const Index* members, Index first, Index size, Index hub_limit, Gram gram);

  Index size() const { return static_cast<Index>(active.size()); }
  // Entries with active columns other than i.
  const std::vector<Entry>& row(Index i) const { return rows_[i]; }

  // Replaces the columns index[0..k) by O times them; those from `kept` on retire.
  void rotate(const Index* index, const double* O, Index k, Index kept);

  // Entry (i, j), zero when absent.
  Entry at(Index i, Index j) const;

  std::vector<char> active;
  std::vector<double> norm2;     // G_ii
  std::vector<double> diagonal;  // A_ii
  std::vector<char> isolated;    // no off-diagonal entry in the whole column

 private:
  template <class T>
  void find_local_rows(const CsrView<T>& A, const std::vector<Index>& position,
                       const Index* members, Index first, Index size);
  void link(Index i, Index j, double g, double a);
  void remove(Index i, Index place);
  void collect(const Index* index, Index k);
  void rotate_block(const Index* index, const double* O, Index k, Index kept);
  void rotate_touched(std::size_t t, const Index* index, const double* O, Index k, Index kept);

  std::vector<std::vector<Entry>> rows_;
  // The cluster's diagonal block of A: row l has local columns and values from local_ptr_[l] on.
  std::vector<Index> local_ptr_, local_column_;
  std::vector<double> local_value_;
  // scratch
  std::vector<double> g_, a_;
  std::vector<Index> slot_, touched_;
  std::vector<double> mixed_;  // k inner products, then k couplings of each touched column
  std::vector<Index> places_;  // of the k entries in the row of each touched column, or -1
};

}  // namespace pympf::mmf
