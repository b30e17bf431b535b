#include "pympf/la/floating.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <unordered_map>

#include "pympf/mpi/exchange.hpp"

namespace pympf {
namespace {

// The diagonal of a Laplacian is the rounded sum of the other entries, in any order.
template <class T>
bool floats(const CsrView<T>& rows, Index i) {
  constexpr double epsilon = std::numeric_limits<T>::epsilon();
  double sum = 0, size = 0;
  for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
    sum += rows.data[p];
    size += std::abs(double{rows.data[p]});
  }
  return std::abs(sum) <= (4 + 0.25 * (rows.indptr[i + 1] - rows.indptr[i])) * epsilon * size;
}

// Own rows that own entries couple, in any order of groups; rows of a group behind each other.
struct Groups {
  std::vector<Index> of_row;
  Index count = 0;
};

template <class T>
Groups groups_of(const DistRows<T>& A) {
  const CsrView<T>& rows = A.rows;
  Groups out{std::vector<Index>(rows.rows, -1)};
  std::vector<Index> reached;
  for (Index root = 0; root < rows.rows; ++root) {
    if (out.of_row[root] >= 0) continue;
    const Index group = out.count++;
    out.of_row[root] = group;
    for (reached.assign(1, root); !reached.empty();) {
      const Index i = reached.back();
      reached.pop_back();
      for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p) {
        const Index c = rows.indices[p];
        if (!A.owns(c) || rows.data[p] == 0 || out.of_row[c - A.shift] >= 0) continue;
        out.of_row[c - A.shift] = group;
        reached.push_back(c - A.shift);
      }
    }
  }
  return out;
}

// What a group knows of its part: the least row, and whether a row does not float.
struct Known {
  Global least;
  Global grounded;

  bool learn(const Known& other) {
    const Known before = *this;
    least = std::min(least, other.least);
    grounded = std::max(grounded, other.grounded);
    return least != before.least || grounded != before.grounded;
  }
};

// Groups on other ranks learn from each other along the entries between ranks, until all know the
// same of a part.
template <class T>
void spread(const DistRows<T>& A, const Groups& groups, std::vector<Known>& known) {
  const CsrView<T>& rows = A.rows;
  const std::vector<Global> ghosts = ghosts_of(A);
  const Exchange halo = Exchange::halo(A.comm, A.layout, ghosts);
  ExchangeSpace<Known> space;
  std::vector<Known> own(rows.rows), others(ghosts.size());
  for (bool changed = true; changed;) {
    changed = false;
    for (Index i = 0; i < rows.rows; ++i) own[i] = known[groups.of_row[i]];
    halo.forward(own.data(), others.data(), 1, space);
    for (Index i = 0; i < rows.rows; ++i)
      for (Index p = rows.indptr[i]; p < rows.indptr[i + 1]; ++p)
        if (!A.owns(rows.indices[p]) && rows.data[p] != 0)
          changed |= known[groups.of_row[i]].learn(others[A.ghost(rows.indices[p])]);
    changed = A.comm.max(Global{changed}) > 0;
  }
}

}  // namespace

template <class T>
bool all_rows_float(const DistRows<T>& A) {
  Index i = 0;
  while (i < A.rows.rows && floats(A.rows, i)) ++i;
  return A.comm.min(Global{i == A.rows.rows}) > 0;
}

template <class T>
FloatingParts::FloatingParts(const DistRows<T>& A) {
  const Groups groups = groups_of(A);
  std::vector<Known> known(groups.count, {std::numeric_limits<Global>::max(), 0});
  for (Index i = 0; i < A.own(); ++i)
    known[groups.of_row[i]].learn({A.layout.first() + i, !floats(A.rows, i)});
  if (A.comm.size() > 1) spread(A, groups, known);
  part_.resize(A.own());
  for (Index i = 0; i < A.own(); ++i) {
    const Known& part = known[groups.of_row[i]];
    part_[i] = part.grounded ? -1 : part.least;
  }
}

template <class T>
std::vector<double> FloatingParts::project(const Communicator& comm, const T* b) const {
  struct Sum {
    Global part;
    double value, count;
  };
  std::vector<Sum> own;
  std::unordered_map<Global, std::size_t> place;
  for (std::size_t i = 0; i < part_.size(); ++i) {
    if (part_[i] < 0) continue;
    const auto [at, is_new] = place.try_emplace(part_[i], own.size());
    if (is_new) own.push_back({part_[i], 0, 0});
    own[at->second].value += b[i];
    own[at->second].count += 1;
  }
  std::unordered_map<Global, Sum> total;
  for (const Sum& sum : comm.all_gather(own)) {
    Sum& to = total.try_emplace(sum.part, Sum{sum.part, 0, 0}).first->second;
    to.value += sum.value;
    to.count += sum.count;
  }
  std::vector<double> out(part_.size());
  for (std::size_t i = 0; i < part_.size(); ++i)
    if (part_[i] >= 0) out[i] = total[part_[i]].value / total[part_[i]].count;
  return out;
}

#define PYMPF_FLOATING(T)                                    \
  template bool all_rows_float(const DistRows<T>&);          \
  template FloatingParts::FloatingParts(const DistRows<T>&); \
  template std::vector<double> FloatingParts::project(const Communicator&, const T*) const;

PYMPF_FLOATING(float)
PYMPF_FLOATING(double)

}  // namespace pympf
