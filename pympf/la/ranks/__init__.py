"""Who computes together: the ranks of a communicator, or one process alone.

`Ranks` is the only place of the package that calls mpi4py. `Ranks(None)` is one process, for which
every method is there and does what one rank has to do, so that nobody else asks how many there are.
"""

from pympf.la.ranks._errors import require_same
from pympf.la.ranks._ranks import Ranks, first_row

__all__ = ["Ranks", "first_row", "require_same"]
