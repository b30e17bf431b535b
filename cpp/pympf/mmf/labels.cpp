#include "pympf/mmf/labels.hpp"

#include <algorithm>
#include <map>

namespace pympf::mmf {
namespace {

using Key = std::vector<Global>;  // the labels of a row, last depth first

// How many rows of each rank have a key: (labels, rank, rows), flat.
std::vector<Global> counts_of_all(const Communicator& comm, const std::map<Key, Global>& own) {
  std::vector<Global> flat;
  for (const auto& [key, rows] : own) {
    flat.insert(flat.end(), key.begin(), key.end());
    flat.push_back(comm.rank());
    flat.push_back(rows);
  }
  return comm.all_gather(flat);
}

}  // namespace

Places by_labels(const Communicator& comm, const Layout& layout, const Labels& labels) {
  const std::size_t depth = labels.size();
  const auto rows = static_cast<std::size_t>(layout.own());
  const auto key_of = [&](std::size_t i) {
    Key key(depth);
    for (std::size_t d = 0; d < depth; ++d) key[d] = labels[depth - 1 - d][i];
    return key;
  };
  std::map<Key, Global> own;
  for (std::size_t i = 0; i < rows; ++i) ++own[key_of(i)];

  const auto flat = counts_of_all(comm, own);
  std::map<Key, std::map<Global, Global>> all;  // rows of each rank, clusters and ranks in order
  for (auto at = flat.begin(); at != flat.end(); at += static_cast<std::ptrdiff_t>(depth) + 2)
    all[Key(at, at + static_cast<std::ptrdiff_t>(depth))][at[depth]] += at[depth + 1];

  // A depth must not cut a cluster of the one before.
  std::vector<std::map<Global, Global>> parent(depth);
  for (const auto& [key, ranks] : all)
    for (std::size_t d = 0; d + 1 < depth; ++d) {
      const auto [known, is_new] = parent[d + 1].try_emplace(key[d + 1], key[d]);
      require(is_new || known->second == key[d], "the rows labelled ", key[d + 1], " at depth ",
              depth - 1 - d, " have the labels ", known->second, " and ", key[d],
              " at the next: every cluster must lie in one cluster of the next depth");
    }

  Places out;
  out.layout.rank = comm.rank();
  out.layout.starts.assign(comm.size() + 1, layout.total());
  out.layout.starts[0] = 0;
  Global next = 0;
  int rank = 1;  // where the range of the rank before ends
  const Key* before = nullptr;
  for (auto& [key, ranks] : all) {
    if (!before || key.front() != before->front())
      for (; rank < comm.size() && next * comm.size() >= layout.total() * rank; ++rank)
        out.layout.starts[rank] = next;
    before = &key;
    Global mine = next;
    for (const auto& [from, count] : ranks) {
      if (from == comm.rank()) mine = next;
      next += count;
    }
    if (const auto found = own.find(key); found != own.end()) found->second = mine;
  }
  out.targets.reserve(rows);
  for (std::size_t i = 0; i < rows; ++i) out.targets.push_back(own[key_of(i)]++);
  return out;
}

Clusters runs(const std::vector<Global>& labels) {
  Clusters out;
  const auto rows = static_cast<Index>(labels.size());
  for (Index i = 0; i < rows; ++i) {
    if (i > 0 && labels[i] != labels[i - 1]) out.ptr.push_back(i);
    out.members.push_back(i);
  }
  if (rows > 0) out.ptr.push_back(rows);
  return out;
}

}  // namespace pympf::mmf
