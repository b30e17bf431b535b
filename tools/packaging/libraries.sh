#!/usr/bin/env bash
# Makes the folder of the libraries that a wheel carries; CMake takes it as PYMPF_BUNDLE.
#   tools/packaging/libraries.sh FOLDER
#     FOLDER/lib      libscipy_openblas.so (of the package scipy-openblas32), libsuperlu.a (compiled here)
#     FOLDER/include  superlu/*.h, and blas_names.h: OpenBLAS's names, which begin with scipy_ in there
#     FOLDER/licences the licences of both
# PYTHON names a Python with pip; CC the C compiler. SUPERLU_ARCHIVE may name the archive, where
# there is no network.
set -euo pipefail

folder=$(mkdir -p "${1:?usage: tools/packaging/libraries.sh FOLDER}" && cd "$1" && pwd)
python=${PYTHON:-python3}

openblas="scipy-openblas32==0.3.34.481.3"
# Debian's archive is upstream's without mc64ad.c, whose licence is not free (and which is not called).
superlu=superlu_7.0.1+dfsg1.orig.tar.xz
superlu_sha256=50b896aa4991397b6a3587a14125819ab2649a59097b31015edfff7b2605f468
mirrors=(
  https://deb.debian.org/debian/pool/main/s/superlu/superlu_7.0.1%2Bdfsg1.orig.tar.xz
  http://deb.debian.org/debian/pool/main/s/superlu/superlu_7.0.1%2Bdfsg1.orig.tar.xz
  https://snapshot.debian.org/file/8f7d510c5bc999256450055c0114c2245e475c7a
)

made="$openblas $superlu_sha256 ${CC:-cc} $(sha256sum <"$(command -v "${CC:-cc}")")"
if [[ $(cat "$folder/made" 2>/dev/null) == "$made" ]]; then exit; fi
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
rm -rf "${folder:?}"/{lib,include,licences,made}
mkdir -p "$folder"/{lib,include,licences}

# ---- OpenBLAS ------------------------------------------------------------------------------------
"$python" -m pip --quiet --disable-pip-version-check install --no-deps --only-binary :all: \
  --target "$work/python" "$openblas"
cp "$work"/python/scipy_openblas32/lib/libscipy_openblas.so "$folder/lib/"
cp "$work"/python/scipy_openblas32-*.dist-info/licenses/LICENSE.txt "$folder/licences/OpenBLAS.txt"
nm --dynamic --defined-only "$folder/lib/libscipy_openblas.so" |
  sed -nE 's/^.* T scipy_([a-z0-9]+_|openblas_[a-z_]+)$/#define \1 scipy_\1/p' \
    >"$folder/include/blas_names.h"
grep -q '^#define dgemm_ scipy_dgemm_$' "$folder/include/blas_names.h"

# ---- SuperLU -------------------------------------------------------------------------------------
archive=${SUPERLU_ARCHIVE:-$work/$superlu}
if [[ -z ${SUPERLU_ARCHIVE:-} ]]; then
  for mirror in "${mirrors[@]}"; do
    if curl --fail --silent --show-error --location --retry 3 -o "$archive" "$mirror"; then break; fi
  done
fi
echo "$superlu_sha256  $archive" | sha256sum --check --quiet
tar -xf "$archive" -C "$work"
source=$(echo "$work"/superlu-*/)
: >"$source/SRC/mc64ad.c"  # named by its CMakeLists.txt
# XSDK_INDEX_SIZE: its index type is int, as pympf's. Only double precision is called.
cmake -S "$source" -B "$work/build" -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF \
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DXSDK_INDEX_SIZE=32 -DTPL_ENABLE_INTERNAL_BLASLIB=OFF \
  -DTPL_BLAS_LIBRARIES="$folder/lib/libscipy_openblas.so" -DTPL_ENABLE_METISLIB=OFF \
  -Denable_single=OFF -Denable_complex=OFF -Denable_complex16=OFF -Denable_tests=OFF \
  -Denable_examples=OFF -Denable_doc=OFF -Denable_fortran=OFF \
  -DCMAKE_C_FLAGS="-include $folder/include/blas_names.h -w" -DCMAKE_INSTALL_LIBDIR=lib \
  -DCMAKE_INSTALL_PREFIX="$work/installed" >"$work/log"
cmake --build "$work/build" --target install >>"$work/log" 2>&1 || { cat "$work/log" >&2; exit 1; }
cp "$work/installed/lib/libsuperlu.a" "$folder/lib/"
cp -r "$work/installed/include" "$folder/include/superlu"
cp "$source/License.txt" "$folder/licences/SuperLU.txt"

echo "$made" >"$folder/made"
