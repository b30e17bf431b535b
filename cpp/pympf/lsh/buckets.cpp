#include "pympf/lsh/buckets.hpp"

#include <algorithm>

#include "pympf/common/parallel.hpp"

namespace pympf::lsh {
namespace {

constexpr std::size_t kRows = 8192;     // whose keys are in memory together
constexpr std::size_t kLateItems = 64;  // so many, or as many as there are sorted, are sorted too
constexpr std::size_t kAhead = 8;       // keys whose place is on its way from memory

template <class T>
Points<T> slice(const Points<T>& X, std::size_t first, std::size_t rows) {
  return {rows, X.features, X.row(first)};
}

template <class T>
CsrView<T> slice(const CsrView<T>& X, std::size_t first, std::size_t rows) {
  return {static_cast<Index>(rows), X.cols, X.indptr + first, X.indices, X.data};
}

// Calls use(first, rows, keys) for stretches of rows and their keys.
template <class X, class F>
void for_keys(const Family& family, const X& points, const F& use) {
  const std::size_t all = points.rows;
  std::vector<Word> keys(std::min(kRows, all) * family.tables() * family.words());
  for (std::size_t first = 0; first < all; first += kRows) {
    const std::size_t rows = std::min(kRows, all - first);
    family.keys(slice(points, first, rows), keys.data(), first);
    use(first, rows, keys.data());
  }
}

}  // namespace

std::size_t BucketMap::start(const Word* key) const {
  // Fibonacci hashing: the best bits of a product are its highest.
  const Word h = mix(key, words_) * 0x9E3779B97F4A7C15u;
  return (h ^ h >> 32) & (places_.size() - 1);
}

std::size_t BucketMap::place_of(const Word* key) const {
  std::size_t place = start(key);
  while (places_[place] != kNone && !std::equal(key, key + words_, this->key(places_[place])))
    place = (place + 1) & (places_.size() - 1);
  return place;
}

Index BucketMap::find(const Word* key) const { return places_[place_of(key)]; }

Index BucketMap::insert(const Word* key) {
  const std::size_t place = place_of(key);
  if (places_[place] != kNone) return places_[place];
  const Index bucket = to_index(static_cast<Global>(size_), "buckets");
  keys_.insert(keys_.end(), key, key + words_);
  places_[place] = bucket;
  ++size_;
  if (2 * size_ > places_.size()) grow();
  return bucket;
}

void BucketMap::grow() {
  places_.assign(2 * places_.size(), kNone);
  fill_places();
}

void BucketMap::fill_places() {
  for (Index bucket = 0; bucket < size(); ++bucket) places_[place_of(key(bucket))] = bucket;
}

void BucketMap::truncate(Index size) {
  size_ = static_cast<std::size_t>(size);
  keys_.resize(size_ * words_);
  std::fill(places_.begin(), places_.end(), kNone);
  fill_places();
}

std::size_t BucketMap::bytes() const {
  return keys_.capacity() * sizeof(Word) + places_.capacity() * sizeof(Index);
}

void Contents::append(Index bucket) {
  const Index item = to_index(static_cast<Global>(bucket_.size()), "points");
  bucket_.push_back(bucket);
  if (static_cast<std::size_t>(bucket) >= first_late_.size()) {
    first_late_.resize(bucket + 1, -1);
    last_late_.resize(bucket + 1, -1);
  }
  Index& last = last_late_[bucket];
  (last < 0 ? first_late_[bucket] : next_late_[last - sorted_.size()]) = item;
  last = item;
  next_late_.push_back(-1);
  if (next_late_.size() >= std::max(kLateItems, sorted_.size())) rebuild();
}

// A counting sort by bucket.
void Contents::rebuild() {
  Index buckets = 0;
  for (Index b : bucket_) buckets = std::max(buckets, b + 1);
  start_.assign(buckets + 1, 0);
  for (Index b : bucket_) ++start_[b + 1];
  std::partial_sum(start_.begin(), start_.end(), start_.begin());
  sorted_.resize(bucket_.size());
  std::vector<Index> next(start_.begin(), start_.end() - 1);
  for (std::size_t i = 0; i < bucket_.size(); ++i)
    sorted_[next[bucket_[i]]++] = static_cast<Index>(i);
  first_late_.clear();
  last_late_.clear();
  next_late_.clear();
}

std::size_t Contents::bytes() const {
  return sizeof(Index) * (bucket_.capacity() + start_.capacity() + sorted_.capacity() +
                          first_late_.capacity() + last_late_.capacity() + next_late_.capacity());
}

BucketIndex::BucketIndex(Family family)
    : family_(std::move(family)), maps_(family_.tables(), BucketMap(family_.words())) {}

template <class X>
void BucketIndex::add(const X& points, std::int64_t* out) {
  const std::size_t tables = family_.tables(), words = family_.words();
  std::vector<Index> before;
  for (const BucketMap& map : maps_) before.push_back(map.size());
  const auto insert = [&](std::size_t first, std::size_t rows, const Word* keys) {
    parallel_for(tables, worth_threads(rows * tables), [&](std::size_t t) {
      for (std::size_t i = 0; i < rows; ++i) {
        if (i + kAhead < rows) maps_[t].prefetch(keys + ((i + kAhead) * tables + t) * words);
        out[(first + i) * tables + t] = maps_[t].insert(keys + (i * tables + t) * words);
      }
    });
  };
  try {
    for_keys(family_, points, insert);
  } catch (const Error&) {  // a row far behind could not be hashed: all is as it was
    for (std::size_t t = 0; t < tables; ++t) maps_[t].truncate(before[t]);
    throw;
  }
}

template <class X>
void BucketIndex::find(const X& points, std::int64_t* out) const {
  const std::size_t tables = family_.tables(), words = family_.words();
  for_keys(family_, points, [&](std::size_t first, std::size_t rows, const Word* keys) {
    parallel_for(rows, worth_threads(rows * tables), [&](std::size_t i) {
      for (std::size_t t = 0; t < tables; ++t) {
        if (i + kAhead < rows) maps_[t].prefetch(keys + ((i + kAhead) * tables + t) * words);
        out[(first + i) * tables + t] = maps_[t].find(keys + (i * tables + t) * words);
      }
    });
  });
}

template void BucketIndex::add(const Points<float>&, std::int64_t*);
template void BucketIndex::add(const Points<double>&, std::int64_t*);
template void BucketIndex::add(const CsrView<float>&, std::int64_t*);
template void BucketIndex::add(const CsrView<double>&, std::int64_t*);
template void BucketIndex::find(const Points<float>&, std::int64_t*) const;
template void BucketIndex::find(const Points<double>&, std::int64_t*) const;
template void BucketIndex::find(const CsrView<float>&, std::int64_t*) const;
template void BucketIndex::find(const CsrView<double>&, std::int64_t*) const;

}  // namespace pympf::lsh
