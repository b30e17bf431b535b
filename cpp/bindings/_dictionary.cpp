// Dictionary learning for Python: no logic, no defaults; the typed face is
// pympf/sketch/learning.py. Arrays come in C-contiguous and of the right type, or not at all.
#include <pybind11/stl.h>

#include "arrays.hpp"
#include "pympf/sketch/dictionary.hpp"

namespace py = pybind11;
using namespace pympf;
using namespace pympf::python;
using namespace pympf::sketch;

namespace {

// An array that owns the memory of a vector.
template <class V>
Array<V> array_of(std::vector<V> values) {
  auto* const kept = new std::vector<V>(std::move(values));
  const py::capsule owner(kept, [](void* p) { delete static_cast<std::vector<V>*>(p); });
  return Array<V>(static_cast<py::ssize_t>(kept->size()), kept->data(), owner);
}

template <class T>
py::tuple read(const Array<T>& Y, const Shape& shape, double tau, double floor) {
  CleanBlocks found;
  unlocked([&] { found = read_blocks(Y.data(), Y.shape(0), shape, tau, floor); });
  return py::make_tuple(array_of(std::move(found.blocks)), found.nonzero);
}

Groups grouped(const Array<CleanBlock>& blocks, const Rule& rule) {
  std::vector<CleanBlock> own(blocks.data(), blocks.data() + blocks.size());
  const py::gil_scoped_release release;
  return Groups(std::move(own), rule);
}

py::dict as_dict(const Groups& groups, const std::vector<std::uint64_t>& matrices) {
  Dictionary d;
  unlocked([&] { d = groups.dictionary(matrices); });
  return py::dict(py::arg("matrix") = array_of(std::move(d.matrix)),
                  py::arg("string") = array_of(std::move(d.string)),
                  py::arg("column") = array_of(std::move(d.column)),
                  py::arg("hits") = array_of(std::move(d.hits)),
                  py::arg("row_start") = array_of(std::move(d.row_start)),
                  py::arg("row") = array_of(std::move(d.row)),
                  py::arg("signs") = array_of(std::move(d.signs)),
                  py::arg("atom") = array_of(std::move(d.atom)),
                  py::arg("sample") = array_of(std::move(d.sample)),
                  py::arg("value") = array_of(std::move(d.value)),
                  py::arg("blocks") = array_of(std::move(d.blocks)));
}

template <class T>
void subtract_from(Array<T>& Y, const Shape& shape, const Array<std::uint64_t>& matrix,
                   const Array<std::uint64_t>& string, const Array<std::int32_t>& column,
                   const Array<std::int64_t>& row_start, const Array<std::int32_t>& row,
                   const Array<std::uint8_t>& signs, const Array<std::int64_t>& sample_start,
                   const Array<std::int64_t>& atom, const Array<double>& value) {
  const Expansion expansion{matrix.data(),       string.data(), column.data(),
                            row_start.data(),    row.data(),    signs.data(),
                            sample_start.data(), atom.data(),   value.data()};
  T* const y = Y.mutable_data();
  const std::size_t samples = Y.shape(0);
  const py::gil_scoped_release release;
  subtract(expansion, shape, samples, y);
}

template <class T>
void define_for(py::module_& m) {
  m.def("read_blocks", &read<T>, py::arg("Y").noconvert(), py::arg("shape"), py::arg("tau"),
        py::arg("floor"));
  m.def("subtract", &subtract_from<T>, py::arg("Y").noconvert(), py::arg("shape"),
        py::arg("matrix"), py::arg("string"), py::arg("column"), py::arg("row_start"),
        py::arg("row"), py::arg("signs"), py::arg("sample_start"), py::arg("atom"),
        py::arg("value"));
}

}  // namespace

PYBIND11_MODULE(_dictionary, m) {
  if (join_team() < 0) throw py::error_already_set();
  py::register_exception_translator(&python::translate);
  PYBIND11_NUMPY_DTYPE(CleanBlock, matrix, string, sample, level, spread, signs, column, row);

  py::class_<Shape>(m, "Shape")
      .def(py::init<std::int64_t, int>(), py::arg("size"), py::arg("block"))
      .def_readonly("size", &Shape::size)
      .def_readonly("block", &Shape::block)
      .def_readonly("column_bits", &Shape::column_bits)
      .def_property_readonly("rows", &Shape::rows);
  py::class_<Rule>(m, "Rule").def(py::init<std::int64_t, std::int64_t, std::int64_t>());
  py::class_<Groups>(m, "Groups")
      .def(py::init(&grouped), py::arg("blocks").noconvert(), py::arg("rule"))
      .def("matrices", [](const Groups& g) { return array_of(g.matrices()); })
      .def("column_counts", [](const Groups& g) { return array_of(g.column_counts()); })
      .def("dictionary", &as_dict, py::arg("matrices"));
  define_for<float>(m);
  define_for<double>(m);
}
