#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <vector>

#include "pympf/common/normal.hpp"
#include "pympf/lsh/distributed.hpp"
#include "pympf/lsh/table.hpp"

using namespace pympf;
using namespace pympf::lsh;

namespace {

template <class T>
std::vector<T> random_points(std::size_t rows, Index features, unsigned seed) {
  std::mt19937 random(seed);
  std::normal_distribution<double> normal;
  std::vector<T> X(rows * features);
  for (T& x : X) x = static_cast<T>(static_cast<float>(normal(random)));
  return X;
}

template <class T>
Points<T> view(const std::vector<T>& X, Index features) {
  return {X.size() / features, features, X.data()};
}

Family planes(Index features, Index functions, Index tables = 1, double offset = 0) {
  return Family({Hash::hyperplane, features, functions, tables, 1, offset, 7});
}

Family slabs(Index features, Index functions, Index tables, double width) {
  return Family({Hash::euclidean, features, functions, tables, width, 0, 8});
}

// The definition of a hash value.
double value(const Family& family, std::size_t function, const double* x) {
  double v = family.offset(function);
  for (Index l = 0; l < family.params().features; ++l) {
    const double term = static_cast<double>(family.direction(function, l)) * x[l];
    v += term;
  }
  return v;
}

std::int64_t hash(const Family& family, std::size_t function, const double* x) {
  const double v = value(family, function, x);
  if (family.params().hash == Hash::hyperplane) return v >= 0;
  return static_cast<std::int64_t>(std::floor(v / family.params().width));
}

std::int64_t unpack(const Family& family, const Word* key, Index f) {
  if (family.params().hash == Hash::hyperplane) return key[f / 64] >> f % 64 & 1;
  return static_cast<std::int32_t>(key[f / 2] >> 32 * (f % 2));
}

template <class T>
std::vector<Word> keys_of(const Family& family, const std::vector<T>& X) {
  const Points<T> points = view(X, family.params().features);
  std::vector<Word> keys(points.rows * family.tables() * family.words());
  family.keys(points, keys.data());
  return keys;
}

void check_keys(const Family& family, std::size_t rows) {
  const Index d = family.params().features, functions = family.params().functions;
  auto X = random_points<double>(rows, d, 1);
  for (std::size_t i = 0; i < X.size(); i += 11) X[i] = 0;
  const std::vector<Word> keys = keys_of(family, X);
  for (std::size_t i = 0; i < rows; ++i) {
    for (std::size_t g = 0; g < family.functions(); ++g) {
      const Word* key = &keys[(i * family.tables() + g / functions) * family.words()];
      REQUIRE(unpack(family, key, g % functions) == hash(family, g, &X[i * d]));
    }
  }
  CHECK(keys_of(family, std::vector<float>(X.begin(), X.end())) == keys);

  Csr<double> sparse{static_cast<Index>(rows), d, {0}, {}, {}};
  for (std::size_t i = 0; i < X.size(); ++i) {
    if (X[i] != 0) {
      sparse.indices.push_back(static_cast<Index>(i % d));
      sparse.data.push_back(X[i]);
    }
    if ((i + 1) % d == 0) sparse.indptr.push_back(static_cast<Index>(sparse.data.size()));
  }
  std::vector<Word> same(keys.size());
  family.keys(sparse.view(), same.data());
  CHECK(same == keys);
}

}  // namespace

TEST_CASE("normal numbers have the moments of a normal distribution") {
  std::vector<double> draws;
  for (std::uint32_t i = 0; i < 50000; ++i) {
    for (double z : normal_pair(Random::philox({i, 0, 0, 0}, {1, 2}))) draws.push_back(z);
  }
  const double n = static_cast<double>(draws.size());
  const double exact[] = {0, 1, 0, 3, 0, 15};
  for (int k = 1; k <= 6; ++k) {
    double sum = 0, squares = 0;
    for (double z : draws) {
      sum += std::pow(z, k);
      squares += std::pow(z, 2 * k);
    }
    CHECK(std::abs(sum / n - exact[k - 1]) <= 5 * std::sqrt(squares / n / n));
  }
}

TEST_CASE("normal numbers at the ends of the range") {
  for (const Random::Block& words : {Random::Block{0, 0, 0, 0}, Random::Block{~0u, ~0u, ~0u, ~0u},
                                     Random::Block{~0u, ~0u, 1u << 31, 0}}) {
    for (double z : normal_pair(words)) CHECK(std::abs(z) < 8.6);  // sqrt(2 * 53 log 2)
  }
  CHECK(uniform(0, 0) == 0);
  CHECK(uniform(~0u, ~0u) == 1 - 0x1p-53);
}

TEST_CASE("keys are what the definition says, whatever the points come as") {
  for (Index d : {1, 2, 16, 17, 100}) {
    for (Index functions : {1, 3, 64, 65, 130}) {
      check_keys(planes(d, functions, 3, 0.5), 101);
      check_keys(slabs(d, functions, 2, 0.7), 101);
    }
  }
  check_keys(planes(3, 64), 0);
}

TEST_CASE("keys of points on a plane are decided by double arithmetic") {
  const Family family = planes(64, 64);
  auto X = random_points<double>(200, 64, 2);
  for (std::size_t i = 0; i < 200; ++i) {
    double norm = 0;
    for (Index l = 0; l < 64; ++l) norm += std::pow(family.direction(i % 64, l), 2);
    const double share = value(family, i % 64, &X[i * 64]) / norm;
    for (Index l = 0; l < 64; ++l) X[i * 64 + l] -= share * family.direction(i % 64, l);
  }
  const auto keys = keys_of(family, X);
  for (std::size_t i = 0; i < 200; ++i) {
    for (Index f = 0; f < 64; ++f)
      REQUIRE(unpack(family, &keys[i], f) == hash(family, f, &X[i * 64]));
  }
}

TEST_CASE("what cannot be hashed is refused, with its row") {
  auto X = random_points<double>(300, 5, 3);
  X[5 * 200 + 1] = std::nan("");
  X[5 * 250 + 1] = INFINITY;
  for (const Family& family : {planes(5, 9), slabs(5, 9, 1, 1.0)}) {
    CHECK_THROWS_WITH_AS(keys_of(family, X), doctest::Contains("row 200 "), InvalidArgument);
    std::vector<double> v(300 * family.functions());
    CHECK_THROWS_WITH_AS(family.project(view(X, 5), v.data()), doctest::Contains("row 200 "),
                         InvalidArgument);
  }
  X = random_points<double>(2, 5, 3);
  CHECK_THROWS_WITH_AS(keys_of(slabs(5, 9, 1, 1e-12), X), doctest::Contains("beyond 2^31"),
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(slabs(5, 0, 1, 1.0), doctest::Contains("0 functions"), InvalidArgument);
  CHECK_THROWS_WITH_AS(slabs(5, 1, 1, 0.0), doctest::Contains("width = 0"), InvalidArgument);
  CHECK_THROWS_WITH_AS(planes(5, 1, 1, -1.0), doctest::Contains("offset = -1"), InvalidArgument);
}

TEST_CASE("probes come in the order of their scores, each once") {
  for (const Family& family : {planes(6, 5, 2), slabs(6, 3, 2, 2.0)}) {
    const bool bits = family.params().hash == Hash::hyperplane;
    const Index functions = family.params().functions, all = bits ? 32 : 27;
    const auto x = random_points<double>(1, 6, 4);
    std::vector<double> v(family.functions());
    family.project(view(x, 6), v.data());
    std::vector<Word> keys(2 * all * family.words());
    family.probes(v.data(), all, keys.data());
    const auto home = keys_of(family, x);
    for (int t = 0; t < 2; ++t) {
      std::set<std::vector<Word>> different;
      double before = 0;
      for (Index p = 0; p < all; ++p) {
        const Word* key = &keys[(t * all + p) * family.words()];
        different.insert({key, key + family.words()});
        double score = 0;
        for (Index f = 0; f < functions; ++f) {
          const std::int64_t step =
              unpack(family, key, f) - unpack(family, &home[t * family.words()], f);
          const double at = v[t * functions + f], width = family.params().width;
          const double below = at / width - std::floor(at / width);
          REQUIRE(std::abs(step) <= 1);
          if (bits && step != 0) score += at * at;
          if (!bits && step != 0) score += std::pow(step < 0 ? below : 1 - below, 2);
        }
        CHECK(score >= before - 1e-12);
        before = score;
      }
      CHECK(different.size() == static_cast<std::size_t>(all));
    }
    std::vector<Word> more(2 * (all + 1) * family.words());
    CHECK_THROWS_WITH_AS(family.probes(v.data(), all + 1, more.data()),
                         doctest::Contains("there are only"), InvalidArgument);
  }
}

TEST_CASE("a bucket map numbers keys in their order, as std::map does") {
  std::mt19937_64 random(5);
  for (int words : {1, 2, 5}) {
    BucketMap map(words);
    std::map<std::vector<Word>, Index> known;
    for (int i = 0; i < 5000; ++i) {
      std::vector<Word> key(words);
      for (Word& word : key) word = random() % 8 << 61;  // in few bits: many keys come again
      const Index expected = known.count(key) ? known[key] : BucketMap::kNone;
      REQUIRE(map.find(key.data()) == expected);
      const Index bucket = map.insert(key.data());
      REQUIRE(bucket == known.try_emplace(key, static_cast<Index>(known.size())).first->second);
      REQUIRE(std::equal(key.begin(), key.end(), map.key(bucket)));
    }
    CHECK(map.size() == static_cast<Index>(known.size()));
  }
}

TEST_CASE("contents keep the order of arrival through all rebuilds") {
  std::mt19937 random(6);
  Contents contents;
  std::vector<std::vector<Index>> expected(40);
  for (Index item = 0; item < 3000; ++item) {
    const Index bucket = random() % (1 + item / 100);
    contents.append(bucket);
    expected[bucket].push_back(item);
    REQUIRE(contents.bucket(item) == bucket);
    if (item % 61 != 0) continue;
    for (Index b = 0; b < 40; ++b) {
      std::vector<Index> found;
      contents.for_each(b, [&](Index i) { found.push_back(i); });
      REQUIRE(found == expected[b]);
    }
  }
}

TEST_CASE("distances are roots of sums of squares, and zero between equal points") {
  for (Index d : {1, 15, 16, 17, 64, 100}) {
    const auto X = random_points<float>(30, d, 7);
    std::vector<Index> rows(30);
    std::iota(rows.begin(), rows.end(), 0);
    std::vector<float> found(30);
    distances(X.data(), d, X.data() + 4 * d, rows.data(), rows.size(), found.data());
    CHECK(found[4] == 0);
    for (Index i = 0; i < 30; ++i) {
      double exact = 0;
      for (Index l = 0; l < d; ++l) exact += std::pow(double(X[i * d + l]) - X[4 * d + l], 2);
      CHECK(found[i] == doctest::Approx(std::sqrt(exact)).epsilon(1e-5));
    }
  }
}

TEST_CASE("near codes are those within so many bits") {
  std::mt19937_64 random(8);
  for (int words : {1, 3}) {
    const std::size_t count = 5 * kCodes;
    std::vector<Word> codes(count * words), code(words);
    for (Word& word : codes) word = random() & random();
    for (Word& word : code) word = random();
    for (int limit : {0, 20 * words, 30 * words, 64 * words}) {
      std::vector<Index> near(count + 1), expected;
      std::vector<int> bits(count + 1);
      const auto found =
          near_codes(codes.data(), count, words, code.data(), limit, near.data(), bits.data());
      for (std::size_t i = 0; i < count; ++i) {
        int different = 0;
        for (int w = 0; w < words; ++w)
          different +=
              __builtin_popcountll(codes[(i / kCodes * words + w) * kCodes + i % kCodes] ^ code[w]);
        if (different > limit) continue;
        REQUIRE(bits[expected.size()] == different);
        expected.push_back(static_cast<Index>(i));
      }
      near.resize(found);
      CHECK(near == expected);
    }
  }
}

namespace {

// The ids of all points that share a key with x, by the definition.
template <class T>
std::vector<std::int64_t> sharing(const Family& family, const std::vector<T>& X,
                                  const std::vector<std::int64_t>& removed, const T* x) {
  const Index d = family.params().features;
  const auto keys = keys_of(family, X), mine = keys_of(family, std::vector<T>(x, x + d));
  const std::size_t words = family.words(), tables = family.tables();
  std::vector<std::int64_t> ids;
  for (std::size_t i = 0; i < X.size() / d; ++i) {
    bool shared = false;
    for (std::size_t t = 0; t < tables; ++t)
      shared |=
          std::equal(&mine[t * words], &mine[t * words] + words, &keys[(i * tables + t) * words]);
    const auto id = static_cast<std::int64_t>(i);
    if (shared && std::count(removed.begin(), removed.end(), id) == 0) ids.push_back(id);
  }
  return ids;
}

}  // namespace

TEST_CASE("a table, alone and over ranks, finds the points that share a bucket") {
  const Index d = 4, k = 200;
  const auto X = random_points<double>(150, d, 9), Q = random_points<double>(10, d, 10);
  const std::vector<std::int64_t> removed{3, 77, 149};
  for (const Family& family : {planes(d, 4, 3), slabs(d, 2, 3, 1.5), planes(d, 70)}) {
    Table<double> table(family);
    DistributedTable<double> distributed(family, Communicator::self());
    CHECK(table.add(view(X, d)) == 0);
    CHECK(distributed.add(view(X, d)) == 0);
    table.remove(removed.data(), removed.size());
    distributed.remove(removed.data(), removed.size());
    CHECK(table.size() == 147);
    CHECK(distributed.size() == 147);
    std::vector<double> distances(10 * k), others(10 * k);
    std::vector<std::int64_t> ids(10 * k), other_ids(10 * k);
    table.query(view(Q, d), k, {}, distances.data(), ids.data());
    distributed.query(view(Q, d), k, 1, others.data(), other_ids.data());
    CHECK(distances == others);
    CHECK(ids == other_ids);
    for (int q = 0; q < 10; ++q) {
      CHECK(std::is_sorted(&distances[q * k], &distances[q * k] + k));
      std::vector<std::int64_t> found(&ids[q * k], std::find(&ids[q * k], &ids[q * k] + k, -1));
      std::sort(found.begin(), found.end());
      CHECK(found == sharing(family, X, removed, &Q[q * d]));
    }
  }
}

TEST_CASE("a table refuses what it cannot do") {
  const auto X = random_points<float>(10, 3, 1);
  Table<float> table(slabs(3, 2, 2, 1.0));
  table.add(view(X, 3));
  std::vector<float> distances(10);
  std::vector<std::int64_t> ids(10);
  const auto query = [&](Index features, Index k, Search search) {
    table.query({1, features, X.data()}, k, search, distances.data(), ids.data());
  };
  CHECK_THROWS_WITH_AS(query(4, 1, {}), doctest::Contains("3 coordinates, got 4"), InvalidArgument);
  CHECK_THROWS_WITH_AS(query(3, 0, {}), doctest::Contains("k = 0"), InvalidArgument);
  CHECK_THROWS_WITH_AS(query(3, 1, {0, 0}), doctest::Contains("probes = 0"), InvalidArgument);
  CHECK_THROWS_WITH_AS(query(3, 1, {1, 5}), doctest::Contains("hyperplanes"), InvalidArgument);
  const std::int64_t bad[] = {9, 10};
  CHECK_THROWS_WITH_AS(table.remove(bad, 2), doctest::Contains("id 10"), InvalidArgument);
  CHECK(table.size() == 10);
}
