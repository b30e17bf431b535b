# The engine for one scalar type: the modules _float64 and _float32 define `real` and include this
# first, then precond.pxi and krylov.pxi.
# Thin wrappers without logic or defaults; the typed face is pympf/mmf.py.

from libc.stdint cimport int32_t, int64_t
from libcpp cimport bool as cbool
from libcpp.memory cimport shared_ptr
from libcpp.string cimport string
from libcpp.utility cimport pair
from libcpp.vector cimport vector

import numpy as np

cdef extern from "glue.hpp" namespace "pympf::python":
    void translate()
    ctypedef vector[pair[string, string]] Texts
    Params read_mmf_params "pympf::python::read_params"(const vector[Field]&, const Texts&) except +translate
    Texts write_mmf_params "pympf::python::write_params"(const vector[Field]&, const Params&)
    cdef cppclass Parts[T]:
        Parts()
        Factorization[T] factors
        Hierarchy[T] Q
        Stage[T]& add_stage()
        shared_ptr[Mmf[T]] build() except +translate nogil
    CsrView[T] view[T](int32_t, const int32_t*, const int32_t*, const T*)
    Progress make_progress(int (*)(void*, const StageReport*) except -1, void*)
    void assign[V](V*, const void*, size_t)
    shared_ptr[Mmf[T]] factorize_csr "pympf::python::factorize"[T](
        const CsrView[T]&, const Params&, const Progress&) except +translate nogil
    shared_ptr[Mmf[T]] refactorize[T](const Mmf[T]&, const CsrView[T]&) except +translate nogil
    shared_ptr[Mmf[T]] inverse[T](const Mmf[T]&, double, cbool) except +translate nogil
    shared_ptr[Mmf[T]] preconditioner[T](const Mmf[T]&) except +translate nogil
    shared_ptr[Mmf[T]] square_root[T](const Mmf[T]&) except +translate nogil
    shared_ptr[Mmf[T]] inverse_square_root[T](const Mmf[T]&) except +translate nogil
    shared_ptr[Mmf[T]] with_values[T](const Mmf[T]&, const vector[double]&) except +translate nogil


cdef extern from "pympf/la/csr.hpp" namespace "pympf":
    cdef cppclass CsrView[T]:
        pass
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
        int level, ranks
        int64_t rows, nnz, clusters, bypassed, rotations, retired
        double dropped, seconds
        size_t bytes
    cdef cppclass Progress:
        pass
    cdef cppclass Stop:
        pass
    Stop stop_from_name(const string&) except +translate
    const char* stop_name "pympf::mmf::name"(Stop)

    cdef cppclass Stage[T]:
        int32_t rows, kept
        cbool pairs
        vector[int32_t] cluster_ptr, active_ptr, rotation_ptr, index, destination
        vector[T] matrix
        vector[size_t] index_start, matrix_start
    cdef cppclass Hierarchy[T]:
        int32_t rows
        vector[int32_t] order
        vector[Stage[T]] stages
        int32_t kept(int)
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

    cdef struct LogDeterminant:
        double sign, log
    cdef cppclass Mmf[T]:
        int32_t rows()
        int32_t core_size()
        int levels()
        size_t bytes()
        const Factorization[T]& factors()
        void multiply(const T*, T*, int32_t) except +translate nogil
        void transform(const T*, T*, int32_t) except +translate nogil
        void inverse_transform(const T*, T*, int32_t, int) except +translate nogil
        const vector[double]& spectrum() except +translate nogil
        LogDeterminant slogdet() except +translate nogil
        double trace() except +translate nogil
        double error(const CsrView[T]&, double*) except +translate nogil


cdef Texts texts(dict given) except *:
    cdef Texts out
    for key, value in given.items():
        text = value if isinstance(value, str) else repr(float(value))
        out.push_back(pair[string, string]((<str?>key).encode(), (<str>text).encode()))
    return out


cdef dict dict_of(const Texts& given):
    cdef size_t i
    return {given[i].first.decode(): given[i].second.decode() for i in range(given.size())}


cdef dict stage_dict(const StageReport& s):
    return {"level": s.level, "rows": s.rows, "nnz": s.nnz, "clusters": s.clusters, "bypassed": s.bypassed,
            "rotations": s.rotations, "retired": s.retired, "dropped": s.dropped, "bytes": s.bytes,
            "seconds": s.seconds}


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


cdef object size_array(const vector[size_t]& v):
    return np.array(<size_t[:v.size()]><size_t*>v.data(), dtype=np.int64) if v.size() else np.empty(0, np.int64)


cdef object real_array(const vector[real]& v):
    if v.size() == 0:
        return np.empty(0, REAL)
    return np.array(<real[:v.size()]><real*>v.data())


cdef void read_ints(vector[int32_t]& v, int32_t[::1] a):
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


cdef class Factors:
    """A factorization. Blocks of vectors are C-ordered (n, k) arrays."""

    cdef shared_ptr[Mmf[real]] mmf

    @property
    def dtype(self):
        return REAL

    @property
    def rows(self):
        return self.mmf.get().rows()

    @property
    def core_size(self):
        return self.mmf.get().core_size()

    @property
    def levels(self):
        return self.mmf.get().levels()

    @property
    def bytes(self):
        return self.mmf.get().bytes()

    def kept(self, int level):
        """Active columns after `level` stages."""
        return self.mmf.get().factors().Q.get().kept(level)

    def multiply(self, const real[:, ::1] x, real[:, ::1] y):
        if y.size == 0:
            return
        with nogil:
            self.mmf.get().multiply(&x[0, 0], &y[0, 0], x.shape[1])

    def apply(self, const real[::1] x, real[::1] y):
        with nogil:
            self.mmf.get().multiply(&x[0], &y[0], 1)

    def transform(self, const real[:, ::1] x, real[:, ::1] y):
        if y.size == 0:
            return
        with nogil:
            self.mmf.get().transform(&x[0, 0], &y[0, 0], x.shape[1])

    def inverse_transform(self, const real[:, ::1] x, real[:, ::1] y, int level):
        if y.size == 0:
            return
        with nogil:
            self.mmf.get().inverse_transform(&x[0, 0], &y[0, 0], x.shape[1], level)

    def inverse(self, double rcond, cbool absolute):
        cdef Factors out = Factors()
        with nogil:
            out.mmf = inverse(self.mmf.get()[0], rcond, absolute)
        return out

    def preconditioner(self):
        cdef Factors out = Factors()
        with nogil:
            out.mmf = preconditioner(self.mmf.get()[0])
        return out

    def sqrt(self):
        cdef Factors out = Factors()
        with nogil:
            out.mmf = square_root(self.mmf.get()[0])
        return out

    def inv_sqrt(self):
        cdef Factors out = Factors()
        with nogil:
            out.mmf = inverse_square_root(self.mmf.get()[0])
        return out

    def with_values(self, double[::1] values):
        cdef Factors out = Factors()
        cdef vector[double] v
        read_doubles(v, values)
        with nogil:
            out.mmf = with_values(self.mmf.get()[0], v)
        return out

    def spectrum(self):
        cdef const vector[double]* v
        with nogil:
            v = &self.mmf.get().spectrum()
        return np.array(<double[:v.size()]><double*>v.data())

    def slogdet(self):
        cdef LogDeterminant out
        with nogil:
            out = self.mmf.get().slogdet()
        return out.sign, out.log

    def trace(self):
        cdef double out
        with nogil:
            out = self.mmf.get().trace()
        return out

    def error(self, const int32_t[::1] indptr, const int32_t[::1] indices, const real[::1] data):
        """(error, norm of the matrix that it is relative to)."""
        cdef double relative_to = 0, out
        cdef CsrView[real] A = csr_view(indptr, indices, data)
        with nogil:
            out = self.mmf.get().error(A, &relative_to)
        return out, relative_to

    def refactorize(self, const int32_t[::1] indptr, const int32_t[::1] indices, const real[::1] data):
        cdef Factors out = Factors()
        cdef CsrView[real] A = csr_view(indptr, indices, data)
        with nogil:
            out.mmf = refactorize(self.mmf.get()[0], A)
        return out

    def stage_functions(self, int level):
        """Rows of Q_level over the active columns before it, as (indptr, indices, data, columns)."""
        return functions_of(self.mmf.get().factors().Q.get()[0], level)

    def report(self):
        return report_of(self.mmf.get().factors())

    def state(self):
        """The parts of the factorization: (arrays by name, list of arrays by name for each stage)."""
        return state_of(self.mmf.get().factors())


cdef tuple functions_of(const Hierarchy[real]& Q, int level):
    cdef const Stage[real]* stage = &Q.stages[level - 1]
    cdef const int32_t* members = <const int32_t*>Q.order.data() if level == 1 else NULL
    return (*csr_arrays(stage_functions(stage[0], members, 0, stage.rows)), stage.rows)


cdef dict report_of(const Factorization[real]& F):
    cdef size_t i
    return {"stages": [stage_dict(F.stages[i]) for i in range(F.stages.size())], "stop": stop_name(F.stop).decode(), "norm": F.norm,
            "dropped": F.dropped, "params": dict_of(write_mmf_params(fields(), F.params))}


cdef tuple state_of(const Factorization[real]& F):
    cdef const Hierarchy[real]* Q = F.Q.get()
    cdef const Stage[real]* stage
    cdef size_t i
    arrays = {"order": int_array(Q.order), "diagonal": real_array(F.H.diagonal), "scale": real_array(F.scale)}
    if F.H.is_dense():
        arrays["core"] = real_array(F.H.core)
    else:
        arrays["core_indptr"], arrays["core_indices"], arrays["core_data"] = csr_arrays(F.H.sparse_core)
    stages = []
    for i in range(Q.stages.size()):
        stage = &Q.stages[i]
        arrays_of_stage = {
            "cluster_ptr": int_array(stage.cluster_ptr), "active_ptr": int_array(stage.active_ptr),
            "rotation_ptr": int_array(stage.rotation_ptr), "index": int_array(stage.index),
            "matrix": real_array(stage.matrix), "destination": int_array(stage.destination)}
        if not stage.pairs:
            arrays_of_stage["index_start"] = size_array(stage.index_start)
            arrays_of_stage["matrix_start"] = size_array(stage.matrix_start)
        stages.append(arrays_of_stage)
    return arrays, stages


def factorize(const int32_t[::1] indptr, const int32_t[::1] indices, const real[::1] data, dict params, progress):
    cdef Factors out = Factors()
    cdef CsrView[real] A = csr_view(indptr, indices, data)
    cdef Params p = read_mmf_params(fields(), texts(params))
    cdef Progress report = make_progress(call_progress, <void*>progress)
    with nogil:
        out.mmf = factorize_csr[real](A, p, report)
    return out


cdef void read_parts(Parts[real]& parts, int32_t rows, int32_t core_size, dict arrays, list stages, dict report) except *:
    cdef StageReport line
    cdef Stage[real]* stage
    parts.Q.rows = rows
    read_ints(parts.Q.order, arrays["order"])
    read_reals(parts.factors.H.diagonal, arrays["diagonal"])
    read_reals(parts.factors.scale, arrays["scale"])
    parts.factors.H.core_size = core_size
    if "core" in arrays:
        read_reals(parts.factors.H.core, arrays["core"])
    else:
        parts.factors.H.sparse_core.rows = parts.factors.H.sparse_core.cols = core_size
        read_ints(parts.factors.H.sparse_core.indptr, arrays["core_indptr"])
        read_ints(parts.factors.H.sparse_core.indices, arrays["core_indices"])
        read_reals(parts.factors.H.sparse_core.data, arrays["core_data"])
    for arrays_of_stage in stages:
        stage = &parts.add_stage()
        stage.rows = rows
        rows = stage.kept = len(arrays_of_stage["destination"])
        read_ints(stage.cluster_ptr, arrays_of_stage["cluster_ptr"])
        read_ints(stage.active_ptr, arrays_of_stage["active_ptr"])
        read_ints(stage.rotation_ptr, arrays_of_stage["rotation_ptr"])
        read_ints(stage.index, arrays_of_stage["index"])
        read_ints(stage.destination, arrays_of_stage["destination"])
        read_reals(stage.matrix, arrays_of_stage["matrix"])
        stage.pairs = "index_start" not in arrays_of_stage
        if not stage.pairs:
            read_sizes(stage.index_start, arrays_of_stage["index_start"].astype(np.uintp))
            read_sizes(stage.matrix_start, arrays_of_stage["matrix_start"].astype(np.uintp))
    parts.factors.params = read_mmf_params(fields(), texts(report["params"]))
    parts.factors.norm = report["norm"]
    parts.factors.dropped = report["dropped"]
    parts.factors.stop = stop_from_name(report["stop"].encode())
    for s in report["stages"]:
        line.level, line.rows, line.nnz = s["level"], s["rows"], s["nnz"]
        line.clusters, line.bypassed = s["clusters"], s["bypassed"]
        line.rotations, line.retired = s["rotations"], s["retired"]
        line.dropped, line.bytes, line.seconds = s["dropped"], s["bytes"], s["seconds"]
        parts.factors.stages.push_back(line)


def from_state(int32_t rows, int32_t core_size, dict arrays, list stages, dict report):
    """The inverse of `state` and `report`; ValueError when the parts do not fit together."""
    cdef Factors out = Factors()
    cdef Parts[real] parts
    read_parts(parts, rows, core_size, arrays, stages, report)
    out.mmf = parts.build()
    return out
