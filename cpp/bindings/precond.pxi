# The preconditioner; the typed face is pympf/precond.py.

from libcpp.map cimport map as cpp_map

cdef extern from "pympf/precond/preconditioner.hpp" namespace "pympf::precond":
    cdef cppclass PrecondParams "pympf::precond::Params":
        double basis
    cdef cppclass NearNullspace:
        int32_t vectors
        vector[double] values
    cdef cppclass LevelReport:
        pass
    cdef cppclass LevelColumn "pympf::Column<pympf::precond::LevelReport>":
        pass
    const vector[LevelColumn]& level_columns "pympf::precond::columns"()
    cdef cppclass Offer:
        string method, note
        double setup, step, steps
        double total(double)
    cdef cppclass Plan:
        string method, variant, precision, krylov, reason
        int strips
        vector[Offer] offers
        vector[string] then
        double spent
    cdef cppclass Known:
        cbool diagonal_was_left, factor_was_left
        Plan plan
    cdef cppclass DirectReport:
        string backend, order
        double predicted, flops, stored
    cdef cppclass PrecondReport "pympf::precond::Report":
        vector[LevelReport] levels
        double operator_complexity, grid_complexity, seconds, work, setup_work
        int32_t coarse_rows, coarse_nullity, coarse_negative
        cbool indefinite, definite, single, symmetric
        string method, reason, placement, direct_text
        DirectReport direct
        Plan plan
    cdef cppclass Precond "pympf::precond::Preconditioner" [T]:
        int32_t rows()
        const PrecondParams& params()
        const PrecondReport& report()


cdef extern from "pympf/la/krylov.hpp" namespace "pympf":
    cdef cppclass Operator[T]:
        pass
    cdef cppclass KrylovWatch:
        pass


cdef extern from "pympf/precond/choice/chooser.hpp" namespace "pympf::precond":
    cdef cppclass Chooser[T]:
        cbool begins()
        Operator[T] diagonal()
        KrylovWatch watch()
        cbool watches()
        void meet_negative()
        void runs(const Plan&)
        const Known& known()
        Plan plan()


cdef extern from "glue.hpp" namespace "pympf::python":
    shared_ptr[Chooser[T]] make_chooser[T](const DistRows[T]&, const PrecondParams&, const NearNullspace&) except +translate nogil
    shared_ptr[Chooser[T]] another_chooser[T](const Chooser[T]&) except +translate nogil
    void choose_next[T](const Communicator&, Chooser[T]&, const string&) except +translate nogil
    PrecondParams read_precond_params(const Texts&) except +translate
    Texts write_precond_params(const PrecondParams&)
    shared_ptr[Precond[T]] classic_preconditioner[T](const Mmf[T]&) except +translate nogil
    shared_ptr[Mmf[T]] factorization_of[T](const Precond[T]&)
    shared_ptr[Precond[T]] build_preconditioner[T](
        const DistRows[T]&, const PrecondParams&, NearNullspace&, int32_t, const vector[int]&, NearNullspace&, const Known&, const Progress&) except +translate nogil
    void update_preconditioner[T](Precond[T]&, const DistRows[T]&) except +translate nogil
    cbool fall_back[T](Precond[T]&, const DistRows[T]&, const string&) except +translate nogil
    cbool has_pattern[T](const Precond[T]&, const DistRows[T]&) except +translate nogil
    int32_t block_to_move_ "pympf::python::block_to_move"[T](const DistRows[T]&, const PrecondParams&, int32_t) except +translate nogil
    cbool is_worth_moving_ "pympf::python::is_worth_moving"[T](const DistRows[T]&, const PrecondParams&, const vector[int]&) except +translate nogil
    vector[Cell] level_cells "pympf::python::cells"(const vector[LevelColumn]&, const LevelReport&)
    cbool varies[T](const Precond[T]&)
    void apply_preconditioner[T](
        const Precond[T]&, const Communicator&, const T*, T*, int32_t, cbool) except +translate nogil


cdef extern from "pympf/precond/choice/probes.hpp" namespace "pympf::precond":
    const int32_t least_rows


cdef extern from "pympf/precond/choice/unit_costs.hpp" namespace "pympf::precond::unit_costs":
    cpp_map[string, double] unit_cost_numbers "pympf::precond::unit_costs::numbers"()
    void set_unit_cost "pympf::precond::unit_costs::set"(const string&, double) except +translate


cdef dict plan_dict(const Plan& p):
    cdef size_t i
    return {"method": p.method.decode(), "variant": p.variant.decode(), "precision": p.precision.decode(),
            "krylov": p.krylov.decode(), "strips": p.strips, "reason": p.reason.decode(), "spent": p.spent,
            "then": [p.then[i].decode() for i in range(p.then.size())],
            "offers": [{"method": p.offers[i].method.decode(), "setup": p.offers[i].setup, "step": p.offers[i].step,
                        "steps": p.offers[i].steps, "note": p.offers[i].note.decode()} for i in range(p.offers.size())]}


cdef dict direct_dict(const DirectReport& direct):
    """What a sparse direct factor is; None where there is none."""
    if direct.backend.empty():
        return None
    return {"backend": direct.backend.decode(), "order": direct.order.decode(),
            "predicted": direct.predicted, "flops": direct.flops, "stored": direct.stored}


cdef class Preconditioner:
    """M ~ A^-1."""

    cdef shared_ptr[Precond[real]] M
    cdef Communicator comm

    @property
    def dtype(self):
        return REAL

    @property
    def rows(self):
        """Rows of this rank."""
        return self.M.get().rows()

    @property
    def params(self):
        return dict_of(write_precond_params(self.M.get().params()))

    def report(self):
        cdef const PrecondReport* r = &self.M.get().report()
        cdef size_t i
        return {"method": r.method.decode(), "reason": self.reason,
                "direct": direct_dict(r.direct), "levels": [line_dict(level_cells(level_columns(), r.levels[i])) for i in range(r.levels.size())],
                "operator_complexity": r.operator_complexity, "grid_complexity": r.grid_complexity,
                "coarse_rows": r.coarse_rows, "coarse_nullity": r.coarse_nullity,
                "coarse_negative": r.coarse_negative, "indefinite": r.indefinite, "definite": r.definite,
                "single": r.single, "symmetric": r.symmetric, "work": r.work, "setup_work": r.setup_work,
                "seconds": r.seconds}

    @property
    def plan(self):
        return plan_dict(self.M.get().report().plan)

    # The parts of the report that every solution asks for.
    @property
    def method(self):
        return self.M.get().report().method.decode()

    @property
    def reason(self):
        cdef const PrecondReport* r = &self.M.get().report()
        return (r.reason + r.direct_text + r.placement).decode()

    @property
    def indefinite(self):
        return self.M.get().report().indefinite

    @property
    def definite(self):
        return self.M.get().report().definite

    @property
    def symmetric(self):
        return self.M.get().report().symmetric

    @property
    def varies(self):
        """Whether M changes from one application to the next."""
        return varies[real](self.M.get()[0])

    @property
    def factorization(self):
        """F of the method 'classic', as Factors; None for the others."""
        cdef Factors out = Factors()
        out.mmf = factorization_of[real](self.M.get()[0])
        return out if out.mmf else None

    def traffic(self):
        """(messages, their bytes, collectives) that this rank has sent through its communicator."""
        cdef Traffic sent = self.comm.traffic()
        return sent.messages, sent.bytes, sent.collectives

    def has_pattern(self, Rows A not None):
        """Whether A has the rows and the pattern of the first matrix. Collective."""
        cdef cbool out
        with nogil:
            out = has_pattern[real](self.M.get()[0], A.rows.get()[0])
        return out

    def update(self, Rows A not None):
        with nogil:
            update_preconditioner[real](self.M.get()[0], A.rows.get()[0])

    def fall_back(self, Rows A not None, str why):
        """Build what follows what is there, which is not definite; whether there was something left. Collective."""
        cdef string reason = why.encode()
        cdef cbool done
        with nogil:
            done = fall_back[real](self.M.get()[0], A.rows.get()[0], reason)
        return done

    def apply(self, const real[:, ::1] X, real[:, ::1] Y, cbool transposed=False):
        """Y = M X, or M^T X, of as many columns on every rank. Collective."""
        cdef int32_t k = X.shape[1]
        cdef const real* from_ = &X[0, 0] if X.shape[0] and k else NULL
        cdef real* to = &Y[0, 0] if Y.shape[0] and k else NULL
        with nogil:
            apply_preconditioner[real](self.M.get()[0], self.comm, from_, to, k, transposed)


def classic_of(Factors F not None):
    """|F|^-1. Collective."""
    cdef Preconditioner out = Preconditioner()
    out.comm = F.Q().comm
    with nogil:
        out.M = classic_preconditioner[real](F.mmf.get()[0])
    return out


def block_to_move(Rows A not None, dict params, int32_t block):
    """Rows of a node, where a partitioner is to say on which ranks they should be; else 0. Collective."""
    cdef PrecondParams p = read_precond_params(texts(params))
    cdef int32_t out
    with nogil:
        out = block_to_move_[real](A.rows.get()[0], p, block)
    return out


def is_worth_moving(Rows A not None, dict params, const int32_t[::1] parts):
    """Whether the parts are asked for, or cut less than half as many couplings as the ranks do. Collective."""
    cdef PrecondParams p = read_precond_params(texts(params))
    cdef vector[int] ranks
    cdef cbool out
    if parts.shape[0]:
        assign(&ranks, &parts[0], parts.shape[0])
    with nogil:
        out = is_worth_moving_[real](A.rows.get()[0], p, ranks)
    return out


def unit_costs(given=()):
    """The unit costs of the choice by name, after those of the dict `given` are set in this process."""
    for name in given:
        set_unit_cost(name.encode(), given[name])
    return {each.first.decode(): each.second for each in unit_cost_numbers()}


LEAST_ROWS = least_rows  # up to so many there is nothing to choose before a setup


cdef class Choice:
    """The choice of a solve, see choice/chooser.hpp. Collective."""

    cdef shared_ptr[Chooser[real]] chooser
    cdef Rows rows  # which must stay
    cdef cbool negative

    def __init__(self, Rows A not None, dict params, const double[:, ::1] near_nullspace):
        cdef PrecondParams p = read_precond_params(texts(params))
        cdef NearNullspace vectors
        self.rows = A
        fill_near_nullspace(vectors, near_nullspace)
        with nogil:
            self.chooser = make_chooser[real](A.rows.get()[0], p, vectors)

    def another(self):
        """For another right-hand side."""
        cdef Choice out = Choice.__new__(Choice)
        out.rows = self.rows
        out.chooser = another_chooser[real](self.chooser.get()[0])
        return out

    @property
    def begins(self):
        """Whether CG with the diagonal comes first."""
        return self.chooser.get().begins()

    @property
    def plan(self):
        return plan_dict(self.chooser.get().plan())

    def next(self, str why):
        """Choose among the offers that are left, for `precondition`."""
        cdef string reason = why.encode()
        with nogil:
            choose_next[real](self.rows.rows.get().comm, self.chooser.get()[0], reason)

    @property
    def next_key(self):
        """What `precondition` would build: the same for the same text."""
        cdef const Known* known = &self.chooser.get().known()
        return f"{known.plan.method.decode()}, {known.diagonal_was_left}, {known.factor_was_left}, {self.negative}"

    @property
    def watches(self):
        """Whether what runs may be left for another offer."""
        return self.chooser.get().watches()

    def meet_negative(self):
        self.negative = True
        self.chooser.get().meet_negative()

    def runs(self, Preconditioner M not None):
        """Take what was built for the method that runs now."""
        self.chooser.get().runs(M.M.get().report().plan)


cdef void fill_near_nullspace(NearNullspace& out, const double[:, ::1] vectors):
    if vectors is not None:
        out.vectors = <int32_t>vectors.shape[1]
        if vectors.shape[0]:
            assign(&out.values, &vectors[0, 0], vectors.size)


def precondition(Rows A not None, dict params, const double[:, ::1] near_nullspace, int32_t block,
                 const int32_t[::1] parts, const double[:, ::1] left_near_nullspace=None, Choice choice=None,
                 progress=None, double basis=0):
    """near_nullspace: (own rows, m), or None for constants; left_near_nullspace: that of A^T, for a general A.
    parts: the rank for each own row, or None. choice: what a solve has found before; progress: called
    after each stage of the method 'classic', or None; basis: vectors that the Krylov method keeps. Collective."""
    cdef Preconditioner out = Preconditioner()
    cdef PrecondParams p = read_precond_params(texts(params))
    p.basis = basis
    cdef NearNullspace vectors, left
    cdef Progress report = make_progress(call_progress, <void*>progress, A.rows.get().comm)
    cdef vector[int] ranks
    if parts is not None and parts.shape[0]:
        assign(&ranks, &parts[0], parts.shape[0])
    fill_near_nullspace(vectors, near_nullspace)
    fill_near_nullspace(left, left_near_nullspace)
    out.comm = A.rows.get().comm
    cdef Known known
    if choice is not None:
        known = choice.chooser.get().known()
    with nogil:
        out.M = build_preconditioner[real](A.rows.get()[0], p, vectors, block, ranks, left, known, report)
    return out
