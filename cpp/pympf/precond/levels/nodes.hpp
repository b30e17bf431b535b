// Unknowns of one node, found where nobody has told the block size.
#pragma once

#include "pympf/la/dist_rows.hpp"

namespace pympf::precond {

// The most rows, up to six, that look like the unknowns of one node, stored next to each other; 1
// where none do. With e_c the vector that is 1 on component c of every node and 0 elsewhere:
//   - the blocks of A are nearly full;
//   - every e_c is nearly in the nullspace:        |e_c^T A e_c| <= 0.2 e_c^T D e_c;
//   - to take 1 apart into the e_c costs nothing:  sum_c e_c^T A e_c <= 1.5 1^T A 1.
// The last two do not hold for the rows of a scalar problem, however dense. Collective.
Index find_node_size(const DistRows<double>& A);

}  // namespace pympf::precond
