// z = M r by one cycle over the levels.
#pragma once

#include <vector>

#include "pympf/precond/level.hpp"

namespace pympf::precond {

template <class T>
struct CycleSpace {
  struct PerLevel {
    std::vector<T> x, b, work;  // work: four vectors, six for the K-cycle
  };
  std::vector<PerLevel> levels;  // the last one for the dense solve; its work: all entries of b
  std::vector<T> ghosts;         // of that
  ExchangeSpace<T> exchange;

  CycleSpace(const Levels<T>& levels);
};

// Multiply-adds of one cycle on this rank.
template <class T>
double multiply_adds(const Levels<T>& levels, const Params& params);

// Symmetric positive definite for v and w when A is positive semidefinite.
template <class T, class V>
void apply(const Levels<T>& levels, const Params& params, const V* r, V* z, CycleSpace<T>& space);

}  // namespace pympf::precond
