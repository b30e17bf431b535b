#include "pympf/lsh/buckets.hpp"

#include <algorithm>

#include "pympf/common/parallel.hpp"
#include "pympf/common/progress.hpp"
#include "pympf/common/random.hpp"

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
    const std::size_t done = first + rows;
    say_progress("point", done,
                 [&] { return static_cast<double>(done) / static_cast<double>(all); });
  }
}

}  // namespace

std::size_t BucketMap::start(const Word* key) const {
  return fold_in(0, mix(key, words_)) & (places_.size() - 1);
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
  next_late_.push_back(-1);
  link(item);
  if (next_late_.size() >= std::max(kLateItems, sorted_.size())) rebuild();
}

void Contents::truncate(std::size_t size) {
  bucket_.resize(size);
  std::size_t kept = 0;
  Index first = 0;
  for (std::size_t b = 0; b + 1 < start_.size(); ++b) {
    const Index end = start_[b + 1];
    for (Index i = first; i < end; ++i)
      if (static_cast<std::size_t>(sorted_[i]) < size) sorted_[kept++] = sorted_[i];
    first = end;
    start_[b + 1] = static_cast<Index>(kept);
  }
  sorted_.resize(kept);
  std::fill(first_late_.begin(), first_late_.end(), -1);
  std::fill(last_late_.begin(), last_late_.end(), -1);
  next_late_.resize(size - kept);
  std::fill(next_late_.begin(), next_late_.end(), -1);
  for (std::size_t i = kept; i < size; ++i) link(static_cast<Index>(i));
}

void Contents::link(Index item) {
  Index& last = last_late_[bucket_[item]];
  (last < 0 ? first_late_[bucket_[item]] : next_late_[last - sorted_.size()]) = item;
  last = item;
}

// A counting sort by bucket. Without memory for it all is as it was.
void Contents::rebuild() {
  Index buckets = 0;
  for (Index b : bucket_) buckets = std::max(buckets, b + 1);
  std::vector<Index> start(buckets + 1, 0), sorted(bucket_.size());
  for (Index b : bucket_) ++start[b + 1];
  std::partial_sum(start.begin(), start.end(), start.begin());
  std::vector<Index> next(start.begin(), start.end() - 1);
  for (std::size_t i = 0; i < bucket_.size(); ++i)
    sorted[next[bucket_[i]]++] = static_cast<Index>(i);
  start_ = std::move(start);
  sorted_ = std::move(sorted);
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
  } catch (...) {  // a row far behind could not be hashed, perhaps: all is as it was
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
