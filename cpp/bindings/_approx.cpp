// Matchings, factorizations P H Q^T and wavelets for Python: no logic, no defaults; the typed faces
// are pympf/matching.py and pympf/approx. Arrays come in as they are, C-contiguous and of the right
// type, or not at all.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include "process.hpp"
#include "pympf/approx/factorization.hpp"
#include "pympf/approx/spai.hpp"
#include "pympf/approx/wavelet.hpp"
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

py::tuple as_tuple(const Csr<double>& A) {
  return py::make_tuple(copy(A.indptr), copy(A.indices), copy(A.data), A.rows, A.cols);
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

using namespace pympf::approx;

py::dict as_dict(const SparseInverse& found) {
  return py::dict(py::arg("M") = as_tuple(found.M), py::arg("dependent") = found.dependent,
                  py::arg("unconverged") = found.unconverged,
                  py::arg("most_iterations") = found.most_iterations);
}

template <class Rotation>
Pairing pair(const CsrView<double>& A) {
  if constexpr (std::is_same_v<Rotation, DirectRotation>) return pair_direct(A);
  if constexpr (std::is_same_v<Rotation, SymmetricRotation>) return pair_symmetric(A);
  return pair_skew(A);
}

py::dict as_dict(const StageLine& s) {
  return py::dict(py::arg("threshold") = s.threshold, py::arg("parts") = s.parts,
                  py::arg("largest") = s.largest, py::arg("rotations") = s.rotations,
                  py::arg("nnz") = s.nnz, py::arg("dropped") = s.dropped,
                  py::arg("seconds") = s.seconds);
}

template <class Rotation>
py::dict state(const Factorization<Rotation>& F) {
  const auto& parts = F.parts();
  const auto count = static_cast<py::ssize_t>(parts.rotations.size());
  Array<Index> pairs({count, py::ssize_t{2}});
  Array<double> tangents({count, py::ssize_t{Rotation::parameters}});
  for (py::ssize_t k = 0; k < count; ++k) {
    const Rotation& r = parts.rotations[k];
    pairs.mutable_at(k, 0) = r.i;
    pairs.mutable_at(k, 1) = r.j;
    std::copy(r.t.begin(), r.t.end(), tangents.mutable_data(k, 0));
  }
  return py::dict(py::arg("row") = copy(parts.pairing.row),
                  py::arg("column") = copy(parts.pairing.column), py::arg("pairs") = pairs,
                  py::arg("tangents") = tangents, py::arg("parts") = copy(parts.parts),
                  py::arg("stages") = copy(parts.stages), py::arg("H") = as_tuple(parts.H),
                  py::arg("core_rows") = copy(parts.core_rows),
                  py::arg("core_columns") = copy(parts.core_columns));
}

template <class T>
std::vector<T> vector_of(const py::handle& values) {
  const auto array = py::cast<Array<T>>(values);
  return {array.data(), array.data() + array.size()};
}

template <class Rotation>
std::unique_ptr<Factorization<Rotation>> restored(const py::dict& state) {
  typename Factorization<Rotation>::Parts out;
  const py::tuple H = state["H"];
  out.H = {H[3].cast<Index>(), H[4].cast<Index>(), vector_of<Index>(H[0]), vector_of<Index>(H[1]),
           vector_of<double>(H[2])};
  out.rows = out.H.rows;
  out.cols = out.H.cols;
  out.pairing = {vector_of<Index>(state["row"]), vector_of<Index>(state["column"]), true};
  out.parts = vector_of<Index>(state["parts"]);
  out.stages = vector_of<Index>(state["stages"]);
  out.core_rows = vector_of<Index>(state["core_rows"]);
  out.core_columns = vector_of<Index>(state["core_columns"]);
  const auto pairs = vector_of<Index>(state["pairs"]);
  const auto tangents = vector_of<double>(state["tangents"]);
  constexpr std::size_t p = Rotation::parameters;
  require(pairs.size() / 2 * p == tangents.size(), "expected ", pairs.size() / 2 * p,
          " tangents, got ", tangents.size());
  out.rotations.resize(pairs.size() / 2);
  for (std::size_t k = 0; k < out.rotations.size(); ++k) {
    Rotation& r = out.rotations[k];
    r.i = pairs[2 * k];
    r.j = pairs[2 * k + 1];
    std::copy_n(&tangents[p * k], p, r.t.begin());
  }
  return std::make_unique<Factorization<Rotation>>(std::move(out));
}

template <class F>
Array<double> map(const Array<double>& X, Index rows_out, const F& f) {
  const auto count = static_cast<Index>(X.shape(1));
  Array<double> out({py::ssize_t{rows_out}, py::ssize_t{count}});
  const double* const x = X.data();
  double* const y = out.mutable_data();
  const py::gil_scoped_release release;
  f(x, y, count);
  return out;
}

template <class Rotation>
void define_kind(py::module_& m) {
  using Factors = Factorization<Rotation>;
  using R = Run<Rotation>;
  const std::string kind = Rotation::name;
  const auto side = [](bool rows) { return rows ? Side::rows : Side::columns; };

  py::class_<Factors>(m, (kind + "_factors").c_str())
      .def(py::init(&restored<Rotation>))
      .def("state", &state<Rotation>)
      .def(
          "multiply",
          [](const Factors& F, const Array<double>& X, bool transposed) {
            const Index out = transposed ? F.parts().cols : F.parts().rows;
            return map(X, out, [&](const double* x, double* y, Index count) {
              F.multiply(x, y, count, transposed);
            });
          },
          py::arg("X").noconvert(), py::arg("transposed"))
      .def(
          "transform",
          [side](const Factors& F, const Array<double>& X, bool rows, bool inverse) {
            const auto n = static_cast<Index>(X.shape(0));
            return map(X, n, [&](const double* x, double* y, Index count) {
              inverse ? F.inverse_transform(x, y, count, side(rows))
                      : F.transform(x, y, count, side(rows));
            });
          },
          py::arg("X").noconvert(), py::arg("rows"), py::arg("inverse"))
      .def("wavelets",
           [side](const Factors& F, bool rows) {
             Csr<double> W;
             {
               const py::gil_scoped_release release;
               W = F.wavelets(side(rows));
             }
             return as_tuple(W);
           })
      .def_property_readonly("left_out", &Factors::left_out)
      .def_property_readonly("bytes", &Factors::bytes);

  py::class_<R>(m, (kind + "_run").c_str())
      .def(py::init([](const Rows& A, double drop, double max_fill, Global rotations) {
             const CsrView<double> rows = A.view();
             const py::gil_scoped_release release;
             return std::make_unique<R>(rows, pair<Rotation>(rows),
                                        RunParams{drop, max_fill, rotations});
           }),
           py::arg("A"), py::arg("drop"), py::arg("max_fill"), py::arg("rotations"))
      .def("advance",
           [](R& run, Global rotations) {
             const py::gil_scoped_release release;
             return std::string(name(run.advance(rotations)));
           })
      .def("finish",
           [](const R& run, Index core_size, const std::string& rule, Global entries) {
             const py::gil_scoped_release release;
             return std::make_unique<Factors>(run, core_size, sparsify_from_name(rule), entries);
           })
      .def("left_out",
           [](const R& run, const std::vector<Global>& counts) {
             std::vector<double> out = left_out2(run.B(), counts);
             for (double& x : out) x = std::ldexp(std::sqrt(x), run.exponent());
             return out;
           })
      .def_property_readonly("bytes", &R::bytes)  // of a factorization without entries
      .def_property_readonly("count", [](const R& run) { return run.rotations().size(); })
      .def_property_readonly("nnz", [](const R& run) { return run.B().nnz(); })
      .def_property_readonly("pairing",
                             [](const R& run) {
                               return py::make_tuple(copy(run.pairing().row),
                                                     copy(run.pairing().column));
                             })
      .def_property_readonly("exact_matching", [](const R& run) { return run.pairing().exact; })
      .def_property_readonly(
          "norm", [](const R& run) { return std::ldexp(std::sqrt(run.norm2()), run.exponent()); })
      .def_property_readonly("dropped",  // root of the sum of squares, and the sum of norms
                             [](const R& run) {
                               return py::make_tuple(
                                   std::ldexp(std::sqrt(run.dropped2()), run.exponent()),
                                   std::ldexp(run.dropped(), run.exponent()));
                             })
      .def_property_readonly("lines", [](const R& run) {
        py::list out;
        for (const StageLine& line : run.lines()) out.append(as_dict(line));
        return out;
      });
}

template <class Make>
SparseInverse unlocked(const Rows& A, const Make& make) {
  const CsrView<double> rows = A.view();
  const py::gil_scoped_release release;
  return make(rows);
}

void define_wavelets(py::module_& m) {
  py::class_<Wavelets>(m, "Wavelets")
      .def(py::init<std::vector<Index>, std::vector<Index>, std::vector<double>>(), py::arg("grid"),
           py::arg("levels"), py::arg("filter"))
      .def(
          "transform",
          [](const Wavelets& W, const Array<double>& X, bool inverse) {
            return map(X, W.rows(), [&](const double* x, double* y, Index count) {
              W.transform(x, y, count, inverse);
            });
          },
          py::arg("X").noconvert(), py::arg("inverse"))
      .def("factor", [](const Wavelets& W, Index axis,
                        Index level) { return as_tuple(W.factor(axis, level)); })
      .def("transposed", [](const Wavelets& W) {
        Csr<double> out;
        {
          const py::gil_scoped_release release;
          out = W.transposed();
        }
        return as_tuple(out);
      });
  m.def(
      "wspai",
      [](const Rows& A, const Wavelets& W, Index block) {
        return as_dict(unlocked(A, [&](auto& rows) { return wspai(rows, W, block); }));
      },
      py::arg("A"), py::arg("W"), py::arg("block"));
  m.def(
      "iwspai",
      [](const Rows& A, const Wavelets& W, bool lsqr, double rtol, Index maxiter) {
        const SpaiParams params{lsqr, rtol, maxiter};
        return as_dict(unlocked(A, [&](auto& rows) { return iwspai(rows, W, params); }));
      },
      py::arg("A"), py::arg("W"), py::arg("lsqr"), py::arg("rtol"), py::arg("maxiter"));
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
  define_kind<DirectRotation>(m);
  define_kind<SymmetricRotation>(m);
  define_kind<SkewRotation>(m);
  define_wavelets(m);
}
