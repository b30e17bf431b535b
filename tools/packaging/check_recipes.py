"""Check what other systems read: the recipes of conda-forge and Spack, and the workflows of forges.

    make recipes      (python tools/packaging/check_recipes.py, where py-rattler-build,
                      check-jsonschema and cibuildwheel are installed)

conda-forge's recipe is rendered by rattler-build for two Pythons and each MPI, Spack's package file
is executed with stand-ins for Spack's directives, the workflows are held against their schema, and
cibuildwheel says which wheels it would make. Nothing is built: that needs the packages of these
systems.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
import types
from collections import Counter
from pathlib import Path
from typing import Any

import rattler_build

ROOT = Path(__file__).parents[2]
RECIPES = ROOT / "tools/packaging"
VARIANTS = {
    "python": ["3.10.* *_cpython", "3.14.* *_cp314"],
    "mpi": ["nompi", "openmpi", "mpich"],
    "c_stdlib": ["sysroot"],
    "c_stdlib_version": ["2.28"],
    "cxx_compiler": ["gxx"],
    "cxx_compiler_version": ["14"],
}


def conda_forge() -> str:
    """Render the recipe, and look at what differs with MPI."""
    recipe = rattler_build.Stage0Recipe.from_file(RECIPES / "conda-forge/recipe.yaml")
    rendered = [
        each.recipe.to_dict() for each in recipe.render(rattler_build.VariantConfig(VARIANTS))
    ]
    strings = {each["build"]["string"] for each in rendered}
    assert len(strings) == len(rendered) == 6, strings
    for each in rendered:
        mpi = each["context"]["mpi"]
        wanted = mpi != "nompi"
        switch = "ON" if wanted else "OFF"
        assert f"PYMPF_WITH_MPI={switch}" in each["build"]["script"], each["build"]
        assert f"PYMPF_WITH_PETSC={switch}" in each["build"]["script"], each["build"]
        assert (mpi in each["requirements"]["host"]) == wanted, each["requirements"]
        assert ("petsc * real_*" in each["requirements"]["host"]) == wanted, each["requirements"]
        assert each["build"]["number"] == (0 if wanted else 100), each["build"]
    return f"conda-forge: {len(rendered)} packages, {', '.join(sorted(strings))}"


def spack() -> str:
    """Execute the package file, and ask it for the settings of each choice of variants."""
    calls: Counter[str] = Counter()
    directives = ("license", "version", "variant", "conflicts", "depends_on")
    package = types.ModuleType("spack.package")
    for name in directives:
        setattr(package, name, lambda *_, name=name, **__: calls.update([name]))
    builtin = "spack_repo.builtin.build_systems.python"
    base = types.ModuleType(builtin)
    base.PythonPackage = type("PythonPackage", (), {})  # type: ignore[attr-defined]
    parents = {name: types.ModuleType(name) for name in ("spack", *_parents(builtin))}
    sys.modules.update(parents | {"spack.package": package, builtin: base})
    file = RECIPES / "spack/packages/py_pmmf/package.py"
    names: dict[str, Any] = {}
    exec(compile(file.read_text(), file, "exec"), names)
    assert all(calls[name] for name in directives), calls
    recipe = names["PyPmmf"]()
    for on in itertools.product([False, True], repeat=3):
        chosen = dict(zip(("mpi", "petsc", "superlu"), on, strict=True))
        spec = types.SimpleNamespace(satisfies=lambda text, chosen=chosen: chosen[text[1:]])
        settings = recipe.config_settings(spec, "/prefix")
        expected = {
            f"cmake.define.PYMPF_WITH_{name.upper()}": "ON" if is_on else "OFF"
            for name, is_on in chosen.items()
        }
        assert settings == expected, (settings, expected)
    return f"Spack: {calls.total()} directives, {calls['depends_on']} of them dependencies"


def _parents(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:k]) for k in range(1, len(parts))]


def workflows() -> str:
    """Hold the workflows against the schema of GitHub's, as check-jsonschema brings it along."""
    files = sorted((ROOT / ".github/workflows").glob("*.yml"))
    schema = ["--builtin-schema", "vendor.github-workflows"]
    _run("check-jsonschema", *schema, *map(str, files))
    return f"workflows: {', '.join(file.name for file in files)} follow the schema"


def wheels() -> str:
    """Ask cibuildwheel what it reads in pyproject.toml."""
    found = _run("cibuildwheel", "--platform", "linux", "--print-build-identifiers").split()
    expected = [f"cp3{minor}-manylinux_x86_64" for minor in range(10, 15)]
    assert found == expected, found
    return f"cibuildwheel: {', '.join(found)}"


def _run(command: str, *arguments: str) -> str:
    path = Path(sys.executable).with_name(command)
    run = subprocess.run([path, *arguments], cwd=ROOT, capture_output=True, text=True)
    if run.returncode:
        sys.exit(run.stdout + run.stderr)
    return run.stdout


if __name__ == "__main__":
    for check in (conda_forge, spack, workflows, wheels):
        print(check())
