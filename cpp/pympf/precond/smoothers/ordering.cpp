#include "pympf/precond/smoothers/ordering.hpp"

#include <algorithm>
#include <cmath>
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

// Which nodes couple; the numbers are left out.
template <class T>
Csr<T> node_pattern(const CsrView<T>& A, Index block) {
  const Index nodes = A.rows / block;
  Csr<T> out{nodes, nodes, {0}, {}, {}};
  std::vector<Index> seen(nodes, -1);
  for (Index node = 0; node < nodes; ++node) {
    const Index begin = A.indptr[node * block], end = A.indptr[(node + 1) * block];
    for (Index p = begin; p < end; ++p) {
      const Index other = A.indices[p] / block;
      if (seen[other] == node) continue;
      seen[other] = node;
      out.indices.push_back(other);
    }
    std::sort(out.indices.begin() + out.indptr.back(), out.indices.end());
    out.indptr.push_back(static_cast<Index>(out.indices.size()));
  }
  return out;
}

template <class T>
std::vector<Index> order_rows(const CsrView<T>& A) {
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

}  // namespace

template <class T>
std::vector<Index> reverse_cuthill_mckee(const CsrView<T>& A, Index block) {
  if (block == 1) return order_rows(A);
  std::vector<Index> order;
  order.reserve(A.rows);
  for (Index node : order_rows(node_pattern(A, block).view()))
    for (Index e = 0; e < block; ++e) order.push_back(node * block + e);
  return order;
}

template <class T>
bool is_banded(const CsrView<T>& A) {
  const double band = 2 * std::pow(static_cast<double>(A.rows), 2.0 / 3);
  for (Index i = 0; i < A.rows; ++i) {  // the columns of a row ascend
    const Index begin = A.indptr[i], end = A.indptr[i + 1];
    if (begin < end && (i - A.indices[begin] > band || A.indices[end - 1] - i > band)) return false;
  }
  return true;
}

template std::vector<Index> reverse_cuthill_mckee(const CsrView<double>&, Index);
template std::vector<Index> reverse_cuthill_mckee(const CsrView<float>&, Index);
template bool is_banded(const CsrView<double>&);
template bool is_banded(const CsrView<float>&);

}  // namespace pympf::precond
