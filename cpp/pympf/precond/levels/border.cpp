#include "pympf/precond/levels/border.hpp"

#include <algorithm>

#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::precond {
namespace {

// The clusters of other ranks among these columns, `width` for each, and among `known`; ascending.
std::vector<Global> others(const Layout& clusters, const std::vector<Global>& columns, Index width,
                           const std::vector<Global>& known) {
  std::vector<Global> out;
  for (Global c : columns)
    if (!clusters.owns(c / width)) out.push_back(c / width);
  out.insert(out.end(), known.begin(), known.end());
  sort_unique(out);
  return out;
}

// Columns over own clusters and `ghosts`, `width` for each.
struct Numbering {
  const Layout& clusters;
  const std::vector<Global>& ghosts;
  Index width;

  Index own() const { return clusters.own() * width; }
  Index count() const { return own() + static_cast<Index>(ghosts.size()) * width; }
  Index number(Global c) const {
    const Global u = c / width;
    const Index here = clusters.owns(u) ? static_cast<Index>(u - clusters.first())
                                        : clusters.own() + place(ghosts, u);
    return here * width + static_cast<Index>(c % width);
  }
  Global global(Index c) const {
    const Index u = c / width;
    const Global there = u < clusters.own() ? clusters.first() + u : ghosts[u - clusters.own()];
    return there * width + c % width;
  }
  // Takes the columns over to a numbering that has all of these ghosts.
  void renumber(const Numbering& to, Csr<double>& rows) const {
    rows.cols = to.count();
    if (ghosts.size() == to.ghosts.size()) return;
    std::vector<Index> column;  // of each ghost, the first one
    for (Global u : ghosts) column.push_back(to.number(u * width));
    for (Index& c : rows.indices)
      if (c >= own()) c = column[c / width - clusters.own()] + c % width;
  }
  Csr<double> local(const GlobalRows<double>& rows) const {
    Csr<double> out{rows.rows(), count(), rows.indptr, {}, rows.data};
    out.indices.reserve(rows.indices.size());
    for (Global c : rows.indices) out.indices.push_back(number(c));
    return out;
  }
};

void append(Csr<double>& rows, const Csr<double>& more) {
  const Index nnz = rows.nnz();
  for (Index i = 1; i <= more.rows; ++i) rows.indptr.push_back(nnz + more.indptr[i]);
  rows.indices.insert(rows.indices.end(), more.indices.begin(), more.indices.end());
  rows.data.insert(rows.data.end(), more.data.begin(), more.data.end());
  rows.rows += more.rows;
}

void truncate(Csr<double>& rows, Index count) {
  rows.rows = count;
  rows.indptr.resize(count + 1);
  rows.indices.resize(rows.indptr.back());
  rows.data.resize(rows.indptr.back());
}

// What other ranks bring to own rows.
struct Brought {
  GlobalRows<double> rows;
  std::vector<double> size;
};

// `parts` are of rows of others, which follow the own ones in the numbering.
Brought exchange_parts(const Communicator& comm, const Layout& to, const Numbering& columns,
                       const ProductRows& parts) {
  GlobalRows<double> rows, sizes;
  std::vector<Global> numbers;
  for (Index u = 0; u < parts.rows.rows; ++u) {
    if (parts.rows.indptr[u] == parts.rows.indptr[u + 1]) continue;
    numbers.push_back(columns.global(columns.own() + u));
    for (Index p = parts.rows.indptr[u]; p < parts.rows.indptr[u + 1]; ++p) {
      rows.indices.push_back(columns.global(parts.rows.indices[p]));
      rows.data.push_back(parts.rows.data[p]);
    }
    rows.indptr.push_back(static_cast<Index>(rows.data.size()));
    sizes.indices.push_back(0);
    sizes.data.push_back(parts.size[u]);
    sizes.indptr.push_back(static_cast<Index>(sizes.data.size()));
  }
  Brought out{add_rows(comm, to, rows, numbers), std::vector<double>(to.own(), 0.0)};
  const auto size = add_rows(comm, to, sizes, numbers);
  for (Index i = 0; i < size.rows(); ++i)
    if (size.indptr[i] < size.indptr[i + 1]) out.size[i] = size.data[size.indptr[i]];
  return out;
}

Layout times(Layout layout, Index width) {
  for (Global& start : layout.starts) start *= width;
  return layout;
}

}  // namespace

Border reach(const Border& border, Index block, Clustering& clusters) {
  if (border.alone()) {
    Border out;
    out.layout.starts = {0, clusters.count};
    return out;
  }
  const Layout layout(border.comm, clusters.count);
  std::vector<Global> label, ghosts;  // of rows
  for (Index u : clusters.label)
    label.insert(label.end(), block, u < 0 ? Global{-1} : layout.first() + u);
  const auto own = label.size();
  border.share(label, 1);
  for (std::size_t i = own; i < label.size(); i += block)
    if (label[i] >= 0) ghosts.push_back(label[i]);
  sort_unique(ghosts);
  for (std::size_t i = own; i < label.size(); i += block)
    clusters.label.push_back(label[i] < 0 ? -1 : clusters.count + place(ghosts, label[i]));
  return border_of(border.comm, layout, std::move(ghosts));
}

void share(const Border& border, const Border& clusters, Rotated& Q) {
  const Index m = Q.coarse.vectors;
  border.share(Q.scaling, m);
  clusters.share(Q.coarse.values, m * m);
}

std::optional<Projection> project(const Border& border, const CsrView<double>& A,
                                  const Border& clusters, Index width, Global most, Csr<double>& P,
                                  Csr<double>* left) {
  Projection out;
  if (border.alone()) {
    out.R = transpose((left ? left : &P)->view());
    auto product = product_rows(A, out.R, P, 0, out.R.rows, most);
    if (!product) return {};
    zero_what_is_rounding(product->null, product->rows);
    out.A = std::move(product->rows);
    out.work = product->work;
    return out;
  }
  const Communicator& comm = border.comm;
  const Layout &layout = clusters.layout, rows = times(layout, width);
  const Index fine = P.rows;
  // The functions of ghosts follow those of own rows.
  const Numbering known{layout, clusters.ghosts, width};
  const GlobalRows<double> theirs = fetch_rows<double>(
      comm, border.layout, P, [&](Index c) { return known.global(c); }, border.ghosts);
  const auto met = others(layout, theirs.indices, width, clusters.ghosts);
  const Numbering near{layout, met, width};
  known.renumber(near, P);
  if (left) known.renumber(near, *left);
  out.R = transpose((left ? left : &P)->view());
  append(P, near.local(theirs));

  const Index own = near.own();
  const auto parts = product_rows(A, out.R, P, own, out.R.rows, unbounded);
  const Brought brought = exchange_parts(comm, rows, near, *parts);
  const auto ghosts = others(layout, brought.rows.indices, width, met);
  const Numbering all{layout, ghosts, width};
  near.renumber(all, P);
  if (left) near.renumber(all, *left);
  truncate(out.R, own);
  auto product =
      product_rows(A, out.R, P, 0, own, most, {all.local(brought.rows), brought.size, 0, {}});
  truncate(P, fine);
  if (comm.sum(product ? Global{product->rows.nnz()} : most + 1) > most) return {};

  out.border = border_of(comm, rows, all_rows(ghosts, width));
  out.border.share(product->null, 1);
  out.A = std::move(product->rows);
  out.work = parts->work + product->work;
  zero_what_is_rounding(product->null, out.A);
  return out;
}

Border clusters_known_to(const Border& clusters, const Border& coarse, Index width) {
  Border out{clusters.comm, clusters.layout, {}, {}};
  for (std::size_t g = 0; g < coarse.ghosts.size(); g += width)
    out.ghosts.push_back(coarse.ghosts[g] / width);
  return out;
}

void renumber(const Border& clusters, const Border& known, Csr<double>& rows) {
  if (clusters.alone()) return;
  Numbering{clusters.layout, clusters.ghosts, 1}.renumber({known.layout, known.ghosts, 1}, rows);
}

Layout next_layout(const Layout& coarse, Index rows_per_rank) {
  return coarse.thinned(coarse.crowding(rows_per_rank));
}

}  // namespace pympf::precond
