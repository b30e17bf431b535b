#include <algorithm>
#include <numeric>

#include "pympf/approx/stages.hpp"
#include "pympf/la/matching.hpp"

namespace pympf::approx {

Pairing pair_direct(const CsrView<double>& A) {
  double largest = 0;
  for (Index p = 0; p < A.nnz(); ++p) largest = std::max(largest, std::abs(A.data[p]));
  if (largest == 0) largest = 1;
  Csr<double> squares = owned(A);
  for (double& a : squares.data) a = a / largest * (a / largest);
  const Global most_work = 200 * (Global{A.nnz()} + A.rows) + 1000000;
  const Matching matching = maximum_sum_matching(squares, most_work);

  Pairing out{{}, matching.column, matching.exact};
  const Index count = std::max(A.rows, A.cols);
  out.row.resize(count, -1);
  std::iota(out.row.begin(), out.row.begin() + A.rows, 0);
  out.column.resize(count, -1);
  Index p = 0;
  for (Index j = 0; j < A.cols; ++j)
    if (matching.row[j] < 0) {
      while (out.column[p] >= 0) ++p;
      out.column[p] = j;
    }
  return out;
}

Pairing pair_symmetric(const CsrView<double>& A) {
  std::vector<Index> same(A.rows);
  std::iota(same.begin(), same.end(), 0);
  return {same, same, true};
}

Pairing pair_skew(const CsrView<double>& K) {
  struct Edge {
    double weight;
    Index i, j;
  };
  std::vector<Edge> edges;
  std::vector<double> energy(K.rows, 0.0);
  for (Index i = 0; i < K.rows; ++i)
    for (Index p = K.indptr[i]; p < K.indptr[i + 1]; ++p) {
      const double weight = std::abs(K.data[p]);
      energy[i] += weight * weight;
      if (K.indices[p] > i && weight > 0) edges.push_back({weight, i, K.indices[p]});
    }
  std::stable_sort(edges.begin(), edges.end(),
                   [](const Edge& a, const Edge& b) { return a.weight > b.weight; });
  std::vector<Index> partner(K.rows, -1), alone;
  for (const Edge& e : edges)
    if (partner[e.i] < 0 && partner[e.j] < 0) {
      partner[e.i] = e.j;
      partner[e.j] = e.i;
    }
  for (Index i = 0; i < K.rows; ++i)
    if (partner[i] < 0) alone.push_back(i);

  Pairing out;
  if (alone.size() % 2 == 1) {  // the row with the least in it has no partner
    const auto least = std::min_element(alone.begin(), alone.end(),
                                        [&](Index a, Index b) { return energy[a] < energy[b]; });
    out.row = {-1, *least};
    alone.erase(least);
  }
  for (std::size_t k = 0; k < alone.size(); k += 2) {
    partner[alone[k]] = alone[k + 1];
    partner[alone[k + 1]] = alone[k];
  }
  for (Index i = 0; i < K.rows; ++i)
    if (partner[i] > i) out.row.insert(out.row.end(), {i, partner[i]});
  out.column = out.row;
  out.exact = false;
  return out;
}

}  // namespace pympf::approx
