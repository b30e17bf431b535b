#include "pympf/common/text.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <string>
#include <system_error>

#include "pympf/common/error.hpp"

namespace pympf {
namespace {

constexpr std::size_t longest_shown = 40;

bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r'; }

// The text as a message can show it: other characters than those of ASCII as \xff.
std::string shown(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (const char c : text.substr(0, longest_shown)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      out += c;
    } else {
      out += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    }
  }
  return out + (text.size() > longest_shown ? "..." : "");
}

// One line, from which fields are taken one after the other.
class Line {
 public:
  Line(std::string_view text, std::int64_t number, const LineFormat& format)
      : rest_(text), number_(number), format_(format) {
    skip_blanks();
  }

  bool is_empty() const { return rest_.empty() || rest_.front() == '%' || rest_.front() == '#'; }

  template <class T>
  T take() {
    if (is_empty()) fail("expected ", columns(), ", got ", fields_);
    if (fields_++ > 0) skip_separator();
    const std::string_view field = rest_.substr(0, length_of_field());
    rest_.remove_prefix(field.size());
    skip_blanks();
    return value<T>(field);
  }

  void end() const {
    if (!is_empty()) fail("expected ", columns(), ", got also '", shown(rest_), "'");
  }

 private:
  std::string columns() const {
    const int count = format_.integers + format_.reals;
    return concat(count, count == 1 ? " column" : " columns");
  }

  void skip_blanks() {
    while (!rest_.empty() && is_blank(rest_.front())) rest_.remove_prefix(1);
  }

  void skip_separator() {
    if (format_.separator == ' ') return;
    if (rest_.front() != format_.separator) {
      fail("expected '", format_.separator, "', got '", shown(rest_), "'");
    }
    rest_.remove_prefix(1);
    skip_blanks();
  }

  std::size_t length_of_field() const {
    const auto ends = [&](char c) { return is_blank(c) || c == format_.separator; };
    return std::find_if(rest_.begin(), rest_.end(), ends) - rest_.begin();
  }

  template <class T>
  T value(std::string_view field) const {
    constexpr const char* wanted = std::is_integral_v<T> ? "an integer" : "a number";
    if (field.empty()) fail("expected ", wanted, ", got nothing");
    // Unlike everybody else, from_chars takes no plus sign.
    const bool plus = field.size() > 1 && field[0] == '+' && field[1] != '-';
    const std::string_view digits = field.substr(plus ? 1 : 0);
    const char* last = digits.data() + digits.size();
    T number{};
    const auto [end, error] = std::from_chars(digits.data(), last, number);
    if (error == std::errc() && end == last) return number;
    if constexpr (std::is_same_v<T, double>) {
      if (error == std::errc::result_out_of_range) return small(digits);
      if (error == std::errc() && std::string_view("dDqQ").find(*end) != std::string_view::npos) {
        std::string c(digits);
        c[end - digits.data()] = 'e';
        if (c.find_first_of("dDqQ") == std::string::npos) return value<double>(c);
      }
    } else if (error == std::errc::result_out_of_range) {
      fail("the integer ", shown(field), " is out of range of 64 bits");
    }
    fail("expected ", wanted, ", got '", shown(field), "'");
  }

  double small(std::string_view field) const {
    const double number = std::strtod(std::string(field).c_str(), nullptr);
    if (std::abs(number) > 1) fail("the number ", shown(field), " is out of range of float64");
    return number;
  }

  template <class... Parts>
  [[noreturn]] void fail(const Parts&... parts) const {
    throw InvalidArgument(concat("line ", number_, ": ", parts...));
  }

  std::string_view rest_;
  std::int64_t number_;
  LineFormat format_;
  int fields_ = 0;
};

}  // namespace

std::int64_t read_lines(std::string_view text, const LineFormat& format, std::int64_t& line,
                        std::int64_t* integers, double* reals) {
  std::int64_t found = 0;
  for (; !text.empty(); ++line) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    Line fields(text.substr(0, end), line, format);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (fields.is_empty()) continue;
    for (int i = 0; i < format.integers; ++i) *integers++ = fields.take<std::int64_t>();
    for (int i = 0; i < format.reals; ++i) *reals++ = fields.take<double>();
    fields.end();
    ++found;
  }
  return found;
}

}  // namespace pympf
