#include "pympf/precond/choice/placement.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

#include "pympf/common/error.hpp"
#include "pympf/precond/choice/facts.hpp"
#include "pympf/precond/levels/nodes.hpp"

namespace pympf::precond {
namespace {

// With fewer rows for a rank a partitioner takes longer than the iterations that it saves.
constexpr Global least_rows_of_rank = 1000;
// Of m rows in space that lie together m^(2/3) have neighbours elsewhere, in up to three
// directions.
constexpr double surface = 3;
constexpr double worth = 0.5;  // of the couplings that cross ranks

template <class T>
bool is_compact(const DistRows<T>& A, const Params& params, double share) {
  const double rows = static_cast<double>(A.layout.total()) / A.comm.size();
  return share <= std::max(params.most_cut, surface / std::cbrt(std::max(rows, 1.0)));
}

std::string percent(double share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

// Alone it needs no neighbours.
template <class T>
bool is_diagonal_enough(const DistRows<T>& A, const Params& params) {
  return params.method == Method::jacobi ||
         choose(look_at(A, diagonal(A), NearNullspace{}, params), params).method == "jacobi";
}

}  // namespace

template <class T>
double cut_share(const DistRows<T>& A, const std::vector<int>& parts) {
  const bool moves = A.comm.max(Global{!parts.empty()}) > 0;
  const std::vector<double> own(parts.begin(), parts.end());
  std::vector<double> ghosts;
  if (moves) {
    const std::vector<Global> wanted = ghosts_of(A);
    ghosts.resize(wanted.size());
    ExchangeSpace<double> space;
    Exchange::halo(A.comm, A.layout, wanted).forward(own.data(), ghosts.data(), 1, space);
  }
  const auto rank_of = [&](Index c) {
    if (!moves) return A.owns(c) ? 0.0 : 1.0;
    return A.owns(c) ? own[c - A.shift] : ghosts[A.ghost(c)];
  };
  Global couplings = 0, cut = 0;
  for (Index i = 0; i < A.rows.rows; ++i) {
    const double here = moves ? own[i] : 0.0;
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p) {
      const Index c = A.rows.indices[p];
      if (c == A.shift + i || A.rows.data[p] == 0) continue;
      ++couplings;
      cut += rank_of(c) != here;
    }
  }
  couplings = A.comm.sum(couplings);
  return couplings > 0 ? static_cast<double>(A.comm.sum(cut)) / static_cast<double>(couplings) : 0;
}

template <class T>
Index block_to_move(const DistRows<T>& A, const Params& params, Index block) {
  if (A.comm.size() == 1 || params.method == Method::classic) return 0;
  if (params.repartition) return block;
  if (A.layout.total() < least_rows_of_rank * A.comm.size()) return 0;
  if (is_compact(A, params, cut_share(A)) || is_diagonal_enough(A, params)) return 0;
  if (block > 1) return block;
  return find_node_size(
      with_values<double>(A, [&](Index, Index p) { return double{A.rows.data[p]}; }));
}

template <class T>
bool is_worth_moving(const DistRows<T>& A, const Params& params, const std::vector<int>& parts) {
  return params.repartition || cut_share(A, parts) < worth * cut_share(A);
}

template <class T>
std::string describe_placement(const DistRows<T>& A, const Params& params,
                               const std::vector<int>& parts) {
  if (A.comm.size() == 1) return {};
  const double share = cut_share(A);
  if (A.comm.max(Global{!parts.empty()}) > 0)
    return concat("; rows moved to the ranks of a partition, which cuts ",
                  percent(cut_share(A, parts)), " of the couplings (before: ", percent(share), ")");
  if (A.layout.total() < least_rows_of_rank * A.comm.size() || is_compact(A, params, share))
    return {};
  return concat("; ", percent(share),
                " of the couplings cross ranks, which costs iterations: give the rows in a better "
                "order, or repartition, where there is a partitioner");
}

#define PYMPF_PLACEMENT(T)                                                                   \
  template double cut_share(const DistRows<T>&, const std::vector<int>&);                    \
  template Index block_to_move(const DistRows<T>&, const Params&, Index);                    \
  template bool is_worth_moving(const DistRows<T>&, const Params&, const std::vector<int>&); \
  template std::string describe_placement(const DistRows<T>&, const Params&,                 \
                                          const std::vector<int>&);
PYMPF_PLACEMENT(float)
PYMPF_PLACEMENT(double)
#undef PYMPF_PLACEMENT

}  // namespace pympf::precond
