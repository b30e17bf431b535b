// A square matrix by rows over the ranks, as setups work on it: every rank holds its range of rows,
// whole. The columns of these rows are numbered on the rank, ascending in their global number, so
// that a loop over a row adds in the same order on any number of ranks.
//
// Communication: fetch_rows, move_rows and the exchange that ghosts_of sets up.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "pympf/la/csr.hpp"
#include "pympf/mpi/exchange.hpp"
#include "pympf/mpi/layout.hpp"

namespace pympf {

// Rows with global columns: what travels.
template <class T>
struct GlobalRows {
  std::vector<Index> indptr{0};
  std::vector<Global> indices;
  std::vector<T> data;

  Index rows() const { return static_cast<Index>(indptr.size()) - 1; }
};

// What checks of own rows have come by, so that nobody passes over them for it again.
template <class T>
struct Seen {
  std::optional<double> largest;                   // magnitude of an entry
  std::shared_ptr<const std::vector<T>> diagonal;  // null: not seen
};

template <class T>
struct DistRows {
  Communicator comm;
  Layout layout;
  CsrView<T> rows;                 // own rows; their columns are numbers into `columns`
  std::vector<Global> columns;     // ascending, own ones among them; empty: all there are
  Index shift = 0;                 // number of the first own column
  Csr<T> storage;                  // what `rows` looks at, unless it is somebody else's
  bool symmetric_pattern = false;  // known to be: what setups rely on (symmetry.hpp)
  bool general = false;            // values need not be symmetric: setups take it as it is
  Seen<T> seen;                    // by checks of the values, which stay as they were then

  DistRows() = default;
  DistRows(const CsrView<T>& all) : rows(all) { layout.starts = {0, all.rows}; }
  DistRows(const Csr<T>& all) : DistRows(all.view()) {}
  DistRows(DistRows&&) = default;
  DistRows& operator=(DistRows&&) = default;

  Index own() const { return layout.own(); }
  Global column(Index c) const { return columns.empty() ? c : columns[c]; }
  Index column_count() const {
    return columns.empty() ? own() : static_cast<Index>(columns.size());
  }
  bool owns(Index c) const { return c >= shift && c < shift + own(); }
  Index ghost(Index c) const { return c < shift ? c : c - own(); }  // number among the ghosts
  Global nnz() const { return comm.sum(Global{rows.nnz()}); }       // collective
};

// Looks at the rows of A, which must stay.
template <class T>
DistRows<T> view_of(const DistRows<T>& A) {
  DistRows<T> out;
  out.comm = A.comm;
  out.layout = A.layout;
  out.rows = A.rows;
  out.columns = A.columns;
  out.shift = A.shift;
  out.symmetric_pattern = A.symmetric_pattern;
  out.general = A.general;
  out.seen = A.seen;
  return out;
}

// The pattern of A with values of its own: value(i, p) for entry p, in row i.
template <class S, class T, class Value>
DistRows<S> with_values(const DistRows<T>& A, const Value& value) {
  const CsrView<T>& rows = A.rows;
  DistRows<S> out;
  out.comm = A.comm;
  out.layout = A.layout;
  out.columns = A.columns;
  out.shift = A.shift;
  out.symmetric_pattern = A.symmetric_pattern;
  out.general = A.general;
  out.storage = {rows.rows,
                 rows.cols,
                 {rows.indptr, rows.indptr + rows.rows + 1},
                 {rows.indices, rows.indices + rows.nnz()},
                 {}};
  out.storage.data.resize(rows.nnz());
  parallel_for(rows.rows, worth_threads(rows.nnz()), [&](Index i) {
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) out.storage.data[p] = value(i, p);
  });
  out.rows = out.storage.view();
  return out;
}

// Numbers the columns of own rows, which may come in any order. Not collective.
template <class T>
DistRows<T> number_columns(const Communicator& comm, const Layout& layout,
                           const GlobalRows<T>& rows);

// Looks at own rows with global columns, which ascend in every row; only the numbers of the columns
// are made here. Not collective.
template <class T, class Int>
DistRows<T> view_of_rows(const Communicator& comm, const Layout& layout, const Index* indptr,
                         const Int* columns, const T* data);

// The ghosts among the columns, in their order.
template <class T>
std::vector<Global> ghosts_of(const DistRows<T>& A);

// The rows `wanted` (ascending, of any rank) of the matrix whose own rows are `own`. Collective.
template <class T>
GlobalRows<T> fetch_rows(const Communicator& comm, const Layout& layout, const GlobalRows<T>& own,
                         const std::vector<Global>& wanted);
// The same for rows whose columns have other numbers: column(c) is the global one.
template <class T>
GlobalRows<T> fetch_rows(const Communicator& comm, const Layout& layout, const CsrView<T>& own,
                         const std::function<Global(Index)>& column,
                         const std::vector<Global>& wanted);

template <class T>
GlobalRows<T> global_rows(const DistRows<T>& A);

// The same matrix with own row i, and its column, at targets[i] of the layout `to`. Collective.
template <class T>
DistRows<T> move_rows(const DistRows<T>& A, const Layout& to, const std::vector<Global>& targets);

// Row i of `rows`, which may come in any order, is a part of the row numbers[i] of the result: what
// several ranks bring to a row is added, the own part first, then in the order of the ranks. Every
// rank has at most one part of a row; columns come in any order, none twice. Collective.
template <class T>
GlobalRows<T> add_rows(const Communicator& comm, const Layout& to, const GlobalRows<T>& rows,
                       const std::vector<Global>& numbers);

// Of own rows.
template <class T>
std::vector<T> diagonal(const DistRows<T>& A);
template <class T>
double largest_entry(const DistRows<T>& A);

// Own rows and own columns, numbered from 0.
template <class T>
Csr<T> diagonal_block(const DistRows<T>& A);
// Where it has entries, without their values.
template <class T>
Csr<T> diagonal_pattern(const DistRows<T>& A);

// Brings the entries of a vector that belong to the columns of own rows. Making one, and every use,
// is collective.
class Halo {
 public:
  template <class T>
  explicit Halo(const DistRows<T>& A);
  // Own entries stand in their places (from A.shift on) already.
  template <class V>
  void operator()(std::vector<V>& columns, ExchangeSpace<V>& space) const {
    if (!alone_) halo_.forward(columns.data() + shift_, columns.data(), 1, space);
  }
  template <class V>
  void operator()(std::vector<V>& columns) const {
    ExchangeSpace<V> space;
    (*this)(columns, space);
  }

 private:
  bool alone_;
  Index shift_;
  Exchange halo_;
};

// y = A x for own rows, of own entries x: the rows are used as they lie, where `DistCsr` has a copy
// in which messages travel during the work. Making one, and every product, is collective.
template <class T>
class RowProduct {
 public:
  explicit RowProduct(const DistRows<T>& A);
  void operator()(const T* x, T* y);

 private:
  const DistRows<T>& A_;
  Halo halo_;
  std::vector<T> columns_;
  ExchangeSpace<T> space_;
};

}  // namespace pympf
