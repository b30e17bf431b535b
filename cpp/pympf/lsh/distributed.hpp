// A hash table over the ranks of a communicator. Points stay on the rank where they were added,
// their home; each bucket has an owner, by the hash of its key, which knows the home and the slot
// of every point in it.
//
//   step of a query       from    to      what
//   1 probe               origin  owner   keys of the buckets to look into
//   2 candidates          owner   origin  homes and slots
//   3 request             origin  home    the query, and each slot once
//   4 answer              home    origin  the k nearest there, or all within the radius
//
// The origin merges the answers. Candidates, distances and the order of equal ones are those of a
// `Table` that was given all points, so the answer does not depend on the number of ranks.
//
// Everything but size() and local_size() is collective. What is wrong on one rank is an error of
// the same kind on all, which names the rank; what is not the same on all is an InvalidArgument.
#pragma once

#include <vector>

#include "pympf/lsh/buckets.hpp"
#include "pympf/lsh/table.hpp"
#include "pympf/mpi/comm.hpp"

namespace pympf::lsh {

struct DistributedStatistics {
  std::int64_t buckets = 0;           // that have been seen, of all tables and ranks
  std::vector<std::int64_t> points;   // of each rank
  std::vector<std::int64_t> entries;  // points in the buckets that each rank owns, of all tables
  std::vector<std::int64_t> bytes;    // of each rank
};

template <class T>
class DistributedTable {
 public:
  DistributedTable(Family family, const Communicator& comm);

  const Family& family() const { return index_.family(); }
  std::int64_t size() const { return size_; }  // points of all ranks
  std::size_t local_size() const { return ids_.size() - removed_; }

  // Ids count on through the ranks' points, rank by rank; returns the first one of this rank.
  std::int64_t add(const Points<T>& X);
  // Each rank names points of any rank. All of all ranks are dropped, or none.
  void remove(const std::int64_t* ids, std::size_t count);

  // As in `Table`, each rank with queries of its own, and as many as it likes.
  void query(const Points<T>& X, Index k, Index probes, T* distances, std::int64_t* ids) const;
  Found<T> radius_query(const Points<T>& X, double radius, Index probes) const;

  DistributedStatistics statistics() const;

 private:
  struct Place {
    std::int32_t home, slot;
  };
  struct Candidate {
    std::int32_t query, home, slot;
    auto operator<=>(const Candidate&) const = default;
  };
  struct Request {
    std::int32_t query, slot;  // the query's place among those that came along
  };
  struct Answer {
    std::int64_t id;
    T distance;
    std::int32_t query;
  };

  template <class Keep>
  std::vector<std::vector<Neighbor<T>>> search(const Points<T>& X, Index probes,
                                               const Keep& keep) const;
  std::vector<Candidate> candidates(const double* v, std::size_t rows, Index probes) const;
  template <class Keep>
  std::vector<Answer> answers(const Points<T>& X, const std::vector<Candidate>& candidates,
                              const Keep& keep) const;
  int owner(const Word* key) const;
  void check_equal(const char* what, std::int64_t value) const;
  void check_points(const Points<T>& X) const;

  Communicator comm_;
  BucketIndex index_;                       // of the buckets that this rank owns
  std::vector<Contents> contents_;          // for each table: items in its buckets
  std::vector<std::vector<Place>> places_;  // for each table: of each item
  HugeVector<T> points_;                    // that live here, by slot
  std::vector<std::int64_t> ids_;           // by slot, ascending
  std::vector<unsigned char> alive_;        // by slot
  std::size_t removed_ = 0;
  std::int64_t size_ = 0, next_id_ = 0;
};

}  // namespace pympf::lsh
