"""What all tests share."""

import os
from pathlib import Path

import hypothesis
import numpy as np
import pytest

# Time is never asserted, and a failure found on one machine is found again on the next.
hypothesis.settings.register_profile("pympf", deadline=None, derandomize=True)
hypothesis.settings.load_profile("pympf")


@pytest.fixture
def rng() -> np.random.Generator:
    """Give random numbers that are the same in every run."""
    return np.random.default_rng(20261121)


@pytest.fixture
def shared_matrices() -> Path:
    """Give the folder of the matrix collection, which lies next to the tree where there is one."""
    shared = Path(os.environ.get("PYMPF_SHARED", Path(__file__).parents[2] / "shared"))
    folder = shared / "data" / "matrices"
    if not folder.is_dir():
        pytest.skip(f"no matrix collection at {folder}: set PYMPF_SHARED")
    return folder
