#!/usr/bin/env bash
# Tests an installed wheel, from outside the tree, then with some of the tests.
#   tools/packaging/check_wheel.sh PYTHON
# PYTHON is that of an environment with the wheel in it; the test runners are installed there.
set -euo pipefail
python=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
bin=$(dirname "$python")
tree=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
"$python" "$tree/tools/packaging/try_wheel.py"
"$bin/pympf" --version >/dev/null
"$bin/pympf" solve "$tree/data/gr_30_30.mtx.gz" --quiet -o x.npy
"$python" -m pip --quiet check
"$python" -m pip --quiet install "pytest>=8" "pytest-mpi>=0.6" "hypothesis>=6.100"
cd "$tree"
"$bin/pytest" -q -p no:cacheprovider tests/unit/test_{mmf,krylov*,precond*,nonsymmetric,lsh,sketch,files,la}.py
