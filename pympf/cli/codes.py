"""The exit codes of the command ``pympf``."""

NOT_CONVERGED, USAGE, BAD_INPUT, FILE_ERROR, NUMERICAL_FAILURE = 1, 2, 3, 4, 5
NO_MEMORY, INTERRUPTED, PIPE_CLOSED = 6, 130, 141

EXIT_CODES = """\
exit codes:
  0    success
  1    solve: stopped before the residual was small enough (results are written);
       compare: no solver reached it
  2    wrong usage of the command line, or an optional package is missing
  3    bad input: a matrix, vector or parameter that cannot be used
  4    a file that cannot be read or written
  5    numerical failure: singular or not definite where it has to be
  6    not enough memory
  130  interrupted
  141  nobody reads standard output any more, as in `pympf info A.mtx | head -1`
"""
