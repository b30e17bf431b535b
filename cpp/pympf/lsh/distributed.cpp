#include "pympf/lsh/distributed.hpp"

#include <algorithm>
#include <cmath>
#include <tuple>

#include "pympf/common/random.hpp"

namespace pympf::lsh {
namespace {

constexpr std::size_t kBatch = 1024;  // queries of a rank that travel together

// Sends its part to every rank; what came in return, one behind the other, and in `counts` how many
// from each rank.
template <class T>
std::vector<T> send_parts(const Communicator& comm, std::vector<std::vector<T>>& parts,
                          std::vector<std::int64_t>& counts) {
  std::vector<Packet<T>> packets;
  for (std::size_t rank = 0; rank < parts.size(); ++rank)
    if (!parts[rank].empty())
      packets.push_back({static_cast<int>(rank), std::exchange(parts[rank], {})});
  counts.assign(parts.size(), 0);
  std::vector<T> all;
  for (const auto& [rank, data] : comm.exchange(packets)) {
    counts[rank] = static_cast<std::int64_t>(data.size());
    all.insert(all.end(), data.begin(), data.end());
  }
  return all;
}

template <class T>
std::vector<T> send_parts(const Communicator& comm, std::vector<std::vector<T>>& parts) {
  std::vector<std::int64_t> counts;
  return send_parts(comm, parts, counts);
}

Word pair(std::size_t high, std::size_t low) { return Word{high} << 32 | low; }
std::int32_t high(Word word) { return static_cast<std::int32_t>(word >> 32); }
std::int32_t low(Word word) { return static_cast<std::int32_t>(word); }

}  // namespace

template <class T>
DistributedTable<T>::DistributedTable(Family family, const Communicator& comm)
    : comm_(comm),
      index_(std::move(family)),
      contents_(index_.family().tables()),
      places_(index_.family().tables()) {
  const FamilyParams& p = this->family().params();
  check_equal("features of the family", p.features);
  check_equal("functions of the family", p.functions);
  check_equal("tables of the family", p.tables);
  check_equal("kind of the family", static_cast<std::int64_t>(p.hash));
  check_equal("seed of the family", static_cast<std::int64_t>(p.seed));
  check_equal("bytes of a number", sizeof(T));
  for (double number : {p.width, p.offset}) {
    const double least = comm_.min(number), most = comm_.max(number);
    require(least == most, "expected the same family on all ranks, got widths or offsets from ",
            least, " to ", most);
  }
}

template <class T>
void DistributedTable<T>::check_equal(const char* what, std::int64_t value) const {
  const std::int64_t least = comm_.min(value), most = comm_.max(value);
  require(least == most, what, ": expected the same on all ranks, got from ", least, " to ", most);
}

template <class T>
void DistributedTable<T>::check_points(const Points<T>& X) const {
  require(X.features == family().params().features, "expected points with ",
          family().params().features, " coordinates, got ", X.features);
}

template <class T>
int DistributedTable<T>::owner(const Word* key) const {
  const Word hash = fibonacci(mix(key, family().words()));
  return static_cast<int>((hash >> 32) % static_cast<Word>(comm_.size()));
}

template <class T>
std::int64_t DistributedTable<T>::add(const Points<T>& X) {
  const std::size_t tables = family().tables(), words = family().words();
  std::vector<Word> keys;
  collectively(comm_, [&] {
    check_points(X);
    to_index(static_cast<Global>(ids_.size() + X.rows), "points");
    keys.resize(X.rows * tables * words);
    family().keys(X, keys.data());
  });
  std::vector<std::vector<Word>> parts(comm_.size());  // of records (table, slot; key)
  const Word* key = keys.data();
  for (std::size_t i = 0; i < X.rows; ++i) {
    for (std::size_t t = 0; t < tables; ++t, key += words) {
      auto& part = parts[owner(key)];
      part.push_back(pair(t, ids_.size() + i));
      part.insert(part.end(), key, key + words);
    }
  }
  std::vector<std::int64_t> counts;
  const std::vector<Word> came = send_parts(comm_, parts, counts);
  const Word* record = came.data();
  for (int home = 0; home < comm_.size(); ++home) {
    for (const Word* end = record + counts[home]; record < end; record += 1 + words) {
      const std::size_t t = high(*record);
      contents_[t].append(index_.insert(t, record + 1));
      places_[t].push_back({home, low(*record)});
    }
  }
  const std::vector<std::int64_t> rows = comm_.all_gather(static_cast<std::int64_t>(X.rows));
  const std::int64_t first = std::accumulate(rows.begin(), rows.begin() + comm_.rank(), next_id_);
  for (std::size_t i = 0; i < X.rows; ++i) ids_.push_back(first + static_cast<std::int64_t>(i));
  points_.insert(points_.end(), X.data, X.row(X.rows));
  alive_.resize(ids_.size(), 1);
  const std::int64_t total = std::accumulate(rows.begin(), rows.end(), std::int64_t{0});
  size_ += total;
  next_id_ += total;
  return first;
}

template <class T>
void DistributedTable<T>::remove(const std::int64_t* ids, std::size_t count) {
  std::vector<std::int64_t> asked = comm_.all_gather(std::vector<std::int64_t>(ids, ids + count));
  std::sort(asked.begin(), asked.end());
  const auto twice = std::adjacent_find(asked.begin(), asked.end());
  require(twice == asked.end(), "id ", twice == asked.end() ? 0 : *twice, " comes twice");
  std::vector<std::int64_t> here;
  for (std::int64_t id : asked) {
    const auto place = std::lower_bound(ids_.begin(), ids_.end(), id);
    if (place != ids_.end() && *place == id && alive_[place - ids_.begin()]) here.push_back(id);
  }
  std::vector<std::int64_t> found = comm_.all_gather(here);
  std::sort(found.begin(), found.end());
  for (std::size_t i = 0; i < asked.size(); ++i)
    require(i < found.size() && found[i] == asked[i], "there is no point with id ", asked[i]);
  for (std::int64_t id : here)
    alive_[std::lower_bound(ids_.begin(), ids_.end(), id) - ids_.begin()] = 0;
  removed_ += here.size();
  size_ -= static_cast<std::int64_t>(asked.size());
}

// Steps 1 and 2: each point once for each query, by home.
template <class T>
auto DistributedTable<T>::candidates(const double* v, std::size_t rows, Index probes) const
    -> std::vector<Candidate> {
  const std::size_t tables = family().tables(), words = family().words();
  std::vector<Word> keys(rows * tables * probes * words);
  family().probes(v, rows, probes, keys.data());
  std::vector<std::vector<Word>> parts(comm_.size());  // of records (table, query; key)
  const Word* key = keys.data();
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t t = 0; t < tables; ++t) {
      for (Index p = 0; p < probes; ++p, key += words) {
        auto& part = parts[owner(key)];
        part.push_back(pair(t, i));
        part.insert(part.end(), key, key + words);
      }
    }
  }
  std::vector<std::int64_t> counts;
  const std::vector<Word> came = send_parts(comm_, parts, counts);
  std::vector<std::vector<Candidate>> replies(comm_.size());
  const Word* record = came.data();
  for (int origin = 0; origin < comm_.size(); ++origin) {
    for (const Word* end = record + counts[origin]; record < end; record += 1 + words) {
      const std::size_t t = high(*record);
      const Index bucket = index_.map(t).find(record + 1);
      if (bucket == BucketMap::kNone) continue;
      contents_[t].for_each(bucket, [&](Index item) {
        const Place& place = places_[t][item];
        replies[origin].push_back({low(*record), place.home, place.slot});
      });
    }
  }
  std::vector<Candidate> found = send_parts(comm_, replies);
  std::sort(found.begin(), found.end(), [](const Candidate& a, const Candidate& b) {
    return std::tie(a.home, a.query, a.slot) < std::tie(b.home, b.query, b.slot);
  });
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

// Steps 3 and 4. keep(neighbors) drops those that are not wanted from the ones of a home.
template <class T>
template <class Keep>
auto DistributedTable<T>::answers(const Points<T>& X, const std::vector<Candidate>& candidates,
                                  const Keep& keep) const -> std::vector<Answer> {
  std::vector<std::vector<Request>> requests(comm_.size());
  std::vector<std::vector<T>> points(comm_.size());
  std::vector<std::vector<std::int32_t>> queries(comm_.size());  // those that went to each home
  for (const Candidate& c : candidates) {
    auto& sent = queries[c.home];
    if (sent.empty() || sent.back() != c.query) {
      sent.push_back(c.query);
      points[c.home].insert(points[c.home].end(), X.row(c.query), X.row(c.query + 1));
    }
    requests[c.home].push_back({static_cast<std::int32_t>(sent.size() - 1), c.slot});
  }
  std::vector<std::int64_t> request_counts, point_counts;
  const std::vector<Request> came = send_parts(comm_, requests, request_counts);
  const std::vector<T> points_came = send_parts(comm_, points, point_counts);

  std::vector<std::vector<Answer>> replies(comm_.size());
  const Request* request = came.data();
  const T* x = points_came.data();
  for (int origin = 0; origin < comm_.size(); ++origin) {
    for (const Request* end = request + request_counts[origin]; request < end;) {
      const std::int32_t query = request->query;
      std::vector<Index> slots;
      for (; request < end && request->query == query; ++request) {
        if (alive_[request->slot]) slots.push_back(request->slot);
      }
      std::vector<T> distance(slots.size());
      distances(points_.data(), X.features, x + static_cast<std::size_t>(query) * X.features,
                slots.data(), slots.size(), distance.data());
      std::vector<Neighbor<T>> neighbors;
      for (std::size_t i = 0; i < slots.size(); ++i)
        neighbors.emplace_back(distance[i], ids_[slots[i]]);
      keep(neighbors);
      for (const auto& [distance, id] : neighbors) replies[origin].push_back({id, distance, query});
    }
    x += point_counts[origin];
  }
  std::vector<std::int64_t> counts;
  std::vector<Answer> found = send_parts(comm_, replies, counts);
  auto answer = found.begin();
  for (int home = 0; home < comm_.size(); ++home) {
    for (const auto end = answer + counts[home]; answer < end; ++answer)
      answer->query = queries[home][answer->query];
  }
  return found;
}

template <class T>
template <class Keep>
std::vector<std::vector<Neighbor<T>>> DistributedTable<T>::search(const Points<T>& X, Index probes,
                                                                  const Keep& keep) const {
  check_equal("probes", probes);
  std::vector<double> v;
  collectively(comm_, [&] {
    require(probes >= 1, "probes = ", probes, " is not at least 1");
    check_points(X);
    std::vector<Word> keys(X.rows * family().tables() * family().words());
    family().keys(X, keys.data());  // refuses what has none
    v.resize(X.rows * family().functions());
    family().project(X, v.data());
  });
  std::vector<std::vector<Neighbor<T>>> all(X.rows);
  const auto batches = comm_.max(static_cast<std::int64_t>((X.rows + kBatch - 1) / kBatch));
  for (std::int64_t b = 0; b < batches; ++b) {
    const std::size_t first = std::min(X.rows, b * kBatch), rows = std::min(X.rows - first, kBatch);
    const Points<T> batch{rows, X.features, X.row(first)};
    const auto found = candidates(v.data() + first * family().functions(), rows, probes);
    for (const Answer& answer : answers(batch, found, keep))
      all[first + answer.query].emplace_back(answer.distance, answer.id);
  }
  for (auto& neighbors : all) keep(neighbors);
  return all;
}

template <class T>
void DistributedTable<T>::query(const Points<T>& X, Index k, Index probes, T* distances,
                                std::int64_t* ids) const {
  check_equal("k", k);
  require(k >= 1, "k = ", k, " is not at least 1");
  const auto nearest = [k](std::vector<Neighbor<T>>& neighbors) {
    const auto count = std::min<std::size_t>(k, neighbors.size());
    std::partial_sort(neighbors.begin(), neighbors.begin() + count, neighbors.end());
    neighbors.resize(count);
  };
  const auto all = search(X, probes, nearest);
  for (std::size_t i = 0; i < X.rows; ++i) {
    std::fill_n(distances + i * k, k, std::numeric_limits<T>::infinity());
    std::fill_n(ids + i * k, k, -1);
    for (std::size_t j = 0; j < all[i].size(); ++j) {
      distances[i * k + j] = all[i][j].first;
      ids[i * k + j] = all[i][j].second;
    }
  }
}

template <class T>
Found<T> DistributedTable<T>::radius_query(const Points<T>& X, double radius, Index probes) const {
  require(comm_.min(radius) == comm_.max(radius), "radius: expected the same on all ranks");
  require(radius >= 0, "radius = ", radius, " is not a number >= 0");
  const auto within = [radius](std::vector<Neighbor<T>>& neighbors) {
    std::erase_if(neighbors, [&](const auto& n) { return !(n.first <= radius); });
    std::sort(neighbors.begin(), neighbors.end());
  };
  Found<T> found;
  for (const auto& neighbors : search(X, probes, within)) found.append(neighbors);
  return found;
}

template <class T>
DistributedStatistics DistributedTable<T>::statistics() const {
  std::int64_t buckets = 0, entries = 0;
  std::size_t bytes = points_.capacity() * sizeof(T) + ids_.capacity() * sizeof(std::int64_t) +
                      alive_.capacity() + family().bytes();
  for (std::size_t t = 0; t < family().tables(); ++t) {
    buckets += index_.map(t).size();
    entries += static_cast<std::int64_t>(places_[t].size());
    bytes += index_.map(t).bytes() + contents_[t].bytes() + places_[t].capacity() * sizeof(Place);
  }
  return {comm_.sum(buckets), comm_.all_gather(static_cast<std::int64_t>(local_size())),
          comm_.all_gather(entries), comm_.all_gather(static_cast<std::int64_t>(bytes))};
}

template class DistributedTable<float>;
template class DistributedTable<double>;

}  // namespace pympf::lsh
