// New values on the same pattern.
#include <algorithm>
#include <type_traits>
#include <utility>

#include "pympf/common/clock.hpp"
#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"
#include "pympf/precond/levels/build_level.hpp"
#include "pympf/precond/levels/coarse_solve.hpp"
#include "pympf/precond/levels/near_nullspace.hpp"
#include "pympf/precond/levels/setup.hpp"

namespace pympf::precond {
namespace {

// A matrix with the pattern of another one.
template <class T>
CsrView<double> with_data(const Csr<T>& pattern, const std::vector<double>& data) {
  return {pattern.rows, pattern.cols, pattern.indptr.data(), pattern.indices.data(), data.data()};
}

// P or R before it was rounded.
template <class T>
CsrView<double> unrounded(const Csr<T>& functions, const std::vector<double>& data) {
  if constexpr (std::is_same_v<T, double>)
    return functions.view();
  else
    return with_data(functions, data);
}

// The new matrix of a level; on one rank it has the pattern of the old one, and only its numbers
// are made.
struct Renewed {
  std::vector<double> data;
  Csr<double> whole;
  CsrView<double> view;

  explicit Renewed(Csr<double>&& A) : whole(std::move(A)), view(whole) {}
  template <class T>
  Renewed(const Csr<T>& pattern, std::vector<double>&& numbers)
      : data(std::move(numbers)), view(with_data(pattern, data)) {}
  Renewed(Renewed&&) = default;  // moved vectors stay where they are
  Renewed& operator=(Renewed&&) = default;
};

// P^T A P for new values, as the rows of the next stage lie: `next` is its border, and its matrix
// has the entries of `known`, where that is not null.
template <class T>
Renewed projected(const CsrView<double>& A, const Level<T>& level, const Csr<T>* known,
                  const Border& next) {
  if (next.alone()) {
    const auto P = unrounded(level.P, level.unrounded_P_data),
               R = unrounded(level.R, level.unrounded_R_data);
    if (!known) return Renewed(*coarse_product(A, R, P));
    return {*known, coarse_product(A, R, P, known->indptr, known->indices)};
  }
  Csr<double> P = level.unrounded_P;
  Projection product = *project(level.border, A, level.clusters, level.width, unbounded - 1, P);
  if (product.border.layout.starts == next.layout.starts) return Renewed(std::move(product.A));
  return Renewed(localized(next, moved_rows(product.border, next.layout, product.A)));
}

// The numbers of `permuted` where its pattern is known.
template <class T>
std::vector<double> permuted_data(const CsrView<double>& A, const std::vector<Index>& order,
                                  const Csr<T>& pattern, double factor) {
  std::vector<double> out(A.nnz());
  std::vector<Index> position(A.rows);
  for (Index i = 0; i < A.rows; ++i) position[order[i]] = i;
  parallel_for(A.rows, worth_threads(A.nnz()), [&](Index i) {
    const Index *first = pattern.indices.data() + pattern.indptr[i], *to = first;
    const Index* last = pattern.indices.data() + pattern.indptr[i + 1];
    for (Index p = A.indptr[order[i]]; p < A.indptr[order[i] + 1]; ++p, ++to) {
      const Index column = position[A.indices[p]];
      if (to == last || *to != column) to = std::lower_bound(first, last, column);
      out[to - pattern.indices.data()] = factor * A.data[p];
    }
  });
  return out;
}

// The new matrix in the order of the first level. Collective.
template <class T>
Renewed renewed(const DistRows<double>& matrix, const Levels<T>& levels) {
  if (matrix.comm.size() == 1 && !levels.levels.empty())
    return {levels.levels[0].A,
            permuted_data(matrix.rows, levels.order, levels.levels[0].A, levels.scale)};
  Border border;
  return Renewed(ordered(matrix, levels.order, levels.block, levels.scale, border));
}

}  // namespace

template <class T>
void refresh_levels(const DistRows<double>& matrix, const Params& given, Levels<T>& levels,
                    Report& report, const FirstLevelRule<T>& rule) {
  const auto begin = Clock::now();
  const Params params = levels.complete ? without_drops(given)
                        : levels.finer  ? with_fewer_drops(given)
                                        : given;
  report.indefinite = report.rounds_off = report.doubtful = report.outgrown = false;
  report.coarse_nullity = report.coarse_negative = 0;
  levels.scale = range_factor(matrix.comm, matrix.rows);
  Renewed A = renewed(matrix, levels);
  for (std::size_t l = 0; l < report.levels.size(); ++l) {
    const auto start = Clock::now();
    LevelReport& line = report.levels[l];
    if (l == levels.levels.size()) {
      build_coarse(levels.coarse_border, A.whole, levels, line, report);
    } else {
      Level<T>& level = levels.levels[l];
      level.factor = {};  // the new one gets its memory
      const bool lowers =
          levels.lowered && (rule.may_lower_diagonal(A.view, level.border, params) ||
                             lowers_as_asked(A.view, level.border, params));
      build_level(A.view, level.border, Domains{{}, level.strips}, params, level, line, report,
                  lowers ? Dropped::lowers_diagonal : Dropped::raises_diagonal);
      if (report.rounds_off) return;
      if (l + 1 < report.levels.size()) {
        const bool last = l + 1 == levels.levels.size();
        A = projected(A.view, level, last ? nullptr : &levels.levels[l + 1].A,
                      last ? levels.coarse_border : levels.levels[l + 1].border);
      }
    }
    line.seconds = seconds_since(start);
  }
  report.outgrown = levels.factor_alone && !rule.is_still_enough(A.view, levels, params);
  sum_up(params, report);
  report.seconds = seconds_since(begin);
}

template void refresh_levels(const DistRows<double>&, const Params&, Levels<float>&, Report&,
                             const FirstLevelRule<float>&);
template void refresh_levels(const DistRows<double>&, const Params&, Levels<double>&, Report&,
                             const FirstLevelRule<double>&);

}  // namespace pympf::precond
