#include "pympf/lsh/family.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "pympf/common/normal.hpp"
#include "pympf/common/parallel.hpp"
#include "pympf/common/random.hpp"

namespace pympf::lsh {
namespace {

constexpr int kBlock = 96;  // rows that are hashed together: a multiple of estimate's blocks

std::size_t divide_up(std::size_t a, std::size_t b) { return (a + b - 1) / b; }

Random::Block draw(const FamilyParams& params, std::uint32_t block, std::uint32_t kind,
                   std::uint32_t table, std::uint32_t function) {
  return Random::philox(
      {block, kind, table, function},
      {static_cast<std::uint32_t>(params.seed), static_cast<std::uint32_t>(params.seed >> 32)});
}

double draw_offset(const FamilyParams& params, std::uint32_t table, std::uint32_t function) {
  const Random::Block words = draw(params, 0, 1, table, function);
  if (params.hash == Hash::euclidean) return params.width * uniform(words[0], words[1]);
  return params.offset * normal_pair(words)[0];
}

constexpr float kUnsure = std::numeric_limits<float>::infinity();

// Numbers whose products with others of the kind neither overflow nor vanish in float.
bool is_moderate(double x) { return x > 1e-15 && x < 1e15; }

// gamma_n of the float estimates, with a little for the rounding of the bound itself.
float rounding(Index features) {
  const double nu = (features + 8.0) * 0x1p-24;
  return nu < 0.5 ? static_cast<float>(1.01 * nu / (1 - nu)) : kUnsure;
}

float safe_norm(float squared) {
  const float norm = std::sqrt(squared);
  return is_moderate(norm) ? norm : kUnsure;
}

}  // namespace

Word mix(const Word* key, int words) {
  if (words == 1) return key[0];
  Word h = 0;
  for (int w = 0; w < words; ++w) h = splitmix64(h ^ key[w]);
  return h;
}

void mix(const Word* keys, std::size_t count, int words, Word* out) {
  for (std::size_t i = 0; i < count; ++i) out[i] = mix(keys + i * words, words);
}

// What a thread needs for a block of rows: hash values of all functions, row after row.
struct Family::Scratch {
  explicit Scratch(const Family& family)
      : panels(family.panels()),
        bits(family.params_.hash == Hash::hyperplane ? kBlock * panels : 0),
        cells(family.params_.hash == Hash::euclidean ? kBlock * panels * kLanes : 0),
        values(kBlock) {}

  std::size_t panels;
  std::vector<Word> bits;
  std::vector<std::int32_t> cells;
  std::vector<float> floats;  // the points, if they came in double
  std::vector<Lanes> values;
  std::vector<double> exact;  // values of a sparse point
  bool overflow = false;      // a value that no key can hold; or not finite
};

Family::Family(const FamilyParams& params) : params_(params) {
  require(params.features >= 1 && params.functions >= 1 && params.tables >= 1, "got ",
          params.features, " features, ", params.functions, " functions, ", params.tables,
          " tables; expected at least one of each");
  if (params.hash == Hash::euclidean)
    require(params.width > 0 && std::isfinite(params.width), "width = ", params.width,
            " is not a positive number");
  require(params.offset >= 0 && std::isfinite(params.offset), "offset = ", params.offset,
          " is not a number >= 0");
  words_ = static_cast<int>(divide_up(params.functions, params.hash == Hash::hyperplane ? 64 : 2));
  const std::size_t count = divide_up(functions(), kLanes);
  panels_.resize(count * params.features);
  offsets_.resize(count * kLanes);
  float_offsets_.resize(count);
  norms_.resize(count);
  shifts_.resize(count);
  parallel_for(count, worth_threads(functions() * params.features), [&](std::size_t p) {
    for (std::size_t g = p * kLanes; g < std::min(functions(), (p + 1) * kLanes); ++g) {
      const auto table = static_cast<std::uint32_t>(g / params.functions);
      const auto function = static_cast<std::uint32_t>(g % params.functions);
      double squared = 0;
      for (Index l = 0; l < params.features; l += 2) {
        const auto pair = normal_pair(draw(params, l / 2, 0, table, function));
        for (Index k = l; k < std::min(l + 2, params.features); ++k) {
          float& a = panels_[p * params.features + k].at[g % kLanes];
          a = static_cast<float>(pair[k - l]);
          squared += static_cast<double>(a) * a;
        }
      }
      offsets_[g] = draw_offset(params, table, function);
      float_offsets_[p].at[g % kLanes] = static_cast<float>(offsets_[g]);
      norms_[p] = std::max(norms_[p], static_cast<float>(1.01 * std::sqrt(squared)));
      shifts_[p] = std::max(shifts_[p], static_cast<float>(1.01 * std::abs(offsets_[g])));
    }
  });
}

float Family::direction(std::size_t function, Index feature) const {
  return panel(function / kLanes)[feature].at[function % kLanes];
}

std::size_t Family::bytes() const {
  return (panels_.size() + float_offsets_.size()) * sizeof(Lanes) +
         offsets_.size() * sizeof(double) + 2 * norms_.size() * sizeof(float);
}

void Family::decide(double v, std::size_t function, int row, Scratch& scratch) const {
  const std::size_t place = row * scratch.panels + function / kLanes;
  if (params_.hash == Hash::hyperplane) {
    const Word bit = Word{1} << function % kLanes;
    scratch.bits[place] = v >= 0 ? scratch.bits[place] | bit : scratch.bits[place] & ~bit;
    scratch.overflow |= !std::isfinite(v);
  } else {
    const double cell = std::floor(v / params_.width);
    const bool fits = std::abs(cell) <= kCellMax;
    scratch.cells[place * kLanes + function % kLanes] = fits ? static_cast<std::int32_t>(cell) : 0;
    scratch.overflow |= !fits;
  }
}

template <class T>
void Family::hash_exactly(const Index* index, const T* x, Index count, int row,
                          Scratch& scratch) const {
  scratch.exact.resize(functions());
  project_row(index, x, count, scratch.exact.data());
  for (std::size_t g = 0; g < functions(); ++g) decide(scratch.exact[g], g, row, scratch);
}

template <class T>
void Family::hash_block(const T* x, int rows, Scratch& scratch) const {
  const Index d = params_.features;
  const float* floats;
  if constexpr (std::is_same_v<T, float>) {
    floats = x;
  } else {
    scratch.floats.resize(static_cast<std::size_t>(kBlock) * d);
    std::copy_n(x, static_cast<std::size_t>(rows) * d, scratch.floats.begin());
    floats = scratch.floats.data();
  }
  float norms[kBlock];
  for (int i = 0; i < rows; ++i)
    norms[i] = safe_norm(squared_norm(floats + static_cast<std::size_t>(i) * d, d));
  const bool usable = params_.hash == Hash::hyperplane || is_moderate(params_.width);
  const float gamma = usable ? rounding(d) : kUnsure;
  for (std::size_t p = 0; p < panels(); ++p) {
    estimate(floats, d, rows, panel(p), d, float_offsets_[p], scratch.values.data());
    const std::size_t left = functions() - p * kLanes;
    const Word used = left >= kLanes ? ~Word{0} : (Word{1} << left) - 1;
    for (int i = 0; i < rows; ++i) {
      const float error = gamma * (norms_[p] * norms[i] + shifts_[p]);
      const std::size_t place = i * panels() + p;
      Word unsure = 0;
      if (params_.hash == Hash::hyperplane)
        scratch.bits[place] = signs(scratch.values[i], error, unsure);
      else
        slabs(scratch.values[i], static_cast<float>(params_.width), error,
              scratch.cells.data() + place * kLanes, unsure);
      if (!(unsure &= used)) continue;
      std::array<double, kLanes> v;
      std::copy_n(offsets_.data() + p * kLanes, kLanes, v.begin());
      lsh::project(panel(p), nullptr, x + static_cast<std::size_t>(i) * d, d, v);
      for (; unsure; unsure &= unsure - 1) {
        const int f = __builtin_ctzll(unsure);
        decide(v[f], p * kLanes + f, i, scratch);
      }
    }
  }
}

void Family::pack(const Scratch& scratch, int row, Word* out) const {
  const std::size_t functions = params_.functions;
  if (params_.hash == Hash::hyperplane) {
    const Word* bits = scratch.bits.data() + row * scratch.panels;
    for (std::size_t t = 0; t < tables(); ++t) {
      for (int w = 0; w < words_; ++w) {
        const std::size_t from = t * functions + 64 * w, count = functions - 64 * w;
        const std::size_t shift = from % 64;
        Word word = bits[from / 64] >> shift;
        if (shift && shift + count > 64) word |= bits[from / 64 + 1] << (64 - shift);
        *out++ = count >= 64 ? word : word & ((Word{1} << count) - 1);
      }
    }
  } else {
    const std::int32_t* cells = scratch.cells.data() + row * scratch.panels * kLanes;
    for (std::size_t t = 0; t < tables(); ++t) {
      for (int w = 0; w < words_; ++w) {
        const std::size_t f = 2 * w;
        const auto at = [&](std::size_t i) -> Word {
          return i < functions ? static_cast<std::uint32_t>(cells[t * functions + i]) : 0;
        };
        *out++ = at(f) | at(f + 1) << 32;
      }
    }
  }
}

template <class Hasher>
void Family::for_blocks(std::size_t rows, Word* out, std::size_t first_row,
                        const Hasher& hash) const {
  const std::size_t row_words = tables() * words_;
  parallel_with(divide_up(rows, kBlock), std::size_t{16}, worth_threads(rows * functions()), [&] {
    return [&, scratch = Scratch(*this)](std::size_t block) mutable {
      const std::size_t first = block * kBlock, last = std::min(rows, first + kBlock);
      hash(first, static_cast<int>(last - first), scratch);
      const bool bad = scratch.overflow;
      for (std::size_t i = first; bad && i < last; ++i) {  // in which row?
        scratch.overflow = false;
        hash(i, 1, scratch);
        if (scratch.overflow) refuse_row(first_row + i);
      }
      for (std::size_t i = first; i < last; ++i)
        pack(scratch, static_cast<int>(i - first), out + i * row_words);
    };
  });
}

void Family::refuse_row(std::size_t i) const {
  throw InvalidArgument(concat("X: row ", i, " has an entry that is not finite, or a projection ",
                               params_.hash == Hash::hyperplane
                                   ? std::string("that float64 cannot hold")
                                   : concat("beyond 2^31 times the width ", params_.width)));
}

template <class T>
void Family::keys(const Points<T>& X, Word* out, std::size_t first_row) const {
  for_blocks(X.rows, out, first_row, [&](std::size_t first, int count, Scratch& scratch) {
    hash_block(X.row(first), count, scratch);
  });
}

template <class T>
void Family::keys(const CsrView<T>& X, Word* out, std::size_t first_row) const {
  for_blocks(X.rows, out, first_row, [&](std::size_t first, int count, Scratch& scratch) {
    for (int i = 0; i < count; ++i) {
      const Index begin = X.indptr[first + i], end = X.indptr[first + i + 1];
      hash_exactly(X.indices + begin, X.data + begin, end - begin, i, scratch);
    }
  });
}

template <class T>
void Family::project_row(const Index* index, const T* x, Index count, double* out) const {
  for (std::size_t p = 0; p < panels(); ++p) {
    std::array<double, kLanes> v;
    std::copy_n(offsets_.data() + p * kLanes, kLanes, v.begin());
    lsh::project(panel(p), index, x, count, v);
    std::copy_n(v.begin(), std::min<std::size_t>(kLanes, functions() - p * kLanes),
                out + p * kLanes);
  }
}

template <class Projector>
void Family::project_rows(std::size_t rows, double* out, const Projector& project) const {
  parallel_for(rows, worth_threads(rows * functions()), [&](std::size_t i) {
    double* const v = out + i * functions();
    project(i, v);
    if (!std::all_of(v, v + functions(), [](double x) { return std::isfinite(x); })) refuse_row(i);
  });
}

template <class T>
void Family::project(const Points<T>& X, double* out) const {
  project_rows(X.rows, out, [&](std::size_t i, double* v) {
    project_row<T>(nullptr, X.row(i), params_.features, v);
  });
}

template <class T>
void Family::project(const CsrView<T>& X, double* out) const {
  project_rows(X.rows, out, [&](std::size_t i, double* v) {
    const Index begin = X.indptr[i];
    project_row(X.indices + begin, X.data + begin, X.indptr[i + 1] - begin, v);
  });
}

template void Family::keys(const Points<float>&, Word*, std::size_t) const;
template void Family::keys(const Points<double>&, Word*, std::size_t) const;
template void Family::keys(const CsrView<float>&, Word*, std::size_t) const;
template void Family::keys(const CsrView<double>&, Word*, std::size_t) const;
template void Family::project(const Points<float>&, double*) const;
template void Family::project(const Points<double>&, double*) const;
template void Family::project(const CsrView<float>&, double*) const;
template void Family::project(const CsrView<double>&, double*) const;

}  // namespace pympf::lsh
