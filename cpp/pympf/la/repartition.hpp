// Rows on other ranks than where the caller has them: a matrix is moved there, vectors go there and
// come back. On its new rank the rows keep their order.
#pragma once

#include <vector>

#include "pympf/la/dist_rows.hpp"

namespace pympf {

class Repartition {
 public:
  // Own row i goes to rank parts[i]. Collective, as all is that follows.
  Repartition(const Communicator& comm, const std::vector<int>& parts);

  Index own() const { return layout_.own(); }  // rows that are on this rank after the move

  template <class T>
  DistRows<T> forward(const DistRows<T>& A) const {
    return move_rows(A, layout_, targets_);
  }
  // m numbers for each row.
  template <class T>
  void forward(const T* from, T* to, Index m, ExchangeSpace<T>& space) const {
    moves_.forward(from, to, m, space);
  }
  template <class T>
  void backward(const T* from, T* to, Index m, ExchangeSpace<T>& space) const {
    moves_.backward(from, to, m, space);
  }

 private:
  Layout layout_;
  std::vector<Global> targets_;  // of own rows
  Exchange moves_;
};

}  // namespace pympf
