// A group of processes. The only folder with raw MPI calls; built without MPI it is the same
// interface for one process.
//
// Everything but rank(), size() and traffic() is collective over the communicator, is called by one
// thread, and never inside a parallel loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#ifdef PYMPF_HAVE_MPI
#include <mpi.h>
#endif

namespace pympf {

// Elements for, or from, another rank.
template <class T>
struct Packet {
  int rank;
  std::vector<T> data;
};

// What this process has sent through a communicator.
struct Traffic {
  std::int64_t messages = 0, bytes = 0;  // point to point, without those to itself
  std::int64_t collectives = 0;
};

class Communicator {
 public:
  Communicator() = default;  // this process alone: needs no MPI_Init
  static Communicator self() { return {}; }
  static Communicator world();
  static Communicator from_fortran(int handle);  // mpi4py: comm.py2f()
  // Of the duplicate on which messages travel: whoever holds this object may use it, and his calls
  // on it are those of all ranks in one order.
  int to_fortran() const;
#ifdef PYMPF_HAVE_MPI
  // Messages travel on a duplicate of `user`, so they never meet the caller's own. The duplicate is
  // made once for each user communicator and lives until that, and every object made from it, is
  // gone.
  explicit Communicator(MPI_Comm user);
#endif

  int rank() const { return rank_; }
  int size() const { return size_; }
  Traffic traffic() const;

  // T is double or std::int64_t; every rank gets the same bits.
  template <class T>
  T sum(T value) const {
    return reduce(value, Reduction::sum);
  }
  template <class T>
  T min(T value) const {
    return reduce(value, Reduction::min);
  }
  template <class T>
  T max(T value) const {
    return reduce(value, Reduction::max);
  }
  // The sum over the ranks before this one.
  template <class T>
  T sum_before(T value) const;

  // The vectors of all ranks behind each other. T is trivially copyable, here and below.
  template <class T>
  std::vector<T> all_gather(const std::vector<T>& mine) const {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = gather_bytes(mine.data(), mine.size(), sizeof(T));
    return from_bytes<T>(bytes);
  }
  template <class T>
  std::vector<T> all_gather(T mine) const {
    return all_gather(std::vector<T>{mine});
  }

  // Sends each packet to its rank and gives what has come, in the order of the senders. At most one
  // packet for each rank; a rank may send to itself. Nobody needs to know who will write to him.
  template <class T>
  std::vector<Packet<T>> exchange(const std::vector<Packet<T>>& out) const {
    static_assert(std::is_trivially_copyable_v<T>);
    std::vector<View> views;
    for (const auto& packet : out)
      views.push_back({packet.rank, packet.data.data(), packet.data.size()});
    std::vector<Packet<T>> in;
    for (const auto& [rank, bytes] : exchange_bytes(views, sizeof(T)))
      in.push_back({rank, from_bytes<T>(bytes)});
    return in;
  }

  std::string broadcast(const std::string& text, int root) const;

  // For a rank on which a collective call has thrown. Returns when it has done so on all ranks; if
  // it has not within ten seconds, the others wait for this rank in vain, and the job ends with
  // this reason.
  void end_unless_all_fail(const std::string& reason) const;
  std::vector<int> ranks_where(bool condition) const;  // ascending

 private:
  friend class Exchange;
  using Bytes = std::vector<std::byte>;
  struct View {
    int rank;
    const void* data;
    std::size_t count;
  };
  enum class Reduction { sum, min, max };
  struct Duplicate;

  template <class T>
  T reduce(T value, Reduction reduction) const;
  Bytes gather_bytes(const void* mine, std::size_t count, std::size_t size) const;
  std::vector<Packet<std::byte>> exchange_bytes(const std::vector<View>& out,
                                                std::size_t size) const;

  template <class T>
  static std::vector<T> from_bytes(const Bytes& bytes) {
    std::vector<T> out(bytes.size() / sizeof(T));
    if (!out.empty()) std::memcpy(out.data(), bytes.data(), bytes.size());
    return out;
  }

  std::shared_ptr<Duplicate> duplicate_;  // empty: this process alone
  int rank_ = 0;
  int size_ = 1;
};

// A check that can fail on some ranks only: each brings its error message, or an empty one. If any
// has one, every rank throws the same MpiError, which names the ranks and gives the first message.
void collective_check(const Communicator& comm, const std::string& local_error);

// The same for what was caught on each rank, or nothing: the error that all throw is of the kind
// (common/error.hpp) that the first of these ranks brings.
void throw_on_all(const Communicator& comm, const std::exception_ptr& caught);

// Runs `work`, which is not collective, on every rank; when it throws on some, all throw.
template <class Work>
void collectively(const Communicator& comm, const Work& work) {
  if (comm.size() == 1) return work();
  std::exception_ptr caught;
  try {
    work();
  } catch (const std::exception&) {
    caught = std::current_exception();
  }
  throw_on_all(comm, caught);
}

// Runs a collective call: where it throws on some ranks only, the job ends instead of hanging.
template <class Work>
auto together(const Communicator& comm, const Work& work) {
  try {
    return work();
  } catch (const std::exception& e) {
    comm.end_unless_all_fail(e.what());
    throw;
  } catch (...) {
    comm.end_unless_all_fail("interrupted, or an error that is not pympf's");
    throw;
  }
}

}  // namespace pympf
