#!/usr/bin/env bash
# Brings the machine to the state that a make target needs; quick when there is nothing to do.
#   tools/setup.sh PROFILE
#     demo   compiler, LAPACK and a virtual environment with the packages of the demo
#     bench  that, and the packages that the benchmarks compare with
#     unit   demo, and the test runners, without MPI and PETSc
#     cpp    what the C++ tests need
#     mpi    unit, MPI and mpi4py
#     petsc  mpi, PETSc and a petsc4py of the same version
#     test   everything above
#     lint   the formatters and checkers
#     docs   demo, and what builds the documentation site
# Root on Debian: missing system packages are installed. Anybody else: they are named, and it stops.
# MPICXX (a compiler wrapper) and PETSC_DIR, PETSC_ARCH name an own MPI and PETSc; those are never installed.
set -euo pipefail

profile=${1:?usage: tools/setup.sh demo|bench|unit|cpp|mpi|petsc|test|lint|docs}
python=${PYTHON:-python3}
venv=${VENV:-.venv}
build=${BUILD:-build}
export PKG_CONFIG_PATH="${PETSC_DIR:+$PETSC_DIR/${PETSC_ARCH:-}/lib/pkgconfig:$PETSC_DIR/lib/pkgconfig:}${PKG_CONFIG_PATH:-}"
export PIP_DISABLE_PIP_VERSION_CHECK=1

quick="-O1 -g0 ${CFLAGS:-}"  # mpi4py and petsc4py only pass calls on: compile them fast

say() { printf '%s\n' "$*" >&2; }
fail() { say "setup: $*"; exit 1; }
wants() { [[ " $* " == *" $profile "* ]]; }

# ---- system packages -----------------------------------------------------------------------------
missing=()
need() {  # need PACKAGE COMMAND...: the package is missing when the command fails
  local package=$1
  shift
  "$@" >/dev/null 2>&1 || missing+=("$package")
}
compiles() { echo "$1" | "${CXX:-c++}" -x c++ - -o /dev/null "${@:2}"; }
python_has_headers() {
  "$python" -c 'import os, sysconfig; open(os.path.join(sysconfig.get_path("include"), "Python.h"))'
}

can_install() { [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; }

find_missing_packages() {
  need g++ command -v "${CXX:-c++}"
  need cmake command -v cmake
  need libopenblas-dev compiles 'int main() {}' -llapack -lblas
  if can_install; then  # it is of use, but not needed
    need libsuperlu-dev compiles $'#include <slu_ddefs.h>\nint main() {}' -I/usr/include/superlu -lsuperlu
    need libsuitesparse-dev compiles $'#include <cholmod.h>\nint main() {}' -I/usr/include/suitesparse -lcholmod
    need libmumps-seq-dev compiles $'#include <dmumps_c.h>\nint main() {}' -ldmumps_seq
  fi
  need python3 command -v "$python"
  need python3-dev python_has_headers
  need python3-venv "$python" -c 'import venv, ensurepip'
  if wants cpp mpi test; then
    need doctest-dev compiles $'#include <doctest/doctest.h>\nint main() {}' -DDOCTEST_CONFIG_DISABLE
  fi
  if wants mpi petsc test; then
    if [[ -n ${MPICXX:-} ]]; then
      command -v "$MPICXX" >/dev/null || fail "MPICXX=$MPICXX is not a command"
    else
      need libopenmpi-dev command -v mpicxx
      need openmpi-bin command -v mpirun
    fi
  fi
  if wants petsc test; then
    need pkg-config command -v pkg-config
    if [[ -n ${PETSC_DIR:-} ]]; then
      [[ -f $PETSC_DIR/${PETSC_ARCH:-}/lib/pkgconfig/PETSc.pc || -f $PETSC_DIR/lib/pkgconfig/PETSc.pc ]] ||
        fail "no lib/pkgconfig/PETSc.pc in PETSC_DIR=$PETSC_DIR, PETSC_ARCH=${PETSC_ARCH:-}"
    fi
    need petsc-dev pkg-config --exists PETSc
  fi
}

install_missing_packages() {
  find_missing_packages
  [[ ${#missing[@]} -gt 0 ]] || return 0
  local install=(apt-get install -y --no-install-recommends "${missing[@]}")
  if ! can_install; then
    fail "system packages are missing. As root, or with their like on another system:
  ${install[*]}"
  fi
  say "setup: ${install[*]}"
  export DEBIAN_FRONTEND=noninteractive
  apt-get update -qq -o DPkg::Lock::Timeout=300
  "${install[@]}" -qq -o DPkg::Lock::Timeout=300 >/dev/null
}

# ---- the virtual environment ---------------------------------------------------------------------
pip() { "$venv/bin/python" -m pip --quiet "$@"; }

make_venv() {
  "$venv/bin/python" -c '' 2>/dev/null && return
  "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
    fail "the scripts of the build need Python 3.11; this is $("$python" --version); set PYTHON="
  "$python" -m venv --clear "$venv"
}

install_requirements() {  # install_requirements EXTRA...: what pip has not installed before
  local done=$venv/requirements.txt new
  touch "$done"
  new=$("$venv/bin/python" tools/requirements.py "$@" | grep -vxFf "$done" || true)
  [[ -n $new ]] || return 0
  say "setup: pip install" $new
  printf '%s\n' "$new" | pip install -r /dev/stdin
  printf '%s\n' "$new" >>"$done"
}

# The mpi4py wheel looks for libmpi in the loader's folders; for an own MPI it is compiled.
compile_mpi4py() {
  local wrapper
  wrapper=$(command -v "$MPICXX")
  if [[ $(cat "$venv/mpi4py" 2>/dev/null) == "$wrapper" ]]; then return; fi
  say "setup: building mpi4py for $wrapper"
  MPICC=${MPICC:-$(dirname "$wrapper")/mpicc} CFLAGS=$quick pip install --no-deps --force-reinstall \
    --no-cache-dir --no-binary mpi4py mpi4py
  echo "$wrapper" >"$venv/mpi4py"
}

# petsc4py must be of PETSc's minor version, and the older ones need an older Cython than pympf: they
# are built in an environment of their own.
install_petsc4py() {
  local version prefix
  version=$(pkg-config --modversion PETSc)
  prefix=${PETSC_DIR:-$(pkg-config --variable=prefix PETSc)}
  if [[ $(cat "$venv/petsc4py" 2>/dev/null) == "$version $prefix" ]]; then return; fi
  local minor=${version#*.} tools=(setuptools wheel "cython>=3")
  minor=${minor%%.*}
  if ((minor < 20)); then tools=("setuptools<70" wheel "cython<3"); fi
  say "setup: building petsc4py for PETSc $version in $prefix (about two minutes)"
  rm -rf "$venv/petsc4py-build"
  "$venv/bin/python" -m venv "$venv/petsc4py-build"
  "$venv/petsc4py-build/bin/python" -m pip --quiet install numpy "${tools[@]}"
  PETSC_DIR=$prefix CFLAGS=$quick "$venv/petsc4py-build/bin/python" -m pip --quiet wheel --no-deps \
    --no-cache-dir --no-build-isolation --wheel-dir "$venv/petsc4py-build/wheels" \
    "petsc4py>=${version%.*},<=$version"
  pip install --no-deps --force-reinstall "$venv"/petsc4py-build/wheels/petsc4py-*.whl
  rm -rf "$venv/petsc4py-build"
  echo "$version $prefix" >"$venv/petsc4py"
}

# What the compiled package depends on besides its sources. When it changes, CMake must look again
# and make must build again.
record_native_environment() {
  local now
  now=$(
    for wrapper in "${CXX:-c++}" "${MPICXX:-mpicxx}"; do command -v "$wrapper" || true; done
    "${CXX:-c++}" -dumpfullversion -dumpversion
    for variable in pcfiledir libdir; do
      pkg-config --modversion --variable=$variable PETSc 2>/dev/null || true
    done
    printf '%s\n' "${CXXFLAGS:-}" "${CMAKE_ARGS:-}"
  )
  if [[ $(cat "$build/native" 2>/dev/null) != "$now" ]]; then
    mkdir -p "$build"
    rm -f "$build"/{cpp,wheel}/CMakeCache.txt
    echo "$now" >"$build/native"
  fi
}

install_missing_packages
record_native_environment
if wants cpp; then exit; fi
make_venv
case $profile in
  demo) install_requirements demo ;;
  bench) install_requirements bench ;;
  unit) install_requirements test ;;
  mpi | petsc | test) install_requirements test mpi ;;
  lint) install_requirements dev ;;
  docs) install_requirements docs ;;
  *) fail "unknown profile '$profile'" ;;
esac
if wants mpi petsc test && [[ -n ${MPICXX:-} ]]; then compile_mpi4py; fi
if wants petsc test; then install_petsc4py; fi
