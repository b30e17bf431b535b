// Hash families (Charikar, STOC 2002; Datar, Immorlica, Indyk, Mirrokni, SoCG 2004).
//
//   paper          here
//   a_i            direction of function i: standard normal floats from counters (seed, table, i)
//   b_i            offset
//   v = a^T x + b  double, one product and one sum after the other (exact.hpp): this defines keys
//   h(x)           hyperplane: [v >= 0]; euclidean: floor(v / width)
//
// A key depends on x and the seed alone. Most of the work is nevertheless done in float, in any
// order (estimate.hpp): with u = 2^-24 its error is at most gamma (||a|| ||x|| + |b|), where gamma
// = n u / (1 - n u) and n = d + 8 counts the roundings on the way; only where that could change the
// key is v computed. Among 10^5 hash values of points in 64 dimensions that is about three.
//
// Cost: 2 d flops for each function and point; the points are read once.
#pragma once

#include <cstdint>
#include <vector>

#include "pympf/la/csr.hpp"
#include "pympf/lsh/estimate.hpp"
#include "pympf/lsh/exact.hpp"

namespace pympf::lsh {

enum class Hash { hyperplane, euclidean };

inline constexpr double kCellMax = 2147483647;  // largest integer of a euclidean key

struct FamilyParams {
  Hash hash = Hash::hyperplane;
  Index features = 1, functions = 1, tables = 1;
  double width = 1;   // of the slabs (euclidean)
  double offset = 0;  // standard deviation of b (hyperplane)
  std::uint64_t seed = 0;
};

// Dense points, row after row.
template <class T>
struct Points {
  std::size_t rows = 0;
  Index features = 0;
  const T* data = nullptr;

  const T* row(std::size_t i) const { return data + i * features; }
};

// One word for a key: itself if it has one, else scrambled.
Word mix(const Word* key, int words);
void mix(const Word* keys, std::size_t count, int words, Word* out);

class Family {
 public:
  explicit Family(const FamilyParams& params);

  const FamilyParams& params() const { return params_; }
  // Words of a key in one table: 64 hyperplanes, or two integers of 32 bits, in each.
  int words() const { return words_; }
  std::size_t tables() const { return params_.tables; }
  std::size_t functions() const { return tables() * params_.functions; }  // in all tables

  float direction(std::size_t function, Index feature) const;
  double offset(std::size_t function) const { return offsets_[function]; }
  std::size_t bytes() const;

  // rows x tables x words. Bits and integers follow each other from the lowest. Messages count the
  // rows from `first`.
  template <class T>
  void keys(const Points<T>& X, Word* out, std::size_t first = 0) const;
  template <class T>
  void keys(const CsrView<T>& X, Word* out, std::size_t first = 0) const;

  // v: rows x tables x functions.
  template <class T>
  void project(const Points<T>& X, double* out) const;
  template <class T>
  void project(const CsrView<T>& X, double* out) const;

  // The keys of the `count` best buckets of a point with projections v, in each table: tables x
  // count x words. Best first: its own, then across the nearest planes, by the sum of the squared
  // distances to them (Lv et al., VLDB 2007, section 4).
  void probes(const double* v, Index count, Word* out) const;
  // The same for many points: rows x tables x count x words.
  void probes(const double* v, std::size_t rows, Index count, Word* out) const;

 private:
  struct Scratch;
  template <class T>
  void hash_block(const T* x, int rows, Scratch& scratch) const;
  template <class T>
  void hash_exactly(const Index* index, const T* x, Index count, int row, Scratch& scratch) const;
  void decide(double v, std::size_t function, int row, Scratch& scratch) const;
  void pack(const Scratch& scratch, int row, Word* out) const;
  void home_key(const double* v, Word* key) const;
  template <class Hasher>
  void for_blocks(std::size_t rows, Word* out, std::size_t first_row, const Hasher& hash) const;
  template <class T>
  void project_row(const Index* index, const T* x, Index count, double* out) const;
  template <class Projector>
  void project_rows(std::size_t rows, double* out, const Projector& project) const;
  [[noreturn]] void refuse_row(std::size_t i) const;
  const Lanes* panel(std::size_t p) const { return panels_.data() + p * params_.features; }
  std::size_t panels() const { return float_offsets_.size(); }

  FamilyParams params_;
  int words_;
  std::vector<Lanes> panels_;          // of kLanes functions each, feature after feature
  std::vector<double> offsets_;        // a multiple of kLanes
  std::vector<Lanes> float_offsets_;   // for each panel
  std::vector<float> norms_, shifts_;  // for each panel: largest ||a||, |b|
};

}  // namespace pympf::lsh
