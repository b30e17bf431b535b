// What a factorization makes of a matrix: H for other values, the error, the trace.
#include <cmath>
#include <limits>
#include <numeric>

#include "pympf/la/sparse.hpp"
#include "pympf/la/symmetry.hpp"
#include "pympf/mmf/factorize.hpp"
#include "pympf/mmf/project_stage.hpp"

namespace pympf::mmf {

namespace {

// Whether D != I; a rank without rows cannot tell from its part.
template <class T>
bool is_scaled(const Hierarchy<T>& Q, const std::vector<T>& scale) {
  return Q.comm.max(Global{!scale.empty()}) > 0;
}

// What the first stage of Q works on: the matrix, or D^-1 A D^-1.
template <class T>
DistRows<T> input_of(const Hierarchy<T>& Q, const DistRows<T>& matrix,
                     const std::vector<T>& scale) {
  const auto& starts = matrix.layout.starts;
  require(starts == Q.layout.starts && matrix.rows.cols == matrix.column_count(), "expected a ",
          Q.layout.total(), " x ", Q.layout.total(), " matrix with ", Q.rows,
          " rows on this rank, not ", matrix.layout.total(), " rows, ", matrix.rows.rows,
          " of them here, with ", matrix.rows.cols, " columns");
  require_symmetric_pattern(matrix);
  check_range(matrix);
  return is_scaled(Q, scale) ? unscaled(matrix, scale) : view_of(matrix);
}

// Brings A, with the columns after `level` stages of Q, to the ranks of the next one.
template <class T>
void enter(const Hierarchy<T>& Q, int level, DistRows<T>& A) {
  const Exchange* move = Q.move(level);
  if (!move) return;
  const Layout to(A.comm, Q.entering(level));
  const std::vector<Global> positions = numbers_from(to.first(), to.own());
  std::vector<Global> targets(A.own());
  ExchangeSpace<Global> space;
  move->backward(positions.data(), targets.data(), 1, space);
  A = move_rows(A, to, targets);
}

// Position in stage level + 1 -> column of the extended matrix.
template <class T>
std::vector<Index> columns_at(const Hierarchy<T>& Q, int level, Index shift) {
  std::vector<Index> out(Q.stages[level].rows);
  std::iota(out.begin(), out.end(), 0);
  if (level == 0 && !Q.move(0)) out = Q.order;
  for (Index& c : out) c += shift;
  return out;
}

// Of this rank's rows of A and the core of H.
template <class T>
double squares_between(const DistRows<T>& A, const CoreDiagonal<T>& H) {
  double sum = 0;
  std::vector<T> row(H.core_size);
  for (Index i = 0; i < H.core_size; ++i) {
    if (H.is_dense()) {
      const T* core = &H.core[static_cast<std::size_t>(i) * H.core_size];
      row.assign(core, core + H.core_size);
    } else {
      row.assign(H.core_size, T(0));
      for (Index p = H.sparse_core.indptr[i]; p < H.sparse_core.indptr[i + 1]; ++p)
        row[H.sparse_core.indices[p]] = H.sparse_core.data[p];
    }
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      row[A.rows.indices[p]] -= A.rows.data[p];
    sum += sum_of_squares(row);
  }
  return sum;
}

}  // namespace

template <class T>
CoreDiagonal<T> project(const DistRows<T>& matrix, const Hierarchy<T>& Q,
                        const std::vector<T>& scale) {
  DistRows<T> A = input_of(Q, matrix, scale);
  std::vector<std::vector<T>> diagonals;
  for (int level = 0; level < Q.levels(); ++level) {
    enter(Q, level, A);
    const Stage<T>& stage = Q.stages[level];
    const auto extended = extend(A, std::numeric_limits<Index>::max());
    const auto members = columns_at(Q, level, extended.shift);
    Projected<T> projected = project_stage(A, extended, stage, members.data());
    diagonals.push_back(std::move(projected.diagonal));
    A = std::move(projected.A);
  }
  enter(Q, Q.levels(), A);
  return core_diagonal(A, diagonals);
}

template <class T>
double error(const DistRows<T>& matrix, const Hierarchy<T>& Q, const CoreDiagonal<T>& H,
             const std::vector<T>& scale, double* relative_to) {
  DistRows<T> A = input_of(Q, matrix, scale);
  *relative_to = std::sqrt(A.comm.sum(norm2(A.rows)));
  double sum = 0;
  for (int level = 0; level < Q.levels(); ++level) {
    enter(Q, level, A);
    const Stage<T>& stage = Q.stages[level];
    const auto extended = extend(A, std::numeric_limits<Index>::max());
    const auto members = columns_at(Q, level, extended.shift);
    Csr<T> functions = stage_functions(stage, members.data(), 0, stage.rows);
    functions.cols = extended.A.cols;
    // Q_p A Q_p^T: the active functions of all ranks have the first numbers, then the wavelets.
    const Layout active(A.comm, stage.kept), wavelets(A.comm, stage.rows - stage.kept);
    auto number = numbers_from(active.first(), stage.kept);
    const auto of_wavelets =
        numbers_from(active.total() + wavelets.first(), stage.rows - stage.kept);
    number.insert(number.end(), of_wavelets.begin(), of_wavelets.end());
    const auto [B, columns] = congruence(A, extended, functions, number);

    const T* diagonal = H.diagonal.data() + (Q.wavelet_start(level, Q.levels()) - H.core_size);
    GlobalRows<T> next;
    for (Index i = 0; i < stage.rows; ++i) {
      for (Index p = B.indptr[i]; p < B.indptr[i + 1]; ++p) {
        const Global j = columns.empty() ? B.indices[p] : columns[B.indices[p]];
        if (i < stage.kept && j < active.total()) {
          next.indices.push_back(j);
          next.data.push_back(B.data[p]);
        } else {
          const double d = B.data[p] - (number[i] == j ? diagonal[i - stage.kept] : T(0));
          sum += d * d;
        }
      }
      if (i < stage.kept) next.indptr.push_back(static_cast<Index>(next.data.size()));
    }
    A = number_columns(A.comm, active, next);
  }
  enter(Q, Q.levels(), A);
  sum += squares_between(A, H);
  return std::sqrt(A.comm.sum(sum));
}

template <class T>
double trace(const Hierarchy<T>& Q, const CoreDiagonal<T>& H, const std::vector<T>& scale) {
  if (!is_scaled(Q, scale)) return Q.comm.sum(H.trace());
  // trace(D Q^T H Q D) = <Q D^2 Q^T, H>.
  GlobalRows<T> D2;
  for (Index i = 0; i < Q.rows; ++i) {
    D2.indices.push_back(Q.layout.first() + i);
    D2.data.push_back(scale[i] * scale[i]);
    D2.indptr.push_back(i + 1);
  }
  const CoreDiagonal<T> K = project(number_columns(Q.comm, Q.layout, D2), Q, {});
  const bool sparse = !K.is_dense() || !H.is_dense();
  require(Q.comm.max(Global{sparse}) == 0,
          "the trace of a prenormalized factorization needs a dense core");
  double sum = 0;
  for (std::size_t i = 0; i < H.core.size(); ++i) sum += static_cast<double>(H.core[i]) * K.core[i];
  for (std::size_t i = 0; i < H.diagonal.size(); ++i)
    sum += static_cast<double>(H.diagonal[i]) * K.diagonal[i];
  return Q.comm.sum(sum);
}

#define PYMPF_EVALUATE(T)                                                                \
  template CoreDiagonal<T> project(const DistRows<T>&, const Hierarchy<T>&,              \
                                   const std::vector<T>&);                               \
  template double error(const DistRows<T>&, const Hierarchy<T>&, const CoreDiagonal<T>&, \
                        const std::vector<T>&, double*);                                 \
  template double trace(const Hierarchy<T>&, const CoreDiagonal<T>&, const std::vector<T>&);
PYMPF_EVALUATE(float)
PYMPF_EVALUATE(double)
#undef PYMPF_EVALUATE

}  // namespace pympf::mmf
