"""Vectors, and blocks of them, on their way in."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, NDArray

from pympf.la import checks
from pympf.la.petsc import is_petsc

__all__ = ["as_array", "as_vector", "check_values", "exact_real"]


def as_vector(b: ArrayLike, n: int, dtype: Any, name: str = "b") -> NDArray[Any]:
    """Check a vector, or a block of vectors, and return it as a contiguous array.

    Not collective.

    Parameters
    ----------
    b : array_like or petsc4py.PETSc.Vec, shape (n,) or (n, k)
        A block holds one vector per column.
    n : int
        The number of rows expected.
    dtype : numpy.float64 or numpy.float32
        The dtype returned; real numbers are rounded to it.
    name : str
        What error messages call the vector.

    Returns
    -------
    numpy.ndarray, shape (n,) or (n, k)
        C-contiguous, finite. Shares the memory of `b` if nothing had to be converted.

    Raises
    ------
    ValueError
        If the shape is another one, or a value is not finite in `dtype`.
    TypeError
        If `b` is not an array of real numbers.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.la import as_vector
    >>> as_vector([1, 2, 3], 3, np.float64)
    array([1., 2., 3.])
    """
    if sp.issparse(b):
        raise TypeError(f"{name}: expected a dense array, got {type(b).__name__}; use .toarray()")
    array = exact_real(dense_array(b, name), name)
    if array.ndim not in (1, 2) or array.shape[0] != n or 0 in array.shape[1:]:
        raise ValueError(f"{name}: expected shape ({n},) or ({n}, k), got {array.shape}")
    if array.dtype != dtype:
        with np.errstate(over="ignore"):
            array = array.astype(dtype)
    array = np.ascontiguousarray(array)
    check_values(array, name)
    return array


def as_array(
    values: ArrayLike, shape: tuple[int | str, ...] | None, name: str, *, finite: bool = True
) -> NDArray[Any]:
    """Check points, images or values of any shape, and return them as a contiguous array.

    Not collective.

    Parameters
    ----------
    values : array_like
        Real numbers; a sparse array is refused.
    shape : tuple of int or str, or None
        The lengths; a name stands for any length, a name with ">= 1" for any but zero. None allows
        every shape.
    name : str
        What error messages call it.
    finite : bool
        Whether NaN and infinity are refused.

    Returns
    -------
    numpy.ndarray
        C-contiguous, float32 for float16 and float32, else float64. Shares the memory of `values`
        if nothing had to be converted.

    Raises
    ------
    ValueError
        If the shape is another one, a value is masked or not finite, or float64 cannot hold it.
    TypeError
        If it is not a dense array of real numbers.

    Examples
    --------
    >>> from pympf import la
    >>> la.as_array([[1, 2], [3, 4]], ("n >= 1", 2), "X")
    array([[1., 2.],
           [3., 4.]])
    >>> la.as_array([[1, 2], [3, 4]], ("n >= 1", 3), "X")
    Traceback (most recent call last):
    ...
    ValueError: X: expected shape (n >= 1, 3), got (2, 2)
    """
    if sp.issparse(values):
        kind = type(values).__name__
        raise TypeError(f"{name}: expected a dense array, got {kind}; use .toarray()")
    checks.no_masks(values, name)
    array = exact_real(np.asarray(values), name)
    if shape is not None and not _fits(array.shape, shape):
        lengths = ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "")
        raise ValueError(f"{name}: expected shape ({lengths}), got {array.shape}")
    array = np.ascontiguousarray(array) if array.ndim else array
    if finite:
        check_values(array, name)
    return array


def _fits(shape: tuple[int, ...], allowed: tuple[int | str, ...]) -> bool:
    return len(shape) == len(allowed) and all(
        length == wanted if isinstance(wanted, int) else length > 0 or ">= 1" not in wanted
        for length, wanted in zip(shape, allowed, strict=True)
    )


def check_values(array: NDArray[Any], name: str) -> None:
    """Refuse an array with NaN or infinity, and name the first such value. Not collective."""
    finite = np.isfinite(array)
    if not finite.all():
        place = tuple(int(i) for i in np.argwhere(~finite)[0])
        raise ValueError(
            f"{name}: expected finite values in {array.dtype}, got {array[place]} at "
            f"{place if len(place) != 1 else place[0]} ({np.count_nonzero(~finite)} such values)"
        )


def exact_real(values: NDArray[Any], name: str) -> NDArray[Any]:
    """Return real values as float64 or float32 in native byte order, each value unchanged.

    Not collective.

    Parameters
    ----------
    values : numpy.ndarray
        Numbers of any kind.
    name : str
        What error messages call them.

    Returns
    -------
    numpy.ndarray
        float32 for float16 and float32, else float64; `values` itself if it is one of these.

    Raises
    ------
    ValueError
        If float64 cannot hold a value exactly.
    TypeError
        If the numbers are not real.

    Examples
    --------
    >>> import numpy as np
    >>> from pympf.la import exact_real
    >>> exact_real(np.array([1, 2]), "x")
    array([1., 2.])
    """
    if values.dtype == np.float64 and values.dtype.isnative:
        return values
    check_real(values.dtype, name)
    single = values.dtype.kind == "f" and values.dtype.itemsize <= 4
    with np.errstate(over="ignore"):
        result = values.astype(np.float32 if single else np.float64, copy=False)
    if values.dtype.itemsize >= 8 and result.dtype != values.dtype:
        _check_exact(values, result, name)
    return result


def _check_exact(values: NDArray[Any], result: NDArray[Any], name: str) -> None:
    if values.dtype.kind in "iu":
        # Not result == values: NumPy would compare the two in float64, where they always agree.
        limit = 2**53
        changed = (values > limit) | (values < -limit if values.dtype.kind == "i" else False)
    else:
        changed = (result != values) & ~np.isnan(values)
    if changed.any():
        raise ValueError(
            f"{name}: {values[changed][0]} of dtype {values.dtype} has no exact float64 value; "
            "convert with .astype(numpy.float64) if rounding is acceptable"
        )


def check_real(dtype: np.dtype[Any], name: str) -> None:
    """Refuse a dtype that is not one of real numbers. Not collective."""
    if dtype.kind == "c":
        raise TypeError(
            f"{name}: expected real numbers, got {dtype}; take .real if the imaginary part is "
            "zero, or solve the equivalent real system [[Re, -Im], [Im, Re]]"
        )
    if dtype.kind not in "fiub":
        raise TypeError(
            f"{name}: expected real numbers, got dtype {dtype}; convert with .astype(float)"
        )


def dense_array(values: Any, name: str) -> NDArray[Any]:
    """Return what is an array of numbers, or becomes one, as it is. Not collective."""
    if is_petsc(values):
        return np.asarray(values.getArray())
    checks.no_masks(values, name)
    if not isinstance(values, list | tuple) and not hasattr(values, "__array__"):
        raise TypeError(f"{name}: expected an array of numbers, got {type(values).__name__}")
    return np.asarray(values)
