# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""What does not depend on the scalar type: the parameter list, threads, checks across processes."""

from libcpp cimport bool as cbool
from libcpp.string cimport string
from libcpp.vector cimport vector


cdef extern from "pympf/common/field.hpp" namespace "pympf":
    cdef enum class Kind:
        pass


cdef extern from "glue.hpp" namespace "pympf::python":
    void translate()
    cdef cppclass FieldInfo:
        string name, doc
        Kind kind
        double minimum, maximum, default_value
        vector[string] choices
    vector[FieldInfo] mmf_fields "pympf::python::describe(pympf::mmf::fields())"
    vector[FieldInfo] multilevel_fields "pympf::python::describe(pympf::precond::fields())"


cdef extern from "pympf/la/sparse_factor/sparse_factor.hpp" namespace "pympf":
    cdef enum class MatrixKind:
        definite
        symmetric
        general
    vector[string] factor_backends_ "pympf::factor_backends"(MatrixKind)


cdef extern from "pympf/mpi/comm.hpp" namespace "pympf":
    cdef cppclass Communicator:
        int rank()
        int size()
        int to_fortran()
        void end_unless_all_fail(const string&) except +translate nogil
    Communicator comm_from_fortran "pympf::Communicator::from_fortran"(int) except +translate
    void collective_check(const Communicator&, const string&) except +translate nogil


cdef extern from *:
    """
    #ifdef PYMPF_HAVE_MPI
    static const bool pympf_have_mpi = true;
    #else
    static const bool pympf_have_mpi = false;
    #endif
    """
    cbool pympf_have_mpi


cdef extern from "pympf/common/parallel.hpp" namespace "pympf":
    int thread_count()
    void set_thread_count(int)


cdef extern from "process.hpp" namespace "pympf::python":
    object offer_team()


team = offer_team()  # the other modules take their threads from it
KINDS = ("int", "real", "bool", "choice")
have_mpi = pympf_have_mpi


def get_num_threads():
    """Number of threads that work started by the calling thread may use."""
    return thread_count()


def set_num_threads(count):
    """Let the work that the calling thread starts use this many threads.

    Not collective. Each Python thread has its own number, and begins with that of
    OMP_NUM_THREADS (by default the number of cores), whatever others have set. Results do not
    depend on it.

    Parameters
    ----------
    count : int
        1 to 4096.

    Raises
    ------
    TypeError, ValueError
        If `count` is not such a number.
    """
    if not isinstance(count, int) or isinstance(count, bool):
        raise TypeError(f"expected a number of threads, got {count!r}")
    if not 1 <= count <= 4096:
        raise ValueError(f"expected 1 to 4096 threads, got {count}")
    set_thread_count(count)


def param_fields():
    """The field list of the factorization's parameters, as dicts."""
    return field_dicts(mmf_fields)


def factor_backends():
    """The sparse direct solvers for definite, symmetric and other matrices, the preferred one first."""
    return {
        "definite": [name.decode() for name in factor_backends_(MatrixKind.definite)],
        "symmetric": [name.decode() for name in factor_backends_(MatrixKind.symmetric)],
        "general": [name.decode() for name in factor_backends_(MatrixKind.general)],
    }


def precond_fields():
    """The field list of the multilevel preconditioner's parameters, as dicts."""
    return field_dicts(multilevel_fields)


cdef list field_dicts(const vector[FieldInfo]& fields):
    cdef const FieldInfo* field
    cdef size_t i
    out = []
    for i in range(fields.size()):
        field = &fields[i]
        kind = KINDS[<int>field.kind]
        choices = [field.choices[c].decode() for c in range(field.choices.size())]
        out.append({"name": field.name.decode(), "kind": kind,
                    "default": _value(kind, choices, field.default_value), "minimum": field.minimum,
                    "maximum": field.maximum, "choices": choices, "doc": field.doc.decode()})
    return out


def _value(kind, choices, double value):
    if kind == "choice":
        return choices[int(value)]
    return {"int": int, "bool": bool, "real": float}[kind](value)


cdef class KeptCommunicator:
    """The duplicate of the communicator with this Fortran handle, which lives as long as this object."""

    cdef Communicator comm

    def __init__(self, int comm):
        self.comm = comm_from_fortran(comm)

    @property
    def handle(self):
        return self.comm.to_fortran()


def check_on_all(int comm, str error):
    """Collective over the communicator with this Fortran handle: RuntimeError on every rank if any rank has an error."""
    cdef Communicator c = comm_from_fortran(comm)
    cdef string text = error.encode(errors="backslashreplace")  # an encoding error here would leave the others waiting
    with nogil:
        collective_check(c, text)


def end_unless_all_fail(int comm, str reason):
    """For a rank on which a collective call has raised: ends the job unless it does on all ranks."""
    cdef Communicator c = comm_from_fortran(comm)
    cdef string text = reason.encode(errors="backslashreplace")
    with nogil:
        c.end_unless_all_fail(text)
