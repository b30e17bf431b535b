# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""The engine in float64."""

ctypedef double real

include "mmf.pxi"
include "factors.pxi"
include "precond.pxi"
include "krylov.pxi"
