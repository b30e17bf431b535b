#include <doctest/doctest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "pympf/common/error.hpp"
#include "pympf/common/text.hpp"

using namespace pympf;

namespace {

struct Table {
  std::vector<std::int64_t> integers;
  std::vector<double> reals;
};

Table table(const std::string& text, const LineFormat& format) {
  Table out{std::vector<std::int64_t>(100), std::vector<double>(100)};
  std::int64_t line = 1;
  const auto lines = read_lines(text, format, line, out.integers.data(), out.reals.data());
  CHECK(line == 1 + std::count(text.begin(), text.end(), '\n') + (text.back() != '\n'));
  out.integers.resize(lines * format.integers);
  out.reals.resize(lines * format.reals);
  return out;
}

std::string refusal(const std::string& text, const LineFormat& format) {
  try {
    table(text, format);
  } catch (const InvalidArgument& error) {
    return error.what();
  }
  return "read";
}

}  // namespace

TEST_CASE("text: numbers of C and of Fortran") {
  const Table t =
      table("1 2.5\n-2 +1.5D-3\r\n\n% no\n\t3\t1e-400 # small\n4 -inf\n5 .5q1", {1, 1, ' '});
  CHECK(t.integers == std::vector<std::int64_t>{1, -2, 3, 4, 5});
  REQUIRE(t.reals.size() == 5);
  CHECK(t.reals[0] == 2.5);
  CHECK(t.reals[1] == 1.5e-3);
  CHECK(t.reals[2] == 0);
  CHECK(std::isinf(t.reals[3]));
  CHECK(t.reals[4] == 5);
}

TEST_CASE("text: every double is read exactly") {
  const Table t = table("0.1\n5e-324\n1.7976931348623157e308\n0.30000000000000004\n", {0, 1, ' '});
  CHECK(t.reals == std::vector<double>{0.1, 5e-324, 1.7976931348623157e308, 0.1 + 0.2});
}

TEST_CASE("text: a separator stands between two columns, once") {
  CHECK(table("1,2\n 3 , +4 \n", {2, 0, ','}).integers == std::vector<std::int64_t>{1, 2, 3, 4});
  CHECK(refusal("1,,2\n", {2, 0, ','}) == "line 1: expected an integer, got nothing");
  CHECK(refusal("1 2\n", {2, 0, ','}) == "line 1: expected ',', got '2'");
  CHECK(refusal("1,2,\n", {2, 0, ','}) == "line 1: expected 2 columns, got also ','");
}

TEST_CASE("text: what is not as it should be is named by its line") {
  const LineFormat edge{2, 1, ' '};
  CHECK(refusal("1 2 3\n1 2\n", edge) == "line 2: expected 3 columns, got 2");
  CHECK(refusal("\n\n1 2 3 4\n", edge) == "line 3: expected 3 columns, got also '4'");
  CHECK(refusal("1 2.5 3\n", edge) == "line 1: expected an integer, got '2.5'");
  CHECK(refusal("1 2 x\n", edge) == "line 1: expected a number, got 'x'");
  CHECK(refusal(std::string("1 2 \x80\0 7\n", 9), edge) ==
        "line 1: expected a number, got '\\x80\\x00'");
  CHECK(refusal("1 99999999999999999999 3\n", edge) ==
        "line 1: the integer 99999999999999999999 is out of range of 64 bits");
  CHECK(refusal("1 2 1e400\n", edge) == "line 1: the number 1e400 is out of range of float64");
  for (const char* junk : {"++1", "+-1", "-+1", "+", "-", ".", "1d1d1", "1e", "0x10", "1_0", "1,5"})
    CHECK(refusal(std::string("1 2 ") + junk + "\n", edge) ==
          std::string("line 1: expected a number, got '") + junk + "'");
}
