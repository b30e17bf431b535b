// The inner loops of block-sparse matrices, on folded vectors (distribution.hpp). All of them add
// and subtract only, each number in one order, so that results are the same on every processor.
#pragma once

#include <cstddef>

#include "pympf/sketch/distribution.hpp"

namespace pympf::sketch {

inline constexpr std::size_t kLine = 64;  // bytes of the longest vector register

template <class T>
constexpr int kWidth = kLine / sizeof(T);

// Columns with their nonzero blocks: those of column c are codes[ends[c - 1]] ... codes[ends[c]].
struct Tile {
  Index columns = 0;
  Index first_row = 0;  // block row with which `folded` begins
  const Code* codes = nullptr;
  const Index* ends = nullptr;
  const Word* words = nullptr;  // of the columns
  const Word* flips = nullptr;  // of the matrix
};

// folded += R x: folded has `stride` numbers for each block row, a multiple of kWidth. And x = R'
// y, for which y is folded.
template <class T>
void add_columns(const Tile& tile, const T* x, int stride, T* folded);
template <class T>
void dot_columns(const Tile& tile, const T* folded, int stride, T* x);

// A nonzero block of a known block row: the signs of its lanes, and its column.
struct Entry {
  Word word;
  Index column;
};

// Up to kPanel vectors together. X has a row of k numbers for each column, of which the panel takes
// `count`.
template <class T>
constexpr int kPanel = 4 * kWidth<T>;

template <class T>
struct Panel {
  T* at;
  std::size_t k;
  int count;
};

// Room for 16 sums of four lanes each, for up to 64 lanes.
template <class T>
struct alignas(kLine) Tables {
  T at[16][16][kPanel<T>];
};

// lanes[l] = sum over the entries of +-x(column): every entry adds x to one of 16 sums for each
// four lanes, whose differences are the lanes'. Lanes are kPanel numbers apart.
template <class T>
void add_entries(const Entry* entries, std::size_t count, int lanes, const Panel<const T>& X,
                 Tables<T>& tables, T* out);
// The transposed: x(column) += sum over lanes of +-lanes[l], from 16 sums for each four of them.
template <class T>
void dot_entries(const Entry* entries, std::size_t count, int lanes, const T* in, Tables<T>& tables,
                 const Panel<T>& X);

}  // namespace pympf::sketch
