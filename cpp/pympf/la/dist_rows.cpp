#include "pympf/la/dist_rows.hpp"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "pympf/la/blas1.hpp"

namespace pympf {
namespace {

template <class T>
struct Entry {
  Global column;
  T value;
};

struct RowHead {
  Global row;
  Global length;
};

// Rows on their way to a rank.
template <class T>
struct Shipment {
  std::vector<RowHead> heads;
  std::vector<Entry<T>> entries;
};

template <class T>
using Shipments = std::map<int, Shipment<T>>;

// Calls row(head, entries) for every row that arrives, by sender. Collective.
template <class T, class Row>
void ship(const Communicator& comm, Shipments<T>& out, const Row& row) {
  std::vector<Packet<RowHead>> heads;
  std::vector<Packet<Entry<T>>> entries;
  for (auto& [rank, shipment] : out) {
    heads.push_back({rank, std::move(shipment.heads)});
    entries.push_back({rank, std::move(shipment.entries)});
  }
  heads = comm.exchange(heads);
  entries = comm.exchange(entries);
  for (std::size_t p = 0; p < heads.size(); ++p) {
    const Entry<T>* entry = entries[p].data.data();
    for (const RowHead& head : heads[p].data) {
      row(head, entry);
      entry += head.length;
    }
  }
}

// Sets what A knows of its columns: own ones and these, which may come in any order and often.
template <class T>
void set_columns(std::vector<Global> ghosts, DistRows<T>& A) {
  std::sort(ghosts.begin(), ghosts.end());
  ghosts.erase(std::unique(ghosts.begin(), ghosts.end()), ghosts.end());
  const auto split = std::lower_bound(ghosts.begin(), ghosts.end(), A.layout.first());
  A.shift = static_cast<Index>(split - ghosts.begin());
  if (A.comm.size() == 1 && ghosts.empty()) return;
  A.columns.reserve(ghosts.size() + A.own());
  A.columns.assign(ghosts.begin(), split);
  for (Global j = A.layout.first(); j < A.layout.last(); ++j) A.columns.push_back(j);
  A.columns.insert(A.columns.end(), split, ghosts.end());
}

template <class T>
Index number_of(const DistRows<T>& A, Global j) {
  if (A.layout.owns(j)) return static_cast<Index>(j - A.layout.first()) + A.shift;
  return static_cast<Index>(std::lower_bound(A.columns.begin(), A.columns.end(), j) -
                            A.columns.begin());
}

}  // namespace

template <class T>
DistRows<T> number_columns(const Communicator& comm, const Layout& layout,
                           const GlobalRows<T>& rows) {
  DistRows<T> out;
  out.comm = comm;
  out.layout = layout;
  std::vector<Global> ghosts;
  for (Global j : rows.indices)
    if (!layout.owns(j)) ghosts.push_back(j);
  set_columns(std::move(ghosts), out);
  Csr<T>& A = out.storage;
  A = {rows.rows(), out.column_count(), rows.indptr, {}, {}};
  A.indices.resize(rows.indices.size());
  A.data.resize(rows.data.size());
  std::vector<std::pair<Index, T>> row;
  for (Index i = 0; i < A.rows; ++i) {
    row.clear();
    bool sorted = true;
    for (Index p = A.indptr[i]; p < A.indptr[i + 1]; ++p) {
      const Index c = number_of(out, rows.indices[p]);
      sorted = sorted && (row.empty() || row.back().first < c);
      row.emplace_back(c, rows.data[p]);
    }
    if (!sorted)
      std::sort(row.begin(), row.end(),
                [](const auto& x, const auto& y) { return x.first < y.first; });
    for (std::size_t k = 0; k < row.size(); ++k) {
      A.indices[A.indptr[i] + k] = row[k].first;
      A.data[A.indptr[i] + k] = row[k].second;
    }
  }
  out.rows = A.view();
  return out;
}

template <class T, class Int>
DistRows<T> view_of_rows(const Communicator& comm, const Layout& layout, const Index* indptr,
                         const Int* columns, const T* data) {
  DistRows<T> out;
  out.comm = comm;
  out.layout = layout;
  const Index rows = layout.own(), nnz = indptr[rows];
  std::vector<Global> ghosts;
  for (Index p = 0; p < nnz; ++p)
    if (!layout.owns(columns[p])) ghosts.push_back(columns[p]);
  set_columns(std::move(ghosts), out);
  out.storage.indices.resize(nnz);
  for (Index p = 0; p < nnz; ++p) out.storage.indices[p] = number_of(out, columns[p]);
  out.rows = {rows, out.column_count(), indptr, out.storage.indices.data(), data};
  return out;
}

template <class T>
std::vector<Global> ghosts_of(const DistRows<T>& A) {
  std::vector<Global> out;
  for (Index c = 0; c < static_cast<Index>(A.columns.size()); ++c)
    if (!A.owns(c)) out.push_back(A.columns[c]);
  return out;
}

namespace {

// column(p): of entry p, the global one.
template <class T, class Column>
GlobalRows<T> fetch(const Communicator& comm, const Layout& layout, const Index* indptr,
                    const T* data, const Column& column, const std::vector<Global>& wanted) {
  std::vector<Packet<Global>> requests;
  for (Global row : wanted) {
    const int rank = layout.owner(row);
    if (requests.empty() || requests.back().rank != rank) requests.push_back({rank, {}});
    requests.back().data.push_back(row);
  }
  Shipments<T> replies;
  for (const auto& [rank, rows] : comm.exchange(requests)) {
    Shipment<T>& reply = replies[rank];
    for (Global row : rows) {
      const auto i = static_cast<Index>(row - layout.first());
      reply.heads.push_back({row, indptr[i + 1] - indptr[i]});
      for (Index p = indptr[i]; p < indptr[i + 1]; ++p)
        reply.entries.push_back({column(p), data[p]});
    }
  }
  // Owners ascend with the rows, so rows arrive in the order in which they were wanted.
  GlobalRows<T> out;
  ship(comm, replies, [&](const RowHead& head, const Entry<T>* entry) {
    for (Global k = 0; k < head.length; ++k) {
      out.indices.push_back(entry[k].column);
      out.data.push_back(entry[k].value);
    }
    out.indptr.push_back(to_index(static_cast<Global>(out.data.size()), "entries of fetched rows"));
  });
  return out;
}

}  // namespace

template <class T>
GlobalRows<T> fetch_rows(const Communicator& comm, const Layout& layout, const GlobalRows<T>& own,
                         const std::vector<Global>& wanted) {
  const auto column = [&](Index p) { return own.indices[p]; };
  return fetch(comm, layout, own.indptr.data(), own.data.data(), column, wanted);
}

template <class T>
GlobalRows<T> fetch_rows(const Communicator& comm, const Layout& layout, const CsrView<T>& own,
                         const std::function<Global(Index)>& column,
                         const std::vector<Global>& wanted) {
  const auto column_of_entry = [&](Index p) { return column(own.indices[p]); };
  return fetch(comm, layout, own.indptr, own.data, column_of_entry, wanted);
}

template <class T>
GlobalRows<T> global_rows(const DistRows<T>& A) {
  const CsrView<T>& rows = A.rows;
  GlobalRows<T> out;
  out.indptr.assign(rows.indptr, rows.indptr + rows.rows + 1);
  out.data.assign(rows.data, rows.data + rows.nnz());
  out.indices.resize(rows.nnz());
  for (Index p = 0; p < rows.nnz(); ++p) out.indices[p] = A.column(rows.indices[p]);
  return out;
}

template <class T>
DistRows<T> move_rows(const DistRows<T>& A, const Layout& to, const std::vector<Global>& targets) {
  const auto ghosts = ghosts_of(A);
  const Exchange halo = Exchange::halo(A.comm, A.layout, ghosts);
  ExchangeSpace<Global> space;
  std::vector<Global> ghost_targets(ghosts.size());
  halo.forward(targets.data(), ghost_targets.data(), 1, space);
  const auto target = [&](Index c) {
    if (A.owns(c)) return targets[c - A.shift];
    return ghost_targets[A.ghost(c)];
  };
  const CsrView<T>& rows = A.rows;
  GlobalRows<T> moving;
  moving.indptr.assign(rows.indptr, rows.indptr + rows.rows + 1);
  moving.data.assign(rows.data, rows.data + rows.nnz());
  moving.indices.resize(rows.nnz());
  for (Index p = 0; p < rows.nnz(); ++p) moving.indices[p] = target(rows.indices[p]);
  DistRows<T> out = number_columns(A.comm, to, add_rows(A.comm, to, moving, targets));
  out.general = A.general;
  return out;
}

namespace {

// Entries from other ranks, by the row here that they are for, in the order of the senders.
template <class T>
struct Arrivals {
  std::vector<Index> start;
  std::vector<Entry<T>> entries;
};

template <class T>
Arrivals<T> receive(const Communicator& comm, const Layout& to, Shipments<T>& out) {
  std::vector<Entry<T>> came;
  std::vector<std::pair<Index, Index>> rows;  // row, entries
  Arrivals<T> in;
  in.start.assign(to.own() + 1, 0);
  ship(comm, out, [&](const RowHead& head, const Entry<T>* entry) {
    rows.emplace_back(static_cast<Index>(head.row - to.first()), static_cast<Index>(head.length));
    came.insert(came.end(), entry, entry + head.length);
    to_index(static_cast<Global>(came.size()), "entries of added rows");
    in.start[rows.back().first + 1] += rows.back().second;
  });
  std::partial_sum(in.start.begin(), in.start.end(), in.start.begin());
  in.entries.resize(came.size());
  std::vector<Index> next(in.start.begin(), in.start.end() - 1);
  auto entry = came.begin();
  for (const auto& [row, length] : rows) {
    std::copy_n(entry, length, in.entries.begin() + next[row]);
    next[row] += length;
    entry += length;
  }
  return in;
}

// Adds up what the end of the rows, from `begin` on, has twice.
template <class T>
void merge_end(GlobalRows<T>& rows, std::size_t begin) {
  std::vector<Entry<T>> row;
  for (std::size_t p = begin; p < rows.data.size(); ++p)
    row.push_back({rows.indices[p], rows.data[p]});
  std::stable_sort(row.begin(), row.end(),
                   [](const auto& x, const auto& y) { return x.column < y.column; });
  rows.indices.resize(begin);
  rows.data.resize(begin);
  for (const auto& [column, value] : row)
    if (rows.data.size() > begin && rows.indices.back() == column) {
      rows.data.back() += value;
    } else {
      rows.indices.push_back(column);
      rows.data.push_back(value);
    }
}

}  // namespace

template <class T>
GlobalRows<T> add_rows(const Communicator& comm, const Layout& to, const GlobalRows<T>& rows,
                       const std::vector<Global>& numbers) {
  std::vector<Index> own(to.own(), -1);  // the part of a row that is here already
  Shipments<T> out;
  for (Index i = 0; i < rows.rows(); ++i) {
    if (to.owns(numbers[i])) {
      own[numbers[i] - to.first()] = i;
      continue;
    }
    Shipment<T>& shipment = out[to.owner(numbers[i])];
    shipment.heads.push_back({numbers[i], rows.indptr[i + 1] - rows.indptr[i]});
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
      shipment.entries.push_back({rows.indices[p], rows.data[p]});
  }
  const Arrivals<T> in = receive(comm, to, out);
  GlobalRows<T> sum;
  sum.indptr.reserve(own.size() + 1);
  sum.indices.reserve(rows.data.size() + in.entries.size());
  sum.data.reserve(rows.data.size() + in.entries.size());
  for (std::size_t r = 0; r < own.size(); ++r) {
    const std::size_t begin = sum.data.size();
    if (const Index i = own[r]; i >= 0) {
      sum.indices.insert(sum.indices.end(), rows.indices.begin() + rows.indptr[i],
                         rows.indices.begin() + rows.indptr[i + 1]);
      sum.data.insert(sum.data.end(), rows.data.begin() + rows.indptr[i],
                      rows.data.begin() + rows.indptr[i + 1]);
    }
    for (Index p = in.start[r]; p < in.start[r + 1]; ++p) {
      sum.indices.push_back(in.entries[p].column);
      sum.data.push_back(in.entries[p].value);
    }
    if (in.start[r] < in.start[r + 1]) merge_end(sum, begin);
    sum.indptr.push_back(to_index(static_cast<Global>(sum.data.size()), "entries of added rows"));
  }
  return sum;
}

template <class T>
Csr<T> diagonal_block(const DistRows<T>& A) {
  Csr<T> out{A.own(), A.own(), {0}, {}, {}};
  out.indptr.reserve(A.own() + 1);
  for (Index i = 0; i < A.own(); ++i) {
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      if (const Index c = A.rows.indices[p]; A.owns(c)) {
        out.indices.push_back(c - A.shift);
        out.data.push_back(A.rows.data[p]);
      }
    out.indptr.push_back(static_cast<Index>(out.indices.size()));
  }
  return out;
}

template <class T>
Csr<T> diagonal_pattern(const DistRows<T>& A) {
  Csr<T> out{A.own(), A.own(), {0}, {}, {}};
  out.indptr.reserve(A.own() + 1);
  out.indices.reserve(A.rows.nnz());
  for (Index i = 0; i < A.own(); ++i) {
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      if (const Index c = A.rows.indices[p]; A.owns(c)) out.indices.push_back(c - A.shift);
    out.indptr.push_back(static_cast<Index>(out.indices.size()));
  }
  return out;
}

template <class T>
Halo::Halo(const DistRows<T>& A) : alone_(A.comm.size() == 1), shift_(A.shift) {
  if (alone_) return;
  halo_ = Exchange::halo(A.comm, A.layout, ghosts_of(A));
  std::vector<Index> position;  // of the ghosts among the columns
  for (Index c = 0; c < A.column_count(); ++c)
    if (!A.owns(c)) position.push_back(c);
  halo_.renumber_arrivals(position);
}

template <class T>
RowProduct<T>::RowProduct(const DistRows<T>& A) : A_(A), halo_(A) {
  if (A.comm.size() > 1) columns_.resize(A.column_count());
}

template <class T>
void RowProduct<T>::operator()(const T* x, T* y) {
  if (A_.comm.size() == 1) return spmv(A_.rows, x, y);
  std::copy_n(x, A_.own(), columns_.begin() + A_.shift);
  halo_(columns_, space_);
  spmv(A_.rows, columns_.data(), y);
}

template <class T>
double largest_entry(const DistRows<T>& A) {
  return A.seen.largest ? *A.seen.largest : largest_magnitude(A.rows.nnz(), A.rows.data);
}

template <class T>
std::vector<T> diagonal(const DistRows<T>& A) {
  if (A.seen.diagonal) return *A.seen.diagonal;
  std::vector<T> out(A.own(), T(0));
  const Index *indptr = A.rows.indptr, *indices = A.rows.indices;
  for (Index i = 0; i < A.own(); ++i) {
    Index at = indptr[i], count = indptr[i + 1] - at;
    if (count == 0) continue;
    // Halves without a jump: which half it is cannot be foreseen.
    for (; count > 1; count -= count / 2)
      at += indices[at + count / 2 - 1] < A.shift + i ? count / 2 : 0;
    if (indices[at] == A.shift + i) out[i] = A.rows.data[at];
  }
  return out;
}

#define PYMPF_INSTANTIATE(T)                                                                     \
  template DistRows<T> number_columns(const Communicator&, const Layout&, const GlobalRows<T>&); \
  template DistRows<T> view_of_rows(const Communicator&, const Layout&, const Index*,            \
                                    const Index*, const T*);                                     \
  template DistRows<T> view_of_rows(const Communicator&, const Layout&, const Index*,            \
                                    const Global*, const T*);                                    \
  template std::vector<Global> ghosts_of(const DistRows<T>&);                                    \
  template GlobalRows<T> fetch_rows(const Communicator&, const Layout&, const GlobalRows<T>&,    \
                                    const std::vector<Global>&);                                 \
  template GlobalRows<T> fetch_rows(const Communicator&, const Layout&, const CsrView<T>&,       \
                                    const std::function<Global(Index)>&,                         \
                                    const std::vector<Global>&);                                 \
  template GlobalRows<T> global_rows(const DistRows<T>&);                                        \
  template DistRows<T> move_rows(const DistRows<T>&, const Layout&, const std::vector<Global>&); \
  template GlobalRows<T> add_rows(const Communicator&, const Layout&, const GlobalRows<T>&,      \
                                  const std::vector<Global>&);                                   \
  template Csr<T> diagonal_block(const DistRows<T>&);                                            \
  template Csr<T> diagonal_pattern(const DistRows<T>&);                                          \
  template class RowProduct<T>;                                                                  \
  template Halo::Halo(const DistRows<T>&);                                                       \
  template std::vector<T> diagonal(const DistRows<T>&);                                          \
  template double largest_entry(const DistRows<T>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf
