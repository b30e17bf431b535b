"""Read and write matrices and vectors; the suffix of the file names the format.

=============================  ===========================================  =======  ========
suffix                         format                                       matrix   vector
=============================  ===========================================  =======  ========
.mtx, .mtx.gz, .mtx.bz2        Matrix Market                                r w      r w
.npz                           SciPy ``save_npz``                           r w
.npy                           NumPy                                                 r w
.mat                           MATLAB; reads also 7.3 and SuiteSparse       r w      r w
.petsc, .dat, .bin             PETSc binary                                 r w      r w
.h5, .hdf5, .h5ad              HDF5 (`pympf.io` writes ``type="csr"``)      r w      r w
.txt, .edges (.gz, .bz2)       edge list (SNAP); as a vector: numbers       r        r w
.csv, .tsv (.gz, .bz2)         the same as tables                           r        r w
=============================  ===========================================  =======  ========

Every file is written under a temporary name, flushed to the disk and renamed, so that a file that
exists is never damaged. A file that is truncated, damaged or of another kind gives an OSError that
names it.
"""

from pympf.io._files import atomic_write
from pympf.io._formats import check_output
from pympf.io._hdf5 import create_hdf5, open_hdf5
from pympf.io._matrices import has_labels, read_labels, read_matrix, write_matrix
from pympf.io._rows import read_rows
from pympf.io._vectors import is_table, read_vector, write_vector

__all__ = [
    "atomic_write",
    "check_output",
    "create_hdf5",
    "has_labels",
    "is_table",
    "open_hdf5",
    "read_labels",
    "read_matrix",
    "read_rows",
    "read_vector",
    "write_matrix",
    "write_vector",
]
