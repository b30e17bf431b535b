// A group of processes. The only place with raw MPI calls; built without MPI it is the same
// interface for one process.
//
// Everything but rank() and size() is collective over the communicator, is called by one thread,
// and never inside an OpenMP region.
#pragma once

#include <cstdint>
#include <memory>
#include <numeric>
#include <string>
#include <type_traits>
#include <vector>

#ifdef PYMPF_HAVE_MPI
#include <mpi.h>
#endif

namespace pympf {

class Communicator {
 public:
  Communicator() = default;  // this process alone: needs no MPI_Init
  static Communicator self() { return {}; }
  static Communicator world();
  static Communicator from_fortran(int handle);  // mpi4py: comm.py2f()
#ifdef PYMPF_HAVE_MPI
  // Messages travel on a duplicate of `user`, so they never meet the caller's own. The duplicate is
  // made once for each user communicator and lives until that, and every object made from it, is
  // gone.
  explicit Communicator(MPI_Comm user);
#endif

  int rank() const { return rank_; }
  int size() const { return size_; }

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

  std::string broadcast(const std::string& text, int root) const;
  std::vector<std::int64_t> gather(std::int64_t value) const;  // of every rank, on every rank

  // `send` holds counts[0] elements for rank 0, counts[1] for rank 1, and so on; returns what came,
  // rank by rank, and in `counts` how many from each. At most 2^31 - 1 elements leave or reach a
  // rank: more are an error on all.
  template <class T>
  std::vector<T> exchange(const std::vector<T>& send, std::vector<std::int64_t>& counts) const {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::vector<std::int64_t> sent = counts;
    exchange_counts(counts);
    std::vector<T> received(std::accumulate(counts.begin(), counts.end(), std::int64_t{0}));
    exchange_bytes(send.data(), sent, received.data(), counts, sizeof(T));
    return received;
  }

  std::vector<int> ranks_where(bool condition) const;  // ascending

 private:
  enum class Reduction { sum, min, max };
  struct Duplicate;

  template <class T>
  T reduce(T value, Reduction reduction) const;
  void exchange_counts(std::vector<std::int64_t>& counts) const;
  void exchange_bytes(const void* send, const std::vector<std::int64_t>& sent, void* receive,
                      const std::vector<std::int64_t>& received, std::size_t size) const;

  std::shared_ptr<const Duplicate> duplicate_;  // empty: this process alone
  int rank_ = 0;
  int size_ = 1;
};

// A check that can fail on some ranks only: each brings its error message, or an empty one. If any
// has one, every rank throws the same MpiError, which names the ranks and gives the first message.
void collective_check(const Communicator& comm, const std::string& local_error);

}  // namespace pympf
