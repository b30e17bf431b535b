// y = R x and x = R' y for R of D(b, q, d) (distribution.hpp), or one rank's rows and columns of
// it.
//
// One vector goes column by column: a block is `lanes` additions, whose signs come from one word.
// Several go block row by block row: every block adds its row of X to one of 16 sums for each four
// lanes, and the lanes are the differences of these (`add_entries`); the transposed does the
// opposite. So a block costs 2 b / 3 additions for one vector, and lanes / 4 for each of several.
// The numbers are the same for any number of threads and ranks, stored or implicit.
#pragma once

#include "pympf/common/pool.hpp"
#include "pympf/sketch/blocks.hpp"
#include "pympf/sketch/kernels.hpp"

namespace pympf::sketch {

class BlockSparse {
 public:
  BlockSparse(const DistributionParams& params, bool stored, Share share = {});
  BlockSparse(const BlockSparse&) = delete;
  BlockSparse& operator=(const BlockSparse&) = delete;

  const Distribution& distribution() const { return R_; }
  Share share() const { return share_; }
  Index own_size() const { return share_.before(R_.rows()) * R_.params().b; }
  std::int64_t block_count() const { return rows_.count(); }  // expected, where nothing is stored
  std::size_t bytes() const;

  // X has d rows of k numbers, Y own_size(); and the other way round.
  template <class T>
  void apply(const T* X, Index k, T* Y) const;
  template <class T>
  void apply_transpose(const T* Y, Index k, T* X) const;

 private:
  struct Scratch {
    std::vector<Code> codes;
    std::vector<Index> ends;
    std::vector<Word> words;
    std::vector<Entry> entries, sorted;
    std::vector<Index> rows;          // of the entries
    std::vector<std::size_t> starts;  // of the block rows in `sorted`
  };
  template <class T>
  struct Numbers {
    std::vector<T> folded;
    std::vector<Tables<T>> tables{1};
  };
  // Of the process: hundreds of matrices, multiplied one after the other, need the room of one.
  static Pool<Scratch>& scratch_pool();
  template <class T>
  static Pool<Numbers<T>>& pool();

  template <class T>
  void apply_one(const T* x, Index first, Index last, T* y) const;
  template <class T>
  void apply_panel(const T* X, Index k, Index first, Index last, T* Y) const;
  template <class T>
  void transpose_one(const T* y, T* x) const;
  template <class T>
  void transpose_panel(const T* Y, Index k, Index first, Index last, T* X) const;

  const Blocks& by_columns() const { return share_.ranks == 1 ? rows_ : columns_; }
  Tile fetch(const Blocks& blocks, Index i, Index first, Index last, Scratch& scratch) const;
  template <class Wanted>
  void sort(const Blocks& blocks, Index first, Index last, const Wanted& wanted,
            Scratch& scratch) const;
  template <class T>
  int stride() const {
    return (R_.lanes() + kWidth<T> - 1) / kWidth<T> * kWidth<T>;
  }
  Index parts(Index units, Index k) const;

  Distribution R_;
  Share share_;
  Blocks rows_, columns_;
};

}  // namespace pympf::sketch
