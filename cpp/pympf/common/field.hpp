// Parameters are plain structs. Every field is declared once, as a `Field`: name, range or choices,
// one sentence. Python keywords, command line flags, PETSc options, saved attributes and
// docs/options.md are all read off this list.
#pragma once

#include <algorithm>
#include <charconv>
#include <cmath>
#include <functional>
#include <string>
#include <type_traits>
#include <vector>

#include "pympf/common/error.hpp"

namespace pympf {

enum class Kind { integer, real, boolean, choice };

// A value that knows whether somebody has given it, though it be the default.
template <class T>
class Given {
 public:
  static constexpr Given none(T unless_given) {
    Given out(unless_given);
    out.is_given_ = false;
    return out;
  }
  constexpr Given(T value) : value_(value), is_given_(true) {}
  constexpr operator T() const { return value_; }
  constexpr T value_or(T other) const { return is_given_ ? value_ : other; }

 private:
  T value_;
  bool is_given_;
};

template <class M>
struct Held {
  using type = M;
};
template <class T>
struct Held<Given<T>> {
  using type = T;
};

// Values travel as double: integers are exact up to 2^53, a boolean is 0 or 1, a choice is its
// index in `choices`.
template <class P>
struct Field {
  std::string name;
  Kind kind;
  double minimum, maximum;
  std::vector<std::string> choices;
  std::string doc;
  std::function<double(const P&)> get;
  std::function<void(P&, double)> assign;

  double default_value() const { return get(P{}); }

  std::string allowed() const {
    if (kind == Kind::boolean) return "true or false";
    if (kind == Kind::choice) {
      std::string text = "one of";
      for (const auto& choice : choices) text += " " + choice;
      return text;
    }
    return concat(kind == Kind::integer ? "an integer in [" : "a number in [", minimum, ", ",
                  maximum, "]");
  }

  void set(P& params, double value) const {
    const bool whole = kind == Kind::real || value == std::floor(value);
    require(whole && value >= minimum && value <= maximum, name, " = ", value, " is not ",
            allowed());
    assign(params, value);
  }

  // Text as it comes from a command line or an options database.
  void set(P& params, const std::string& text) const {
    if (kind == Kind::choice) {
      const auto found = std::find(choices.begin(), choices.end(), text);
      require(found != choices.end(), name, " = ", text, " is not ", allowed());
      assign(params, static_cast<double>(found - choices.begin()));
      return;
    }
    if (kind == Kind::boolean && (text == "true" || text == "false"))
      return assign(params, text == "true");
    double value = 0;
    const char* last = text.data() + text.size();
    const auto [end, error] = std::from_chars(text.data(), last, value);
    require(error == std::errc() && end == last, name, " = ", text, " is not ", allowed());
    set(params, value);
  }

  std::string text(const P& params) const {
    const double value = get(params);
    if (kind == Kind::choice) return choices[static_cast<std::size_t>(value)];
    if (kind == Kind::boolean) return value != 0 ? "true" : "false";
    char digits[32];  // the shortest text that reads back as the same number
    const auto end = kind == Kind::integer ? std::to_chars(digits, digits + sizeof digits,
                                                           static_cast<long long>(value))
                                           : std::to_chars(digits, digits + sizeof digits, value);
    return {digits, end.ptr};
  }
};

template <class P, class M>
Field<P> field(const char* name, M P::*member, double minimum, double maximum, const char* doc) {
  using V = typename Held<M>::type;
  constexpr Kind kind = std::is_same_v<V, bool>       ? Kind::boolean
                        : std::is_floating_point_v<V> ? Kind::real
                                                      : Kind::integer;
  return {name,
          kind,
          minimum,
          maximum,
          {},
          doc,
          [member](const P& p) { return static_cast<double>(p.*member); },
          [member](P& p, double v) { p.*member = static_cast<V>(v); }};
}

template <class P, class M>
Field<P> field(const char* name, M P::*member, std::vector<std::string> choices, const char* doc) {
  const double last = static_cast<double>(choices.size()) - 1;
  return {name,
          Kind::choice,
          0,
          last,
          std::move(choices),
          doc,
          [member](const P& p) { return static_cast<double>(p.*member); },
          [member](P& p, double v) { p.*member = static_cast<M>(static_cast<int>(v)); }};
}

template <class P>
const Field<P>& find_field(const std::vector<Field<P>>& fields, const std::string& name) {
  const auto found =
      std::find_if(fields.begin(), fields.end(), [&](const Field<P>& f) { return f.name == name; });
  if (found == fields.end()) {
    std::string names;
    for (const auto& f : fields) names += " " + f.name;
    throw InvalidArgument(concat("unknown parameter ", name, "; known:", names));
  }
  return *found;
}

}  // namespace pympf
