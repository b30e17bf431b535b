"""``python -m pympf`` is the command ``pympf``."""

import sys

from pympf.cli import main

sys.exit(main())
