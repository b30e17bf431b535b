#include "pympf/precond/border.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

void sort_unique(std::vector<Global>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

Index place(const std::vector<Global>& sorted, Global value) {
  return static_cast<Index>(std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin());
}

}  // namespace

Reach reach(const Border& border, Index block, Clustering& clusters) {
  Reach out;
  if (border.alone()) {
    out.layout.starts = {0, clusters.count};
    return out;
  }
  out.layout = Layout(border.comm, clusters.count);
  std::vector<Global> label;  // of rows
  for (Index u : clusters.label)
    label.insert(label.end(), block, u < 0 ? Global{-1} : out.layout.first() + u);
  const auto own = label.size();
  border.share(label, 1);
  for (std::size_t i = own; i < label.size(); i += block)
    if (label[i] >= 0) out.ghosts.push_back(label[i]);
  sort_unique(out.ghosts);
  for (std::size_t i = own; i < label.size(); i += block)
    clusters.label.push_back(label[i] < 0 ? -1 : clusters.count + place(out.ghosts, label[i]));
  return out;
}

void share(const Border& border, const Reach& reach, Rotated& Q) {
  if (border.alone()) return;
  const Index m = Q.coarse.vectors;
  border.share(Q.scaling, m);
  Border clusters{border.comm, reach.layout, reach.ghosts, {}};
  clusters.halo =
      std::make_shared<const Exchange>(Exchange::halo(border.comm, reach.layout, reach.ghosts));
  clusters.share(Q.coarse.values, m * m);
}

GlobalRows<double> with_global_columns(const Csr<double>& rows, const Reach& reach, Index width) {
  GlobalRows<double> out{rows.indptr, {}, rows.data};
  out.indices.reserve(rows.indices.size());
  for (Index c : rows.indices) out.indices.push_back(reach.number(c / width) * width + c % width);
  return out;
}

Layout next_layout(const Reach& reach, Index width, Index rows_per_rank) {
  Layout out = reach.layout;
  for (Global& start : out.starts) start *= width;
  return out.thinned(out.crowding(rows_per_rank));
}

CoarseEntries coarse_entries(const Border& border, const CsrView<double>& A,
                             const GlobalRows<double>& P, const Reach& reach, Index width,
                             const Layout& to) {
  const Global first = reach.layout.first() * width, last = first + reach.layout.own() * width;
  const GlobalRows<double> theirs = fetch_rows(border.comm, border.layout, P, border.ghosts);
  // Numbers of the columns here: own ones, then all others that occur.
  std::vector<Global> others;
  for (const auto* rows : {&P, &theirs})
    for (Global c : rows->indices)
      if (c < first || c >= last) others.push_back(c);
  sort_unique(others);
  const auto own = static_cast<Index>(last - first);
  const auto number = [&](Global c) {
    return c >= first && c < last ? static_cast<Index>(c - first) : own + place(others, c);
  };
  Csr<double> all{P.rows() + theirs.rows(), own + static_cast<Index>(others.size()), {0}, {}, {}};
  for (const auto* rows : {&P, &theirs})
    for (Index i = 0; i < rows->rows(); ++i) {
      for (Index p = rows->indptr[i]; p < rows->indptr[i + 1]; ++p) {
        all.indices.push_back(number(rows->indices[p]));
        all.data.push_back(rows->data[p]);
      }
      all.indptr.push_back(static_cast<Index>(all.data.size()));
    }
  const CsrView<double> own_rows{P.rows(), all.cols, all.indptr.data(), all.indices.data(),
                                 all.data.data()};
  Csr<double> R = transpose(own_rows);
  R.cols = A.cols;
  const Csr<double> product = galerkin(A, R.view(), all.view());

  const std::vector<double> d = diagonal(A);
  GlobalRows<double> parts, sizes;
  std::vector<Global> rows;
  for (Index u = 0; u < product.rows; ++u) {
    if (product.indptr[u] == product.indptr[u + 1] && u >= own) continue;
    rows.push_back(u < own ? first + u : others[u - own]);
    for (Index p = product.indptr[u]; p < product.indptr[u + 1]; ++p) {
      const Index c = product.indices[p];
      parts.indices.push_back(c < own ? first + c : others[c - own]);
      parts.data.push_back(product.data[p]);
    }
    parts.indptr.push_back(static_cast<Index>(parts.data.size()));
    double size = 0;
    for (Index r = R.indptr[u]; r < R.indptr[u + 1]; ++r)
      size += R.data[r] * R.data[r] * std::abs(d[R.indices[r]]);
    sizes.indices.push_back(0);
    sizes.data.push_back(size);
    sizes.indptr.push_back(static_cast<Index>(sizes.data.size()));
  }
  return {add_rows(border.comm, to, parts, rows), add_rows(border.comm, to, sizes, rows).data};
}

Border border_of(const Communicator& comm, const Layout& layout, const std::vector<Global>& columns,
                 const std::vector<Global>& nodes, Index block) {
  std::vector<Global> ghost_nodes;
  for (Global c : columns)
    if (!layout.owns(c)) ghost_nodes.push_back(c / block);
  for (Global node : nodes)
    if (!layout.owns(node * block)) ghost_nodes.push_back(node);
  sort_unique(ghost_nodes);
  Border out{comm, layout, {}, {}};
  for (Global node : ghost_nodes)
    for (Index e = 0; e < block; ++e) out.ghosts.push_back(node * block + e);
  out.halo = std::make_shared<const Exchange>(Exchange::halo(comm, layout, out.ghosts));
  return out;
}

Csr<double> localized(const Border& border, const GlobalRows<double>& rows, Index block) {
  const Layout& layout = border.layout;
  const Index own = layout.own() / block;
  Csr<double> out{
      rows.rows(), own + static_cast<Index>(border.ghosts.size()) / block, rows.indptr, {}, {}};
  out.indices.resize(rows.indices.size());
  out.data.resize(rows.data.size());
  std::vector<std::pair<Index, double>> row;
  for (Index i = 0; i < rows.rows(); ++i) {
    row.clear();
    bool sorted = true;  // as a rule: own columns and ghosts both ascend
    const auto add = [&](Index column, double value) {
      sorted = sorted && (row.empty() || row.back().first < column);
      row.emplace_back(column, value);
    };
    for (const bool own_ones : {true, false})
      for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
        if (const Global c = rows.indices[p] * block; layout.owns(c) == own_ones)
          add(own_ones ? static_cast<Index>((c - layout.first()) / block)
                       : own + place(border.ghosts, c) / block,
              rows.data[p]);
    if (!sorted) std::sort(row.begin(), row.end());
    Index at = rows.indptr[i];
    for (const auto& [column, value] : row) {
      out.indices[at] = column;
      out.data[at++] = value;
    }
  }
  return out;
}

Csr<double> assembled(const Border& border, const CoarseEntries& entries) {
  Csr<double> A = localized(border, entries.rows);
  std::vector<char> null(A.rows);
  for (Index i = 0; i < A.rows; ++i) {
    double sum = 0;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) sum += std::abs(A.data[p]);
    null[i] = sum <= 1e-13 * entries.size[i];
  }
  border.share(null, 1);
  for (Index i = 0; i < A.rows; ++i)
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p)
      if (null[i] || null[A.indices[p]]) A.data[p] = 0;
  return A;
}

Csr<double> gathered(const Border& border, const Csr<double>& rows) {
  if (border.alone()) return rows;
  const Index own = border.layout.own(), total = to_index(border.layout.total(), "rows");
  std::vector<Index> lengths, columns;
  for (Index i = 0; i < rows.rows; ++i) lengths.push_back(rows.indptr[i + 1] - rows.indptr[i]);
  for (Index c : rows.indices)
    columns.push_back(
        static_cast<Index>(c < own ? border.layout.first() + c : border.ghosts[c - own]));
  Csr<double> out{
      total, total, {0}, border.comm.all_gather(columns), border.comm.all_gather(rows.data)};
  for (Index length : border.comm.all_gather(lengths))
    out.indptr.push_back(out.indptr.back() + length);
  return out;
}

template <class T>
void split(const Communicator& comm, const Layout& columns, const GlobalRows<double>& rows,
           Csr<T>& own, OffDiagonal<T>& off) {
  const Border border = border_of(comm, columns, rows.indices, {}, 1);
  off.halo = border.halo;
  pympf::split(localized(border, rows).view(), columns.own(), own, off);
}

template void split(const Communicator&, const Layout&, const GlobalRows<double>&, Csr<float>&,
                    OffDiagonal<float>&);
template void split(const Communicator&, const Layout&, const GlobalRows<double>&, Csr<double>&,
                    OffDiagonal<double>&);

}  // namespace pympf::precond
