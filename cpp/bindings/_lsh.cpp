// Hash families, buckets and tables for Python: no logic, no defaults; the typed face is
// pympf/lsh.py. Arrays come in as they are, C-contiguous and of the right type, or not at all.
#include <pybind11/stl.h>

#include <optional>

#include "arrays.hpp"
#include "pympf/common/simd.hpp"
#include "pympf/lsh/distributed.hpp"
#include "pympf/lsh/table.hpp"

using namespace pympf;
using namespace pympf::lsh;
using namespace pympf::python;

namespace {

template <class T>
Points<T> view(const Array<T>& X) {
  return {static_cast<std::size_t>(X.shape(0)), static_cast<Index>(X.shape(1)), X.data()};
}

template <class T>
CsrView<T> view(const Array<Index>& indptr, const Array<Index>& indices, const Array<T>& data,
                Index columns) {
  return {static_cast<Index>(indptr.shape(0) - 1), columns, indptr.data(), indices.data(),
          data.data()};
}

template <class X>
Array<Word> keys(const Family& family, const X& points) {
  Result<Word> out({py::ssize_t(points.rows), py::ssize_t(family.tables()), family.words()});
  unlocked([&, to = out.data()] { family.keys(points, to); });
  return out.array;
}

template <class X>
Array<double> project(const Family& family, const X& points) {
  Result<double> out(
      {py::ssize_t(points.rows), py::ssize_t(family.tables()), family.params().functions});
  unlocked([&, to = out.data()] { family.project(points, to); });
  return out.array;
}

template <class X>
Array<std::int64_t> add(BucketIndex& index, const X& points) {
  Result<std::int64_t> out({py::ssize_t(points.rows), py::ssize_t(index.family().tables())});
  unlocked([&, to = out.data()] { index.add(points, to); });
  return out.array;
}

template <class X>
Array<std::int64_t> find(const BucketIndex& index, const X& points) {
  Result<std::int64_t> out({py::ssize_t(points.rows), py::ssize_t(index.family().tables())});
  unlocked([&, to = out.data()] { index.find(points, to); });
  return out.array;
}

// A function of points for the four kinds of arrays that they come in.
template <class Class, class F>
void define_for_points(Class& c, const char* name, const F& call) {
  using Self = typename Class::type;
  const auto dense = [&]<class T>(T) {
    c.def(
        name, [call](Self& self, const Array<T>& X) { return call(self, view(X)); },
        py::arg("X").noconvert());
  };
  const auto sparse = [&]<class T>(T) {
    c.def(
        name,
        [call](Self& self, const Array<Index>& indptr, const Array<Index>& indices,
               const Array<T>& data,
               Index columns) { return call(self, view(indptr, indices, data, columns)); },
        py::arg("indptr").noconvert(), py::arg("indices").noconvert(), py::arg("data").noconvert(),
        py::arg("columns"));
  };
  dense(float{});
  dense(double{});
  sparse(float{});
  sparse(double{});
}

Array<Word> probes(const Family& family, const Array<double>& v, Index count) {
  Result<Word> out({v.shape(0), py::ssize_t(family.tables()), count, family.words()});
  unlocked([&, to = out.data()] { family.probes(v.data(), v.shape(0), count, to); });
  return out.array;
}

Array<Word> mixed(const Array<Word>& keys) {
  Result<Word> out({keys.shape(0), keys.shape(1)});
  mix(keys.data(), keys.shape(0) * keys.shape(1), static_cast<int>(keys.shape(2)), out.data());
  return out.array;
}

Array<float> directions(const Family& family) {
  const auto [hash, features, functions, tables, width, offset, seed] = family.params();
  Result<float> out({tables, functions, features});
  float* to = out.data();
  for (std::size_t g = 0; g < family.functions(); ++g) {
    for (Index l = 0; l < features; ++l) *to++ = family.direction(g, l);
  }
  return out.array;
}

Array<double> offsets(const Family& family) {
  Result<double> out({family.params().tables, family.params().functions});
  for (std::size_t g = 0; g < family.functions(); ++g) out.data()[g] = family.offset(g);
  return out.array;
}

Array<Word> bucket_keys(const BucketIndex& index, std::size_t table) {
  const BucketMap& map = index.map(table);
  Result<Word> out({map.size(), index.family().words()});
  std::copy_n(map.key(0), out.array.size(), out.data());
  return out.array;
}

void insert_keys(BucketIndex& index, std::size_t table, const Array<Word>& keys) {
  for (py::ssize_t i = 0; i < keys.shape(0); ++i) index.insert(table, keys.data(i, 0));
}

template <class T>
py::tuple query(const Table<T>& table, const Array<T>& X, Index k, const Search& search) {
  Result<T> distances({X.shape(0), k});
  Result<std::int64_t> ids({X.shape(0), k});
  unlocked([&, d = distances.data(), i = ids.data()] { table.query(view(X), k, search, d, i); });
  return py::make_tuple(distances.array, ids.array);
}

template <class V>
Array<V> copy(const std::vector<V>& values) {
  return Array<V>(static_cast<py::ssize_t>(values.size()), values.data());
}

template <class T>
py::tuple as_tuple(const Found<T>& found) {
  return py::make_tuple(copy(found.start), copy(found.distances), copy(found.ids));
}

template <class T>
py::tuple radius_query(const Table<T>& table, const Array<T>& X, double radius,
                       const Search& search) {
  Found<T> found;
  unlocked([&] { found = table.radius_query(view(X), radius, search); });
  return as_tuple(found);
}

template <class T>
py::tuple points(const Table<T>& table) {
  const auto rows = static_cast<py::ssize_t>(table.size());
  Result<T> X({rows, table.family().params().features});
  Result<std::int64_t> ids({rows});
  table.points(X.data(), ids.data());
  return py::make_tuple(X.array, ids.array);
}

py::dict as_dict(const TableStatistics& s) {
  return py::dict(py::arg("buckets") = s.buckets, py::arg("largest") = s.largest,
                  py::arg("expected") = s.expected, py::arg("histogram") = s.histogram);
}

template <class T>
void define_table(py::module_& m, const char* name) {
  using Table = lsh::Table<T>;
  py::class_<Table>(m, name)
      .def(py::init<Family>())
      .def(
          "add", [](Table& t, const Array<T>& X) { return t.add(view(X)); },
          py::arg("X").noconvert(), Released())
      .def(
          "restore",
          [](Table& t, const Array<T>& X, const Array<std::int64_t>& ids, std::int64_t next_id) {
            t.restore(view(X), ids.data(), next_id);
          },
          py::arg("X").noconvert(), py::arg("ids").noconvert(), py::arg("next_id"), Released())
      .def(
          "remove",
          [](Table& t, const Array<std::int64_t>& ids) { t.remove(ids.data(), ids.shape(0)); },
          py::arg("ids").noconvert(), Released())
      .def("query", &query<T>, py::arg("X").noconvert(), py::arg("k"), py::arg("search"))
      .def("radius_query", &radius_query<T>, py::arg("X").noconvert(), py::arg("radius"),
           py::arg("search"))
      .def("points", &points<T>)
      .def("statistics", [](const Table& t, std::size_t i) { return as_dict(t.statistics(i)); })
      .def_property_readonly("size", &Table::size)
      .def_property_readonly("next_id", &Table::next_id)
      .def_property_readonly("point_bytes", &Table::point_bytes)
      .def_property_readonly("bucket_bytes", &Table::bucket_bytes);
}

template <class T>
py::tuple query_all(const DistributedTable<T>& table, const Array<T>& X, Index k, Index probes) {
  Result<T> distances({X.shape(0), k});
  Result<std::int64_t> ids({X.shape(0), k});
  unlocked([&, d = distances.data(), i = ids.data()] { table.query(view(X), k, probes, d, i); });
  return py::make_tuple(distances.array, ids.array);
}

template <class T>
py::tuple radius_query_all(const DistributedTable<T>& table, const Array<T>& X, double radius,
                           Index probes) {
  Found<T> found;
  unlocked([&] { found = table.radius_query(view(X), radius, probes); });
  return as_tuple(found);
}

template <class T>
py::dict statistics_of_all(const DistributedTable<T>& table) {
  DistributedStatistics s;
  unlocked([&] { s = table.statistics(); });
  return py::dict(py::arg("buckets") = s.buckets, py::arg("points") = s.points,
                  py::arg("entries") = s.entries, py::arg("bytes") = s.bytes);
}

template <class T>
void define_distributed_table(py::module_& m, const char* name) {
  using Table = DistributedTable<T>;
  py::class_<Table>(m, name)
      .def(py::init([](const Family& family, std::optional<int> comm) {
             return Table(family, comm ? Communicator::from_fortran(*comm) : Communicator::self());
           }),
           Released())
      .def(
          "add", [](Table& t, const Array<T>& X) { return t.add(view(X)); },
          py::arg("X").noconvert(), Released())
      .def(
          "remove",
          [](Table& t, const Array<std::int64_t>& ids) { t.remove(ids.data(), ids.shape(0)); },
          py::arg("ids").noconvert(), Released())
      .def("query", &query_all<T>, py::arg("X").noconvert(), py::arg("k"), py::arg("probes"))
      .def("radius_query", &radius_query_all<T>, py::arg("X").noconvert(), py::arg("radius"),
           py::arg("probes"))
      .def("statistics", &statistics_of_all<T>)
      .def_property_readonly("size", &Table::size)
      .def_property_readonly("local_size", &Table::local_size);
}

}  // namespace

PYBIND11_MODULE(_lsh, m) {
  if (join_team() < 0) throw py::error_already_set();
  py::register_exception_translator(&translate);

  py::class_<Family> family(m, "Family");
  family
      .def(py::init([](const std::string& kind, Index features, Index functions, Index tables,
                       double width, double offset, std::uint64_t seed) {
             const Hash hash = kind == "euclidean" ? Hash::euclidean : Hash::hyperplane;
             return Family({hash, features, functions, tables, width, offset, seed});
           }),
           Released())
      .def_property_readonly("words", &Family::words)
      .def_property_readonly("directions", &directions)
      .def_property_readonly("offsets", &offsets)
      .def("probes", &probes, py::arg("v").noconvert(), py::arg("count"));
  define_for_points(family, "keys", [](const auto& f, const auto& X) { return keys(f, X); });
  define_for_points(family, "project", [](const auto& f, const auto& X) { return project(f, X); });
  m.def("mix", &mixed, py::arg("keys").noconvert());
  m.def("instruction_set", [] { return choose("baseline", "AVX2", "AVX-512"); });

  py::class_<BucketIndex> index(m, "BucketIndex");
  index.def(py::init<Family>())
      .def("size", [](const BucketIndex& b, std::size_t table) { return b.map(table).size(); })
      .def("keys", &bucket_keys)
      .def("insert", &insert_keys, py::arg("table"), py::arg("keys").noconvert());
  define_for_points(index, "add", [](auto& b, const auto& X) { return add(b, X); });
  define_for_points(index, "find", [](const auto& b, const auto& X) { return find(b, X); });

  py::class_<Search>(m, "Search").def(py::init<Index, std::size_t>());
  define_table<float>(m, "Table32");
  define_table<double>(m, "Table64");
  define_distributed_table<float>(m, "DistributedTable32");
  define_distributed_table<double>(m, "DistributedTable64");
}
