#include "pympf/precond/levels/build_level.hpp"

#include <type_traits>

#include "pympf/precond/levels/stage.hpp"
#include "pympf/precond/smoothers/smoother.hpp"

namespace pympf::precond {
namespace {

// Of a factor, relative to the diagonal. The cycle smooths, multiplies by A and smooths again: S is
// as large as 1 / pivot on the smoothest vectors, and what is rounded in A S is blown up by that
// once more, epsilon / pivot of S itself. In float32 M loses its sign at 1e-6 (the contrast of
// strong clusters) and CG some iterations at 7e-6; grids, jumps and inclusions have 5e-3 and more.
// In float64 it is less than doubtful.
constexpr double least_pivot_of_float = 2e-5, doubtful_pivot = 1e-8;

// Why the method of the report was taken, where nothing else has said it.
std::string reason_for(const Report& report, const Params& params) {
  if (report.method == "dense") return "few enough rows for a dense solve";
  if (report.method != "multilevel") {
    if (params.method == Method::incomplete_cholesky) return "asked for";
    return params.max_levels == 1 ? "asked for one level"
                                  : "a coarser level would not be small enough to be worth it";
  }
  const std::string nodes =
      report.node_size > 1 ? concat("; found nodes of ", report.node_size, " rows") : "";
  if (params.method == Method::multilevel) return "asked for" + nodes;
  if (params.smoother != SmootherKind::incomplete_cholesky)
    return "only the incomplete Cholesky smoother is tried alone" + nodes;
  return "the incomplete Cholesky factorization alone would need too many iterations" + nodes;
}

}  // namespace

template <class T>
std::size_t bytes_of(const Level<T>& level) {
  return (level.A.data.size() + level.P.data.size() + level.R.data.size() + level.Z.data.size()) *
             (sizeof(T) + sizeof(Index)) +
         level.unrounded_P.data.size() * (sizeof(double) + sizeof(Index)) +
         (level.unrounded_P_data.size() + level.unrounded_R_data.size()) * sizeof(double) +
         level.factor.bytes();
}

template <class T>
void build_level(const CsrView<double>& A, const Border& border, const Domains& domains,
                 const Params& params, Level<T>& level, LevelReport& line, Report& report,
                 Dropped dropped) {
  const Communicator& comm = border.comm;
  if (!border.alone()) {
    pympf::split(A, A.rows, level.A, level.A_off);
    level.A_off.halo = border.halo;
    line.ranks = border.layout.ranks_with_rows();
  } else if (level.A.rows == A.rows) {  // new values on the same pattern
    level.A.data.assign(A.data, A.data + A.nnz());
  } else {
    level.A = owned<T>(A);
  }
  build_smoother(A, border, domains, params, level, dropped);
  line.rows = comm.sum(Global{A.rows});
  line.nnz = comm.sum(Global{A.nnz()});
  const auto factor = static_cast<double>(comm.sum(static_cast<Global>(level.factor.nnz())));
  line.factor = line.nnz > 0 ? factor / static_cast<double>(line.nnz) : 0;
  line.bytes = bytes_of(level);
  const bool negative = comm.max(Global{level.factor.found_negative()}) > 0;
  report.indefinite = report.indefinite || negative;
  if (dropped == Dropped::lowers_diagonal) return;  // it is no smoother: CG takes it alone
  const double pivot = comm.min(level.factor.least_pivot());
  report.rounds_off =
      report.rounds_off || (std::is_same_v<T, float> && pivot < least_pivot_of_float);
  report.doubtful = report.doubtful || pivot < doubtful_pivot;
}

bool is_m_matrix(const CsrView<double>& A) {
  const auto fits = [&](Index i) {
    constexpr double rounding = 1e-13;
    double sum = 0, size = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      if (A.indices[p] != i && A.data[p] > 0) return false;
      sum += A.data[p];
      size += std::abs(A.data[p]);
    }
    return sum >= -rounding * size;
  };
  Index i = 0;
  while (i < A.rows && fits(i)) ++i;
  return i == A.rows;
}

bool lowers_as_asked(const CsrView<double>& A, const Border& border, const Params& params) {
  return params.method == Method::incomplete_cholesky &&
         params.compensation == Compensation::lower && border.comm.size() == 1 && is_m_matrix(A);
}

void sum_up(const Params& params, Report& report) {
  double entries = 0, rows = 0;
  for (const LevelReport& line : report.levels) {
    entries += static_cast<double>(line.nnz);
    rows += static_cast<double>(line.rows);
  }
  const auto& first = report.levels.front();
  report.operator_complexity = first.nnz > 0 ? entries / static_cast<double>(first.nnz) : 1;
  report.grid_complexity = rows / static_cast<double>(first.rows);
  report.method = report.levels.size() > 1 ? "multilevel"
                  : report.coarse_rows > 0 ? "dense"
                                           : find_field(fields(), "smoother").text(params);
  if (report.reason.empty()) report.reason = reason_for(report, params);
}

#define PYMPF_FILL(T)                                                                             \
  template std::size_t bytes_of(const Level<T>&);                                                 \
  template void build_level(const CsrView<double>&, const Border&, const Domains&, const Params&, \
                            Level<T>&, LevelReport&, Report&, Dropped);
PYMPF_FILL(float)
PYMPF_FILL(double)
#undef PYMPF_FILL

}  // namespace pympf::precond
