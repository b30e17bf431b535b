from pympf._float64 import (
    Admitted as Admitted,
)
from pympf._float64 import (
    Factors as Factors,
)
from pympf._float64 import (
    Preconditioner as Preconditioner,
)
from pympf._float64 import (
    Rows as Rows,
)
from pympf._float64 import (
    block_to_move as block_to_move,
)
from pympf._float64 import (
    factorize as factorize,
)
from pympf._float64 import (
    from_state as from_state,
)
from pympf._float64 import (
    is_worth_moving as is_worth_moving,
)
from pympf._float64 import (
    precondition as precondition,
)
from pympf._float64 import (
    rows_if_canonical as rows_if_canonical,
)
from pympf._float64 import (
    rows_of as rows_of,
)
from pympf._float64 import (
    rows_on_ranks as rows_on_ranks,
)
from pympf._float64 import (
    solve as solve,
)
