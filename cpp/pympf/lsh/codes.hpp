// Keys of hyperplanes as codes: the buckets whose keys differ from a query's in few bits. The angle
// between x and y is about pi times the part of the bits that differ, so with long keys these hold
// the points in the most similar directions.
#pragma once

#include <mutex>
#include <vector>

#include "pympf/lsh/buckets.hpp"
#include "pympf/lsh/huge_pages.hpp"

namespace pympf::lsh {

class CodeBook {
 public:
  CodeBook(int words, Index functions) : words_(words), functions_(functions) {}

  // Takes in the buckets of the map that came since the last call, which may come from several
  // threads.
  void extend(const BucketMap& map);

  // For each of `queries` keys the buckets that differ in at most h bits, ascending; h is the
  // smallest number for which these hold at least `wanted` points. `points` counts those of each
  // bucket. The queries go through the codes together, a part at a time that stays in cache.
  void nearest(const Word* keys, std::size_t queries, std::size_t wanted,
               const std::vector<Index>& points, std::vector<std::vector<Index>>& found) const;

  std::size_t bytes() const { return codes_.capacity() * sizeof(Word); }

 private:
  struct Near;
  void scan(const Word* keys, std::vector<Near>& near) const;
  int first_limit(const Word* key, std::size_t wanted, const std::vector<Index>& points) const;

  int words_;
  Index functions_;
  std::size_t size_ = 0;
  HugeVector<Word> codes_;  // laid out for near_codes
  std::mutex mutex_;
};

}  // namespace pympf::lsh
