#include "pympf/la/dist_csr.hpp"

#include <algorithm>

#include "pympf/la/block.hpp"
#include "pympf/la/lanes.hpp"

namespace pympf {
namespace {

// y[row] += factor * (its entries times the ghosts), for the rows that have some.
template <class T>
void add_ghosts(const OffDiagonal<T>& off, T factor, T* y, Index lanes) {
  const CsrView<T> B = off.block;
  const T* ghosts = off.space.ghosts.data();
  with_lanes(lanes, [&](auto K) {
    for (Index r = 0; r < B.rows; ++r) {
      auto sum = Lanes<T, K>::zero();
      for (Index p = B.indptr[r]; p < B.indptr[r + 1]; ++p)
        sum.add(B.data[p], Lanes<T, K>::load(ghosts + std::size_t{K} * B.indices[p]));
      T* row = y + std::size_t{K} * off.rows[r];
      auto out = Lanes<T, K>::load(row);
      out.add(factor, sum);
      out.store(row);
    }
  });
}

// Runs `own` while the ghosts of x arrive.
template <class T, class Work>
void meanwhile(const OffDiagonal<T>& off, const T* x, Index lanes, const Work& own) {
  if (!off.halo) return own();
  off.space.ghosts.resize(std::size_t(lanes) * off.halo->arriving());
  off.halo->begin(x, lanes, off.space.exchange);
  own();
  off.halo->end(off.space.ghosts.data(), lanes, off.space.exchange);
}

}  // namespace

template <class T>
void spmv(const CsrView<T>& own, const OffDiagonal<T>& off, const T* x, T* y, Index lanes) {
  meanwhile(off, x, lanes, [&] { spmv(own, x, y, lanes); });
  if (off.halo) add_ghosts(off, T(1), y, lanes);
}

template <class T>
void residual(const CsrView<T>& own, const OffDiagonal<T>& off, const T* x, const T* b, T* r,
              Index lanes) {
  meanwhile(off, x, lanes, [&] { residual(own, x, b, r, lanes); });
  if (off.halo) add_ghosts(off, T(-1), r, lanes);
}

template <class T>
void subtract_ghosts(const OffDiagonal<T>& off, Index n, const T* x, const T* b, T* r,
                     Index lanes) {
  meanwhile(off, x, lanes, [&] { std::copy(b, b + std::size_t(lanes) * n, r); });
  if (off.halo) add_ghosts(off, T(-1), r, lanes);
}

template <class T>
void spmv_transposed(const CsrView<T>& own_transposed, const OffDiagonal<T>& off, const T* x, T* y,
                     Index lanes) {
  if (!off.halo) return spmv(own_transposed, x, y, lanes);
  const CsrView<T> B = off.block;
  auto& ghosts = off.space.ghosts;
  ghosts.assign(std::size_t(lanes) * off.halo->arriving(), T(0));
  with_lanes(lanes, [&](auto K) {
    for (Index r = 0; r < B.rows; ++r) {
      const auto v = Lanes<T, K>::load(x + std::size_t{K} * off.rows[r]);
      for (Index p = B.indptr[r]; p < B.indptr[r + 1]; ++p) {
        T* ghost = ghosts.data() + std::size_t{K} * B.indices[p];
        auto sum = Lanes<T, K>::load(ghost);
        sum.add(B.data[p], v);
        sum.store(ghost);
      }
    }
  });
  off.halo->begin_back(ghosts.data(), lanes, off.space.exchange);
  spmv(own_transposed, x, y, lanes);
  off.halo->end_back_adding(y, lanes, off.space.exchange);
}

template <class T>
Operator<T> product_with(const CsrView<T>& own, const OffDiagonal<T>& off) {
  Operator<T> out([own, &off](const T* x, T* y) { spmv(own, off, x, y); });
  out.apply_block = [own, &off, in = std::vector<T>(), result = std::vector<T>()](
                        const Block<const T>& X, const Block<T>& Y) mutable {
    for_panels(X.count(), [&](Index first, Index count, Index lanes) {
      in.resize(std::size_t(lanes) * own.cols);
      result.resize(std::size_t(lanes) * own.rows);
      to_panel(X, first, count, lanes, in.data());
      spmv(own, off, in.data(), result.data(), lanes);
      from_panel(result.data(), lanes, Y, first, count);
    });
  };
  return out;
}

namespace {

// place(c) is the number of an own column, or `own` and the number of a ghost.
template <class S, class T, class Place>
void split(const CsrView<S>& rows, Index own, const Place& place, Csr<T>& diagonal,
           OffDiagonal<T>& off) {
  diagonal = {rows.rows, own, {0}, {}, {}};
  diagonal.indptr.reserve(rows.rows + 1);
  diagonal.indices.reserve(rows.nnz());
  diagonal.data.reserve(rows.nnz());
  off.rows.clear();
  off.block = {0, rows.cols - own, {0}, {}, {}};
  for (Index i = 0; i < rows.rows; ++i) {
    for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
      const Index c = place(rows.indices[p]);
      auto& block = c < own ? diagonal : off.block;
      block.indices.push_back(c < own ? c : c - own);
      block.data.push_back(static_cast<T>(rows.data[p]));
    }
    diagonal.indptr.push_back(static_cast<Index>(diagonal.indices.size()));
    const auto ghosts = static_cast<Index>(off.block.indices.size());
    if (ghosts == off.block.indptr.back()) continue;
    off.rows.push_back(i);
    off.block.indptr.push_back(ghosts);
  }
  off.block.rows = static_cast<Index>(off.rows.size());
}

}  // namespace

template <class S, class T>
void split(const CsrView<S>& rows, Index own, Csr<T>& diagonal, OffDiagonal<T>& off) {
  split(
      rows, own, [](Index c) { return c; }, diagonal, off);
}

template <class T>
DistCsr<T>::DistCsr(const DistRows<T>& A) : comm(A.comm), layout(A.layout) {
  const Index own_columns = A.own();
  const auto place = [&](Index c) { return A.owns(c) ? c - A.shift : own_columns + A.ghost(c); };
  split(A.rows, own_columns, place, own, off);
  if (comm.size() > 1)
    off.halo = std::make_shared<const Exchange>(Exchange::halo(comm, layout, ghosts_of(A)));
}

#define PYMPF_INSTANTIATE(T)                                                                       \
  template void spmv(const CsrView<T>&, const OffDiagonal<T>&, const T*, T*, Index);               \
  template void residual(const CsrView<T>&, const OffDiagonal<T>&, const T*, const T*, T*, Index); \
  template void subtract_ghosts(const OffDiagonal<T>&, Index, const T*, const T*, T*, Index);      \
  template void spmv_transposed(const CsrView<T>&, const OffDiagonal<T>&, const T*, T*, Index);    \
  template void split(const CsrView<double>&, Index, Csr<T>&, OffDiagonal<T>&);                    \
  template Operator<T> product_with(const CsrView<T>&, const OffDiagonal<T>&);                     \
  template struct DistCsr<T>;
PYMPF_INSTANTIATE(double)
PYMPF_INSTANTIATE(float)

}  // namespace pympf
