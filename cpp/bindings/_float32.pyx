# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The engine in float32."""

ctypedef float real

include "mmf.pxi"
include "factors.pxi"
include "precond.pxi"
include "krylov.pxi"
