"""The source distribution has in it what building, testing and measuring need."""

import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_the_source_distribution_can_test_itself(tmp_path):
    pytest.importorskip("scikit_build_core")
    if not (ROOT / ".git").exists():
        pytest.skip("this is not a checkout")
    make = f"from scikit_build_core.build import build_sdist; build_sdist({str(tmp_path)!r})"
    subprocess.run([sys.executable, "-c", make], cwd=ROOT, check=True, capture_output=True)
    (archive,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(archive) as tar:
        names = {name.partition("/")[2] for name in tar.getnames()}
    tracked = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    needed = ("cpp/", "pympf/", "tests/", "data/", "bench/", "tools/", "docs/")
    expected = {name for name in tracked if name.startswith(needed) or "/" not in name}
    assert expected - {".gitignore"} <= names, sorted(expected - names)[:20]
