// Q = Q_L ... Q_2 Q_1: the stages, and the fast wavelet transform x -> Q x (thesis, section 2.1).
// Coefficients are ordered [core | wavelets of stage L | ... | wavelets of stage 1].
//
// On several ranks each holds its part of every stage, the coefficients of its wavelets, and rank 0
// (or who has the last columns) the core. Rotations stay on a rank; columns that change their rank
// between two stages do so by an exchange.
#pragma once

#include <map>
#include <memory>
#include <vector>

#include "pympf/common/pool.hpp"
#include "pympf/mmf/core_diagonal.hpp"
#include "pympf/mmf/stage.hpp"
#include "pympf/mpi/exchange.hpp"

namespace pympf::mmf {

template <class T>
struct Workspace {
  std::vector<T> in, next, coefficients, scaled;
  ExchangeSpace<T> exchange;
};

template <class T>
using WorkspacePool = Pool<Workspace<T>>;

template <class T>
struct Hierarchy {
  Communicator comm;
  Layout layout;             // of the rows of A
  Index rows = 0;            // own ones
  std::vector<Index> order;  // position in stage 1 -> own row of A, unless these move
  std::vector<Stage<T>> stages;
  std::map<int, Exchange> moves;  // of the active columns after so many stages: to their positions
  Index core_rows = 0;            // own columns after the last stage, and its move

  int levels() const { return static_cast<int>(stages.size()); }
  // Own active columns after `level` stages, where the next one, or the core, wants them.
  Index entering(int level) const { return level == levels() ? core_rows : stages[level].rows; }
  Index kept(int level) const { return level == 0 && levels() > 0 ? rows : entering(level); }
  // Own coefficients, and of those the first wavelet of the stage after `level`, when the
  // wavelets up to `top` are there.
  Index coefficients() const { return wavelet_start(-1, levels()); }
  Index wavelet_start(int level, int top) const;
  const Exchange* move(int level) const {
    const auto found = moves.find(level);
    return found == moves.end() ? nullptr : &found->second;
  }
  std::size_t bytes() const;

  // y = Q x for m vectors, row-major. x and y are different arrays. Collective.
  void forward(const T* x, T* y, Index m, Workspace<T>& workspace) const;

  // x = Q_1^T ... Q_level^T y, where y is [active after `level` stages | their wavelets].
  void backward(const T* y, T* x, Index m, Workspace<T>& workspace, int level) const;

 private:
  std::size_t widest() const;
};

// Throws InvalidArgument unless all sizes and indices fit together (what comes from a file is not
// trusted). The first is collective, the second looks at this rank's part.
template <class T>
void check(const Hierarchy<T>& Q);
template <class T>
void check(const CoreDiagonal<T>& H, const Hierarchy<T>& Q);

}  // namespace pympf::mmf
