// Recursable dictionary learning [1, section 4.2]: samples y = [R_1 … R_N] x + noise, where the R_i
// come from the block-sparse distribution D(b, q, d), give back the columns of the R_i, which
// matrix and which place each has, and x with its signs.
//
// A block of b entries of y that one x_j alone reaches reads
//   x_j / sqrt(d q)  [ f_s σ_s,j | f_c Enc(j, f'_m, f'_s) | f_m σ_m ],   f'_m = f_m σ_m[1], f'_s =
//   f_s σ_s,j[1],
// so its entries have one size, and their signs tell j, the matrix (σ_m, up to sign), the column's
// string (σ_s, up to sign), all f, and twice the sign of x_j.
//
// paper              here
// d_sketch, b        Shape::size, Shape::block
// σ_m, σ_s           matrix, string: the signs after the first, which counts as +1
// f'_s, f_c, f'_m    Sign::string, Sign::code, Sign::matrix: the first entries' signs in R
// R(y[block])        CleanBlock
// "adding"           the median over a coefficient's cleanest blocks of their means
//
// Cost: one pass over the samples, which memory bounds; then a sort of the accepted blocks.
//
// [1] B. Ghazi, R. Panigrahy, J. R. Wang, "Recursive sketches for modular deep learning", ICML
// 2019.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pympf::sketch {

// The sizes of a matrix of D(b, q, d).
struct Shape {
  Shape(std::int64_t size, int block);  // InvalidArgument if no such matrix exists
  std::int64_t size;
  int block;
  int third;        // b / 3
  int column_bits;  // ⌈log2 d⌉
  std::int64_t rows() const { return size / block; }
};

// Bits of CleanBlock::signs and Atom rows: set where the sign is +.
enum Sign : std::uint8_t { kValue = 1, kString = 2, kCode = 4, kMatrix = 8 };

// A block of a sample that looks as if one column alone had made it.
struct CleanBlock {
  std::uint64_t matrix, string;
  std::int64_t sample;
  double level;  // mean |entry|
  float spread;  // the largest distance of an |entry| from it, relatively
  std::uint32_t signs;
  std::int32_t column, row;
};

struct CleanBlocks {
  std::vector<CleanBlock> blocks;  // by sample, then by row
  std::int64_t nonzero = 0;        // blocks above the floor
};

// Rounds all blocks of `samples` rows of Y. A block is taken if its mean is above `floor`, every
// |entry| is within tau of the mean, relatively, and padding, parities and column fit. Numbers that
// are not finite are refused.
template <class T>
CleanBlocks read_blocks(const T* Y, std::size_t samples, const Shape& shape, double tau,
                        double floor);

// What makes a group of equal blocks a column.
struct Rule {
  std::int64_t min_hits;        // in all samples together
  std::int64_t min_rows;        // different rows among them
  std::int64_t min_per_sample;  // in one sample; 0 or 1: any number
};

// Columns that were found, by matrix and place, and the coefficients that they have in samples.
struct Dictionary {
  std::vector<std::uint64_t> matrix, string;
  std::vector<std::int32_t> column;
  std::vector<std::int64_t> hits, row_start;  // rows of atom i: [row_start[i], row_start[i + 1])
  std::vector<std::int32_t> row;
  std::vector<std::uint8_t> signs;
  // In the order of atoms, then of samples; `value` has the scale of y.
  std::vector<std::int64_t> atom, sample;
  std::vector<double> value;
  std::vector<std::int32_t> blocks;
};

// Blocks grouped by (matrix, column, string); of several strings of a place the one with most hits.
class Groups {
 public:
  Groups(std::vector<CleanBlock> blocks, const Rule& rule);
  // Signatures of the matrices, ascending, and the number of columns of each.
  std::vector<std::uint64_t> matrices() const;
  std::vector<std::int64_t> column_counts() const;
  // The columns of these matrices (ascending).
  Dictionary dictionary(const std::vector<std::uint64_t>& matrices) const;

 private:
  struct Range {
    std::size_t begin, end;
  };
  bool accepts(const Range& range, const Rule& rule) const;
  void add_rows(const Range& range, Dictionary& out) const;
  void add_coefficients(const Range& range, Dictionary& out) const;

  std::vector<CleanBlock> blocks_;
  std::vector<Range> atoms_;
};

// What a residual y - R x needs of a dictionary: its columns, and coefficients by sample.
struct Expansion {
  const std::uint64_t *matrix, *string;
  const std::int32_t* column;
  const std::int64_t* row_start;
  const std::int32_t* row;
  const std::uint8_t* signs;
  const std::int64_t *sample_start, *atom;  // coefficients of sample s: from sample_start[s] on
  const double* value;
};

// Y -= R x, in place.
template <class T>
void subtract(const Expansion& expansion, const Shape& shape, std::size_t samples, T* Y);

}  // namespace pympf::sketch
