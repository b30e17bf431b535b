# The factorization: what it does, and what its file has. Included after mmf.pxi.

cdef class Factors:
    """A factorization, or this rank's part of one. Blocks of vectors are C-ordered (n, k) arrays."""

    cdef shared_ptr[Mmf[real]] mmf

    cdef const Hierarchy[real]* Q(self):
        return self.mmf.get().factors().Q.get()

    @property
    def dtype(self):
        return REAL

    @property
    def rows(self):
        """Rows of this rank."""
        return self.mmf.get().rows()

    @property
    def ranks(self):
        return self.Q().comm.size()

    @property
    def first_row(self):
        return self.Q().layout.first()

    @property
    def total_rows(self):
        return self.Q().layout.total()

    @property
    def coefficients(self):
        """Wavelet coefficients of this rank."""
        return self.Q().coefficients()

    @property
    def core_rows(self):
        """Rows of the core on this rank."""
        return self.mmf.get().core_size()

    @property
    def levels(self):
        return self.mmf.get().levels()

    def totals(self):
        """The size of the core and the bytes, of all ranks. Collective."""
        cdef pair[int64_t, int64_t] out
        with nogil:
            out = core_size_and_bytes[real](self.mmf.get()[0])
        return out.first, out.second

    def traffic(self):
        """What this process has sent through the communicator: messages, bytes, collective calls."""
        cdef Traffic sent = self.Q().comm.traffic()
        return sent.messages, sent.bytes, sent.collectives

    def kept(self, int level):
        """Active columns of this rank after `level` stages."""
        return self.Q().kept(level)

    def wavelet_start(self, int level, int top):
        """This rank's first wavelet of stage level + 1 when the wavelets up to stage `top` are there."""
        return self.Q().wavelet_start(level, top)

    def apply(self, const real[:, ::1] x, real[:, ::1] y):
        cdef int32_t m = y.shape[1]
        if m == 0:
            return
        with nogil:
            multiply[real](self.mmf.get()[0], &x[0, 0], &y[0, 0], m)

    def transform(self, const real[:, ::1] x, real[:, ::1] y):
        cdef int32_t m = y.shape[1]
        if m == 0:
            return
        with nogil:
            transform[real](self.mmf.get()[0], &x[0, 0], &y[0, 0], m)

    def inverse_transform(self, const real[:, ::1] x, real[:, ::1] y, int level):
        cdef int32_t m = y.shape[1]
        if m == 0:
            return
        with nogil:
            inverse_transform[real](self.mmf.get()[0], &x[0, 0], &y[0, 0], m, level)

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
        cdef vector[double] v
        with nogil:
            v = spectrum[real](self.mmf.get()[0])
        return np.array(<double[:v.size()]>v.data()) if v.size() else np.empty(0)

    def slogdet(self):
        cdef LogDeterminant out
        with nogil:
            out = slogdet[real](self.mmf.get()[0])
        return out.sign, out.log

    def trace(self):
        cdef double out
        with nogil:
            out = trace[real](self.mmf.get()[0])
        return out

    def error(self, Rows A not None):
        """(error, norm of the matrix that it is relative to)."""
        cdef double relative_to = 0, out
        with nogil:
            out = error_of[real](self.mmf.get()[0], A.rows.get()[0], &relative_to)
        return out, relative_to

    def refactorize(self, Rows A not None):
        cdef Factors out = Factors()
        with nogil:
            out.mmf = refactorize(self.mmf.get()[0], A.rows.get()[0])
        return out

    def stage_functions(self, int level):
        """Rows of Q_level over the positions before it, as (indptr, indices, data, columns)."""
        cdef const Stage[real]* stage = &self.Q().stages[level - 1]
        return (*csr_arrays(stage_functions(stage[0], <const int32_t*>NULL, 0, stage.rows)), stage.rows)

    def report(self):
        return report_of(self.mmf.get().factors())

    def core(self):
        """The core on this rank: its numbers by row, or (indptr, indices, data) when it is sparse."""
        cdef const CoreDiagonal[real]* H = &self.mmf.get().factors().H
        return (real_array(H.core),) if H.is_dense() else csr_arrays(H.sparse_core)

    def state(self):
        """This rank's parts of the factorization: (arrays by name, list of arrays by name for each stage).

        `order` and `destination` are numbered over all ranks, the rest on this one. Collective.
        """
        cdef Routes routes
        with nogil:
            routes = routes_of[real](self.mmf.get()[0])
        return state_of(self.mmf.get().factors(), routes)


cdef dict report_of(const Factorization[real]& F):
    cdef size_t i
    return {"stages": [stage_dict(F.stages[i]) for i in range(F.stages.size())], "stop": stop_name(F.stop).decode(), "norm": F.norm,
            "dropped": F.dropped, "retire": retire_name(F.retire).decode(), "params": dict_of(write_mmf_params(fields(), F.params))}


cdef tuple state_of(const Factorization[real]& F, const Routes& routes):
    cdef const Hierarchy[real]* Q = F.Q.get()
    cdef const Stage[real]* stage
    cdef size_t i
    arrays = {"order": long_array(routes.order), "diagonal": real_array(F.H.diagonal), "scale": real_array(F.scale)}
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
            "matrix": real_array(stage.matrix), "destination": long_array(routes.destination[i])}
        if not stage.pairs:
            arrays_of_stage["index_start"] = size_array(stage.index_start)
            arrays_of_stage["matrix_start"] = size_array(stage.matrix_start)
        stages.append(arrays_of_stage)
    return arrays, stages


def factorize(Rows A not None, const int64_t[:, ::1] labels, dict params, progress):
    """labels: (depths, own rows), or None to find the clusters."""
    cdef Factors out = Factors()
    cdef Params p = read_mmf_params(fields(), texts(params))
    cdef Progress report = make_progress(call_progress, <void*>progress, A.rows.get().comm)
    cdef Labels given
    if labels is not None:
        given = labels_from(&labels[0, 0], labels.shape[0], labels.shape[1])
    with nogil:
        out.mmf = factorize_rows[real](A.rows.get()[0], p, report, given)
    return out


cdef int32_t last_entry(array) except *:
    return array[len(array) - 1]  # -1 would not wrap around


cdef void read_stored(Stored[real]& stored, int32_t rows, int32_t core_size, dict arrays, list stages, dict report) except *:
    cdef StageReport line
    cdef Stage[real]* stage
    cdef size_t i
    stored.Q.rows = rows
    read_longs(stored.routes.order, arrays["order"])
    read_reals(stored.factors.H.diagonal, arrays["diagonal"])
    read_reals(stored.factors.scale, arrays["scale"])
    stored.factors.H.core_size = core_size
    if "core" in arrays:
        read_reals(stored.factors.H.core, arrays["core"])
    else:
        stored.factors.H.sparse_core.rows = stored.factors.H.sparse_core.cols = core_size
        read_ints(stored.factors.H.sparse_core.indptr, arrays["core_indptr"])
        read_ints(stored.factors.H.sparse_core.indices, arrays["core_indices"])
        read_reals(stored.factors.H.sparse_core.data, arrays["core_data"])
    for arrays_of_stage in stages:
        stage = &stored.add_stage()
        stage.rows = last_entry(arrays_of_stage["cluster_ptr"])
        stage.kept = last_entry(arrays_of_stage["active_ptr"])
        read_longs(stored.add_destination(), arrays_of_stage["destination"])
        read_ints(stage.cluster_ptr, arrays_of_stage["cluster_ptr"])
        read_ints(stage.active_ptr, arrays_of_stage["active_ptr"])
        read_ints(stage.rotation_ptr, arrays_of_stage["rotation_ptr"])
        read_ints(stage.index, arrays_of_stage["index"])
        read_reals(stage.matrix, arrays_of_stage["matrix"])
        stage.pairs = "index_start" not in arrays_of_stage
        if not stage.pairs:
            read_sizes(stage.index_start, arrays_of_stage["index_start"].astype(np.uintp))
            read_sizes(stage.matrix_start, arrays_of_stage["matrix_start"].astype(np.uintp))
    stored.factors.params = read_mmf_params(fields(), texts(report["params"]))
    stored.factors.norm = report["norm"]
    stored.factors.dropped = report["dropped"]
    stored.factors.stop = stop_from_name(report["stop"].encode())
    stored.factors.retire = retire_from_name(report["retire"].encode())
    for s in report["stages"]:
        for i in range(stage_columns().size()):
            stage_columns()[i].set(line, s[stage_columns()[i].name.decode()])
        stored.factors.stages.push_back(line)


def from_state(comm, int32_t rows, int32_t core_rows, dict arrays, list stages, dict report):
    """The inverse of `state` and `report`, for this rank's rows; ValueError when the parts do not fit together. Collective."""
    cdef Factors out = Factors()
    cdef Stored[real] stored
    stored.Q.comm = communicator(comm)
    read_stored(stored, rows, core_rows, arrays, stages, report)
    with nogil:
        out.mmf = stored.build()
    return out
