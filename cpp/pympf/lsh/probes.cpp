// Query-directed probing: Lv, Josephson, Wang, Charikar, Li, "Multi-probe LSH", VLDB 2007, section
// 4. A move changes one hash value by one; its score is the squared distance to the plane that it
// crosses. Sets of moves come from a heap in the order of their total score: with the moves sorted,
// "expand" adds the move after a set's last one and "shift" replaces the last one by it, so that
// each set is made once, after one of a smaller or the same score.
#include <algorithm>
#include <cmath>
#include <queue>

#include "pympf/common/parallel.hpp"
#include "pympf/lsh/family.hpp"

namespace pympf::lsh {
namespace {

struct Move {
  double score;
  Index function;
  int step;  // 0 flips a bit
  auto operator<=>(const Move&) const = default;
};

using Places = std::vector<Index>;  // of moves, ascending

struct Set {
  double score;
  Places places;
  auto operator<=>(const Set&) const = default;
};

std::vector<Move> sorted_moves(const FamilyParams& params, const double* v) {
  std::vector<Move> moves;
  for (Index f = 0; f < params.functions; ++f) {
    if (params.hash == Hash::hyperplane) {
      moves.push_back({v[f] * v[f], f, 0});
    } else {
      const double t = v[f] / params.width, below = t - std::floor(t), above = 1 - below;
      moves.push_back({below * below, f, -1});
      moves.push_back({above * above, f, 1});
    }
  }
  std::sort(moves.begin(), moves.end());
  return moves;
}

double total_score(const std::vector<Move>& moves, const Places& places) {
  double sum = moves[places[0]].score;
  for (std::size_t i = 1; i < places.size(); ++i) sum += moves[places[i]].score;
  return sum;
}

bool moves_a_function_twice(const std::vector<Move>& moves, const Places& places) {
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      if (moves[places[i]].function == moves[places[j]].function) return true;
    }
  }
  return false;
}

void apply(const Move& move, Word* key) {
  if (move.step == 0) {
    key[move.function / 64] ^= Word{1} << move.function % 64;
    return;
  }
  Word& word = key[move.function / 2];
  const int shift = 32 * (move.function % 2);
  const auto cell =
      static_cast<std::uint32_t>(word >> shift) + static_cast<std::uint32_t>(move.step);
  word = (word & ~(Word{0xFFFFFFFF} << shift)) | Word{cell} << shift;
}

}  // namespace

void Family::home_key(const double* v, Word* key) const {
  std::fill_n(key, words_, Word{0});
  for (Index f = 0; f < params_.functions; ++f) {
    if (params_.hash == Hash::hyperplane) {
      key[f / 64] |= Word{v[f] >= 0} << f % 64;
    } else {
      const double cell = std::floor(v[f] / params_.width);
      require(std::abs(cell) < kCellMax, "X: a projection is more than ", kCellMax,
              " times the width ", params_.width);
      key[f / 2] |= Word{static_cast<std::uint32_t>(static_cast<std::int32_t>(cell))}
                    << 32 * (f % 2);
    }
  }
}

void Family::probes(const double* v, std::size_t rows, Index count, Word* out) const {
  parallel_for(rows, worth_threads(rows * functions() * count), [&](std::size_t i) {
    probes(v + i * functions(), count, out + i * tables() * count * words_);
  });
}

void Family::probes(const double* v, Index count, Word* out) const {
  for (std::size_t t = 0; t < tables(); ++t, v += params_.functions) {
    home_key(v, out);
    const Word* const home = out;
    out += words_;
    if (count == 1) continue;
    const std::vector<Move> moves = sorted_moves(params_, v);
    std::priority_queue<Set, std::vector<Set>, std::greater<>> heap;
    heap.push({moves[0].score, {0}});
    for (Index found = 1; found < count;) {
      require(!heap.empty(), "count = ", count, ": there are only ", found, " buckets");
      const Places places = heap.top().places;
      heap.pop();
      const Index last = places.back() + 1;
      if (last < static_cast<Index>(moves.size())) {
        Places larger = places;
        larger.back() = last;
        heap.push({total_score(moves, larger), larger});
        larger = places;
        larger.push_back(last);
        heap.push({total_score(moves, larger), larger});
      }
      if (moves_a_function_twice(moves, places)) continue;
      std::copy_n(home, words_, out);
      for (Index place : places) apply(moves[place], out);
      out += words_;
      ++found;
    }
  }
}

}  // namespace pympf::lsh
