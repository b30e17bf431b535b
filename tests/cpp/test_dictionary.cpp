#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "pympf/common/error.hpp"
#include "pympf/common/parallel.hpp"
#include "pympf/sketch/dictionary.hpp"

using namespace pympf;
using namespace pympf::sketch;

namespace {

constexpr int kSize = 66, kBlock = 33, kThird = 11, kBits = 7;

// The block x [ f_s s | f_c Enc(j, b_m, b_s) | f_m m ] of strings of signs that begin with +1.
std::vector<double> block_of(double x, int column, std::uint64_t string, std::uint64_t matrix,
                             int f_s, int f_c, int f_m) {
  std::vector<double> out;
  const auto add = [&](double factor, std::uint64_t bits) {
    for (int r = 0; r < kThird; ++r) out.push_back(x * factor * (bits >> r & 1 ? 1 : -1));
  };
  std::uint64_t code = ~std::uint64_t{0};
  for (int t = 0; t < kBits; ++t)
    if (!(column >> (kBits - 1 - t) & 1)) code &= ~(std::uint64_t{1} << (t + 1));
  if (f_m < 0) code &= ~(std::uint64_t{1} << (kBits + 1));
  if (f_s < 0) code &= ~(std::uint64_t{1} << (kBits + 2));
  add(f_s, string << 1 | 1);
  add(f_c, code);
  add(f_m, matrix << 1 | 1);
  return out;
}

std::vector<double> sample(const std::vector<double>& first, const std::vector<double>& second) {
  std::vector<double> y = first;
  y.insert(y.end(), second.begin(), second.end());
  return y;
}

const std::vector<double> kNothing(kBlock, 0.0);
const Shape kShape(kSize, kBlock);

}  // namespace

TEST_CASE("a block says all about its column") {
  for (const double x : {0.5, -2.0}) {
    for (int signs = 0; signs < 8; ++signs) {
      const int f_s = signs & 1 ? 1 : -1, f_c = signs & 2 ? 1 : -1, f_m = signs & 4 ? 1 : -1;
      const auto y = sample(kNothing, block_of(x, 41, 0x155, 0x2c3, f_s, f_c, f_m));
      const CleanBlocks found = read_blocks(y.data(), 1, kShape, 0.1, 0.0);
      REQUIRE(found.blocks.size() == 1);
      CHECK(found.nonzero == 1);
      const CleanBlock& block = found.blocks[0];
      CHECK(block.column == 41);
      CHECK(block.row == 1);
      CHECK(block.string == 0x155);
      CHECK(block.matrix == 0x2c3);
      CHECK(block.level == doctest::Approx(std::abs(x)));
      CHECK(block.spread < 1e-6);
      const unsigned expected = (x > 0 ? kValue : 0) | (f_s > 0 ? kString : 0) |
                                (f_c > 0 ? kCode : 0) | (f_m > 0 ? kMatrix : 0);
      CHECK(block.signs == expected);
    }
  }
}

TEST_CASE("what is no code is no column") {
  auto y = sample(block_of(1, 41, 0x155, 0x2c3, 1, 1, 1), block_of(1, 66, 0x155, 0x2c3, 1, 1, 1));
  CHECK(read_blocks(y.data(), 1, kShape, 0.1, 0.0).blocks.size() == 1);  // column 66 of 66
  y[0] *= 1.5;                                                           // too far from the mean
  CHECK(read_blocks(y.data(), 1, kShape, 0.1, 0.0).blocks.empty());
  CHECK(read_blocks(y.data(), 1, kShape, 0.9, 0.0).blocks.size() == 1);
  CHECK(read_blocks(y.data(), 1, kShape, 0.9, 2.0).blocks.empty());  // below the floor
  y[0] = -1;  // the first sign of the string contradicts its parity
  CHECK(read_blocks(y.data(), 1, kShape, 0.1, 0.0).blocks.empty());
}

TEST_CASE("equal blocks make columns, and taking them away leaves nothing") {
  std::vector<double> Y;
  for (int s = 0; s < 4; ++s) {
    for (int j = 0; j < 3; ++j) {
      const double x = (s + 1) * (s % 2 ? -1 : 1);
      const auto y = sample(block_of(x, j, 3 * j + 1, 0x2c3, 1, -1, 1),
                            block_of(x, j, 3 * j + 1, 0x2c3, -1, 1, 1));
      Y.insert(Y.end(), y.begin(), y.end());
    }
  }
  const std::size_t samples = 12;
  const Groups groups(read_blocks(Y.data(), samples, kShape, 0.1, 0.0).blocks, {2, 2, 2});
  CHECK(groups.matrices() == std::vector<std::uint64_t>{0x2c3});
  CHECK(groups.column_counts() == std::vector<std::int64_t>{3});
  CHECK(Groups(read_blocks(Y.data(), samples, kShape, 0.1, 0.0).blocks, {9, 1, 0})
            .matrices()
            .empty());
  const Dictionary d = groups.dictionary({0x2c3});
  CHECK(d.column == std::vector<std::int32_t>{0, 1, 2});
  CHECK(d.hits == std::vector<std::int64_t>{8, 8, 8});
  CHECK(d.row == std::vector<std::int32_t>{0, 1, 0, 1, 0, 1});
  REQUIRE(d.value.size() == samples);
  std::vector<std::int64_t> start(samples + 1), atom(samples);
  std::vector<double> value(samples);
  for (std::size_t c = 0; c < samples; ++c) {
    start[c + 1] = static_cast<std::int64_t>(c) + 1;
    atom[d.sample[c]] = d.atom[c];
    value[d.sample[c]] = d.value[c];
  }
  CHECK(value[0] == 1);
  CHECK(value[3] == -2);
  const Expansion expansion{d.matrix.data(),    d.string.data(), d.column.data(),
                            d.row_start.data(), d.row.data(),    d.signs.data(),
                            start.data(),       atom.data(),     value.data()};
  subtract(expansion, kShape, samples, Y.data());
  for (double rest : Y) CHECK(rest == 0);
}

TEST_CASE("the same blocks for any number of threads, in float32 too") {
  std::vector<float> Y;
  for (int s = 0; s < 5000; ++s) {
    const auto y =
        sample(block_of(1 + s % 7, s % 60, s % 11, 0x2c3, 1, 1, s % 2 ? 1 : -1), kNothing);
    Y.insert(Y.end(), y.begin(), y.end());
  }
  const int before = thread_count();
  std::vector<std::vector<CleanBlock>> found;
  for (int threads : {1, 3}) {
    set_thread_count(threads);
    found.push_back(read_blocks(Y.data(), 5000, kShape, 0.3, 0.0).blocks);
  }
  set_thread_count(before);
  REQUIRE(found[0].size() == 5000);
  REQUIRE(found[1].size() == 5000);
  for (std::size_t i = 0; i < 5000; ++i) {
    CHECK(found[0][i].sample == found[1][i].sample);
    CHECK(found[0][i].level == found[1][i].level);
    CHECK(found[0][i].column == static_cast<int>(i) % 60);
  }
}

TEST_CASE("shapes that no matrix has, and numbers that are none") {
  CHECK_THROWS_AS(Shape(66, 32), InvalidArgument);
  CHECK_THROWS_AS(Shape(66, 21), InvalidArgument);
  CHECK_THROWS_AS(Shape(130, 33), InvalidArgument);
  CHECK_THROWS_AS(Shape(0, 33), InvalidArgument);
  std::vector<double> y(kSize, 1.0);
  for (double bad :
       {std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity()}) {
    y[40] = bad;
    CHECK_THROWS_AS(read_blocks(y.data(), 1, kShape, 0.5, 0.0), InvalidArgument);
  }
  CHECK(read_blocks(y.data(), 0, kShape, 0.5, 0.0).blocks.empty());
}
