#include "pympf/lsh/codes.hpp"

#include <algorithm>

namespace pympf::lsh {
namespace {

constexpr std::size_t kChunkBytes = 1
                                    << 14;  // of codes that all queries visit before the next ones
constexpr std::size_t kSample = 1 << 12;    // codes that the first limit comes from

}  // namespace

// What a query knows: all buckets within `limit` bits.
struct CodeBook::Near {
  std::size_t query = 0;
  int limit = 0;
  std::vector<Index> buckets;
  std::vector<int> bits;  // of each bucket
};

void CodeBook::extend(const BucketMap& map) {
  const std::lock_guard lock(mutex_);
  const std::size_t count = map.size();
  codes_.resize((count + kCodes - 1) / kCodes * kCodes * words_);
  for (; size_ < count; ++size_) {
    const Word* key = map.key(static_cast<Index>(size_));
    for (int w = 0; w < words_; ++w)
      codes_[(size_ / kCodes * words_ + w) * kCodes + size_ % kCodes] = key[w];
  }
}

// A limit that about half as many points again are within, judged by a sample.
int CodeBook::first_limit(const Word* key, std::size_t wanted,
                          const std::vector<Index>& points) const {
  if (wanted >= size_ || size_ <= 2 * kSample) return functions_;
  const std::size_t blocks = kSample / kCodes, step = size_ / kCodes / blocks;
  std::vector<std::size_t> histogram(functions_ + 1);
  Index near[kCodes + 1];
  int bits[kCodes + 1];
  for (std::size_t b = 0; b < blocks; ++b) {
    const std::size_t first = b * step * kCodes;
    near_codes(codes_.data() + first * words_, kCodes, words_, key, functions_, near, bits);
    for (std::size_t i = 0; i < kCodes; ++i) histogram[bits[i]] += points[first + i];
  }
  const double share = static_cast<double>(kSample) / static_cast<double>(size_);
  const double enough = std::max(8.0, 1.5 * static_cast<double>(wanted) * share);
  int limit = 0;
  for (double sum = 0; limit < functions_; ++limit) {
    sum += static_cast<double>(histogram[limit]);
    if (sum >= enough) break;
  }
  return limit;
}

void CodeBook::scan(const Word* keys, std::vector<Near>& near) const {
  const std::size_t code_bytes = words_ * sizeof(Word);
  const std::size_t chunk = std::max(kCodes, kChunkBytes / code_bytes / kCodes * kCodes);
  const std::size_t padded = codes_.size() / words_;
  std::vector<Index> buckets(chunk + 1);
  std::vector<int> bits(chunk + 1);
  for (std::size_t first = 0; first < padded; first += chunk) {
    const std::size_t count = std::min(chunk, padded - first);
    for (Near& one : near) {
      const std::size_t found =
          near_codes(codes_.data() + first * words_, count, words_, keys + one.query * words_,
                     one.limit, buckets.data(), bits.data());
      for (std::size_t i = 0; i < found; ++i) {
        const std::size_t bucket = first + buckets[i];
        if (bucket >= size_) break;  // the last block is padded
        one.buckets.push_back(static_cast<Index>(bucket));
        one.bits.push_back(bits[i]);
      }
    }
  }
}

void CodeBook::nearest(const Word* keys, std::size_t queries, std::size_t wanted,
                       const std::vector<Index>& points,
                       std::vector<std::vector<Index>>& found) const {
  found.assign(queries, {});
  std::vector<Near> open(queries);
  for (std::size_t q = 0; q < queries; ++q)
    open[q] = {q, first_limit(keys + q * words_, wanted, points), {}, {}};
  while (!open.empty()) {
    scan(keys, open);
    std::vector<Near> again;
    for (const Near& one : open) {
      std::vector<std::size_t> histogram(one.limit + 1);
      for (std::size_t i = 0; i < one.buckets.size(); ++i)
        histogram[one.bits[i]] += points[one.buckets[i]];
      std::size_t sum = 0;
      int h = 0;
      for (; h <= one.limit && (sum += histogram[h]) < wanted; ++h) {
      }
      if (h > one.limit && one.limit < functions_) {
        const int wider = one.limit + std::max(1, static_cast<int>(functions_) / 32);
        again.push_back({one.query, std::min<int>(functions_, wider), {}, {}});
        continue;
      }
      for (std::size_t i = 0; i < one.buckets.size(); ++i) {
        if (one.bits[i] <= h) found[one.query].push_back(one.buckets[i]);
      }
    }
    open = std::move(again);
  }
}

}  // namespace pympf::lsh
