// What is kept of H at the end of a run: a core of k rows and k columns whole, and of the rest few
// entries.
//
// Core: the row or column with the smallest sum of squares, diagonal blocks left out (those stay
// anyway), leaves first, until k rows and k columns remain. Of the symmetric and skew kinds a group
// leaves with its rows and columns. Rest, of n x m outside the core:
//
//   diagonal   what stands in the diagonal blocks: the matched entries, the 2 x 2 blocks
//   top        the largest entries
//   greedy     the largest entries, no two in one row or column (thesis, section 2.4.2, third way)
#pragma once

#include <string>
#include <vector>

#include "pympf/approx/stages.hpp"

namespace pympf::approx {

enum class Sparsify { diagonal, top, greedy };
Sparsify sparsify_from_name(const std::string& name);

struct Core {
  std::vector<char> rows, columns;  // of each position, whether it is in the core
};

// Of `size` rows and columns over the positions of B; `width` positions are a group.
Core choose_core(const Csr<double>& B, const Pairing& pairing, Index width, bool both_sides,
                 Index size);

struct Kept {
  std::vector<char> entries;  // of each stored entry of B, whether it is kept
  double left_out2 = 0;       // sum of squares of the others
};

// Outside the core at most `entries` entries are kept, unless the rule is `diagonal`.
Kept sparsify(const Csr<double>& B, const Core& core, Index width, Sparsify rule, Global entries);

// The sum of squares of all but the `count` largest entries of B, for each count.
std::vector<double> left_out2(const Csr<double>& B, const std::vector<Global>& counts);

}  // namespace pympf::approx
