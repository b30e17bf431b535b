// A stage of the preconditioner as the cycle needs it, in the precision of the cycle.
#pragma once

#include <cmath>
#include <vector>

#include "pympf/la/border.hpp"
#include "pympf/precond/params.hpp"
#include "pympf/precond/smoothers/smoother.hpp"

namespace pympf::precond {

template <class T>
struct Level : Smoothed<T> {
  Csr<T> P, R;           // lifted scaling functions as columns, as rows
  OffDiagonal<T> P_off;  // what own rows have in columns of other ranks
  Csr<T> Z;              // of the wavelets; all that the additive cycle needs besides P and R
  // For refresh_levels. Scaling functions before they were rounded to float, for rounded ones would
  // no longer reproduce the nullspace of a singular A, and its coarse matrix would lose that: on
  // one rank the numbers of P and R, unless T is double; over ranks a matrix with `width` columns
  // for each of `clusters`.
  std::vector<double> unrounded_P_data, unrounded_R_data;
  Csr<double> unrounded_P;
  Border border, clusters;
  Index width = 1;

  Index rows() const { return Z.rows > 0 ? Z.rows : this->A.rows; }
};

// The power of two that brings a number to [1, 2), exactly; 1 for 0.
inline double power_of_two(double largest) {
  return largest > 0 && std::isfinite(largest) ? std::ldexp(1.0, -std::ilogb(largest)) : 1;
}

// Who measures is told when a cycle begins and ends to work on a level.
struct LevelWatch {
  void (*enter)(std::size_t level) = nullptr;
  void (*leave)(std::size_t level) = nullptr;
};
inline LevelWatch level_watch;

// What is applied: rows in the order `order`, new -> old.
template <class T>
struct Levels {
  Index rows = 0;  // own ones
  std::vector<Index> order;
  Index block = 1;  // rows of a node of the first level
  std::vector<Level<T>> levels;
  Communicator comm;
  Index coarse_rows = 0;  // 0: the last level is only smoothed
  std::vector<T> coarse;  // own rows of its pseudo-inverse, dense
  // Brings the other entries of a right-hand side to the ranks that have some of these rows.
  std::shared_ptr<const Exchange> coarse_halo;
  Index coarse_first = 0;  // of the own rows
  Border coarse_border;
  double scale = 1;           // of the matrix: a power of two, for the range of T
  bool complete = false;      // the factorization may drop nothing: it is cheap
  bool finer = false;         // it drops less than asked for
  bool factor_alone = false;  // a probe has found that it is enough
  bool poor = false;          // no near-nullspace was known then
  bool lowered = false;       // it lowers the diagonal where the matrix is fit for it
};

}  // namespace pympf::precond
