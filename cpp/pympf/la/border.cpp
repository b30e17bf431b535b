#include "pympf/la/border.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

namespace pympf {

void sort_unique(std::vector<Global>& values) {
  std::sort(values.begin(), values.end());
  values.erase(std::unique(values.begin(), values.end()), values.end());
}

Index place(const std::vector<Global>& sorted, Global value) {
  return static_cast<Index>(std::lower_bound(sorted.begin(), sorted.end(), value) - sorted.begin());
}

std::vector<Global> all_rows(const std::vector<Global>& nodes, Index block) {
  std::vector<Global> out;
  for (Global node : nodes)
    for (Index e = 0; e < block; ++e) out.push_back(node * block + e);
  return out;
}

Border border_of(const Communicator& comm, const Layout& layout, std::vector<Global> ghosts) {
  Border out{comm, layout, std::move(ghosts), {}};
  out.halo = std::make_shared<const Exchange>(Exchange::halo(comm, layout, out.ghosts));
  return out;
}

Border border_of(const DistRows<double>& A, const std::vector<Index>& order, Index block,
                 std::vector<Index>& number) {
  const Index own = A.own();
  std::vector<Global> target(order.size());
  for (Index i = 0; i < own; ++i) target[order[i]] = A.layout.first() + i;
  const auto ghosts = ghosts_of(A);
  std::vector<Global> ghost_target(ghosts.size());
  ExchangeSpace<Global> space;
  Exchange::halo(A.comm, A.layout, ghosts).forward(target.data(), ghost_target.data(), 1, space);
  std::vector<Global> nodes;
  for (Global row : ghost_target) nodes.push_back(row / block);
  sort_unique(nodes);
  Border out = border_of(A.comm, A.layout, all_rows(nodes, block));
  number.resize(A.column_count());
  for (Index c = 0; c < A.column_count(); ++c)
    number[c] = A.owns(c) ? static_cast<Index>(target[c - A.shift] - A.layout.first())
                          : own + place(out.ghosts, ghost_target[A.ghost(c)]);
  return out;
}

GlobalRows<double> moved_rows(const Border& from, const Layout& to, const Csr<double>& rows,
                              Index block) {
  GlobalRows<double> moving{rows.indptr, {}, rows.data};
  for (Index c : rows.indices) moving.indices.push_back(from.number(c * block) / block);
  std::vector<Global> numbers(rows.rows);
  std::iota(numbers.begin(), numbers.end(), from.layout.first() / block);
  Layout nodes = to;
  for (Global& start : nodes.starts) start /= block;
  return add_rows(from.comm, nodes, moving, numbers);
}

Border border_of(const Communicator& comm, const Layout& layout, const std::vector<Global>& columns,
                 const std::vector<Global>& nodes, Index block) {
  std::vector<Global> ghosts;  // nodes
  for (Global c : columns)
    if (!layout.owns(c)) ghosts.push_back(c / block);
  for (Global node : nodes)
    if (!layout.owns(node * block)) ghosts.push_back(node);
  sort_unique(ghosts);
  return border_of(comm, layout, all_rows(ghosts, block));
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

Csr<double> gathered(const Border& border, const Csr<double>& rows) {
  if (border.alone()) return rows;
  const Index total = to_index(border.layout.total(), "rows");
  std::vector<Index> lengths, columns;
  for (Index i = 0; i < rows.rows; ++i) lengths.push_back(rows.indptr[i + 1] - rows.indptr[i]);
  for (Index c : rows.indices) columns.push_back(static_cast<Index>(border.number(c)));
  Csr<double> out{
      total, total, {0}, border.comm.all_gather(columns), border.comm.all_gather(rows.data)};
  for (Index length : border.comm.all_gather(lengths))
    out.indptr.push_back(out.indptr.back() + length);
  return out;
}

OffDiagonal<double> split(const Border& from, const Layout& to, Csr<double>& rows) {
  OffDiagonal<double> off;
  off.block.indptr = {0};
  std::vector<Global> columns;
  Index at = 0, begin = 0;
  for (Index i = 0; i < rows.rows; ++i) {
    const Index end = rows.indptr[i + 1];
    for (Index p = begin; p < end; ++p) {
      const Global c = from.number(rows.indices[p]);
      if (to.owns(c)) {
        rows.indices[at] = static_cast<Index>(c - to.first());
        rows.data[at++] = rows.data[p];
      } else {
        columns.push_back(c);
        off.block.data.push_back(rows.data[p]);
      }
    }
    rows.indptr[i + 1] = at;
    begin = end;
    if (static_cast<Index>(columns.size()) == off.block.indptr.back()) continue;
    off.rows.push_back(i);
    off.block.indptr.push_back(static_cast<Index>(columns.size()));
  }
  rows.cols = to.own();
  rows.indices.resize(at);
  rows.data.resize(at);
  std::vector<Global> ghosts = columns;
  sort_unique(ghosts);
  for (Global c : columns) off.block.indices.push_back(place(ghosts, c));
  off.block.rows = static_cast<Index>(off.rows.size());
  off.block.cols = static_cast<Index>(ghosts.size());
  off.halo = std::make_shared<const Exchange>(Exchange::halo(from.comm, to, ghosts));
  return off;
}

}  // namespace pympf
