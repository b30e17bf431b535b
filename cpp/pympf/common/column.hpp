// Reports have a line for each stage or level. Every column is declared once, as a `Column`: name,
// meaning, unit and form. Printed tables, dictionaries in Python, attributes of files, -ksp_view
// and docs/options.md are all read off this list.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <functional>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "pympf/common/field.hpp"

namespace pympf {

// Values travel as double, as those of a Field do.
template <class Line>
struct Column {
  std::string name, doc;
  Kind kind;
  std::function<double(const Line&)> get;
  std::function<void(Line&, double)> set;  // refuses what the member cannot hold

  std::string unit = {};
  std::string form = {};   // of std::printf, without %; empty: a table leaves the column out
  std::string title = {};  // its head in a table; empty: the name
  double missing = std::numeric_limits<double>::quiet_NaN();  // in a file; NaN: it may not be

  bool is_shown() const { return !form.empty(); }
  std::string head() const { return title.empty() ? name : title; }

  std::string text(const Line& line) const {
    const double value = get(line);
    if (kind == Kind::boolean) return value != 0 ? "yes" : "no";
    if (kind == Kind::integer) return std::to_string(static_cast<long long>(value));
    char digits[64];
    const int length = std::snprintf(digits, sizeof digits, ("%" + form).c_str(), value);
    return {digits, digits + std::clamp<int>(length, 0, sizeof digits - 1)};
  }

  Column in(std::string its_unit) const { return with(&Column::unit, std::move(its_unit)); }
  Column shown(std::string as) const { return with(&Column::form, std::move(as)); }
  Column headed(std::string by) const { return with(&Column::title, std::move(by)); }
  Column else_is(double value) const { return with(&Column::missing, value); }

 private:
  template <class V>
  Column with(V Column::*member, V value) const {
    Column out = *this;
    out.*member = std::move(value);
    return out;
  }
};

// `member` gives the member of a line, by reference.
template <class Line, class Member>
Column<Line> column(const char* name, const Member& member, const char* doc) {
  using V = std::decay_t<decltype(member(std::declval<Line&>()))>;
  constexpr Kind kind = std::is_same_v<V, bool>       ? Kind::boolean
                        : std::is_floating_point_v<V> ? Kind::real
                                                      : Kind::integer;
  const auto set = [name, member](Line& line, double value) {
    if constexpr (!std::is_floating_point_v<V>) {
      constexpr double exact = 9007199254740992;  // 2^53
      const double most = std::min(exact, static_cast<double>(std::numeric_limits<V>::max()));
      const double least = std::is_signed_v<V> ? -most : 0;
      require(value == std::floor(value) && value >= least && value <= most, name, " = ", value,
              " is not an integer in [", least, ", ", most, "]");
    }
    member(line) = static_cast<V>(value);
  };
  return {name, doc, kind, [member](const Line& line) { return static_cast<double>(member(line)); },
          set};
}

template <class Line, class M>
Column<Line> column(const char* name, M Line::*member, const char* doc) {
  return column<Line>(
      name, [member](auto& line) -> auto& { return line.*member; }, doc);
}

}  // namespace pympf
