// Matchings for Python: no logic, no defaults; the typed faces are pympf/matching.py and
// pympf/approx. Arrays come in as they are, C-contiguous and of the right type, or not at all.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "process.hpp"
#include "pympf/la/matching.hpp"

namespace py = pybind11;
using namespace pympf;

namespace {

template <class T>
using Array = py::array_t<T, py::array::c_style>;

void translate(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const python::Raised&) {
  } catch (const InvalidArgument& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const Singular& e) {
    PyErr_SetString(py::module_::import("numpy.linalg").attr("LinAlgError").ptr(), e.what());
  } catch (const OutOfMemory& e) {
    PyErr_SetString(PyExc_MemoryError, e.what());
  } catch (const Error& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
}

struct Rows {
  Array<Index> indptr, indices;
  Array<double> data;
  Index cols;

  CsrView<double> view() const {
    return {static_cast<Index>(indptr.shape(0) - 1), cols, indptr.data(), indices.data(),
            data.data()};
  }
};

template <class T>
Array<T> copy(const std::vector<T>& values) {
  return Array<T>(static_cast<py::ssize_t>(values.size()), values.data());
}

py::dict as_dict(const Matching& M) {
  return py::dict(py::arg("column") = copy(M.column), py::arg("row") = copy(M.row),
                  py::arg("size") = M.size, py::arg("exact") = M.exact, py::arg("work") = M.work,
                  py::arg("row_scale") = copy(M.row_scale),
                  py::arg("column_scale") = copy(M.column_scale));
}

py::dict match(const Rows& A, const std::string& goal, Global most_work) {
  Matching M;
  {
    const CsrView<double> rows = A.view();
    const py::gil_scoped_release release;
    M = goal == "greedy"    ? greedy_matching(rows)
        : goal == "product" ? maximum_product_matching(rows, most_work)
                            : maximum_sum_matching(rows, most_work);
  }
  return as_dict(M);
}

}  // namespace

PYBIND11_MODULE(_approx, m) {
  if (python::join_team() < 0) throw py::error_already_set();
  py::register_exception_translator(&translate);

  py::class_<Rows>(m, "Rows").def(
      py::init([](const Array<Index>& indptr, const Array<Index>& indices,
                  const Array<double>& data, Index cols) {
        return Rows{indptr, indices, data, cols};
      }),
      py::arg("indptr").noconvert(), py::arg("indices").noconvert(), py::arg("data").noconvert(),
      py::arg("cols"));
  m.def("match", &match, py::arg("A"), py::arg("goal"), py::arg("most_work"));
}
