// Buckets: exact keys and numbers for them, and what lies in each.
#pragma once

#include <vector>

#include "pympf/lsh/family.hpp"

namespace pympf::lsh {

// Numbers 0, 1, ... for keys, in the order they came: a hash map with open addressing. Whole keys
// are compared, so two keys never share a number.
class BucketMap {
 public:
  explicit BucketMap(int words) : words_(words), places_(16, kNone) {}

  Index size() const { return static_cast<Index>(size_); }
  const Word* key(Index bucket) const { return keys_.data() + std::size_t(bucket) * words_; }
  Index find(const Word* key) const;  // kNone if it is not there
  Index insert(const Word* key);
  void truncate(Index size);  // forgets the buckets from this number on
  void prefetch(const Word* key) const { __builtin_prefetch(&places_[start(key)]); }
  std::size_t bytes() const;

  static constexpr Index kNone = -1;

 private:
  std::size_t start(const Word* key) const;
  std::size_t place_of(const Word* key) const;
  void grow();
  void fill_places();

  int words_;
  std::size_t size_ = 0;
  std::vector<Word> keys_;
  std::vector<Index> places_;  // bucket numbers; a power of two of them, at most half in use
};

// Which of the items 0, 1, ... lie in which bucket. Items come one after the other; most lie in one
// array, bucket by bucket, and the late ones in lists until there are enough of them to rebuild it.
// So n items cost O(n) however they come.
class Contents {
 public:
  void append(Index bucket);
  void truncate(std::size_t size);  // needs no memory, so that a failed append can be taken back
  void clear() { *this = {}; }
  std::size_t size() const { return bucket_.size(); }
  Index bucket(std::size_t item) const { return bucket_[item]; }
  std::size_t bytes() const;

  // In the order of their arrival.
  template <class F>
  void for_each(Index bucket, const F& f) const {
    const std::size_t b = bucket;
    if (b + 1 < start_.size()) {
      for (Index i = start_[b]; i < start_[b + 1]; ++i) f(sorted_[i]);
    }
    if (b < first_late_.size()) {
      for (Index i = first_late_[b]; i >= 0; i = next_late_[i - sorted_.size()]) f(i);
    }
  }

 private:
  void rebuild();
  void link(Index item);

  std::vector<Index> bucket_;
  std::vector<Index> start_, sorted_;
  std::vector<Index> first_late_, last_late_;  // for each bucket; -1: none
  std::vector<Index> next_late_;               // for each late item
};

// Numbers for the buckets of all tables of a family.
class BucketIndex {
 public:
  explicit BucketIndex(Family family);

  const Family& family() const { return family_; }
  const BucketMap& map(std::size_t table) const { return maps_[table]; }
  Index insert(std::size_t table, const Word* key) { return maps_[table].insert(key); }

  // rows x tables. `add` gives new buckets the next numbers, in the order of the rows; in `find`
  // they are -1. X is Points<T> or CsrView<T>.
  template <class X>
  void add(const X& points, std::int64_t* out);
  template <class X>
  void find(const X& points, std::int64_t* out) const;

 private:
  Family family_;
  std::vector<BucketMap> maps_;
};

}  // namespace pympf::lsh
