// Vectors of blocks that are dealt out to the ranks in turn: block i lives on rank i % size.
#pragma once

#include <algorithm>

#include "pympf/mpi/comm.hpp"
#include "pympf/sketch/blocks.hpp"

namespace pympf::sketch {

// Collective: gives all ranks the vector whose own blocks each of them brings. `length` numbers
// make a block.
template <class T>
void gather_cyclic(const Communicator& comm, const std::vector<T>& own, Index blocks,
                   std::size_t length, T* all) {
  const std::vector<T> parts = comm.all_gather(own);
  const T* from = parts.data();
  for (int rank = 0; rank < comm.size(); ++rank) {
    for (Index i = rank; i < blocks; i += comm.size(), from += length)
      std::copy_n(from, length, all + static_cast<std::size_t>(i) * length);
  }
}

}  // namespace pympf::sketch
