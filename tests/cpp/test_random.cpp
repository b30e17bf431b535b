#include <doctest/doctest.h>

#include <array>
#include <cstdlib>
#include <set>
#include <vector>

#include "pympf/common/random.hpp"

using namespace pympf;
using Words = std::vector<std::uint32_t>;

namespace {

Words draw(Random random, int count) {
  Words out;
  for (int k = 0; k < count; ++k) out.push_back(random.next());
  return out;
}

}  // namespace

TEST_CASE("Philox 4x32-10 gives the published answers") {  // kat_vectors of Random123
  CHECK(Random::philox({0, 0, 0, 0}, {0, 0}) ==
        Random::Block{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  const std::uint32_t ones = 0xffffffff;
  CHECK(Random::philox({ones, ones, ones, ones}, {ones, ones}) ==
        Random::Block{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(
      Random::philox({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}) ==
      Random::Block{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("a stream runs through the blocks of its counter") {
  const std::uint64_t seed = 0x123456789abcdef0;
  Words expected;
  for (std::uint32_t block = 0; block < 3; ++block)
    for (std::uint32_t word : Random::philox({block, 0, 7, 9}, {0x9abcdef0, 0x12345678}))
      expected.push_back(word);
  CHECK(draw(Random(seed, 7, 9), 12) == expected);
}

TEST_CASE("seed, stage and cluster name different streams") {
  std::set<Words> streams;
  for (auto [seed, stage, cluster] : {std::array<std::uint32_t, 3>{0, 0, 0},
                                      {1, 0, 0},
                                      {0, 1, 0},
                                      {0, 0, 1},
                                      {0, 1, 1},
                                      {1, 1, 0}})
    streams.insert(draw(Random(seed, stage, cluster), 4));
  CHECK(streams.size() == 6);
}

TEST_CASE("below stays below its bound, reaches everything and favours nothing") {
  Random random(5, 0, 0);
  std::vector<int> seen(10, 0);
  for (int k = 0; k < 10000; ++k) ++seen.at(random.below(10));
  for (int count : seen) CHECK(std::abs(count - 1000) < 150);  // five standard deviations
  CHECK(random.below(1) == 0);
  CHECK(random.below(0xffffffff) < 0xffffffff);
}

TEST_CASE("splitmix64 gives the published numbers") {  // of the generator with state 1234567
  const std::uint64_t expected[] = {6457827717110365317u, 3203168211198807973u,
                                    9817491932198370423u, 4593380528125082431u,
                                    16408922859458223821u};
  std::uint64_t state = 1234567;
  for (const std::uint64_t one : expected) {
    CHECK(splitmix64(state) == one);
    state += golden;
  }
}

TEST_CASE("hashes spread consecutive integers evenly") {
  std::vector<int> low(16, 0), high(16, 0), signs(2, 0);
  for (std::uint64_t i = 0; i < 16000; ++i) {
    ++low.at(fold_in(0, i << 20) & 15);
    ++high.at(fibonacci16(static_cast<std::uint32_t>(i)) >> 12);
    ++signs.at((splitmix64(fibonacci(i)) >> 33) & 1);
  }
  for (int count : low) CHECK(std::abs(count - 1000) < 160);
  for (int count : high) CHECK(std::abs(count - 1000) < 160);
  CHECK(std::abs(signs[0] - 8000) < 320);  // five standard deviations
  CHECK(fold_in(fold_in(0, 1), 2) != fold_in(fold_in(0, 2), 1));
}
