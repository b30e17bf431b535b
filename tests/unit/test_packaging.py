"""What the package says of itself is one story: versions, dependencies, links."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

import pympf

ROOT = Path(__file__).parents[2]
PYPROJECT = (ROOT / "pyproject.toml").read_text()
RECIPE = (ROOT / "tools/packaging/conda-forge/recipe.yaml").read_text()
SPACK = (ROOT / "tools/packaging/spack/packages/py_pmmf/package.py").read_text()
NEEDED = ("numpy", "scipy", "h5py", "scikit-build-core", "cython", "pybind11")


def test_the_version_is_the_same_everywhere():
    version = re.escape(pympf.__version__)
    assert re.search(f'^version = "{version}"$', PYPROJECT, re.M)
    assert re.search(f"^version: {version}$", (ROOT / "CITATION.cff").read_text(), re.M)
    assert re.search(f'^  version: "{version}"$', RECIPE, re.M)
    assert re.search(f'^    version\\("{version}"', SPACK, re.M)


@pytest.mark.parametrize("name", NEEDED)
def test_the_recipes_ask_for_what_pyproject_asks_for(name):
    least = re.search(f'"{name}>=([0-9.]+)', PYPROJECT).group(1)
    assert re.search(f"- {name} >={least}", RECIPE)
    assert f'"py-{name}@{least}:' in SPACK


def test_the_options_of_the_recipes_exist():
    cmake = (ROOT / "CMakeLists.txt").read_text()
    page = (ROOT / "docs/packaging.md").read_text()
    used = set(re.findall(r"PYMPF_[A-Z_]+[A-Z]", RECIPE + PYPROJECT + page))
    assert len(used) >= 5
    assert [
        option
        for option in used
        if f"set({option} " not in cmake and f"option({option} " not in cmake
    ] == []


def test_links_of_the_readme_are_absolute_in_the_index(tmp_path):
    pytest.importorskip("scikit_build_core")
    pytest.importorskip("hatch_fancy_pypi_readme")
    make = (
        "from scikit_build_core.build import prepare_metadata_for_build_wheel as make\n"
        f"make({str(tmp_path)!r})"
    )
    subprocess.run([sys.executable, "-c", make], cwd=ROOT, check=True, capture_output=True)
    (file,) = tmp_path.glob("*.dist-info/METADATA")
    metadata = file.read_text()
    assert "License-Expression: BSD-3-Clause" in metadata
    readme = metadata.partition("\n\n")[2]
    targets = re.findall(r"\]\(([^)\s]+)\)", readme)
    assert len(targets) > 40
    assert [target for target in targets if not target.startswith("https://")] == []
    base = re.compile(r"https://[^/]+/pympf/pympf/(?:blob/)?v[0-9.]+/([^#]+)")
    files = [found.group(1) for found in map(base.match, targets) if found]
    assert len(files) > 40
    assert [name for name in files if not (ROOT / name).exists()] == []


def test_the_wheel_has_types_and_the_forge_runs_ci():
    assert (Path(pympf.__file__).parent / "py.typed").exists()
    if (ROOT / ".github").exists():  # not in the source distribution
        assert "run: .ci/run" in (ROOT / ".github/workflows/ci.yml").read_text()
