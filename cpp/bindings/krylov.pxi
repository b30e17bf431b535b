# The Krylov methods; the typed face is pympf/krylov.py.

cdef extern from "glue.hpp" namespace "pympf::python":
    Operator[T] make_operator[T](
        int (*)(void*, const T*, T*, int32_t) except -1, void*, int32_t, const Communicator&)
    Operator[T] precond_operator[T](const Precond[T]&)
    Operator[T] jacobi_operator[T](const T*, int32_t)
    KrylovCallback[T] make_callback[T](
        int (*)(void*, int, double) except -1, void*, cbool, const Communicator&) except +translate nogil


cdef extern from "pympf/la/krylov.hpp" namespace "pympf":
    cdef cppclass KrylovCallback[T]:
        pass
    cdef cppclass Method:
        pass
    cdef cppclass Side:
        pass
    cdef cppclass Reason:
        pass
    Method method_from_name(const string&) except +translate
    Side side_from_name(const string&) except +translate
    const char* name(Reason)
    cdef cppclass ResidualNorm:
        pass
    const char* norm_name "pympf::name"(ResidualNorm)
    cdef cppclass KrylovParams:
        Method method
        Side side
        double rtol, atol
        int max_iterations, restart
        cbool symmetric
        KrylovWatch watch
    cdef cppclass KrylovResult:
        Reason reason
        cbool converged
        int iterations
        vector[double] history
        double true_residual
        ResidualNorm norm


cdef extern from "glue.hpp" namespace "pympf::python":
    vector[KrylovResult] solve_columns[T](
        const DistRows[T]&, const Operator[T]*, int32_t, const T*, T*, const KrylovParams&,
        const vector[KrylovCallback[T]]&) except +translate nogil


cdef int call_callback(void* f, int iteration, double norm) except -1 with gil:
    return 1 if (<object>f)(iteration, norm) else 0


cdef int call_operator(void* f, const real* x, real* y, int32_t n) except -1 with gil:
    np.asarray(<real[:n]>y)[:] = (<object>f)(np.array(<real[:n]><real*>x))
    return 0


cdef Operator[real] preconditioner_operator(object M, int32_t n, const Communicator& comm) except *:
    cdef int ranks = comm.size()
    if isinstance(M, Preconditioner):
        if (<Preconditioner>M).comm.size() != ranks:
            raise ValueError(f"a preconditioner on {(<Preconditioner>M).comm.size()} ranks cannot serve a system on {ranks}")
        return precond_operator[real]((<Preconditioner>M).M.get()[0])
    if isinstance(M, Choice):
        return (<Choice>M).chooser.get().diagonal()
    cdef const real[::1] diagonal
    if isinstance(M, np.ndarray):
        diagonal = M
        return jacobi_operator[real](&diagonal[0] if n else NULL, n)
    return make_operator[real](call_operator, <void*>M, n, comm)


cdef dict krylov_dict(const KrylovResult& result):
    return {"converged": result.converged, "reason": name(result.reason).decode(), "iterations": result.iterations,
            "history": np.array(<double[:result.history.size()]><double*>result.history.data()), "true_residual": result.true_residual,
            "norm": norm_name(result.norm).decode()}


def solve(Rows A not None, const real[:, ::1] B, real[:, ::1] X, M, str method, str side, double rtol, double atol,
          int max_iterations, int restart, cbool symmetric, callbacks, choices=None):
    """A x = b by a Krylov method for all rows b of B; the rows of X hold the initial guesses and then the solutions. Returns a result for each. M: a Preconditioner, a diagonal for Jacobi, a Choice for the offer that begins, a callable or None. `callbacks`: one for each b, or None. choices: who may stop the run of each b for another offer, Choice or None. Collective."""
    cdef KrylovParams params
    cdef vector[KrylovResult] results
    cdef int32_t k = B.shape[0], n = B.shape[1], c
    cdef Operator[real] P
    cdef const Operator[real]* preconditioner = NULL
    cdef vector[KrylovCallback[real]] reports
    cdef const real* rhs = &B[0, 0] if k and n else NULL
    cdef real* solutions = &X[0, 0] if k and n else NULL
    cdef void* function
    cdef cbool watched = callbacks is not None
    params.method = method_from_name(method.encode())
    params.side = side_from_name(side.encode())
    params.rtol, params.atol = rtol, atol
    params.max_iterations, params.restart = max_iterations, restart
    params.symmetric = symmetric
    cdef vector[KrylovWatch] watches
    cdef KrylovWatch nobody
    for choice in choices or ():
        if choice is None:
            watches.push_back(nobody)
        else:
            watches.push_back((<Choice>choice).chooser.get().watch())
    if M is not None:
        P = preconditioner_operator(M, n, A.rows.get().comm)
        preconditioner = &P
    for c in range(k):
        callback = callbacks[c] if watched else None
        function = <void*>callback
        with nogil:
            reports.push_back(make_callback[real](call_callback, function, watched, A.rows.get().comm))
    with nogil:
        results = solve_columns[real](A.rows.get()[0], preconditioner, k, rhs, solutions, params, reports, watches)
    return [krylov_dict(results[c]) for c in range(k)]
