// Counter-based random numbers: Philox 4x32-10 (Salmon, Moraes, Dror, Shaw, "Parallel random
// numbers: as easy as 1, 2, 3", SC'11). A stream is named by (seed, stage, cluster), so a cluster
// draws the same numbers on any thread and any rank.
//
// Below it the hashes of integers that are all in use here:
//
//   splitmix64   every bit of the argument moves half of the bits: words of several, signs
//   fold_in      one multiplication: tables, checksums of arrays
//   fibonacci    its high bits alone are good (Knuth 3, 6.4)
#pragma once

#include <array>
#include <cstdint>

namespace pympf {

class Random {
 public:
  Random(std::uint64_t seed, std::uint32_t stage, std::uint32_t cluster)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)},
        counter_{0, 0, stage, cluster} {}

  std::uint32_t next() {
    if (used_ == 4) {
      block_ = philox(counter_, key_);
      if (++counter_[0] == 0) ++counter_[1];
      used_ = 0;
    }
    return block_[used_++];
  }

  // Uniform in [0, bound) by the multiply-shift map; its bias is below bound / 2^32.
  std::uint32_t below(std::uint32_t bound) {
    return static_cast<std::uint32_t>((static_cast<std::uint64_t>(next()) * bound) >> 32);
  }

  using Block = std::array<std::uint32_t, 4>;
  static Block philox(Block c, std::array<std::uint32_t, 2> k) {
    for (int round = 0; round < 10; ++round) {
      const std::uint64_t p0 = std::uint64_t{0xD2511F53u} * c[0];
      const std::uint64_t p1 = std::uint64_t{0xCD9E8D57u} * c[2];
      c = {static_cast<std::uint32_t>(p1 >> 32) ^ c[1] ^ k[0], static_cast<std::uint32_t>(p1),
           static_cast<std::uint32_t>(p0 >> 32) ^ c[3] ^ k[1], static_cast<std::uint32_t>(p0)};
      k[0] += 0x9E3779B9u;
      k[1] += 0xBB67AE85u;
    }
    return c;
  }

 private:
  std::array<std::uint32_t, 2> key_;
  Block counter_;
  Block block_{};
  int used_ = 4;
};

// 2^64 and 2^32 over the golden ratio, odd.
inline constexpr std::uint64_t golden = 0x9E3779B97F4A7C15u;
inline constexpr std::uint32_t golden32 = 2654435761u;

// The generator SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
// OOPSLA'14): its state behind x.
inline std::uint64_t splitmix64(std::uint64_t x) {
  x += golden;
  x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9u;
  x = (x ^ (x >> 27)) * 0x94D049BB133111EBu;
  return x ^ (x >> 31);
}

inline std::uint64_t fibonacci(std::uint64_t x) { return x * golden; }

// The hash of a sequence that goes on with `word`; its low bits are good too.
inline std::uint64_t fold_in(std::uint64_t hash, std::uint64_t word) {
  const std::uint64_t product = fibonacci(hash ^ word);
  return product ^ (product >> 32);
}

// 16 bits of an index.
inline std::uint32_t fibonacci16(std::uint32_t i) { return i * golden32 >> 16; }

}  // namespace pympf
