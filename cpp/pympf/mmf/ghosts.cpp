#include "pympf/mmf/ghosts.hpp"

#include <algorithm>
#include <map>

#include "pympf/la/product.hpp"
#include "pympf/la/sparse.hpp"

namespace pympf::mmf {
namespace {

std::vector<Global> merged(const std::vector<Global>& sorted, std::vector<Global> more) {
  std::sort(more.begin(), more.end());
  more.erase(std::unique(more.begin(), more.end()), more.end());
  std::vector<Global> out;
  std::set_union(sorted.begin(), sorted.end(), more.begin(), more.end(), std::back_inserter(out));
  return out;
}

Index number_of(const std::vector<Global>& sorted, Global id) {
  return static_cast<Index>(std::lower_bound(sorted.begin(), sorted.end(), id) - sorted.begin());
}

// The ghosts whose rows have more than `hub` entries. Collective.
template <class T>
std::vector<Global> hubs_among(const DistRows<T>& A, const std::vector<Global>& ghosts, Index hub) {
  std::vector<Index> length(A.own()), ghost_length(ghosts.size());
  for (Index i = 0; i < A.own(); ++i) length[i] = A.rows.indptr[i + 1] - A.rows.indptr[i];
  ExchangeSpace<Index> space;
  Exchange::halo(A.comm, A.layout, ghosts).forward(length.data(), ghost_length.data(), 1, space);
  std::vector<Global> out;
  for (std::size_t g = 0; g < ghosts.size(); ++g)
    if (ghost_length[g] > hub) out.push_back(ghosts[g]);
  return out;
}

// Their rows.
template <class T>
struct Hubs {
  std::vector<Global> ids;
  GlobalRows<T> rows;

  Hubs(const DistRows<T>& A, Index hub) : ids(hubs_among(A, ghosts_of(A), hub)) {
    if (A.comm.max(static_cast<Global>(ids.size())) > 0)
      rows = fetch_rows<T>(
          A.comm, A.layout, A.rows, [&](Index c) { return A.column(c); }, ids);
  }

  // Calls add(global column, value) for the entries of the row, if it is one of them.
  template <class Add>
  bool for_row(Global id, const Add& add) const {
    const auto found = std::lower_bound(ids.begin(), ids.end(), id);
    if (found == ids.end() || *found != id) return false;
    const auto h = found - ids.begin();
    for (Index p = rows.indptr[h]; p < rows.indptr[h + 1]; ++p) add(rows.indices[p], rows.data[p]);
    return true;
  }
};

// The entries of other ranks' rows in own columns, by row. (By symmetry they are those of own rows
// in other columns, but A_p is symmetric to rounding only, and one rank alone takes them from their
// rows.) Collective.
template <class T>
struct Entry {
  Global row, column;
  T value;
};

template <class T>
std::vector<Entry<T>> entries_of_ghosts(const DistRows<T>& A) {
  std::map<int, std::vector<Entry<T>>> out;
  for (Index i = 0; i < A.own(); ++i)
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
      if (const Index c = A.rows.indices[p]; !A.owns(c))
        out[A.layout.owner(A.columns[c])].push_back(
            {A.layout.first() + i, A.columns[c], A.rows.data[p]});
  std::vector<Packet<Entry<T>>> packets;
  for (auto& [rank, entries] : out) packets.push_back({rank, std::move(entries)});
  std::vector<Entry<T>> in;
  for (const auto& packet : A.comm.exchange(packets))
    in.insert(in.end(), packet.data.begin(), packet.data.end());
  return in;
}

}  // namespace

template <class T>
Extended<T> extend(const DistRows<T>& A, Index hub) {
  Extended<T> out;
  out.shift = A.shift;
  if (A.comm.size() == 1) {
    out.A = A.rows;
    return out;
  }
  const Hubs<T> hubs(A, hub);
  out.columns = merged(A.columns, hubs.rows.indices);
  out.shift = number_of(out.columns, A.layout.first());
  const auto count = static_cast<Index>(out.columns.size());
  std::vector<Index> number(A.columns.size());
  for (std::size_t c = 0; c < number.size(); ++c) number[c] = number_of(out.columns, A.columns[c]);

  const auto theirs = entries_of_ghosts(A);
  auto next = theirs.begin();
  Csr<T>& E = out.storage;
  E = {count, count, {0}, {}, {}};
  E.indptr.reserve(count + 1);
  E.indices.reserve(2 * static_cast<std::size_t>(A.rows.nnz()));
  E.data.reserve(2 * static_cast<std::size_t>(A.rows.nnz()));
  const auto add = [&](Index column, T value) {
    E.indices.push_back(column);
    E.data.push_back(value);
  };
  for (Index c = 0; c < count; ++c) {
    const Global id = out.columns[c];
    if (A.layout.owns(id)) {
      const auto i = static_cast<Index>(id - A.layout.first());
      for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p)
        add(number[A.rows.indices[p]], A.rows.data[p]);
    } else if (!hubs.for_row(id, [&](Global column, T value) {
                 add(number_of(out.columns, column), value);
               })) {
      for (; next != theirs.end() && next->row == id; ++next)
        add(static_cast<Index>(next->column - A.layout.first()) + out.shift, next->value);
    }
    while (next != theirs.end() && next->row <= id) ++next;
    E.indptr.push_back(
        to_index(static_cast<Global>(E.indices.size()), "entries of the rows of one process"));
  }
  out.A = E.view();
  return out;
}

template <class T>
Congruence<T> congruence(const DistRows<T>& A, const Extended<T>& extended, const Csr<T>& R,
                         const std::vector<Global>& number) {
  const Csr<T> P = transpose(R.view());
  if (A.comm.size() == 1) return {galerkin(extended.A, R.view(), P.view()), {}};

  GlobalRows<T> own;  // rows of P
  for (Index c = extended.shift; c < extended.shift + A.own(); ++c) {
    for (Index p = P.indptr[c]; p < P.indptr[c + 1]; ++p) {
      own.indices.push_back(number[P.indices[p]]);
      own.data.push_back(P.data[p]);
    }
    own.indptr.push_back(static_cast<Index>(own.data.size()));
  }
  const auto ghosts = ghosts_of(A);
  const GlobalRows<T> theirs = fetch_rows(A.comm, A.layout, own, ghosts);
  Congruence<T> out;
  out.columns = merged(number, theirs.indices);

  Csr<T> all{P.rows, static_cast<Index>(out.columns.size()), {0}, {}, {}};
  const auto append = [&](const GlobalRows<T>& rows, Index i) {
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
      all.indices.push_back(number_of(out.columns, rows.indices[p]));
      all.data.push_back(rows.data[p]);
    }
  };
  Index ghost = 0;
  for (Index c = 0; c < P.rows; ++c) {
    const Global id = extended.columns[c];
    if (A.layout.owns(id))
      append(own, static_cast<Index>(id - A.layout.first()));
    else if (ghost < static_cast<Index>(ghosts.size()) && ghosts[ghost] == id)
      append(theirs, ghost++);
    all.indptr.push_back(static_cast<Index>(all.data.size()));
  }
  out.rows = galerkin(extended.A, R.view(), all.view());
  return out;
}

#define PYMPF_INSTANTIATE(T)                                                               \
  template Extended<T> extend(const DistRows<T>&, Index);                                  \
  template Congruence<T> congruence(const DistRows<T>&, const Extended<T>&, const Csr<T>&, \
                                    const std::vector<Global>&);
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf::mmf
