// What the Cython bindings need in C++: errors, parameters, callbacks into Python, and copies
// between vectors and memory.
#pragma once

#include <algorithm>
#include <cmath>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include "process.hpp"
#include "pympf/common/column.hpp"
#include "pympf/la/blas1.hpp"
#include "pympf/la/determined.hpp"
#include "pympf/la/dist_csr.hpp"
#include "pympf/la/krylov.hpp"
#include "pympf/mmf/mmf.hpp"
#include "pympf/mmf/routes.hpp"
#include "pympf/mpi/comm.hpp"
#include "pympf/precond/choice/chooser.hpp"
#include "pympf/precond/choice/placement.hpp"
#include "pympf/precond/preconditioner.hpp"

namespace pympf::python {

// Cython's exception handler (`except +translate`): C++ error -> Python exception.
inline void translate() {
  const auto set_from = [](const char* module, const char* type, const char* what) {
    PyObject* m = PyImport_ImportModule(module);
    PyObject* t = m ? PyObject_GetAttrString(m, type) : nullptr;
    if (t) PyErr_SetString(t, what);
    Py_XDECREF(t);
    Py_XDECREF(m);
  };
  try {
    throw;
  } catch (const Raised&) {
  } catch (const InvalidArgument& e) {
    PyErr_SetString(PyExc_ValueError, e.what());
  } catch (const Singular& e) {
    set_from("numpy.linalg", "LinAlgError", e.what());
  } catch (const IoError& e) {
    PyErr_SetString(PyExc_OSError, e.what());
  } catch (const OutOfMemory& e) {
    PyErr_SetString(PyExc_MemoryError, e.what());
  } catch (const std::bad_alloc&) {
    PyErr_SetString(PyExc_MemoryError, "there is not enough memory");
  } catch (const std::exception& e) {
    PyErr_SetString(PyExc_RuntimeError, e.what());
  }
}

// A Field without the type of its struct.
struct FieldInfo {
  std::string name, doc, group;
  Kind kind;
  double minimum, maximum, default_value;
  std::vector<std::string> choices;
};

template <class P>
std::vector<FieldInfo> describe(const std::vector<Field<P>>& fields) {
  std::vector<FieldInfo> out;
  for (const auto& f : fields)
    out.push_back(
        {f.name, f.doc, f.group, f.kind, f.minimum, f.maximum, f.default_value(), f.choices});
  return out;
}

// A Column without the type of its line, and what a line has in it.
struct ColumnInfo {
  std::string name, doc, unit, form, title;
  Kind kind;
  double missing;
};
struct Cell {
  std::string name;
  Kind kind;
  double value;
};

template <class L>
std::vector<ColumnInfo> describe(const std::vector<Column<L>>& columns) {
  std::vector<ColumnInfo> out;
  for (const auto& c : columns)
    out.push_back({c.name, c.doc, c.unit, c.form, c.title, c.kind, c.missing});
  return out;
}

template <class L>
std::vector<Cell> cells(const std::vector<Column<L>>& columns, const L& line) {
  std::vector<Cell> out;
  for (const auto& c : columns) out.push_back({c.name, c.kind, c.get(line)});
  return out;
}

// Names and values, as text.
using Texts = std::vector<std::pair<std::string, std::string>>;

template <class P>
P read_params(const std::vector<Field<P>>& fields, const Texts& given) {
  P params;
  for (const auto& [name, text] : given) find_field(fields, name).set(params, text);
  check(params);
  return params;
}

template <class P>
Texts write_params(const std::vector<Field<P>>& fields, const P& params) {
  Texts out;
  for (const auto& f : fields) out.emplace_back(f.name, f.text(params));
  return out;
}

// What the method does not take is refused.
inline precond::Params read_precond_params(const Texts& given) {
  const precond::Params params = read_params(precond::fields(), given);
  for (const auto& [name, text] : given)
    precond::require_taken(params, find_field(precond::fields(), name));
  return params;
}

inline Texts write_precond_params(const precond::Params& params) {
  Texts out;
  for (const auto& f : precond::fields())
    if (precond::takes(params, f)) out.emplace_back(f.name, f.text(params));
  return out;
}

// What a user's function raises on some ranks ends the call on all: there it is raised as it is,
// and the others throw an error with the first of these ranks and its text. Collective.
inline void raise_on_all(const Communicator& comm, bool raised, const char* function) {
  if (comm.max(Global{raised}) == 0) return;
  if (comm.size() == 1) throw Raised();
  const int first = comm.ranks_where(raised).front();
  const std::string text = comm.broadcast(raised ? raised_text() : std::string(), first);
  if (raised) throw Raised();
  throw MpiError(concat("rank ", first, " of ", comm.size(), ": ", function, " raised ", text));
}

// The Cython side of a callback returns -1 when it raised.
template <class T>
Operator<T> make_operator(int (*call)(void*, const T*, T*, Index), void* object, Index n,
                          const Communicator& comm) {
  return [=](const T* x, T* y) {
    raise_on_all(comm, call(object, x, y, n) < 0, "the preconditioner");
  };
}

// Empty where there is none on any rank. Collective.
template <class T>
KrylovCallback<T> make_callback(int (*call)(void*, int, double), void* object, bool is_there,
                                const Communicator& comm) {
  if (comm.max(Global{is_there}) == 0) return {};
  return [=](int iteration, double norm, const T*) {
    const int stop = is_there ? call(object, iteration, norm) : 0;
    raise_on_all(comm, stop < 0, "the callback");
    return stop > 0;
  };
}

inline mmf::Progress make_progress(int (*call)(void*, const mmf::StageReport*), void* object,
                                   const Communicator& comm) {
  return [=](const mmf::StageReport& stage) {
    raise_on_all(comm, call(object, &stage) < 0, "the progress callback");
  };
}

// Division by |d_i|; rows with d_i = 0 are left alone.
template <class T>
Operator<T> jacobi_operator(const T* d, Index n) {
  return [=](const T* x, T* y) {
    for (Index i = 0; i < n; ++i) y[i] = d[i] != 0 ? x[i] / std::abs(d[i]) : x[i];
  };
}

template <class T>
Operator<T> precond_operator(const precond::Preconditioner<T>& M) {
  Operator<T> out([&M](const T* x, T* y) { M.apply(x, y); });
  out.apply_block = [&M](const Block<const T>& X, const Block<T>& Y) { M.apply(X, Y); };
  out.apply_transpose_block = [&M](const Block<const T>& X, const Block<T>& Y) {
    M.apply_transpose(X, Y);
  };
  out.apply_transpose = [&M](const T* x, T* y) {
    M.apply_transpose({M.rows(), {x}}, {M.rows(), {y}});
  };
  return out;
}

// The K-cycle does, over levels.
template <class T>
bool varies(const precond::Preconditioner<T>& M) {
  return M.params().cycle == precond::CycleKind::k && M.report().method == "multilevel";
}

template <class T>
CsrView<T> view(Index rows, const Index* indptr, const Index* indices, const T* data) {
  return {rows, rows, indptr, indices, data};
}

template <class V>
void assign(V* v, const void* from, std::size_t count) {
  const auto* first = static_cast<const typename V::value_type*>(from);
  v->assign(first, first + count);
}

// Results on the heap: Cython has no variables of types without a default constructor.
template <class T>
using Shared = std::shared_ptr<mmf::Mmf<T>>;
template <class T>
using SharedRows = std::shared_ptr<DistRows<T>>;

template <class T>
SharedRows<T> view_rows(const CsrView<T>& A) {
  return std::make_shared<DistRows<T>>(A);
}

// This rank's rows, with global columns. Collective.
template <class T, class Int>
SharedRows<T> collect_rows(const Communicator& comm, Index rows, const Index* indptr,
                           const Int* columns, const T* data) {
  return together(comm, [&] {
    const Layout layout(comm, rows);
    SharedRows<T> out;
    collectively(comm, [&] {
      out = std::make_shared<DistRows<T>>(view_of_rows(comm, layout, indptr, columns, data));
    });
    return out;
  });
}

template <class T>
Admission<T> admit_rows(const SharedRows<T>& A) {
  return together(A->comm, [&] { return admit(A); });
}

template <class T>
SharedRows<T> completed_rows(const DistRows<T>& A) {
  return together(A.comm, [&] { return std::make_shared<DistRows<T>>(with_symmetric_pattern(A)); });
}

// The same, to be taken as it is by setups. Collective.
template <class T>
SharedRows<T> general_rows(const DistRows<T>& A) {
  auto out = completed_rows(A);
  out->general = true;
  return out;
}

// x_D of A x = b into x, and the right-hand side of the rest. Collective.
template <class T>
void start_rest(const Determined<T>& determined, const Communicator& comm, const T* b, T* x,
                T* rest_b) {
  together(comm, [&] {
    determined.solve(b, x);
    determined.move_to_right(b, x, rest_b);
  });
}

// ||b|| and ||b - A x||. Collective.
template <class T>
std::pair<double, double> norms(const DistRows<T>& A, const T* b, const T* x) {
  return together(A.comm, [&] {
    std::vector<T> r(A.own());
    RowProduct<T> multiply(A);
    multiply(x, r.data());
    double largest[2] = {0, 0}, sums[2] = {0, 0};
    for (Index i = 0; i < A.own(); ++i) {
      r[i] = b[i] - r[i];
      largest[0] = std::max(largest[0], std::abs(static_cast<double>(b[i])));
      largest[1] = std::max(largest[1], std::abs(static_cast<double>(r[i])));
    }
    for (double& most : largest) most = A.comm.max(most);
    const auto square = [](double v, double most) { return most > 0 ? v / most * (v / most) : 0; };
    for (Index i = 0; i < A.own(); ++i) {
      sums[0] += square(b[i], largest[0]);
      sums[1] += square(r[i], largest[1]);
    }
    for (double& sum : sums) sum = std::sqrt(A.comm.sum(sum));
    return std::pair(largest[0] * sums[0], largest[1] * sums[1]);
  });
}

// Whether every row but those of zeros has a positive diagonal entry. Collective.
template <class T>
bool has_positive_diagonal(const DistRows<T>& A) {
  return together(A.comm, [&] {
    const CsrView<T>& rows = A.rows;
    const std::vector<T> d = diagonal(A);
    const auto fits = [&](Index i) {
      return d[i] > 0 || std::all_of(rows.data + rows.indptr[i], rows.data + rows.indptr[i + 1],
                                     [](T v) { return v == 0; });
    };
    Index i = 0;
    while (i < rows.rows && fits(i)) ++i;
    return A.comm.min(Global{i == rows.rows}) > 0;
  });
}

// labels: depths x own rows, row-major.
inline mmf::Labels labels_from(const Global* labels, Index depths, Index rows) {
  mmf::Labels out;
  for (Index d = 0; d < depths; ++d)
    out.emplace_back(labels + Global{d} * rows, labels + Global{d + 1} * rows);
  return out;
}

template <class T>
Shared<T> share(mmf::Mmf<T>&& F) {
  return std::make_shared<mmf::Mmf<T>>(std::move(F));
}
template <class T>
Shared<T> factorize(const DistRows<T>& A, const mmf::Params& params, const mmf::Progress& progress,
                    const mmf::Labels& labels) {
  return together(A.comm,
                  [&] { return share(mmf::Mmf<T>(mmf::factorize(A, params, progress, labels))); });
}
template <class T>
Shared<T> refactorize(const mmf::Mmf<T>& F, const DistRows<T>& A) {
  return together(F.comm(), [&] { return share(F.refactorize(A)); });
}
template <class T>
Shared<T> inverse(const mmf::Mmf<T>& F, double rcond, bool absolute) {
  return together(F.comm(), [&] { return share(F.inverse(rcond, absolute)); });
}
template <class T>
Shared<T> preconditioner(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] { return share(F.preconditioner()); });
}
template <class T>
Shared<T> square_root(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] { return share(F.sqrt()); });
}
template <class T>
Shared<T> inverse_square_root(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] { return share(F.inv_sqrt()); });
}
template <class T>
Shared<T> with_values(const mmf::Mmf<T>& F, const std::vector<double>& values) {
  return together(F.comm(), [&] { return share(F.with_values(values)); });
}
template <class T>
void multiply(const mmf::Mmf<T>& F, const T* x, T* y, Index m) {
  together(F.comm(), [&] { F.multiply(x, y, m); });
}
template <class T>
void transform(const mmf::Mmf<T>& F, const T* x, T* y, Index m) {
  together(F.comm(), [&] { F.transform(x, y, m); });
}
template <class T>
void inverse_transform(const mmf::Mmf<T>& F, const T* y, T* x, Index m, int level) {
  together(F.comm(), [&] { F.inverse_transform(y, x, m, level); });
}
template <class T>
std::vector<double> spectrum(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] { return F.spectrum(); });
}
template <class T>
mmf::LogDeterminant slogdet(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] { return F.slogdet(); });
}
template <class T>
double trace(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] { return F.trace(); });
}
template <class T>
double error(const mmf::Mmf<T>& F, const DistRows<T>& A, double* relative_to) {
  return together(F.comm(), [&] { return F.error(A, relative_to); });
}
template <class T>
mmf::Routes routes(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] { return mmf::routes_of(*F.factors().Q); });
}
// Of all ranks. Collective.
template <class T>
std::pair<Global, Global> core_size_and_bytes(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] {
    return std::pair(F.comm().sum(Global{F.core_size()}),
                     F.comm().sum(static_cast<Global>(F.bytes())));
  });
}

template <class T>
std::shared_ptr<precond::Preconditioner<T>> build_preconditioner(
    const DistRows<T>& A, const precond::Params& params, precond::NearNullspace& vectors,
    Index block, const std::vector<int>& parts, precond::NearNullspace& left,
    const precond::Known& known, const mmf::Progress& progress) {
  return together(A.comm, [&] {
    return std::make_shared<precond::Preconditioner<T>>(A, params, std::move(vectors), block, parts,
                                                        std::move(left), known, progress);
  });
}
template <class T>
std::shared_ptr<precond::Preconditioner<T>> classic_preconditioner(const mmf::Mmf<T>& F) {
  return together(F.comm(), [&] {
    return std::make_shared<precond::Preconditioner<T>>(std::make_shared<const mmf::Mmf<T>>(F));
  });
}
// F of the method `classic`; null for the others.
template <class T>
Shared<T> factorization_of(const precond::Preconditioner<T>& M) {
  const auto F = M.factorization();
  return F ? std::make_shared<mmf::Mmf<T>>(*F) : nullptr;
}
template <class T>
bool has_pattern(const precond::Preconditioner<T>& M, const DistRows<T>& A) {
  return together(A.comm, [&] { return M.has_pattern(A); });
}
template <class T>
void update_preconditioner(precond::Preconditioner<T>& M, const DistRows<T>& A) {
  together(A.comm, [&] { M.update(A); });
}
template <class T>
Index block_to_move(const DistRows<T>& A, const precond::Params& params, Index block) {
  return together(A.comm, [&] { return precond::block_to_move(A, params, block); });
}
template <class T>
bool is_worth_moving(const DistRows<T>& A, const precond::Params& params,
                     const std::vector<int>& parts) {
  return together(A.comm, [&] { return precond::is_worth_moving(A, params, parts); });
}
template <class T>
bool fall_back(precond::Preconditioner<T>& M, const DistRows<T>& A, const std::string& why) {
  return together(A.comm, [&] { return M.fall_back(A, why); });
}
// A X = B over the ranks of A, for k right-hand sides of n entries behind each other; one callback
// for each, or none. See krylov.hpp.
template <class T>
std::vector<KrylovResult> solve_columns(const DistRows<T>& A, const Operator<T>* M, Index k,
                                        const T* b, T* x, const KrylovParams& params,
                                        const std::vector<KrylovCallback<T>>& callbacks,
                                        const std::vector<KrylovWatch>& watches) {
  const auto n = static_cast<std::size_t>(A.own());
  std::vector<const T*> from;
  std::vector<T*> to;
  for (Index c = 0; c < k; ++c) {
    from.push_back(b + c * n);
    to.push_back(x + c * n);
  }
  return together(A.comm, [&] { return solve<T>(A, M, from, to, params, callbacks, watches); });
}

template <class T>
std::shared_ptr<precond::Chooser<T>> make_chooser(const DistRows<T>& A,
                                                  const precond::Params& params,
                                                  const precond::NearNullspace& near_nullspace) {
  return together(A.comm,
                  [&] { return std::make_shared<precond::Chooser<T>>(A, params, near_nullspace); });
}

template <class T>
std::shared_ptr<precond::Chooser<T>> another_chooser(const precond::Chooser<T>& chooser) {
  return std::make_shared<precond::Chooser<T>>(chooser);
}

template <class T>
void choose_next(const Communicator& comm, precond::Chooser<T>& chooser, const std::string& why) {
  together(comm, [&] { chooser.next(why); });
}

// Z = M R for k columns, row by row.
template <class T>
void apply_preconditioner(const precond::Preconditioner<T>& M, const Communicator& comm, const T* r,
                          T* z, Index k, bool transposed) {
  const Block<const T> R(M.rows(), r, k);
  const Block<T> Z(M.rows(), z, k);
  together(comm, [&] { transposed ? M.apply_transpose(R, Z) : M.apply(R, Z); });
}

// A factorization from its parts, as a file holds them; each rank has its own.
template <class T>
struct Stored {
  mmf::Factorization<T> factors;
  mmf::Hierarchy<T> Q;
  mmf::Routes routes;

  mmf::Stage<T>& add_stage() { return Q.stages.emplace_back(); }
  std::vector<Global>& add_destination() { return routes.destination.emplace_back(); }
  Shared<T> build() {
    return together(Q.comm, [&] {
      Q.core_rows = factors.H.core_size;
      mmf::set_routes(Q, routes);
      collectively(Q.comm, [&] { check_values(); });
      factors.Q = std::make_shared<const mmf::Hierarchy<T>>(std::move(Q));
      return share(mmf::Mmf<T>(std::move(factors)));
    });
  }

 private:
  void check_values() const {
    mmf::check(factors.H, Q);
    const auto& scale = factors.scale;
    require(scale.empty() || scale.size() == static_cast<std::size_t>(Q.rows), "scale has ",
            scale.size(), " entries, expected none or ", Q.rows);
    for (T d : scale) require(d > 0, "scale has an entry ", d, ", expected positive ones");
  }
};

}  // namespace pympf::python
