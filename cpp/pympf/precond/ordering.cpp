#include "pympf/precond/ordering.hpp"

#include <algorithm>
#include <numeric>

namespace pympf::precond {
namespace {

// Rows by their number of entries, fewest first.
std::vector<Index> by_degree(const std::vector<Index>& degree) {
  const auto n = static_cast<Index>(degree.size());
  const Index most = n > 0 ? *std::max_element(degree.begin(), degree.end()) : 0;
  std::vector<Index> start(most + 2, 0), rows(n);
  for (Index d : degree) ++start[d + 1];
  std::partial_sum(start.begin(), start.end(), start.begin());
  for (Index i = 0; i < n; ++i) rows[start[degree[i]]++] = i;
  return rows;
}

}  // namespace

template <class T>
std::vector<Index> reverse_cuthill_mckee(const CsrView<T>& A) {
  const Index n = A.rows;
  std::vector<Index> degree(n), order;
  for (Index i = 0; i < n; ++i) degree[i] = A.indptr[i + 1] - A.indptr[i];
  order.reserve(n);
  std::vector<char> state(n, 0);  // 1: seen by the search for a far row, 2: in the order

  const auto breadth_first = [&](Index root, char mark, bool sorted) {
    const std::size_t first = order.size();
    order.push_back(root);
    state[root] = mark;
    for (std::size_t at = first; at < order.size(); ++at) {
      const Index i = order[at];
      const auto before = static_cast<std::ptrdiff_t>(order.size());
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        if (const Index j = A.indices[p]; state[j] < mark) {
          state[j] = mark;
          order.push_back(j);
        }
      if (sorted)
        std::stable_sort(order.begin() + before, order.end(),
                         [&](Index x, Index y) { return degree[x] < degree[y]; });
    }
  };

  for (Index root : by_degree(degree)) {
    if (state[root] == 2) continue;
    const std::size_t first = order.size();
    breadth_first(root, 1, false);
    const Index far = order.back();
    order.resize(first);
    breadth_first(far, 2, true);
  }
  std::reverse(order.begin(), order.end());
  return order;
}

template std::vector<Index> reverse_cuthill_mckee(const CsrView<double>&);
template std::vector<Index> reverse_cuthill_mckee(const CsrView<float>&);

}  // namespace pympf::precond
