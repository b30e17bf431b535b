// The lines of text files for Python: no logic, no defaults; the caller is pympf/io/_text.py.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <string_view>

#include "pympf/common/error.hpp"
#include "pympf/common/text.hpp"

namespace py = pybind11;
using namespace pympf;

namespace {

// The numbers of the lines, which are at most `lines`: arrays (lines, integers) and (lines, reals);
// and the number of the line behind them.
py::tuple read_table(const py::bytes& content, std::int64_t lines, int integers, int reals,
                     char separator, std::int64_t line) {
  py::array_t<std::int64_t> whole({py::ssize_t(lines), py::ssize_t(integers)});
  py::array_t<double> real({py::ssize_t(lines), py::ssize_t(reals)});
  const std::string_view text(content);
  std::int64_t found = 0;
  {
    std::int64_t* const to_whole = whole.mutable_data();
    double* const to_real = real.mutable_data();
    const py::gil_scoped_release release;
    found = read_lines(text, {integers, reals, separator}, line, to_whole, to_real);
  }
  const py::slice rows(0, found, 1);
  return py::make_tuple(whole[rows], real[rows], line);
}

}  // namespace

PYBIND11_MODULE(_text, m) {
  py::register_exception_translator([](std::exception_ptr error) {
    try {
      std::rethrow_exception(error);
    } catch (const InvalidArgument& e) {
      PyErr_SetString(PyExc_ValueError, e.what());
    }
  });
  m.def("read_lines", &read_table, py::arg("content"), py::arg("lines"), py::arg("integers"),
        py::arg("reals"), py::arg("separator"), py::arg("line"));
}
