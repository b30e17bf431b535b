#include "pympf/lsh/table.hpp"

#include <bit>
#include <cmath>
#include <span>

#include "pympf/common/parallel.hpp"

namespace pympf::lsh {
namespace {

// Queries that go through codes and points together, and the most candidates that they keep.
constexpr std::size_t kTogether = 512, kKept = std::size_t{1} << 23;
constexpr std::size_t kPartBytes = std::size_t{1} << 18;  // of points that all of them visit

// So many that all threads have some.
std::size_t group_size(std::size_t queries, std::size_t candidates) {
  const auto threads = static_cast<std::size_t>(team().threads());
  const std::size_t most = std::clamp<std::size_t>(kKept / candidates, 1, kTogether);
  return std::clamp<std::size_t>((queries + threads - 1) / threads, 1, most);
}

// Asks for memory that is about to be read.
void prefetch(const void* memory, std::size_t bytes) {
  const auto* line = static_cast<const char*>(memory);
  for (std::size_t i = 0; i < bytes; i += 64) __builtin_prefetch(line + i);
}

}  // namespace

template <class T>
struct Table<T>::Workspace {
  std::vector<Word> keys;
  std::vector<Index> slots;
  std::vector<T> distances;
  Nearest<T> nearest;
  // The last query that saw each slot: with several tables a point comes up more than once.
  std::vector<std::uint32_t> seen;
  std::uint32_t query = 0;
  // Of a group of queries: their buckets, where the slots of each begin, and where it has got to.
  std::vector<std::vector<Index>> near;
  std::vector<std::size_t> begin, place;

  void start_query(std::size_t slots) {
    seen.resize(slots);
    if (++query == 0) {  // after 2^32 queries
      std::fill(seen.begin(), seen.end(), 0);
      query = 1;
    }
  }
};

template <class T>
Table<T>::Table(Family family)
    : index_(std::move(family)),
      contents_(index_.family().tables()),
      in_bucket_(index_.family().tables()),
      codes_(std::make_unique<CodeBook>(index_.family().words(),
                                        index_.family().params().functions)) {}

template <class T>
std::int64_t Table<T>::add(const Points<T>& X) {
  const std::int64_t first = next_id_;
  std::vector<std::int64_t> ids(X.rows);
  std::iota(ids.begin(), ids.end(), first);
  restore(X, ids.data(), first + static_cast<std::int64_t>(X.rows));
  return first;
}

template <class T>
void Table<T>::restore(const Points<T>& X, const std::int64_t* ids, std::int64_t next_id) {
  const Index d = family().params().features;
  require(X.features == d, "expected points with ", d, " coordinates, got ", X.features);
  to_index(static_cast<Global>(ids_.size() + X.rows), "points");
  std::int64_t last = ids_.empty() ? -1 : ids_.back();
  for (std::size_t i = 0; i < X.rows; ++i) {
    require(ids[i] > last && ids[i] < next_id, "id ", ids[i], " is not above ", last, " and below ",
            next_id);
    last = ids[i];
  }
  const std::size_t tables = family().tables();
  std::vector<std::int64_t> buckets(X.rows * tables);
  index_.add(X, buckets.data());
  const std::size_t before = ids_.size(), coordinates = points_.size();
  try {
    parallel_for(tables, worth_threads(buckets.size()), [&](std::size_t t) {
      in_bucket_[t].resize(index_.map(t).size());
      for (std::size_t i = 0; i < X.rows; ++i) {
        const auto bucket = static_cast<Index>(buckets[i * tables + t]);
        contents_[t].append(bucket);
        ++in_bucket_[t][bucket];
      }
    });
    points_.insert(points_.end(), X.data, X.row(X.rows));
    ids_.insert(ids_.end(), ids, ids + X.rows);
    alive_.resize(ids_.size(), 1);
  } catch (...) {  // interrupted, or without memory: all is as it was, but for empty buckets
    points_.resize(coordinates);
    ids_.resize(before);
    alive_.resize(before);
    for (std::size_t t = 0; t < tables; ++t) {
      contents_[t].truncate(before);
      std::fill(in_bucket_[t].begin(), in_bucket_[t].end(), 0);
      for (std::size_t i = 0; i < before; ++i) in_bucket_[t][contents_[t].bucket(i)] += alive_[i];
    }
    throw;
  }
  live_ += X.rows;
  next_id_ = next_id;
}

template <class T>
void Table<T>::remove(const std::int64_t* ids, std::size_t count) {
  std::vector<Index> slots;
  for (std::size_t i = 0; i < count; ++i) {
    const auto place = std::lower_bound(ids_.begin(), ids_.end(), ids[i]);
    const auto slot = static_cast<std::size_t>(place - ids_.begin());
    require(slot < ids_.size() && *place == ids[i] && alive_[slot], "there is no point with id ",
            ids[i]);
    slots.push_back(static_cast<Index>(slot));
  }
  std::vector<Index> sorted(slots);
  std::sort(sorted.begin(), sorted.end());
  const auto twice = std::adjacent_find(sorted.begin(), sorted.end());
  require(twice == sorted.end(), "id ", twice == sorted.end() ? 0 : ids_[*twice], " comes twice");
  for (Index slot : slots) {
    alive_[slot] = 0;
    for (std::size_t t = 0; t < family().tables(); ++t) --in_bucket_[t][contents_[t].bucket(slot)];
  }
  live_ -= count;
  if (2 * live_ < ids_.size()) compact();
}

// Once more from the points that are left: as much work as half of the removals before it.
template <class T>
void Table<T>::compact() {
  std::vector<T> kept(live_ * family().params().features);
  std::vector<std::int64_t> ids(live_);
  points(kept.data(), ids.data());
  Table<T> fresh(family());
  fresh.restore({live_, family().params().features, kept.data()}, ids.data(), next_id_);
  *this = std::move(fresh);
}

template <class T>
void Table<T>::check(const Points<T>& X, const Search& search) const {
  const FamilyParams& params = family().params();
  require(X.features == params.features, "expected points with ", params.features,
          " coordinates, got ", X.features);
  require(search.probes >= 1, "probes = ", search.probes, " is not at least 1");
  require(search.candidates == 0 || (params.hash == Hash::hyperplane && params.tables == 1),
          "candidates: expected a family of hyperplanes with one table");
  require(search.candidates == 0 || search.probes == 1,
          "expected either candidates or probes, got both");
}

template <class T>
void Table<T>::collect(Index bucket, std::size_t table, Workspace& own) const {
  const bool once = family().tables() == 1;
  contents_[table].for_each(bucket, [&](Index slot) {
    if (!alive_[slot]) return;
    if (!once) {
      if (own.seen[slot] == own.query) return;
      own.seen[slot] = own.query;
    }
    own.slots.push_back(slot);
  });
}

template <class T>
void Table<T>::collect_probed(const double* v, Index probes, Workspace& own) const {
  const std::size_t words = family().words(), tables = family().tables();
  own.keys.resize(tables * probes * words);
  family().probes(v, probes, own.keys.data());
  if (tables > 1) own.start_query(ids_.size());
  const auto for_probes = [&](const auto& visit) {
    const Word* key = own.keys.data();
    for (std::size_t t = 0; t < tables; ++t) {
      for (Index p = 0; p < probes; ++p, key += words) visit(t, key);
    }
  };
  for_probes([&](std::size_t t, const Word* key) { index_.map(t).prefetch(key); });
  for_probes([&](std::size_t t, const Word* key) {
    const Index bucket = index_.map(t).find(key);
    if (bucket != BucketMap::kNone) collect(bucket, t, own);
  });
}

// Distances from the queries of a group to their candidates: one query after the other, or, where
// these are more than all points, one part of the points after the other, which then stays in cache
// for all queries.
template <class T>
void Table<T>::measure(const Points<T>& X, std::size_t first, Workspace& own) const {
  const std::size_t queries = own.begin.size() - 1, slots = ids_.size();
  const std::size_t row_bytes = X.features * sizeof(T);
  const bool in_parts = queries > 1 && own.slots.size() > slots;
  const std::size_t part = in_parts ? std::max<std::size_t>(1, kPartBytes / row_bytes) : slots;
  own.distances.resize(own.slots.size());
  own.place.assign(own.begin.begin(), own.begin.end() - 1);
  for (std::size_t low = 0; low < slots; low += part) {
    const std::size_t high = std::min(slots, low + part);
    if (in_parts) prefetch(points_.data() + low * X.features, (high - low) * row_bytes);
    for (std::size_t q = 0; q < queries; ++q) {
      const std::size_t from = own.place[q], end = own.begin[q + 1];
      std::size_t& to = own.place[q];
      if (in_parts)
        while (to < end && static_cast<std::size_t>(own.slots[to]) < high) ++to;
      else
        to = end;
      lsh::distances(points_.data(), X.features, X.row(first + q), own.slots.data() + from,
                     to - from, own.distances.data() + from);
    }
  }
}

// Calls use(i, slots, distances, nearest) for each query i: its candidates, their distances, and a
// collector for its own.
template <class T>
template <class Use>
void Table<T>::for_queries(const Points<T>& X, const Search& search, const Use& use) const {
  check(X, search);
  const auto measured = [&](std::size_t first, Workspace& own) {
    measure(X, first, own);
    for (std::size_t q = 0; q + 1 < own.begin.size(); ++q) {
      const std::size_t begin = own.begin[q], count = own.begin[q + 1] - begin;
      use(first + q, std::span(own.slots.data() + begin, count),
          std::span(own.distances.data() + begin, count), own.nearest);
    }
  };
  if (search.candidates == 0) {
    const std::size_t functions = family().functions();
    std::vector<double> v(X.rows * functions);
    family().project(X, v.data());
    parallel_with(X.rows, std::size_t{8}, X.rows > 1, [&] {
      return [&, own = Workspace()](std::size_t i) mutable {
        own.slots.clear();
        collect_probed(v.data() + i * functions, search.probes, own);
        own.begin = {0, own.slots.size()};
        measured(i, own);
      };
    });
    return;
  }
  codes_->extend(index_.map(0));
  const std::size_t words = family().words(), group = group_size(X.rows, search.candidates);
  std::vector<Word> keys(X.rows * words);
  family().keys(X, keys.data());
  const auto answer = [&](std::size_t number, Workspace& own) {
    const std::size_t first = number * group, count = std::min(group, X.rows - first);
    codes_->nearest(keys.data() + first * words, count, search.candidates, in_bucket_[0], own.near);
    own.slots.clear();
    own.begin = {0};
    for (const std::vector<Index>& buckets : own.near) {
      for (Index bucket : buckets) collect(bucket, 0, own);
      const auto begin = own.slots.begin() + static_cast<std::ptrdiff_t>(own.begin.back());
      if (!std::is_sorted(begin, own.slots.end())) std::sort(begin, own.slots.end());
      own.begin.push_back(own.slots.size());
    }
    measured(first, own);
  };
  parallel_with((X.rows + group - 1) / group, std::size_t{1}, X.rows > 1, [&] {
    return [&, own = Workspace()](std::size_t number) mutable { answer(number, own); };
  });
}

template <class T>
void Table<T>::query(const Points<T>& X, Index k, const Search& search, T* distances,
                     std::int64_t* ids) const {
  require(k >= 1, "k = ", k, " is not at least 1");
  for_queries(X, search, [&](std::size_t i, auto slots, auto measured, Nearest<T>& nearest) {
    nearest.start(k);
    for (std::size_t c = 0; c < slots.size(); ++c) nearest.offer(measured[c], ids_[slots[c]]);
    T* distance = distances + i * k;
    std::int64_t* id = ids + i * k;
    for (const auto& [far, found] : nearest.sorted()) {
      *distance++ = far;
      *id++ = found;
    }
    std::fill(distance, distances + (i + 1) * k, std::numeric_limits<T>::infinity());
    std::fill(id, ids + (i + 1) * k, -1);
  });
}

template <class T>
Found<T> Table<T>::radius_query(const Points<T>& X, double radius, const Search& search) const {
  require(radius >= 0, "radius = ", radius, " is not a number >= 0");
  std::vector<std::vector<Neighbor<T>>> all(X.rows);
  for_queries(X, search, [&](std::size_t i, auto slots, auto measured, Nearest<T>&) {
    for (std::size_t c = 0; c < slots.size(); ++c) {
      if (measured[c] <= radius) all[i].emplace_back(measured[c], ids_[slots[c]]);
    }
    std::sort(all[i].begin(), all[i].end());
  });
  Found<T> found;
  for (const auto& one : all) found.append(one);
  return found;
}

template <class T>
void Table<T>::points(T* out, std::int64_t* ids) const {
  const std::size_t d = family().params().features;
  for (std::size_t slot = 0; slot < ids_.size(); ++slot) {
    if (!alive_[slot]) continue;
    out = std::copy_n(points_.data() + slot * d, d, out);
    *ids++ = ids_[slot];
  }
}

template <class T>
TableStatistics Table<T>::statistics(std::size_t table) const {
  TableStatistics found;
  double squares = 0;
  for (Index points : in_bucket_[table]) {
    if (points == 0) continue;
    ++found.buckets;
    found.largest = std::max(found.largest, points);
    squares += static_cast<double>(points) * points;
    const std::size_t place = std::bit_width(static_cast<unsigned>(points)) - 1;
    if (place >= found.histogram.size()) found.histogram.resize(place + 1);
    ++found.histogram[place];
  }
  if (live_ > 0) found.expected = squares / static_cast<double>(live_);
  return found;
}

template <class T>
std::size_t Table<T>::point_bytes() const {
  return points_.capacity() * sizeof(T) + ids_.capacity() * sizeof(std::int64_t) +
         alive_.capacity();
}

template <class T>
std::size_t Table<T>::bucket_bytes() const {
  std::size_t bytes = family().bytes() + codes_->bytes();
  for (std::size_t t = 0; t < family().tables(); ++t) {
    bytes +=
        index_.map(t).bytes() + contents_[t].bytes() + in_bucket_[t].capacity() * sizeof(Index);
  }
  return bytes;
}

template class Table<float>;
template class Table<double>;

}  // namespace pympf::lsh
