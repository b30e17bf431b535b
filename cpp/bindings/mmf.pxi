# The engine for one scalar type: the modules _float64 and _float32 define `real` and include this
# first, then factors.pxi, precond.pxi and krylov.pxi.
# Thin wrappers without logic or defaults; the typed face is pympf/mmf.py.

from libc.stdint cimport int32_t, int64_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr
from libcpp.optional cimport optional
from libcpp.string cimport string
from libcpp.utility cimport pair
from libcpp.vector cimport vector

import numpy as np

cdef extern from "process.hpp" namespace "pympf::python":
    int join_team() except -1

join_team()


cdef extern from "pympf/common/field.hpp" namespace "pympf":
    cdef enum class Kind:
        pass


cdef extern from "glue.hpp" namespace "pympf::python":
    void translate()
    ctypedef vector[pair[string, string]] Texts
    Params read_mmf_params "pympf::python::read_params"(const vector[Field]&, const Texts&) except +translate
    Texts write_mmf_params "pympf::python::write_params"(const vector[Field]&, const Params&)
    cdef cppclass Stored[T]:
        Stored()
        Factorization[T] factors
        Hierarchy[T] Q
        Routes routes
        Stage[T]& add_stage()
        vector[int64_t]& add_destination()
        shared_ptr[Mmf[T]] build() except +translate nogil
    CsrView[T] view[T](int32_t, const int32_t*, const int32_t*, const T*)
    Progress make_progress(int (*)(void*, const StageReport*) except -1, void*, const Communicator&)
    void assign[V](V*, const void*, size_t)
    cdef cppclass Cell:
        string name
        Kind kind
        double value
    vector[Cell] stage_cells "pympf::python::cells"(const vector[StageColumn]&, const StageReport&)
    shared_ptr[DistRows[T]] view_rows[T](const CsrView[T]&)
    shared_ptr[DistRows[T]] collect_rows[T](
        const Communicator&, int32_t, const int32_t*, const int32_t*, const T*) except +translate nogil
    shared_ptr[DistRows[T]] collect_wide_rows "pympf::python::collect_rows"[T](
        const Communicator&, int32_t, const int32_t*, const int64_t*, const T*) except +translate nogil
    Admission[T] admit_rows[T](const shared_ptr[DistRows[T]]&) except +translate nogil
    shared_ptr[DistRows[T]] completed_rows[T](const DistRows[T]&) except +translate nogil
    shared_ptr[DistRows[T]] general_rows[T](const DistRows[T]&) except +translate nogil
    void start_rest[T](const Determined[T]&, const Communicator&, const T*, T*, T*) except +translate nogil
    pair[double, double] norms[T](const DistRows[T]&, const T*, const T*) except +translate nogil
    cbool has_positive_diagonal[T](const DistRows[T]&) except +translate nogil
    Labels labels_from(const int64_t*, int32_t, int32_t) except +translate
    shared_ptr[Mmf[T]] factorize_rows "pympf::python::factorize"[T](
        const DistRows[T]&, const Params&, const Progress&, const Labels&) except +translate nogil
    shared_ptr[Mmf[T]] refactorize[T](const Mmf[T]&, const DistRows[T]&) except +translate nogil
    shared_ptr[Mmf[T]] inverse[T](const Mmf[T]&, double, cbool) except +translate nogil
    shared_ptr[Mmf[T]] preconditioner[T](const Mmf[T]&) except +translate nogil
    shared_ptr[Mmf[T]] square_root[T](const Mmf[T]&) except +translate nogil
    shared_ptr[Mmf[T]] inverse_square_root[T](const Mmf[T]&) except +translate nogil
    shared_ptr[Mmf[T]] with_values[T](const Mmf[T]&, const vector[double]&) except +translate nogil
    void multiply[T](const Mmf[T]&, const T*, T*, int32_t) except +translate nogil
    void transform[T](const Mmf[T]&, const T*, T*, int32_t) except +translate nogil
    void inverse_transform[T](const Mmf[T]&, const T*, T*, int32_t, int) except +translate nogil
    vector[double] spectrum[T](const Mmf[T]&) except +translate nogil
    LogDeterminant slogdet[T](const Mmf[T]&) except +translate nogil
    double trace[T](const Mmf[T]&) except +translate nogil
    double error_of "pympf::python::error"[T](const Mmf[T]&, const DistRows[T]&, double*) except +translate nogil
    Routes routes_of "pympf::python::routes"[T](const Mmf[T]&) except +translate nogil
    pair[int64_t, int64_t] core_size_and_bytes[T](const Mmf[T]&) except +translate nogil


cdef extern from "pympf/mpi/comm.hpp" namespace "pympf":
    cdef cppclass Traffic:
        int64_t messages, bytes, collectives
    cdef cppclass Communicator:
        int size()
        Traffic traffic()
    Communicator comm_from_fortran "pympf::Communicator::from_fortran"(int) except +translate


cdef extern from "pympf/la/dist_rows.hpp" namespace "pympf":
    cdef cppclass Layout:
        int64_t first()
        int64_t total()
    cdef cppclass Seen[T]:
        optional[double] largest
    cdef cppclass DistRows[T]:
        Seen[T] seen
        Communicator comm
        Layout layout
        CsrView[T] rows


cdef extern from "pympf/la/determined.hpp" namespace "pympf":
    cdef cppclass Determined[T]:
        int64_t count()
    cdef cppclass Admission[T]:
        shared_ptr[DistRows[T]] rows
        shared_ptr[Determined[T]] determined
        string refusal(const string&) except +translate
        string remark() except +translate


cdef extern from "pympf/la/csr.hpp" namespace "pympf":
    cdef cppclass CsrView[T]:
        int32_t cols
    optional[double] largest_if_canonical[T](const CsrView[T]&, size_t) nogil
    uint64_t checksum[T](const CsrView[T]&) nogil
    cdef cppclass Csr[T]:
        int32_t rows, cols
        vector[int32_t] indptr, indices
        vector[T] data


cdef extern from "pympf/mmf/mmf.hpp" namespace "pympf::mmf":
    cdef cppclass Params:
        Params()
    cdef cppclass Field "pympf::Field<pympf::mmf::Params>":
        pass
    const vector[Field]& fields "pympf::mmf::fields"()

    cdef cppclass StageReport:
        pass
    cdef cppclass StageColumn "pympf::Column<pympf::mmf::StageReport>":
        string name
        double get(const StageReport&)
        void set(StageReport&, double) except +translate
    const vector[StageColumn]& stage_columns "pympf::mmf::columns"()
    cdef cppclass Progress:
        pass
    cdef cppclass Stop:
        pass
    Stop stop_from_name(const string&) except +translate
    const char* stop_name "pympf::mmf::name"(Stop)
    cdef cppclass Retire:
        pass
    Retire retire_from_name(const string&) except +translate
    const char* retire_name "pympf::mmf::name"(Retire)

    cdef cppclass Stage[T]:
        int32_t rows, kept
        cbool pairs
        vector[int32_t] cluster_ptr, active_ptr, rotation_ptr, index, destination
        vector[T] matrix
        vector[size_t] index_start, matrix_start
    cdef cppclass Labels:
        pass
    cdef cppclass Routes "pympf::mmf::Routes":
        vector[int64_t] order
        vector[vector[int64_t]] destination
    cdef cppclass Hierarchy[T]:
        Communicator comm
        Layout layout
        int32_t rows, core_rows
        vector[int32_t] order
        vector[Stage[T]] stages
        int32_t kept(int)
        int32_t wavelet_start(int, int)
        int32_t coefficients()
        int levels()
    Csr[T] stage_functions[T](const Stage[T]&, const int32_t*, int32_t, int32_t) except +translate nogil
    cdef cppclass CoreDiagonal[T]:
        int32_t core_size
        vector[T] core, diagonal
        Csr[T] sparse_core
        cbool is_dense()
    cdef cppclass Factorization[T]:
        Params params
        shared_ptr[Hierarchy[T]] Q
        CoreDiagonal[T] H
        vector[T] scale
        double norm, dropped
        vector[StageReport] stages
        Stop stop
        Retire retire

    cdef struct LogDeterminant:
        double sign, log
    cdef cppclass Mmf[T]:
        int32_t rows()
        int32_t core_size()
        int levels()
        size_t bytes()
        const Factorization[T]& factors()


cdef Texts texts(dict given) except *:
    cdef Texts out
    for key, value in given.items():
        text = value if isinstance(value, str) else repr(float(value))
        out.push_back(pair[string, string]((<str?>key).encode(), (<str>text).encode()))
    return out


cdef dict dict_of(const Texts& given):
    cdef size_t i
    return {given[i].first.decode(): given[i].second.decode() for i in range(given.size())}


KINDS = (int, float, bool)  # of Kind, but for choices


cdef dict line_dict(const vector[Cell]& cells):
    cdef size_t i
    return {cells[i].name.decode(): KINDS[<int>cells[i].kind](cells[i].value) for i in range(cells.size())}


cdef dict stage_dict(const StageReport& s):
    return line_dict(stage_cells(stage_columns(), s))


cdef int call_progress(void* f, const StageReport* stage) except -1 with gil:
    PyErr_CheckSignals()
    if f != NULL and <object>f is not None:
        (<object>f)(stage_dict(stage[0]))
    return 0


cdef extern from "Python.h":
    int PyErr_CheckSignals() except -1


REAL = np.dtype(np.float64 if sizeof(real) == 8 else np.float32)


# Copies between std::vector and numpy.
cdef object int_array(const vector[int32_t]& v):
    return np.array(<int32_t[:v.size()]><int32_t*>v.data()) if v.size() else np.empty(0, np.int32)


cdef object long_array(const vector[int64_t]& v):
    return np.array(<int64_t[:v.size()]><int64_t*>v.data()) if v.size() else np.empty(0, np.int64)


cdef object size_array(const vector[size_t]& v):
    return np.array(<size_t[:v.size()]><size_t*>v.data(), dtype=np.int64) if v.size() else np.empty(0, np.int64)


cdef object real_array(const vector[real]& v):
    if v.size() == 0:
        return np.empty(0, REAL)
    return np.array(<real[:v.size()]><real*>v.data())


cdef void read_ints(vector[int32_t]& v, int32_t[::1] a):
    assign(&v, &a[0] if a.shape[0] else NULL, a.shape[0])


cdef void read_longs(vector[int64_t]& v, int64_t[::1] a):
    assign(&v, &a[0] if a.shape[0] else NULL, a.shape[0])


cdef void read_sizes(vector[size_t]& v, size_t[::1] a):
    assign(&v, &a[0] if a.shape[0] else NULL, a.shape[0])


cdef void read_doubles(vector[double]& v, double[::1] a):
    assign(&v, &a[0] if a.shape[0] else NULL, a.shape[0])


cdef void read_reals(vector[real]& v, real[::1] a):
    assign(&v, &a[0] if a.shape[0] else NULL, a.shape[0])


cdef tuple csr_arrays(const Csr[real]& A):
    return int_array(A.indptr), int_array(A.indices), real_array(A.data)


cdef CsrView[real] csr_view(const int32_t[::1] indptr, const int32_t[::1] indices, const real[::1] data):
    return view[real](indptr.shape[0] - 1, &indptr[0], &indices[0] if indices.shape[0] else NULL,
                      &data[0] if data.shape[0] else NULL)


cdef Communicator communicator(object handle) except *:
    """The communicator of a Fortran handle; None: this process alone."""
    cdef Communicator alone
    return alone if handle is None else comm_from_fortran(handle)


cdef class Rows:
    """A matrix by rows over the processes, as factorizations work on it."""

    cdef shared_ptr[DistRows[real]] rows
    cdef object arrays  # what `rows` looks at

    def admit(self):
        """How this goes to what needs a symmetric matrix. Collective."""
        cdef Admitted out = Admitted()
        with nogil:
            out.admission = admit_rows[real](self.rows)
        out.given = self
        return out

    def completed(self):
        """The same with zeros where only the mirror image of an entry is stored. Collective."""
        cdef Rows out = Rows()
        with nogil:
            out.rows = completed_rows[real](self.rows.get()[0])
        return out

    def general(self):
        """The same, completed, to be taken as it is: a matrix that need not be symmetric. Collective."""
        cdef Rows out = Rows()
        with nogil:
            out.rows = general_rows[real](self.rows.get()[0])
        return out

    def norms(self, const real[::1] b, const real[::1] x):
        """(||b||, ||b - A x||). Collective."""
        cdef pair[double, double] out
        cdef const real* rhs = &b[0] if b.shape[0] else NULL
        cdef const real* solution = &x[0] if x.shape[0] else NULL
        with nogil:
            out = norms[real](self.rows.get()[0], rhs, solution)
        return out.first, out.second

    def checksum(self):
        """Of the arrays of this rank; another one, as a rule, when something in them has changed."""
        cdef uint64_t out
        with nogil:
            out = checksum[real](self.rows.get().rows)
        return out

    def has_positive_diagonal(self):
        """Whether every row but those of zeros has a positive diagonal entry. Collective."""
        cdef cbool out
        with nogil:
            out = has_positive_diagonal[real](self.rows.get()[0])
        return out


cdef class Admitted:
    """How a matrix goes to what needs a symmetric one: see la/determined.hpp."""

    cdef Admission[real] admission
    cdef Rows given

    @property
    def rows(self):
        """Symmetric in values and pattern: those given, with zeros where the pattern had gaps, or
        the rest when some unknowns are determined. None: not symmetric."""
        cdef Rows out
        if not self.admission.rows:
            return None
        if self.admission.rows.get() == self.given.rows.get():
            return self.given
        out = Rows()
        out.rows = self.admission.rows
        return out

    @property
    def determined(self):
        """How many unknowns are determined by rows with nothing but a diagonal entry."""
        return self.admission.determined.get().count() if self.admission.determined else 0

    def refusal(self, str otherwise):
        """Why the matrix is not symmetric, and what would do."""
        return self.admission.refusal(otherwise.encode()).decode()

    def remark(self):
        """That it is symmetric but for rounding, where it is; else ''."""
        return self.admission.remark().decode()

    def start(self, const real[::1] b, real[::1] x, real[::1] rest_b):
        """x_D of A x = b into x, and the right-hand side of the rest into rest_b. Collective."""
        cdef const real* rhs = &b[0] if b.shape[0] else NULL
        cdef real* solution = &x[0] if x.shape[0] else NULL
        cdef real* rest = &rest_b[0] if b.shape[0] else NULL
        with nogil:
            start_rest[real](self.admission.determined.get()[0], self.given.rows.get().comm, rhs, solution, rest)


def rows_if_canonical(const int32_t[::1] indptr, const int32_t[::1] indices, const real[::1] data, int32_t columns):
    """The same, if they are canonical and finite, as `Matrix` has them; else None."""
    cdef Rows out
    cdef size_t stored = data.shape[0]
    cdef optional[double] largest
    cdef CsrView[real] seen
    if indices.shape[0] == data.shape[0] and indptr.shape[0] > 1:
        seen = csr_view(indptr, indices, data)
        seen.cols = columns
        with nogil:
            largest = largest_if_canonical[real](seen, stored)
    if not largest.has_value():
        return None
    out = rows_of(indptr, indices, data)
    out.rows.get().seen.largest = largest
    return out


def rows_of(const int32_t[::1] indptr, const int32_t[::1] indices, const real[::1] data):
    """All rows on one process, without a copy."""
    cdef Rows out = Rows()
    out.arrays = indptr, indices, data
    out.rows = view_rows[real](csr_view(indptr, indices, data))
    return out


ctypedef fused column:
    int32_t
    int64_t


def rows_on_ranks(int comm, const int32_t[::1] indptr, const column[::1] indices, const real[::1] data):
    """This rank's rows, with global columns, ascending in a row; values are not copied. Collective."""
    cdef Rows out = Rows()
    cdef Communicator c = comm_from_fortran(comm)
    cdef int32_t rows = indptr.shape[0] - 1
    cdef const column* columns = NULL
    cdef const real* values = &data[0] if data.shape[0] else NULL
    if indices.shape[0]:
        columns = &indices[0]
    out.arrays = indptr, data
    with nogil:
        if column is int32_t:
            out.rows = collect_rows[real](c, rows, &indptr[0], columns, values)
        else:
            out.rows = collect_wide_rows[real](c, rows, &indptr[0], columns, values)
    return out
