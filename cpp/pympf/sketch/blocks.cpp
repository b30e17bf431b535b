#include "pympf/sketch/blocks.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "pympf/common/parallel.hpp"

namespace pympf::sketch {
namespace {

constexpr Index kMostSegments = 16;

// Numbers of up to 31 bits behind each other; 8 bytes are read from the byte where one begins.
void append_bits(std::vector<unsigned char>& packed, std::uint64_t& used, std::uint64_t value,
                 int bits) {
  if (packed.size() < used / 8 + 8) packed.resize(2 * packed.size() + 64);
  std::uint64_t word;
  std::memcpy(&word, packed.data() + used / 8, sizeof word);
  word |= value << used % 8;
  std::memcpy(packed.data() + used / 8, &word, sizeof word);
  used += bits;
}

Code take_bits(const unsigned char* packed, std::uint64_t from, int bits) {
  std::uint64_t word;
  std::memcpy(&word, packed + from / 8, sizeof word);
  return static_cast<Code>(word >> from % 8 & ((std::uint64_t{1} << bits) - 1));
}

}  // namespace

Blocks::Blocks(const Distribution& R, Part part, Share share, bool stored)
    : R_(&R), part_(part), share_(share) {
  const auto& params = R.params();
  const double per_column = params.weight != 0 ? params.weight : params.probability * R.rows();
  count_ = static_cast<std::int64_t>(std::round(per_column * params.d / share.ranks));
  if (!stored) return;
  const Index segments = std::min(
      R.bands(), params.weight != 0
                     ? params.weight
                     : std::clamp<Index>(static_cast<Index>(per_column / 4), 1, kMostSegments));
  segments_.resize(segments);
  for (Index s = 0; s < segments; ++s) {
    segments_[s].first = static_cast<Index>(Global{s} * R.bands() / segments);
    segments_[s].last = static_cast<Index>((Global{s} + 1) * R.bands() / segments);
  }
  parallel_for(segments, Index{1}, true,
               [&](Index s) { segments_[s] = store(segments_[s].first, segments_[s].last); });
  const Index b = params.b;
  for (Index i = 0; i < R.rows(); ++i) {
    if (!has_column(i)) continue;
    for (Index j = i * b; j < (i + 1) * b; ++j) words_.push_back(R.word(j, R.random_string(j)));
  }
  if (params.weight != 0 && (part == Part::columns || share.ranks == 1)) return;
  count_ = 0;
  for (const Segment& segment : segments_)
    count_ += segment.each != 0 ? Global{segment.each} * static_cast<Global>(words_.size())
                                : segment.starts.back();
}

Index Blocks::row_begin(Index unit) const {
  const Index band = unit == units() ? R_->bands() : stored() ? segments_[unit].first : unit;
  return rows().before(R_->band_begin(band));
}

Index Blocks::own_column(Index i) const {
  return (part_ == Part::rows ? i : share_.before(i)) * R_->params().b;
}

Code* Blocks::draw(Index j, Index first_band, Index last_band, Code* out) const {
  Code* const end = R_->codes(j, first_band, last_band, out);
  if (rows().ranks == 1) return end;
  for (const Code* code = out; code < end; ++code) {
    const auto row = static_cast<Index>(*code >> 3);
    if (share_.owns(row)) *out++ = static_cast<Code>(share_.before(row)) << 3 | (*code & 7);
  }
  return out;
}

Blocks::Segment Blocks::store(Index first_band, Index last_band) const {
  Segment out;
  out.first = first_band;
  out.last = last_band;
  const Share all = rows();
  const auto begin = static_cast<Code>(all.before(R_->band_begin(first_band)));
  const Code count = all.before(R_->band_begin(last_band)) - begin;
  const auto& params = R_->params();
  const bool every_block = params.weight == 0 && params.probability == 1;
  if (every_block || (params.weight != 0 && all.ranks == 1))
    out.each = every_block ? static_cast<Index>(count) : last_band - first_band;
  while (!every_block && (Code{1} << (out.bits - 3)) < count) ++out.bits;
  std::uint64_t used = 0;
  std::vector<Code> codes(R_->most_codes(first_band, last_band));
  for (Index j = 0; j < params.d; ++j) {
    if (!has_column(j / params.b)) continue;
    const Code* const end = draw(j, first_band, last_band, codes.data());
    if (out.each == 0) out.starts.push_back(static_cast<std::uint32_t>(used / out.bits));
    for (const Code* code = codes.data(); code < end; ++code)
      append_bits(out.packed, used, every_block ? *code & 7 : *code - (begin << 3), out.bits);
  }
  require(used / out.bits < (std::uint64_t{1} << 32), "a segment of a stored matrix has ",
          used / out.bits, " blocks; expected fewer than 2^32: use an implicit one");
  if (out.each == 0) out.starts.push_back(static_cast<std::uint32_t>(used / out.bits));
  out.packed.resize(used / 8 + 16);
  out.packed.shrink_to_fit();
  return out;
}

Code* Blocks::unpack(const Segment& segment, Index column, Code* out) const {
  const auto begin = static_cast<Code>(rows().before(R_->band_begin(segment.first)));
  const bool every_block = segment.bits == 3 && segment.each > 1;
  const int bits = segment.bits;
  const std::uint64_t from =
      segment.each != 0 ? std::uint64_t(segment.each) * column : segment.starts[column];
  const std::uint64_t to = segment.each != 0 ? from + segment.each : segment.starts[column + 1];
  for (std::uint64_t e = from; e < to; ++e) {
    const Code row = begin + (every_block ? static_cast<Code>(e - from) : 0);
    *out++ = take_bits(segment.packed.data(), e * bits, bits) + (row << 3);
  }
  return out;
}

std::size_t Blocks::most_codes(Index first_unit, Index last_unit) const {
  if (!stored()) return R_->most_codes(first_unit, last_unit);
  return R_->most_codes(segments_[first_unit].first, segments_[last_unit - 1].last);
}

void Blocks::fetch(Index i, Index first_unit, Index last_unit, std::vector<Code>& codes,
                   std::vector<Index>& ends) const {
  const Index b = R_->params().b;
  codes.resize(b * most_codes(first_unit, last_unit));
  ends.resize(b);
  if (stored() && segments_[first_unit].each != 0) {  // then all segments have it
    fetch_equal(own_column(i), first_unit, last_unit, codes.data(), ends.data());
    return;
  }
  Code* out = codes.data();
  for (Index c = 0; c < b; ++c) {
    if (stored()) {
      for (Index s = first_unit; s < last_unit; ++s)
        out = unpack(segments_[s], own_column(i) + c, out);
    } else {
      out = draw(i * b + c, first_unit, last_unit, out);
    }
    ends[c] = static_cast<Index>(out - codes.data());
  }
}

// Where all columns have the same number of blocks, a segment at a time: its sizes stay in
// registers.
void Blocks::fetch_equal(Index column, Index first_unit, Index last_unit, Code* codes,
                         Index* ends) const {
  const Index b = R_->params().b;
  Index each = 0;
  for (Index s = first_unit; s < last_unit; ++s) each += segments_[s].each;
  for (Index s = first_unit; s < last_unit; codes += segments_[s++].each) {
    const Segment& segment = segments_[s];
    if (segment.each != 1) {
      for (Index c = 0; c < b; ++c) unpack(segment, column + c, codes + c * each);
      continue;
    }
    const Code begin = static_cast<Code>(rows().before(R_->band_begin(segment.first))) << 3;
    const unsigned char* const packed = segment.packed.data();
    const int bits = segment.bits;
    std::uint64_t from = static_cast<std::uint64_t>(column) * bits;
    for (Index c = 0; c < b; ++c, from += bits)
      codes[c * each] = take_bits(packed, from, bits) + begin;
  }
  for (Index c = 0; c < b; ++c) ends[c] = (c + 1) * each;
}

void Blocks::words(Index i, Word* out) const {
  const Index b = R_->params().b;
  if (stored()) {
    std::copy_n(words_.data() + own_column(i), b, out);
    return;
  }
  for (Index c = 0; c < b; ++c) out[c] = R_->word(i * b + c, R_->random_string(i * b + c));
}

std::size_t Blocks::bytes() const {
  std::size_t bytes = words_.size() * sizeof(Word);
  for (const Segment& segment : segments_)
    bytes += segment.packed.size() + segment.starts.size() * sizeof(std::uint32_t);
  return bytes;
}

}  // namespace pympf::sketch
