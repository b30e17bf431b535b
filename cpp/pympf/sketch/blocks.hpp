// Where the nonzero blocks of a matrix come from: they are drawn anew each time, or have been
// stored in 3 bits each, and as many as the block row in its band needs: none where all blocks are
// nonzero.
#pragma once

#include <cstdint>
#include <vector>

#include "pympf/sketch/distribution.hpp"

namespace pympf::sketch {

// Block rows, and blocks of columns, of one rank: every `ranks`-th from the rank's own number on.
// So a prefix of the rows keeps all ranks busy.
struct Share {
  int rank = 0, ranks = 1;

  bool owns(Index i) const { return i % ranks == rank; }
  // How many of the first i blocks it owns: also the place of an own block among them.
  Index before(Index i) const { return (i + ranks - 1 - rank) / ranks; }
};

class Blocks {
 public:
  // Those in the own block rows of all columns, or of all block rows in the own columns.
  enum class Part { rows, columns };
  Blocks(const Distribution& R, Part part, Share share, bool stored);

  // Ranges of block rows whose blocks can be had apart, in ascending order.
  Index units() const { return stored() ? static_cast<Index>(segments_.size()) : R_->bands(); }
  Index row_begin(Index unit) const;  // own block rows before it; of units() + 1 borders

  // The codes of the nonzero blocks of the columns of block i in some units; `codes` and `ends` are
  // overwritten. Block rows are counted among the own ones.
  void fetch(Index i, Index first_unit, Index last_unit, std::vector<Code>& codes,
             std::vector<Index>& ends) const;
  // The base words of these columns.
  void words(Index i, Word* out) const;

  std::int64_t count() const { return count_; }  // expected, where nothing is stored
  std::size_t bytes() const;

 private:
  // Bands that are stored together, columns behind each other.
  struct Segment {
    Index first = 0, last = 0;          // bands
    int bits = 3;                       // of a block
    Index each = 0;                     // blocks of a column, or:
    std::vector<std::uint32_t> starts;  // where the blocks of a column start
    std::vector<unsigned char> packed;
  };
  Code* draw(Index j, Index first_band, Index last_band, Code* out) const;
  Segment store(Index first_band, Index last_band) const;
  Code* unpack(const Segment& segment, Index column, Code* out) const;
  void fetch_equal(Index column, Index first_unit, Index last_unit, Code* codes, Index* ends) const;
  std::size_t most_codes(Index first_unit, Index last_unit) const;
  bool stored() const { return !segments_.empty(); }
  Share rows() const { return part_ == Part::rows ? share_ : Share{}; }
  Index own_column(Index i) const;  // where the columns of block i are among the stored ones
  bool has_column(Index i) const { return part_ == Part::rows || share_.owns(i); }

  const Distribution* R_;
  Part part_;
  Share share_;
  std::vector<Segment> segments_;  // empty: implicit
  std::vector<Word> words_;        // of the stored columns
  std::int64_t count_;
};

}  // namespace pympf::sketch
