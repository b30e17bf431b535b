// The factorization A ≈ Q_1^T ... Q_L^T H Q_L ... Q_1 (thesis, Algorithm 1).
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "pympf/common/column.hpp"
#include "pympf/la/dist_rows.hpp"
#include "pympf/mmf/core_diagonal.hpp"
#include "pympf/mmf/hierarchy.hpp"
#include "pympf/mmf/labels.hpp"
#include "pympf/mmf/params.hpp"

namespace pympf::mmf {

// One line of the report: what a stage found and did, on all ranks together.
struct StageReport {
  int level = 0;
  Global rows = 0, nnz = 0, clusters = 0, bypassed = 0, rotations = 0, retired = 0;
  int ranks = 1;       // that hold some of the rows
  double dropped = 0;  // Frobenius norm of what this stage dropped, relative to ||A||
  std::size_t bytes = 0;
  double seconds = 0;
  Traffic traffic;  // the messages of all ranks, and the collective calls of one
};

const std::vector<Column<StageReport>>& columns();

const char* name(Retire retire);
Retire retire_from_name(const std::string& name);

enum class Stop { core_size, max_stages, tolerance, stalled };
const char* name(Stop stop);
Stop stop_from_name(const std::string& name);

template <class T>
struct Factorization {
  Params params;
  Retire retire = Retire::relative;  // the rule that was taken; automatic: there was no stage
  std::shared_ptr<const Hierarchy<T>> Q;
  CoreDiagonal<T> H;
  std::vector<T> scale;  // A ≈ D Q^T H Q D with D = diag(scale); empty: D = I
  double norm = 0;       // ||D^-1 A D^-1||_F
  double dropped = 0;    // ||D^-1 A D^-1 - Q^T H Q||_F
  std::vector<StageReport> stages;
  Stop stop = Stop::core_size;
};

using Progress = std::function<void(const StageReport&)>;

// A: square, symmetric, sorted rows without duplicates, finite (the callers' gates see to it); a
// CsrView is a matrix on one rank. Labels give the clusters; without them they are found.
//
// All of these are collective; every rank gets its part of the result.
template <class T>
Factorization<T> factorize(const DistRows<T>& A, const Params& params,
                           const Progress& progress = {}, const Labels& labels = {});
template <class T>
Factorization<T> factorize(const CsrView<T>& A, const Params& params, const Progress& progress = {},
                           const Labels& labels = {}) {
  return factorize(DistRows<T>(A), params, progress, labels);
}

// H for other values of A with the same Q: the core-diagonal part of Q D^-1 A D^-1 Q^T.
template <class T>
CoreDiagonal<T> project(const DistRows<T>& A, const Hierarchy<T>& Q, const std::vector<T>& scale);

// ||A - D Q^T H Q D||_F entry by entry. With a scale it is computed for D^-1 A D^-1, whose norm is
// `relative_to`.
template <class T>
double error(const DistRows<T>& A, const Hierarchy<T>& Q, const CoreDiagonal<T>& H,
             const std::vector<T>& scale, double* relative_to);

// trace(D Q^T H Q D).
template <class T>
double trace(const Hierarchy<T>& Q, const CoreDiagonal<T>& H, const std::vector<T>& scale);

}  // namespace pympf::mmf
