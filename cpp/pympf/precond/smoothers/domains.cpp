#include "pympf/precond/smoothers/domains.hpp"

#include <algorithm>
#include <tuple>

#include "pympf/la/rows.hpp"

namespace pympf::precond {
namespace {

constexpr Index rows_per_strip = 65536;
constexpr Index most_strips = 16;
constexpr Index longest_insertion = 32;

Csr<double> scaled(const CsrView<double>& A, double factor) {
  Csr<double> out{
      A.rows, A.cols, {A.indptr, A.indptr + A.rows + 1}, {A.indices, A.indices + A.nnz()}, {}};
  out.data.assign(A.data, A.data + A.nnz());
  if (factor != 1)
    for (double& v : out.data) v *= factor;
  return out;
}

// Sorts row i by columns. `space`: for long ones.
void sort_row(Csr<double>& A, Index i, Entries& space) {
  const Index begin = A.indptr[i], end = A.indptr[i + 1];
  if (std::is_sorted(A.indices.begin() + begin, A.indices.begin() + end)) return;
  if (end - begin > longest_insertion) {
    space.clear();
    for (Index p = begin; p < end; ++p) space.emplace_back(A.indices[p], A.data[p]);
    std::sort(space.begin(), space.end(),
              [](const auto& x, const auto& y) { return x.first < y.first; });
    for (Index p = begin; p < end; ++p) std::tie(A.indices[p], A.data[p]) = space[p - begin];
    return;
  }
  for (Index p = begin + 1; p < end; ++p) {
    const Index column = A.indices[p];
    const double value = A.data[p];
    Index q = p;
    for (; q > begin && A.indices[q - 1] > column; --q) {
      A.indices[q] = A.indices[q - 1];
      A.data[q] = A.data[q - 1];
    }
    A.indices[q] = column;
    A.data[q] = value;
  }
}

}  // namespace

Domains cut(const CsrView<double>& A, const std::vector<Index>& order, Index block, Index strips) {
  const Index nodes = A.rows / block;
  if (strips == 0) strips = std::clamp(A.rows / rows_per_strip, Index{1}, most_strips);
  strips = std::clamp(nodes, Index{1}, strips);
  if (strips == 1) return {order, {0, A.rows}};
  std::vector<Index> position(A.rows);
  for (Index i = 0; i < A.rows; ++i) position[order[i]] = i / block;
  const auto first = [&](Index s) { return static_cast<Index>(Global{nodes} * s / strips); };
  const auto reaches = [&](Index node, Index limit) {
    for (Index e = 0; e < block; ++e) {
      const Index i = order[node * block + e];
      for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
        if (position[A.indices[p]] >= limit) return true;
    }
    return false;
  };
  const auto faces_first = [&](Index s) { return s == 1 && strips == facing_strips; };
  Domains out{{}, {0}};
  out.order.reserve(A.rows);
  std::vector<Index> interface;
  for (Index s = 0; s < strips; ++s) {
    for (Index at = first(s); at < first(s + 1); ++at) {
      const Index node = faces_first(s) ? nodes - 1 - (at - first(s)) : at;
      auto& rows = reaches(node, first(s + 1)) ? interface : out.order;
      for (Index e = 0; e < block; ++e) rows.push_back(order[node * block + e]);
    }
    out.ptr.push_back(static_cast<Index>(out.order.size()));
  }
  out.order.insert(out.order.end(), interface.begin(), interface.end());
  return out;
}

Csr<double> permuted(const CsrView<double>& A, const std::vector<Index>& order, double factor) {
  if (std::is_sorted(order.begin(), order.end())) return scaled(A, factor);
  std::vector<Index> position(A.rows);
  for (Index i = 0; i < A.rows; ++i) position[order[i]] = i;
  return permuted(A, order, position, A.cols, factor);
}

Csr<double> permuted(const CsrView<double>& A, const std::vector<Index>& order,
                     const std::vector<Index>& place, Index cols, double factor) {
  Csr<double> out{A.rows, cols, std::vector<Index>(A.rows + 1, 0), {}, {}};
  for (Index i = 0; i < A.rows; ++i)
    out.indptr[i + 1] = out.indptr[i] + A.indptr[order[i] + 1] - A.indptr[order[i]];
  out.indices.resize(A.nnz());
  out.data.resize(A.nnz());
  parallel_with(A.rows, Index{0}, A.rows > 16384, [&] {
    return [&, row = Entries()](Index i) mutable {
      Index at = out.indptr[i];
      for (Index p = A.indptr[order[i]]; p < A.indptr[order[i] + 1]; ++p, ++at) {
        out.indices[at] = place[A.indices[p]];
        out.data[at] = factor * A.data[p];
      }
      sort_row(out, i, row);
    };
  });
  return out;
}

}  // namespace pympf::precond
