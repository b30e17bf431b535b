// z = M r by one cycle over the levels.
#pragma once

#include <vector>

#include "pympf/la/block.hpp"
#include "pympf/precond/levels/level.hpp"

namespace pympf::precond {

// Room for panels of `lanes` columns; it grows when a wider one comes.
template <class T>
struct CycleSpace {
  struct PerLevel {
    std::vector<T> x, b, work;  // work: five vectors
  };
  std::vector<PerLevel> levels;  // the last one for the dense solve; its work: all entries of b
  std::vector<T> ghosts;         // of that
  ExchangeSpace<T> exchange;

  CycleSpace(const Levels<T>& levels) { reserve(levels, 1); }
  void reserve(const Levels<T>& levels, Index lanes);

 private:
  Index lanes_ = 0;
};

// Multiply-adds of one cycle on this rank.
template <class T>
double multiply_adds(const Levels<T>& levels, const Params& params);

// Z = M R, column by column to the last bit; symmetric positive definite for v and w when A is
// positive semidefinite. The K-cycle, whose steps depend on the right-hand side, takes one column
// after the other, the other cycles up to 8 at once.
template <class T, class V>
void apply(const Levels<T>& levels, const Params& params, const Block<const V>& R,
           const Block<V>& Z, CycleSpace<T>& space);

}  // namespace pympf::precond
