#include "pympf/precond/levels/nodes.hpp"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace pympf::precond {
namespace {

constexpr Index largest_node = 6;
constexpr double least_fill = 0.6;  // of the blocks that have an entry
constexpr double most_energy = 0.2, most_split = 1.5;
constexpr double rounding = 1e-12;
constexpr Index few_nodes = 16, sampled_nodes = 128;

bool divides(const DistRows<double>& A, Index size) {
  const bool fits = A.own() % size == 0 && A.layout.first() % size == 0;
  return A.comm.min(Global{fits}) > 0;
}

// The blocks of a row, ascending. A division for each of them, and none for an entry.
void take_blocks(const DistRows<double>& A, Index row, Index size, std::vector<Global>& out) {
  out.clear();
  Global end = 0;  // of the last one
  for (Index p = A.rows.indptr[row]; p < A.rows.indptr[row + 1]; ++p)
    if (const Global column = A.column(A.rows.indices[p]); out.empty() || column >= end) {
      out.push_back(column / size);
      end = (out.back() + 1) * size;
    }
}

// Entries over places of the blocks that have some, in a sample of the nodes. The rows of a node
// have mostly the same blocks.
double fill(const DistRows<double>& A, Index size, Index sampled) {
  const Index nodes = A.own() / size, step = std::max<Index>(1, nodes / sampled);
  Global entries = 0, blocks = 0;
  std::vector<Global> all, more, both;
  for (Index node = 0; node < nodes; node += step) {
    take_blocks(A, node * size, size, all);
    for (Index i = node * size + 1; i < (node + 1) * size; ++i) {
      take_blocks(A, i, size, more);
      if (std::includes(all.begin(), all.end(), more.begin(), more.end())) continue;
      both.clear();
      std::set_union(all.begin(), all.end(), more.begin(), more.end(), std::back_inserter(both));
      all.swap(both);
    }
    entries += A.rows.indptr[(node + 1) * size] - A.rows.indptr[node * size];
    blocks += static_cast<Global>(all.size());
  }
  entries = A.comm.sum(entries);
  blocks = A.comm.sum(blocks);
  return blocks > 0 ? static_cast<double>(entries) / static_cast<double>(blocks * size * size) : 0;
}

// A few nodes tell where blocks are far from full.
bool are_full(const DistRows<double>& A, Index size) {
  return fill(A, size, few_nodes) >= least_fill / 2 && fill(A, size, sampled_nodes) >= least_fill;
}

bool are_translations(const DistRows<double>& A, Index size) {
  std::vector<double> energy(size, 0.0), mass(size, 0.0);
  double whole = 0, split = 0, trace = 0;
  std::vector<unsigned char> unknown(A.column_count());
  for (Index j = 0; j < A.column_count(); ++j)
    unknown[j] = static_cast<unsigned char>(A.column(j) % size);
  for (Index i = 0; i < A.own(); ++i) {
    const Index c = unknown[A.shift + i];
    double sum = 0, same = 0;
    for (Index p = A.rows.indptr[i]; p < A.rows.indptr[i + 1]; ++p) {
      const Index j = A.rows.indices[p];
      const double a = A.rows.data[p];
      sum += a;
      same += unknown[j] == c ? a : 0;
      if (j == A.shift + i) mass[c] += std::abs(a);
    }
    whole += sum;
    energy[c] += same;
  }
  bool small = true;
  for (Index c = 0; c < size; ++c) {
    const double e = A.comm.sum(energy[c]), m = A.comm.sum(mass[c]);
    small = small && std::abs(e) <= most_energy * m;
    split += e;
    trace += m;
  }
  return small && split <= most_split * A.comm.sum(whole) + rounding * trace;
}

}  // namespace

Index find_node_size(const DistRows<double>& A) {
  for (Index size = largest_node; size > 1; --size)
    if (divides(A, size) && are_full(A, size) && are_translations(A, size)) return size;
  return 1;
}

}  // namespace pympf::precond
