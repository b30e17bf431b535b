"""Threads, forks, interruptions and lack of memory: what happens around the numbers."""

import os
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import pympf

SETTINGS = {"OPENBLAS_NUM_THREADS": "1", "PYTHONFAULTHANDLER": "1"}


def run(script, threads=2, timeout=60, **environment):
    """Run a script in a process of its own; what it prints."""
    variables = {**os.environ, **SETTINGS, "OMP_NUM_THREADS": str(threads), **environment}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env=variables,
        cwd=os.path.dirname(__file__),  # the root has the sources without the core
        capture_output=True,
        text=True,
        timeout=timeout,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


# Forks

EVERYTHING = """
    import hashlib, sys
    import numpy as np
    import pympf
    from pympf.lsh import EuclideanHash, Table

    A = pympf.gallery.poisson((180, 180))
    b = np.linspace(-1, 1, A.shape[0])
    X = np.random.default_rng(0).standard_normal((4000, 16)).astype(np.float32)
    M = pympf.as_preconditioner(A)
    F = pympf.factorize(A)
    table = Table(EuclideanHash(16, 8, 4, width=4.0, seed=0))
    table.add(X)

    def digest(_=None):
        '''Of all that runs on threads, on objects from before and on new ones.'''
        total = hashlib.sha256()
        for array in (
            M @ b, F @ b, F.solve(b), pympf.solve(A, b).x, pympf.as_preconditioner(A) @ b,
            pympf.factorize(A, core_size=50) @ b, *table.query(X[:100], 3),
            Table(table.family).add(X),
        ):
            total.update(np.ascontiguousarray(array).tobytes())
        return total.hexdigest()
"""


def test_children_of_fork_give_the_bits_of_their_parent():
    printed = run(
        EVERYTHING
        + """
    import multiprocessing
    from concurrent.futures import ThreadPoolExecutor

    def digest_in_threads(_):
        with ThreadPoolExecutor(3) as threads:
            return set(threads.map(digest, range(3)))

    print({digest()})
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(set(pool.map_async(digest, range(3)).get(50)))
        print(*pool.map_async(digest_in_threads, range(1)).get(50))
    print({digest()}, pympf.get_num_threads())
    """
    ).splitlines()
    assert printed[-1].endswith(" 2")
    assert len({line.removesuffix(" 2") for line in printed}) == 1


@pytest.mark.parametrize("backend", pympf._core.factor_backends()["definite"])
def test_direct_factors_in_a_child_of_fork(backend):
    printed = run(
        f"""
    import os
    import numpy as np
    import pympf

    A = pympf.gallery.poisson((200, 200))
    b = np.ones(A.shape[0])

    def solved():
        return pympf.solve(A, b, preconditioner="direct", factor_backend={backend!r}).x

    expected = solved()
    child = os.fork()
    if child == 0:
        os._exit(0 if np.array_equal(solved(), expected) else 1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """
    )
    assert printed.split() == ["0"]


def test_joblib_with_processes_and_threads():
    pytest.importorskip("joblib")
    printed = run(
        """
    import joblib
    import numpy as np
    import pympf

    A = pympf.gallery.poisson((180, 180))

    def work(scale):
        return pympf.solve(A, np.full(A.shape[0], scale)).x

    expected = [work(1.0), work(3.0)]
    for backend in ("loky", "threading", "multiprocessing"):
        found = joblib.Parallel(2, backend=backend)(joblib.delayed(work)(s) for s in (1.0, 3.0))
        print(backend, np.array_equal(found, expected))
    """
    )
    assert printed.split() == ["loky", "True", "threading", "True", "multiprocessing", "True"]


def test_a_child_forked_while_other_threads_work():
    printed = run(
        """
    import os, threading
    import numpy as np
    import pympf

    A = pympf.gallery.poisson((200, 200))
    x = np.ones(A.shape[0])
    M = pympf.as_preconditioner(A)
    expected = pympf.solve(A, x).x
    end = threading.Event()

    def busy():
        while not end.is_set():
            pympf.factorize(A, core_size=100)

    thread = threading.Thread(target=busy)
    thread.start()
    for _ in range(3):
        child = os.fork()
        if child == 0:
            os._exit(0 if np.array_equal(pympf.solve(A, x).x, expected) else 1)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    end.set()
    thread.join()
    """
    )
    assert printed.split() == ["0", "0", "0"]


# Threads


def test_concurrent_calls_give_the_bits_of_one_call():
    from pympf import factorize, gallery, solve

    A = gallery.poisson((120, 120))
    sides = np.random.default_rng(1).standard_normal((6, A.shape[0]))
    expected = [(solve(A, b).x, factorize(A) @ b) for b in sides]
    with ThreadPoolExecutor(3) as pool:
        found = list(pool.map(lambda b: (solve(A, b).x, factorize(A) @ b), sides))
    for pair, other in zip(found, expected, strict=True):
        np.testing.assert_array_equal(pair[0], other[0])
        np.testing.assert_array_equal(pair[1], other[1])


def test_all_modules_have_one_team():
    """Four compiled modules, two threads: the program's and one helper."""
    printed = run(
        EVERYTHING
        + """
    import os
    before = len(os.listdir("/proc/self/task"))
    digest()
    pympf.as_preconditioner(A.astype(np.float32)) @ b.astype(np.float32)
    print(len(os.listdir("/proc/self/task")) - before, before)
    """
    ).split()
    assert printed == ["0", "2"]


def test_the_number_of_threads_by_default_is_that_of_the_cores_granted():
    script = "import os, pympf; print(pympf.get_num_threads(), len(os.sched_getaffinity(0)))"
    assert run(script, threads=3).split()[0] == "3"
    assert run(script, threads="2,3").split()[0] == "2"
    assert run(script, threads="5", OMP_THREAD_LIMIT="4").split()[0] == "4"
    for nonsense in ("", "many", "-1", "0"):
        threads, cores = map(int, run(script, threads=nonsense).split())
        assert 1 <= threads <= cores
    one = "import os; os.sched_setaffinity(0, list(os.sched_getaffinity(0))[:1]); " + script
    assert run(one, threads="").split() == ["1", "1"]


# Interruptions

LONG = {
    "setup": "pympf.as_preconditioner(A, method='multilevel')",
    "solve": "pympf.solve(A, b, preconditioner='jacobi', rtol=0.0, maxiter=10**6)",
    "factorize": "pympf.factorize(A)",
    "update": "M.update(A)",
    "apply": "M @ b, F @ b",
    "add": "table.add(X)",
}


@pytest.mark.parametrize("name", LONG)
def test_ctrl_c_ends_long_work_and_leaves_objects_as_they_were(name):
    """The signal comes while the work runs, again and again; the objects answer as before."""
    printed = run(
        f"""
    import signal, threading
    import numpy as np
    import pympf
    from pympf.lsh import EuclideanHash, Table

    A = pympf.gallery.poisson((300, 300))
    b = np.linspace(-1, 1, A.shape[0])
    M, F = pympf.as_preconditioner(A), pympf.factorize(A, core_size=200)
    X = np.random.default_rng(0).standard_normal((20000, 16))
    table = Table(EuclideanHash(16, 8, 4, width=4.0))
    table.add(X[:500])

    def answers():
        return [M @ b, F @ b, *table.query(X[:50], 3), len(table)]

    before = answers()
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    interrupted = 0
    for delay in (0.06, 0.1, 0.15):
        signal.setitimer(signal.ITIMER_REAL, delay)
        try:
            while True:
                {LONG[name]}
        except KeyboardInterrupt:
            interrupted += 1
        if {name!r} == "update":
            M.update(A)
        if len(table) > 500:
            table.remove(np.arange(table._table.next_id - len(table) + 500, table._table.next_id))
    same = all(np.array_equal(x, y) for x, y in zip(answers(), before, strict=True))
    print(interrupted, same)
    """
    )
    assert printed.split() == ["3", "True"]


# Too little memory

NEEDING_MEMORY = {
    "solve": "pympf.solve(A, b)",
    "factorize": "pympf.factorize(A)",
    "two_level": "pympf.as_preconditioner(B, method='two_level', definite=False)",
    "direct": "pympf.as_preconditioner(A, method='direct')",
    "spectrum": "pympf.factorize(B, core_size=300).spectrum()",
    "table": "Table(EuclideanHash(16, 8, 4, width=4.0)).add(X)",
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("name", NEEDING_MEMORY)
def test_too_little_memory_is_an_error(name, threads):
    """Children with less and less memory: the work is done, or there is a MemoryError."""
    if name in ("two_level", "direct"):
        try:
            pympf.as_preconditioner(pympf.gallery.poisson((8, 8)), method="direct")
        except np.linalg.LinAlgError as error:
            pytest.skip(str(error))  # without SuperLU
    printed = run(
        f"""
    import os, resource
    import numpy as np
    import pympf
    from pympf.lsh import EuclideanHash, Table

    A, B = pympf.gallery.poisson((250, 250)), pympf.gallery.poisson((60, 60))
    b = np.ones(A.shape[0])
    X = np.random.default_rng(0).standard_normal((20000, 16))
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    for megabytes in (2, 17, 40, 140, 600):
        child = os.fork()
        if child == 0:
            limit = used + megabytes * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
            try:
                {NEEDING_MEMORY[name]}
            except MemoryError:
                os._exit(6)
            os._exit(0)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
    """,
        threads,
    ).split()
    assert set(printed) <= {"0", "6"}
    assert printed[0] == "6"
    assert printed[-1] == "0"


@pytest.mark.parametrize("suffix", [".npz", ".mtx", ".h5", ".mat", ".petsc"])
def test_too_little_memory_to_read_a_file_is_no_damage(tmp_path, suffix):
    path = tmp_path / f"A{suffix}"
    pympf.io.write_matrix(path, pympf.gallery.poisson((300, 300)))
    printed = run(
        f"""
    import ctypes, os, resource
    import pympf.io

    pympf.io.read_matrix({str(path)!r})
    ctypes.CDLL(None).malloc_trim(0)  # what malloc has kept would do for the child
    used = int(open("/proc/self/statm").read().split()[0]) * 4096
    for megabytes in (1, 600):
        child = os.fork()
        if child == 0:
            resource.setrlimit(resource.RLIMIT_AS, (used + megabytes * 2**20,) * 2)
            try:
                print(pympf.io.read_matrix({str(path)!r}).nnz, flush=True)
            except MemoryError as error:
                print(str(error).split(": ")[-1].replace(" ", "_"), flush=True)
            os._exit(0)
        os.waitpid(child, 0)
    """
    ).split()
    assert printed == [printed[0], "448800"]
    assert printed[0].startswith("too_little_memory_to_read_this")


def test_the_library_changes_nobodys_settings():
    printed = run(
        """
    import os, signal, threading

    def settings():
        names = [name for name in os.environ if name.startswith(("OMP_", "GOMP_", "OPENBLAS_"))]
        variables = {name: os.environ[name] for name in names}
        return variables, signal.getsignal(signal.SIGINT), threading.active_count()

    before = settings()
    import numpy as np
    import pympf
    A = pympf.gallery.poisson((180, 180))
    pympf.solve(A, np.ones(A.shape[0]))
    print(settings() == before)
    # CHOLMOD brings an OpenMP runtime of its own.
    brought = "cholmod" in pympf._core.factor_backends()["definite"]
    print(sum("libgomp" in line for line in open("/proc/self/maps") if not brought))
    """
    )
    assert printed.split() == ["True", "0"]
