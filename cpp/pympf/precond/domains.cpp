#include "pympf/precond/domains.hpp"

#include <algorithm>

#include "pympf/precond/rows.hpp"

namespace pympf::precond {
namespace {

constexpr Index rows_per_strip = 65536;
constexpr Index most_strips = 16;

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
  Domains out{{}, {0}};
  out.order.reserve(A.rows);
  std::vector<Index> interface;
  for (Index s = 0; s < strips; ++s) {
    for (Index node = first(s); node < first(s + 1); ++node) {
      auto& rows = reaches(node, first(s + 1)) ? interface : out.order;
      for (Index e = 0; e < block; ++e) rows.push_back(order[node * block + e]);
    }
    out.ptr.push_back(static_cast<Index>(out.order.size()));
  }
  out.order.insert(out.order.end(), interface.begin(), interface.end());
  return out;
}

Csr<double> permuted(const CsrView<double>& A, const std::vector<Index>& order) {
  std::vector<Index> position(A.rows);
  for (Index i = 0; i < A.rows; ++i) position[order[i]] = i;
  return build_rows(A.rows, A.cols, [&] {
    return [&](Index i, Entries& out) {
      const auto before = static_cast<std::ptrdiff_t>(out.size());
      const Index row = order[i];
      for (Index p = A.indptr[row]; p < A.indptr[row + 1]; ++p)
        out.emplace_back(position[A.indices[p]], A.data[p]);
      std::sort(out.begin() + before, out.end());
    };
  });
}

}  // namespace pympf::precond
