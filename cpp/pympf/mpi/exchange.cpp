#include "pympf/mpi/exchange.hpp"

#include <cstring>
#include <map>

#include "pympf/mpi/raw.hpp"

namespace pympf {

void Exchange::add(End& end, int rank, const std::vector<Index>& places) {
  end.parts.push_back(
      {rank, static_cast<Index>(end.place.size()), static_cast<Index>(places.size())});
  end.place.insert(end.place.end(), places.begin(), places.end());
}

Exchange Exchange::halo(const Communicator& comm, const Layout& layout,
                        const std::vector<Global>& ghosts) {
  Exchange out;
  out.comm_ = comm;
  std::vector<Packet<Global>> wanted;
  for (std::size_t i = 0; i < ghosts.size();) {
    auto& packet = wanted.emplace_back(Packet<Global>{layout.owner(ghosts[i]), {}});
    std::vector<Index> places;
    for (; i < ghosts.size() && ghosts[i] < layout.starts[packet.rank + 1]; ++i) {
      packet.data.push_back(ghosts[i]);
      places.push_back(static_cast<Index>(i));
    }
    add(out.to_, packet.rank, places);
  }
  for (const auto& [rank, rows] : comm.exchange(wanted)) {
    std::vector<Index> places;
    for (Global row : rows) places.push_back(static_cast<Index>(row - layout.first()));
    add(out.from_, rank, places);
  }
  return out;
}

Exchange Exchange::moves(const Communicator& comm, const Layout& to,
                         const std::vector<Global>& targets) {
  Exchange out;
  out.comm_ = comm;
  std::map<int, std::vector<Index>> places;  // that leave for a rank
  for (std::size_t i = 0; i < targets.size(); ++i)
    places[to.owner(targets[i])].push_back(static_cast<Index>(i));
  std::vector<Packet<Index>> arrivals;
  for (const auto& [rank, leaving] : places) {
    add(out.from_, rank, leaving);
    auto& packet = arrivals.emplace_back(Packet<Index>{rank, {}});
    for (Index i : leaving) packet.data.push_back(static_cast<Index>(targets[i] - to.starts[rank]));
  }
  for (const auto& [rank, rows] : comm.exchange(arrivals)) add(out.to_, rank, rows);
  return out;
}

// A message to oneself is a copy.
void Exchange::post(const End& here, const End& there, const void* out, void* in, std::size_t size,
                    std::vector<Request>& requests) const {
  const auto* first_out = static_cast<const std::byte*>(out);
  auto* first_in = static_cast<std::byte*>(in);
  const Part *own_out = nullptr, *own_in = nullptr;
  requests.clear();
#ifdef PYMPF_HAVE_MPI
  const auto type = [&] { return comm_.duplicate_->type_of(size); };
  for (const Part& part : there.parts) {
    if (part.rank == comm_.rank()) {
      own_in = &part;
      continue;
    }
    check(MPI_Irecv(first_in + part.first * size, part.count, type(), part.rank, pattern_tag,
                    comm_.duplicate_->comm, &requests.emplace_back()),
          "MPI_Irecv");
  }
  for (const Part& part : here.parts) {
    if (part.rank == comm_.rank()) {
      own_out = &part;
      continue;
    }
    check(MPI_Isend(first_out + part.first * size, part.count, type(), part.rank, pattern_tag,
                    comm_.duplicate_->comm, &requests.emplace_back()),
          "MPI_Isend");
    ++comm_.duplicate_->traffic.messages;
    comm_.duplicate_->traffic.bytes += static_cast<std::int64_t>(part.count * size);
  }
#else
  if (!here.parts.empty()) own_out = &here.parts.front(), own_in = &there.parts.front();
#endif
  if (own_out && own_in)
    std::memcpy(first_in + own_in->first * size, first_out + own_out->first * size,
                own_out->count * size);
}

void Exchange::wait_all(std::vector<Request>& requests) {
#ifdef PYMPF_HAVE_MPI
  if (!requests.empty())
    check(MPI_Waitall(static_cast<int>(requests.size()), requests.data(), MPI_STATUSES_IGNORE),
          "MPI_Waitall");
#endif
  requests.clear();
}

}  // namespace pympf
