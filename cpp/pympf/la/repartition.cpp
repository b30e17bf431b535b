#include "pympf/la/repartition.hpp"

#include <algorithm>
#include <map>

namespace pympf {
namespace {

void check_parts(const Communicator& comm, const std::vector<int>& parts) {
  collectively(comm, [&] {
    for (int part : parts)
      require(part >= 0 && part < comm.size(), "a row is to go to rank ", part, ", expected 0 to ",
              comm.size() - 1);
  });
}

// How many rows go from this rank to others.
std::map<int, Global> count(const std::vector<int>& parts) {
  std::map<int, Global> rows;
  for (int part : parts) ++rows[part];
  return rows;
}

std::vector<Packet<Global>> packets(const std::map<int, Global>& numbers) {
  std::vector<Packet<Global>> out;
  for (const auto& [rank, number] : numbers) out.push_back({rank, {number}});
  return out;
}

}  // namespace

// Each rank tells the new ranks of its rows how many come, and they say where those begin.
Repartition::Repartition(const Communicator& comm, const std::vector<int>& parts) {
  check_parts(comm, parts);
  Global arriving = 0;
  std::map<int, Global> starts;  // by sender
  for (const auto& [rank, rows] : comm.exchange(packets(count(parts)))) {
    starts[rank] = arriving;
    arriving += rows.front();
  }
  collectively(comm, [&] { to_index(arriving, "rows of one process"); });
  layout_ = Layout(comm, static_cast<Index>(arriving));
  for (auto& [rank, start] : starts) start += layout_.first();
  std::map<int, Global> next;  // target of the next row for a rank
  for (const auto& [rank, start] : comm.exchange(packets(starts))) next[rank] = start.front();
  targets_.reserve(parts.size());
  for (int part : parts) targets_.push_back(next[part]++);
  moves_ = Exchange::moves(comm, layout_, targets_);
}

}  // namespace pympf
