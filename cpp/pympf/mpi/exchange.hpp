// A fixed pattern of communication, set up once and used for many vectors: numbers go from places
// on this rank to places on others. `forward` moves them that way, `backward` the other way round.
//
//   halo    own entries  ->  the copies ("ghosts") that other ranks keep of them
//   moves   own entries  ->  their places in another layout
#pragma once

#include <vector>

#include "pympf/common/index.hpp"
#include "pympf/mpi/layout.hpp"

namespace pympf {

#ifdef PYMPF_HAVE_MPI
using Request = MPI_Request;
#else
using Request = int;
#endif

// What an exchange works in: one for each vector under way.
template <class T>
struct ExchangeSpace {
  std::vector<T> out, in;
  std::vector<Request> requests;
};

class Exchange {
 public:
  Exchange() = default;  // nothing goes anywhere

  // Entry i of `ghosts`, global numbers in ascending order, is a copy of that row. Collective.
  static Exchange halo(const Communicator& comm, const Layout& layout,
                       const std::vector<Global>& ghosts);
  // Own entry i goes to the row targets[i] of `to`; together they are a permutation. Collective.
  static Exchange moves(const Communicator& comm, const Layout& to,
                        const std::vector<Global>& targets);

  // Neighbours, and entries that go out and come in: forward.
  int messages() const { return static_cast<int>(from_.parts.size()); }
  Index leaving() const { return static_cast<Index>(from_.place.size()); }
  Index arriving() const { return static_cast<Index>(to_.place.size()); }

  // Arrivals at place p go to position[p] instead.
  void renumber_arrivals(const std::vector<Index>& position) {
    for (Index& p : to_.place) p = position[p];
  }

  // m numbers for each entry. Between begin and end, `from` may be read and other work be done.
  template <class T>
  void begin(const T* from, Index m, ExchangeSpace<T>& space) const {
    start(from_, to_, from, m, space);
  }
  template <class T>
  void end(T* to, Index m, ExchangeSpace<T>& space) const {
    wait(space);
    put(to_, to, m, space);
  }
  template <class T>
  void forward(const T* from, T* to, Index m, ExchangeSpace<T>& space) const {
    begin(from, m, space);
    end(to, m, space);
  }

  template <class T>
  void begin_back(const T* to, Index m, ExchangeSpace<T>& space) const {
    start(to_, from_, to, m, space);
  }
  template <class T>
  void end_back(T* from, Index m, ExchangeSpace<T>& space) const {
    wait(space);
    put(from_, from, m, space);
  }
  // Adds to what is there, in the order of the ranks: the transpose of forward.
  template <class T>
  void end_back_adding(T* from, Index m, ExchangeSpace<T>& space) const {
    wait(space);
    for (std::size_t i = 0; i < from_.place.size(); ++i)
      for (Index q = 0; q < m; ++q)
        from[static_cast<std::size_t>(from_.place[i]) * m + q] += space.in[i * m + q];
  }
  template <class T>
  void backward(const T* to, T* from, Index m, ExchangeSpace<T>& space) const {
    begin_back(to, m, space);
    end_back(from, m, space);
  }

 private:
  struct Part {
    int rank;
    Index first, count;  // of the places
  };
  // One end of the pattern: the places of all messages behind each other, in the order of ranks.
  struct End {
    std::vector<Part> parts;
    std::vector<Index> place;
  };

  template <class T>
  void start(const End& here, const End& there, const T* values, Index m,
             ExchangeSpace<T>& space) const {
    space.out.resize(here.place.size() * m);
    space.in.resize(there.place.size() * m);
    for (std::size_t i = 0; i < here.place.size(); ++i)
      std::copy_n(values + static_cast<std::size_t>(here.place[i]) * m, m, &space.out[i * m]);
    post(here, there, space.out.data(), space.in.data(), sizeof(T) * m, space.requests);
  }
  template <class T>
  void wait(ExchangeSpace<T>& space) const {
    wait_all(space.requests);
  }
  template <class T>
  void put(const End& end, T* values, Index m, ExchangeSpace<T>& space) const {
    for (std::size_t i = 0; i < end.place.size(); ++i)
      std::copy_n(&space.in[i * m], m, values + static_cast<std::size_t>(end.place[i]) * m);
  }

  void post(const End& here, const End& there, const void* out, void* in, std::size_t size,
            std::vector<Request>& requests) const;
  static void wait_all(std::vector<Request>& requests);
  static void add(End& end, int rank, const std::vector<Index>& places);

  Communicator comm_;
  End from_, to_;
};

}  // namespace pympf
