// Rows that are worked on by other ranks than the caller's.
#pragma once

#include <vector>

#include "pympf/la/block.hpp"
#include "pympf/la/repartition.hpp"
#include "pympf/precond/levels/transfer.hpp"

namespace pympf::precond {

// Where the rows are worked on when that is not where the caller has them.
template <class T>
struct Repartitioned {
  Repartition repartition;
  ExchangeSpace<T> exchange;
  std::vector<T> r, z, moved_r, moved_z;  // panels of the caller, and of the rows that moved

  Repartitioned(const Communicator& comm, const std::vector<int>& parts)
      : repartition(comm, parts) {}

  // The columns of a panel by `M`, which works on the rows that have moved.
  template <class M>
  void apply(const Block<const T>& R, const Block<T>& Z, Index first, Index count, Index lanes,
             const M& moved) {
    const auto k = static_cast<std::size_t>(lanes);
    r.resize(k * R.n);
    z.resize(k * R.n);
    moved_r.resize(k * repartition.own());
    moved_z.resize(k * repartition.own());
    to_panel(R, first, count, lanes, r.data());
    repartition.forward(r.data(), moved_r.data(), lanes, exchange);
    const Block<T> out(repartition.own(), moved_z.data(), lanes);
    moved.apply(Block<const T>(repartition.own(), moved_r.data(), lanes), out);
    repartition.backward(moved_z.data(), z.data(), lanes, exchange);
    from_panel(z.data(), lanes, Z, first, count);
  }

  NearNullspace forward(const NearNullspace& B) const {
    NearNullspace out{B.vectors, {}};
    out.values.resize(static_cast<std::size_t>(repartition.own()) * B.vectors);
    ExchangeSpace<double> space;
    repartition.forward(B.values.data(), out.values.data(), B.vectors, space);
    return out;
  }
};

}  // namespace pympf::precond
