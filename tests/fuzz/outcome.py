"""What an attempt of the fuzzer may end with."""

import numpy as np

REFUSALS = (ValueError, TypeError, OSError, MemoryError, np.linalg.LinAlgError)
"""Errors by which the package refuses an input; each has to say something."""


class Wrong(AssertionError):
    """An answer that is not right."""


def refusal(error):
    """Give the outcome of a refused input; an error without a sentence is no refusal."""
    text = str(error).strip()
    if len(text.split()) < 3:
        raise Wrong(f"{type(error).__name__} without a sentence: {text!r}") from error
    return f"refused: {type(error).__name__}"


def require(holds, text):
    """Raise `Wrong` with this text unless the condition holds."""
    if not holds:
        raise Wrong(text)
