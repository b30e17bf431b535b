#include "pympf/sketch/dictionary.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <tuple>
#include <utility>

#include "pympf/common/error.hpp"
#include "pympf/common/parallel.hpp"

namespace pympf::sketch {
namespace {

bool same_place(const CleanBlock& a, const CleanBlock& b) {
  return a.matrix == b.matrix && a.column == b.column;
}

bool same_atom(const CleanBlock& a, const CleanBlock& b) {
  return same_place(a, b) && a.string == b.string;
}

double median(std::vector<double>& values) {
  const std::size_t half = values.size() / 2;
  std::nth_element(values.begin(), values.begin() + half, values.end());
  const double upper = values[half];
  if (values.size() % 2 == 1) return upper;
  return (*std::max_element(values.begin(), values.begin() + half) + upper) / 2;
}

// Blocks whose entries are spread more than twice as far as the best one's hide another column.
constexpr float kSpreadOfRounding = 1e-5f;
bool is_clean(const CleanBlock& block, float least_spread) {
  return block.spread <= 2 * least_spread + kSpreadOfRounding;
}

double sign_of(std::uint32_t signs, Sign which) { return signs & which ? 1 : -1; }

}  // namespace

Shape::Shape(std::int64_t size, int block) : size(size), block(block) {
  require(size >= 1 && size <= (std::int64_t{1} << 30), "size ", size, " is not in [1, 2^30]");
  column_bits = static_cast<int>(std::bit_width(static_cast<std::uint64_t>(size - 1)));
  third = block / 3;
  require(
      block > 0 && block % 3 == 0 && size % block == 0 && third >= column_bits + 3 && third <= 64,
      "block ", block, " does not fit size ", size, ": expected a multiple of 3 in [",
      3 * (column_bits + 3), ", 192] that divides the size");
}

Groups::Groups(std::vector<CleanBlock> blocks, const Rule& rule) : blocks_(std::move(blocks)) {
  std::sort(blocks_.begin(), blocks_.end(), [](const CleanBlock& a, const CleanBlock& b) {
    return std::tie(a.matrix, a.column, a.string, a.sample, a.row) <
           std::tie(b.matrix, b.column, b.string, b.sample, b.row);
  });
  for (std::size_t begin = 0, end; begin < blocks_.size(); begin = end) {
    end = begin;
    while (end < blocks_.size() && same_atom(blocks_[begin], blocks_[end])) ++end;
    const Range range{begin, end};
    if (!accepts(range, rule)) continue;
    if (atoms_.empty() || !same_place(blocks_[atoms_.back().begin], blocks_[begin]))
      atoms_.push_back(range);
    else if (end - begin > atoms_.back().end - atoms_.back().begin)
      atoms_.back() = range;
  }
}

bool Groups::accepts(const Range& range, const Rule& rule) const {
  if (static_cast<std::int64_t>(range.end - range.begin) < rule.min_hits) return false;
  std::int64_t largest = 0, run = 0;
  std::vector<std::int32_t> rows;
  for (std::size_t i = range.begin; i < range.end; ++i) {
    run = i > range.begin && blocks_[i].sample == blocks_[i - 1].sample ? run + 1 : 1;
    largest = std::max(largest, run);
    const auto has_room = static_cast<std::int64_t>(rows.size()) < rule.min_rows;
    if (has_room && std::find(rows.begin(), rows.end(), blocks_[i].row) == rows.end())
      rows.push_back(blocks_[i].row);
  }
  return largest >= rule.min_per_sample && static_cast<std::int64_t>(rows.size()) >= rule.min_rows;
}

std::vector<std::uint64_t> Groups::matrices() const {
  std::vector<std::uint64_t> found;
  for (const Range& atom : atoms_) {
    const std::uint64_t matrix = blocks_[atom.begin].matrix;
    if (found.empty() || found.back() != matrix) found.push_back(matrix);
  }
  return found;
}

std::vector<std::int64_t> Groups::column_counts() const {
  std::vector<std::int64_t> counts;
  for (std::size_t i = 0; i < atoms_.size(); ++i) {
    const bool fresh =
        i == 0 || blocks_[atoms_[i].begin].matrix != blocks_[atoms_[i - 1].begin].matrix;
    if (fresh) counts.push_back(0);
    ++counts.back();
  }
  return counts;
}

Dictionary Groups::dictionary(const std::vector<std::uint64_t>& matrices) const {
  Dictionary out;
  out.row_start.push_back(0);
  for (const Range& atom : atoms_) {
    const CleanBlock& first = blocks_[atom.begin];
    if (!std::binary_search(matrices.begin(), matrices.end(), first.matrix)) continue;
    add_coefficients(atom, out);
    add_rows(atom, out);
    out.matrix.push_back(first.matrix);
    out.string.push_back(first.string);
    out.column.push_back(first.column);
    out.hits.push_back(static_cast<std::int64_t>(atom.end - atom.begin));
  }
  return out;
}

// The signs of a row are those of the majority; a row without one is left out.
void Groups::add_rows(const Range& range, Dictionary& out) const {
  std::vector<std::pair<std::int32_t, std::uint32_t>> seen;
  for (std::size_t i = range.begin; i < range.end; ++i)
    seen.emplace_back(blocks_[i].row, blocks_[i].signs);
  std::sort(seen.begin(), seen.end());
  for (std::size_t begin = 0, end; begin < seen.size(); begin = end) {
    for (end = begin; end < seen.size() && seen[end].first == seen[begin].first;) ++end;
    std::uint8_t signs = 0;
    bool is_clear = true;
    for (const Sign which : {kString, kCode, kMatrix}) {
      std::int64_t balance = 0;
      for (std::size_t i = begin; i < end; ++i) balance += seen[i].second & which ? 1 : -1;
      is_clear = is_clear && balance != 0;
      if (balance > 0) signs |= which;
    }
    if (!is_clear) continue;
    out.row.push_back(seen[begin].first);
    out.signs.push_back(signs);
  }
  out.row_start.push_back(static_cast<std::int64_t>(out.row.size()));
}

// |x| is the median over the cleanest blocks of their means, the sign of x that of the majority of
// them, or of the first one.
void Groups::add_coefficients(const Range& range, Dictionary& out) const {
  const auto atom = static_cast<std::int64_t>(out.matrix.size());
  std::vector<double> levels;
  for (std::size_t begin = range.begin, end; begin < range.end; begin = end) {
    float spread = blocks_[begin].spread;
    for (end = begin; end < range.end && blocks_[end].sample == blocks_[begin].sample; ++end)
      spread = std::min(spread, blocks_[end].spread);
    levels.clear();
    double balance = 0, first = 0;
    for (std::size_t i = begin; i < end; ++i) {
      if (!is_clean(blocks_[i], spread)) continue;
      if (levels.empty()) first = sign_of(blocks_[i].signs, kValue);
      levels.push_back(blocks_[i].level);
      balance += sign_of(blocks_[i].signs, kValue);
    }
    const double sign = balance != 0 ? balance / std::abs(balance) : first;
    out.atom.push_back(atom);
    out.sample.push_back(blocks_[begin].sample);
    out.value.push_back(sign * median(levels));
    out.blocks.push_back(static_cast<std::int32_t>(levels.size()));
  }
}

namespace {

// y -= x [ f_s σ_s | f_c Enc(j, f'_m, f'_s) | f_m σ_m ], where σ and the code begin with +1.
template <class T>
void subtract_block(const Expansion& e, const Shape& shape, std::int64_t atom, std::int64_t place,
                    double x, T* y) {
  const int third = shape.third, bits = shape.column_bits;
  const std::uint8_t signs = e.signs[place];
  std::uint64_t code = ~std::uint64_t{0};
  for (int t = 0; t < bits; ++t) {
    if (!(e.column[atom] >> (bits - 1 - t) & 1)) code &= ~(std::uint64_t{1} << (1 + t));
  }
  if (!(signs & kMatrix)) code &= ~(std::uint64_t{1} << (bits + 1));
  if (!(signs & kString)) code &= ~(std::uint64_t{1} << (bits + 2));
  const std::uint64_t words[] = {e.string[atom] << 1 | 1, code, e.matrix[atom] << 1 | 1};
  const double values[] = {x * sign_of(signs, kString), x * sign_of(signs, kCode),
                           x * sign_of(signs, kMatrix)};
  for (int part = 0; part < 3; ++part) {
    for (int r = 0; r < third; ++r)
      y[part * third + r] -= static_cast<T>(words[part] >> r & 1 ? values[part] : -values[part]);
  }
}

}  // namespace

template <class T>
void subtract(const Expansion& e, const Shape& shape, std::size_t samples, T* Y) {
  parallel_for(samples, samples > 1, [&e, &shape, Y](std::size_t s) {
    for (std::int64_t c = e.sample_start[s]; c < e.sample_start[s + 1]; ++c) {
      const std::int64_t atom = e.atom[c];
      for (std::int64_t place = e.row_start[atom]; place < e.row_start[atom + 1]; ++place) {
        T* y = Y + s * shape.size + std::int64_t{e.row[place]} * shape.block;
        subtract_block(e, shape, atom, place, e.value[c], y);
      }
    }
  });
}

template void subtract(const Expansion&, const Shape&, std::size_t, float*);
template void subtract(const Expansion&, const Shape&, std::size_t, double*);

}  // namespace pympf::sketch
