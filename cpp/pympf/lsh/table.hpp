// A hash table of points: a query looks into the buckets that its keys lead to and measures the
// exact distance to every point that it finds there.
//
// Two ways to find candidates:
//   probes     the `probes` best buckets of each table (family.hpp)
//   candidates (hyperplanes, one table) all points whose key differs from the query's in at most h
//              bits, h being the smallest number for which these are at least `candidates` points
//
// The answer depends on the points, the family and the query alone: not on threads, nor on how the
// points came in. Queries may run in several threads at a time; add and remove may not.
#pragma once

#include <cmath>
#include <memory>
#include <vector>

#include "pympf/lsh/buckets.hpp"
#include "pympf/lsh/codes.hpp"
#include "pympf/lsh/huge_pages.hpp"
#include "pympf/lsh/nearest.hpp"

namespace pympf::lsh {

struct Search {
  Index probes = 1;
  std::size_t candidates = 0;  // 0: by probes
};

// The results of several queries, one after the other.
template <class T>
struct Found {
  std::vector<std::int64_t> start{0};  // of each query, then the end
  std::vector<T> distances;
  std::vector<std::int64_t> ids;

  void append(const std::vector<Neighbor<T>>& neighbors) {  // of the next query
    for (const auto& [distance, id] : neighbors) {
      distances.push_back(distance);
      ids.push_back(id);
    }
    start.push_back(static_cast<std::int64_t>(ids.size()));
  }
};

struct TableStatistics {
  Index buckets = 0;             // that are not empty
  Index largest = 0;             // points in one
  double expected = 0;           // points that share a bucket with a point, itself among them
  std::vector<Index> histogram;  // buckets of 1, 2..3, 4..7, ... points
};

template <class T>
class Table {
 public:
  explicit Table(Family family);

  const Family& family() const { return index_.family(); }
  std::size_t size() const { return live_; }
  std::int64_t next_id() const { return next_id_; }

  // Ids count on from the last one ever given; returns the first one.
  std::int64_t add(const Points<T>& X);
  // Points with ids of their own, ascending and not below those there are; `next_id` above them.
  void restore(const Points<T>& X, const std::int64_t* ids, std::int64_t next_id);
  // All of them, or none and an error that names the first one that is not there.
  void remove(const std::int64_t* ids, std::size_t count);

  // rows x k, nearest first; infinite distances and ids -1 behind the last one found.
  void query(const Points<T>& X, Index k, const Search& search, T* distances,
             std::int64_t* ids) const;
  // All with distance <= radius, nearest first.
  Found<T> radius_query(const Points<T>& X, double radius, const Search& search) const;

  void points(T* out, std::int64_t* ids) const;  // in the order of the ids
  TableStatistics statistics(std::size_t table) const;
  std::size_t point_bytes() const;
  std::size_t bucket_bytes() const;

 private:
  struct Workspace;

  void check(const Points<T>& X, const Search& search) const;
  void compact();
  template <class Use>
  void for_queries(const Points<T>& X, const Search& search, const Use& use) const;
  void measure(const Points<T>& X, std::size_t first, Workspace& own) const;
  void collect_probed(const double* v, Index probes, Workspace& own) const;
  void collect(Index bucket, std::size_t table, Workspace& own) const;

  BucketIndex index_;
  std::vector<Contents> contents_;             // for each table: slots in its buckets
  std::vector<std::vector<Index>> in_bucket_;  // for each table: points of each bucket
  HugeVector<T> points_;                       // by slot
  std::vector<std::int64_t> ids_;              // by slot, ascending
  std::vector<unsigned char> alive_;           // by slot
  std::size_t live_ = 0;
  std::int64_t next_id_ = 0;
  std::unique_ptr<CodeBook> codes_;
};

}  // namespace pympf::lsh
