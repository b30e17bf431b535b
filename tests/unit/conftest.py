"""Fixtures of the unit tests that several files share."""

import numpy as np
import pytest

from pympf import io
from pympf.cli import main

from .cli_matrix import N, matrix


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working directory with the matrix A.mtx and the vector x.npy."""
    monkeypatch.chdir(tmp_path)
    io.write_matrix("A.mtx", matrix())
    io.write_vector("x.npy", np.arange(float(N)))
    return tmp_path


@pytest.fixture
def factored(folder, capsys):
    assert main(["factor", "A.mtx", "-o", "F.h5", "--core-size", "50"]) == 0
    capsys.readouterr()
    return folder
