// What a setup tells of itself.
#pragma once

#include <string>
#include <vector>

#include "pympf/common/column.hpp"
#include "pympf/la/csr.hpp"
#include "pympf/precond/plan.hpp"

namespace pympf::precond {

struct LevelReport {
  int level = 0;
  Global rows = 0, nnz = 0, clusters = 0;
  int ranks = 1;  // that hold some of the rows
  bool lifted = false;
  double prolongation = 0;  // entries of P per row
  double factor = 0;        // entries of the smoother's factor over nnz
  std::size_t bytes = 0;
  double seconds = 0;
};

const std::vector<Column<LevelReport>>& columns();

// The sparse direct factor of a matrix, or of the next stage's.
struct DirectReport {
  std::string backend, order;                   // empty where there is none
  double predicted = 0, flops = 0, stored = 0;  // numbers and flops are 0 where none is predicted
};

struct Report {
  std::vector<LevelReport> levels;
  double operator_complexity = 1, grid_complexity = 1;
  Index node_size = 1;  // rows of a node, where they were found; 1 where they were given
  Index coarse_rows = 0, coarse_nullity = 0, coarse_negative = 0;
  bool indefinite = false;  // a negative eigenvalue was found
  bool definite = true;     // false: M is made for the signs of an indefinite A
  bool symmetric = true;    // false: M need not be, nor is A
  bool exact = false;       // the smoother alone is A^-1 to rounding, and is all that there is
  bool single = false;      // the cycle works in float32 for a matrix in double precision
  bool rounds_off = false;  // float32 would not hold the levels: the setup was left
  bool outgrown = false;    // new values: what was predicted of the method no longer holds
  bool doubtful = false;    // rounding errors may cost M its sign, in the precision of the levels
  std::string method, reason, placement;  // placement: of the rows on the ranks
  DirectReport direct;
  std::string direct_text;  // the same in words, behind the reason
  Plan plan;
  double seconds = 0;
  double work = 0;  // multiply-adds of an application on this rank
  // Multiply-adds of the setup on this rank, probes and all; 0 where they are not counted: for
  // symmetric matrices.
  double setup_work = 0;
};

}  // namespace pympf::precond
