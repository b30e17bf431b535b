// The nullspace of a matrix whose row sums vanish, as those of Laplacians do: a constant on each
// part that no entry couples to the rest. A part floats when all its row sums vanish.
#pragma once

#include <vector>

#include "pympf/la/dist_rows.hpp"

namespace pympf {

// Whether all row sums are what rounding leaves of them. Ends at the first row of a rank that is
// not. Collective.
template <class T>
bool all_rows_float(const DistRows<T>& A);

class FloatingParts {
 public:
  // Collective: rounds of messages, as many as a part has pieces on ranks behind each other.
  template <class T>
  explicit FloatingParts(const DistRows<T>& A);

  // The part of b in the nullspace: its mean on each part that floats, zero elsewhere. Collective.
  template <class T>
  std::vector<double> project(const Communicator& comm, const T* b) const;

 private:
  std::vector<Global> part_;  // of own rows: the least row of it, or -1 where it does not float
};

}  // namespace pympf
