// What the pybind11 modules share: arrays, the lock of the interpreter, errors.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include "process.hpp"
#include "pympf/common/error.hpp"

namespace pympf::python {

namespace py = pybind11;

template <class T>
using Array = py::array_t<T, py::array::c_style>;
using Released = py::call_guard<py::gil_scoped_release>;

inline void translate(std::exception_ptr error) {
  try {
    std::rethrow_exception(error);
  } catch (const Raised&) {
  } catch (const InvalidArgument& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const OutOfMemory& e) {
    PyErr_SetString(PyExc_MemoryError, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "there is not enough memory");
  } catch (const Error& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
}

// A new array, and its memory to fill without the interpreter.
template <class T>
struct Result {
  explicit Result(std::vector<py::ssize_t> shape) : array(std::move(shape)) {}
  T* data() { return array.mutable_data(); }
  Array<T> array;
};

template <class F>
void unlocked(const F& work) {
  const py::gil_scoped_release release;
  work();
}

}  // namespace pympf::python
