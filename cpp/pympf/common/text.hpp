// Numbers in text files, read strictly: each line holds what it should and nothing else.
#pragma once

#include <cstdint>
#include <string_view>

namespace pympf {

// What a line holds: so many integers, then so many real numbers. Between two of them there are
// blanks or, where there is a separator, exactly one of it (and blanks).
struct LineFormat {
  int integers = 0;
  int reals = 0;
  char separator = ' ';
};

// Reads the numbers of all lines but empty ones; what begins with % or # is a comment.
//
// Numbers are those of C and Fortran: 1, +2.5, -1e-3, 1.0D0, inf, nan. What is too small for a
// double becomes 0. Writes the numbers line by line, where there must be room for those of all
// lines (of which each takes two bytes or more for a column, but for the last); returns how many
// lines held numbers. Throws InvalidArgument, which names the line; the first one has the number
// `line`, which becomes that of the line behind the text.
std::int64_t read_lines(std::string_view text, const LineFormat& format, std::int64_t& line,
                        std::int64_t* integers, double* reals);

}  // namespace pympf
