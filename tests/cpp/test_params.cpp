#include <doctest/doctest.h>

#include <cmath>
#include <limits>
#include <set>
#include <string>

#include "pympf/mmf/factorize.hpp"
#include "pympf/mmf/params.hpp"
#include "pympf/precond/report.hpp"

using namespace pympf;
using namespace pympf::mmf;
using doctest::Contains;

namespace {

const Field<Params>& named(const std::string& name) { return find_field(fields(), name); }

}  // namespace

TEST_CASE("every field has its own name, a sentence, and a default that is allowed") {
  std::set<std::string> names;
  for (const auto& f : fields()) {
    CAPTURE(f.name);
    CHECK(names.insert(f.name).second);
    REQUIRE_FALSE(f.doc.empty());
    CHECK(f.doc.back() == '.');
    CHECK(f.doc.find("  ") == std::string::npos);
    Params params;
    f.set(params, f.default_value());
    CHECK(f.get(params) == f.default_value());
  }
  CHECK_NOTHROW(check(Params{}));
}

TEST_CASE("a field takes both ends of its range, as number and as text, and touches no other") {
  for (const auto& f : fields()) {
    CAPTURE(f.name);
    for (double value : {f.minimum, f.maximum}) {
      Params params, from_text;
      f.set(params, value);
      CHECK(f.get(params) == value);
      f.set(from_text, f.text(params));
      CHECK(f.get(from_text) == value);
      for (const auto& other : fields())
        if (other.name != f.name) CHECK(other.get(params) == other.default_value());
    }
  }
}

TEST_CASE("a number outside the range is refused with what is allowed") {
  for (const auto& f : fields()) {
    CAPTURE(f.name);
    Params params;
    const auto below = std::nextafter(f.minimum, -1e300), above = std::nextafter(f.maximum, 1e300);
    for (double value : {below, above, f.minimum - 1, f.maximum + 1, std::nan(""),
                         std::numeric_limits<double>::infinity()})
      CHECK_THROWS_WITH_AS(f.set(params, value), Contains(("is not " + f.allowed()).c_str()),
                           InvalidArgument);
    CHECK(f.get(params) == f.default_value());
  }
  Params params;
  CHECK_THROWS_WITH_AS(named("order").set(params, 17), "order = 17 is not an integer in [2, 16]",
                       InvalidArgument);
  CHECK_THROWS_WITH_AS(named("tolerance").set(params, -0.5),
                       "tolerance = -0.5 is not a number in [0, 1]", InvalidArgument);
}

TEST_CASE("integers, choices and booleans refuse fractions; real numbers keep all their digits") {
  Params params;
  for (const auto& f : fields())
    if (f.kind != pympf::Kind::real && f.maximum > f.minimum)
      CHECK_THROWS_AS(f.set(params, f.minimum + 0.5), InvalidArgument);
  named("tolerance").set(params, 0.1 + 0.2 - 0.1);
  Params copy;
  named("tolerance").set(copy, named("tolerance").text(params));
  CHECK(copy.tolerance == params.tolerance);
  named("seed").set(params, std::string("2147483647"));
  CHECK(named("seed").text(params) == "2147483647");
}

TEST_CASE("text is read whole or not at all") {
  Params params;
  for (const char* text : {"", " ", "two", "3x", "3 4", "0x", "1e999", "nan", "inf", "true"})
    CHECK_THROWS_WITH_AS(named("order").set(params, std::string(text)), Contains("order = "),
                         InvalidArgument);
  CHECK(params.order == 2);
  named("order").set(params, std::string("3"));
  CHECK(params.order == 3);
  named("rotation_fraction").set(params, std::string("2.5e-1"));
  CHECK(params.rotation_fraction == 0.25);
}

TEST_CASE("booleans read true, false, 1 and 0") {
  for (auto [text, value] :
       {std::pair{"false", false}, {"true", true}, {"0", false}, {"1", true}}) {
    Params params;
    named("bypass").set(params, std::string(text));
    CHECK(params.bypass == value);
    CHECK(named("bypass").text(params) == (value ? "true" : "false"));
  }
  Params params;
  CHECK_THROWS_WITH_AS(named("bypass").set(params, std::string("yes")),
                       "bypass = yes is not true or false", InvalidArgument);
}

TEST_CASE("choices go by name") {
  for (const auto& f : fields()) {
    if (f.kind != pympf::Kind::choice) continue;
    CAPTURE(f.name);
    for (std::size_t k = 0; k < f.choices.size(); ++k) {
      Params params;
      f.set(params, f.choices[k]);
      CHECK(f.get(params) == static_cast<double>(k));
      CHECK(f.text(params) == f.choices[k]);
    }
  }
  Params params;
  named("criterion").set(params, std::string("normalized_inner_product"));
  CHECK(params.criterion == Criterion::normalized_inner_product);
  named("clustering").set(params, std::string("inner_product"));
  CHECK(params.clustering == Clustering::inner_product);
  CHECK_THROWS_WITH_AS(named("retire").set(params, std::string("Absolute")),
                       "retire = Absolute is not one of relative absolute auto", InvalidArgument);
  CHECK_THROWS_AS(named("gram").set(params, std::string("0")), InvalidArgument);
}

TEST_CASE("an unknown name is refused with those that are known") {
  CHECK_THROWS_WITH_AS(named("k"), Contains("unknown parameter k; known: order max_stages"),
                       InvalidArgument);
}

TEST_CASE("fields that contradict each other are refused") {
  Params params;
  params.eliminate = 2;
  CHECK_THROWS_WITH_AS(check(params), Contains("eliminate = 2 is not below order = 2"),
                       InvalidArgument);
  params.order = 3;
  CHECK_NOTHROW(check(params));
  params.min_cluster_size = 11;
  params.max_cluster_size = 10;
  CHECK_THROWS_WITH_AS(check(params),
                       Contains("min_cluster_size = 11 is above max_cluster_size = 10"),
                       InvalidArgument);
  params.min_cluster_size = 10;
  CHECK_NOTHROW(check(params));
  params.tolerance = std::nan("");
  CHECK_THROWS_WITH_AS(check(params), Contains("tolerance = nan"), InvalidArgument);
}

TEST_CASE("every column of a report has its own name and a sentence, gives and takes a value") {
  const auto check_columns = [](const auto& list, auto line) {
    std::set<std::string> names;
    for (const auto& c : list) {
      CAPTURE(c.name);
      CHECK(names.insert(c.name).second);
      CHECK(c.doc.back() == '.');
      c.set(line, 1);
      CHECK(c.get(line) == 1);
      if (c.kind == Kind::integer) {
        CHECK(c.text(line) == "1");
        CHECK_THROWS_AS(c.set(line, 0.5), InvalidArgument);
        CHECK_THROWS_AS(c.set(line, 1e300), InvalidArgument);
        CHECK_THROWS_AS(c.set(line, std::nan("")), InvalidArgument);
      }
      for (const auto& other : list)  // each has a member of its own
        if (other.name != c.name) CHECK((names.count(other.name) == 1) == (other.get(line) == 1));
    }
  };
  mmf::StageReport stage;
  stage.ranks = 0;
  check_columns(mmf::columns(), stage);
  precond::LevelReport level;
  level.ranks = 0;
  check_columns(precond::columns(), level);

  stage.dropped = 0.12345;
  const auto& dropped = mmf::columns()[8];
  CHECK(dropped.text(stage) == "1.23e-01");
  CHECK(dropped.head() == "dropped");
  level.lifted = true;
  CHECK(precond::columns()[5].text(level) == "yes");
  CHECK(precond::columns()[6].head() == "P per row");
}
