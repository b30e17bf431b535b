"""What all formats share: writing without ever damaging a file, and naming a file in its errors."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import os
import secrets
import stat
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from scipy.io.matlab import MatReadError

FORMAT_ERRORS = (
    ValueError,
    TypeError,
    AttributeError,
    AssertionError,
    SyntaxError,
    LookupError,
    EOFError,
    ArithmeticError,
    NotImplementedError,
    RuntimeError,
    csv.Error,
    struct.error,
    tokenize.TokenError,
    zlib.error,
    zipfile.BadZipFile,
    MatReadError,
)
"""What the readers of NumPy, SciPy and h5py raise when a file is not what its suffix says."""


class ChoiceError(ValueError):
    """A file holds no object, or several, under the key asked for: the file itself is in order."""


@contextmanager
def reading(path: Path, kind: str) -> Iterator[None]:
    """Turn what a reader raises about the content of a file into an OSError that names the file.

    Not collective.

    Parameters
    ----------
    path : Path
        The file.
    kind : str
        What the file should be, as it stands in the message.

    Raises
    ------
    OSError
        If the block raises one of `FORMAT_ERRORS`, or an OSError that does not name the file.
    MemoryError
        If there is too little memory: readers check the sizes that a file announces.
    """
    try:
        yield
    except MemoryError as error:
        raise MemoryError(f"{path}: too little memory to read this {kind} file") from error
    except ChoiceError:
        raise
    except FORMAT_ERRORS as error:
        raise _unreadable(path, kind, error) from error
    except OSError as error:
        if str(path) in str(error):
            raise
        raise _unreadable(path, kind, error) from error


def _unreadable(path: Path, kind: str, error: Exception) -> OSError:
    reason = str(error) or type(error).__name__
    article = "an" if kind.startswith(("HDF5", "edge")) else "a"
    return OSError(
        f"{path}: expected {article} {kind} file, whole and undamaged; reading failed: {reason}"
    )


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary file to write that replaces `path` only when the block succeeds.

    Not collective. The temporary file lies in the directory of `path`; it is flushed to the disk
    before it takes the name `path`. After a failure (an error in the block, a full disk, an
    interrupt) `path` is what it was before, and the temporary file is gone.

    Parameters
    ----------
    path : str or os.PathLike
        The file to create or to replace. A symbolic link is followed; the permissions of an
        existing file are kept.

    Yields
    ------
    pathlib.Path
        The temporary file, empty. Close it before the block ends.

    Raises
    ------
    OSError
        If `path` is something else than a regular file, or cannot be written.

    Examples
    --------
    >>> import os, pathlib, tempfile
    >>> from pympf.io import atomic_write
    >>> path = os.path.join(tempfile.mkdtemp(), "notes.txt")
    >>> with atomic_write(path) as temporary:
    ...     _ = temporary.write_text("done")
    >>> pathlib.Path(path).read_text()
    'done'
    """
    target = checked_target(path)
    temporary = target.with_name(f".pympf-{secrets.token_hex(8)}.tmp")
    try:
        _create(temporary, like=target)
        yield temporary
        _sync(temporary)
        os.replace(temporary, target)
        _sync(target.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def cannot_write(path: str | os.PathLike[str], error: OSError) -> OSError:
    """Say which file could not be written."""
    reason = f"cannot write {path}: {error.strerror or error}"
    # With an errno, Python makes it the right subclass, such as PermissionError.
    return OSError(error.errno, reason) if error.errno else OSError(reason)


def checked_target(path: str | os.PathLike[str]) -> Path:
    """Return the file behind any links, if it can be a file.

    Not collective.

    Parameters
    ----------
    path : str or os.PathLike
        The file to create or to replace.

    Returns
    -------
    pathlib.Path
        Absolute, without symbolic links.

    Raises
    ------
    OSError
        If `path` is something else than a regular file, or its directory does not exist.
    """
    target = Path(os.path.realpath(os.fsdecode(path)))
    if target.exists() and not target.is_file():
        raise OSError(f"{path}: expected a regular file or a new name, this is something else")
    if not target.parent.is_dir():
        raise FileNotFoundError(f"{path}: there is no directory {target.parent}")
    return target


def _create(temporary: Path, like: Path) -> None:
    # Opened by hand: unlike tempfile, this leaves the permissions to the user's umask.
    os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))
    if like.exists():
        temporary.chmod(stat.S_IMODE(like.stat().st_mode))


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def atomic_stream(path: Path) -> Iterator[BinaryIO]:
    """Give a binary stream, compressed if the suffix says so, that ends as `atomic_write` does.

    Not collective.

    Parameters
    ----------
    path : Path
        The file to create or to replace; .gz and .bz2 are compressed.

    Yields
    ------
    binary stream
        To be written to.
    """
    with atomic_write(path) as temporary, open(temporary, "wb") as raw:
        if path.suffix.lower() == ".gz":
            # No name and no time in the header: the same matrix gives the same file.
            with gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as stream:
                yield cast(BinaryIO, stream)
        elif path.suffix.lower() == ".bz2":
            with bz2.BZ2File(raw, "wb") as stream:
                yield cast(BinaryIO, stream)
        else:
            yield raw


def write_whole(path: Path, content: io.BytesIO) -> None:
    """Write a file that was put together in memory.

    Not collective. For writers that cannot be stopped in an orderly way once the disk is full.

    Parameters
    ----------
    path : Path
        The file to create or to replace; .gz and .bz2 are compressed.
    content : io.BytesIO
        All of its bytes.
    """
    with atomic_stream(path) as stream:
        stream.write(content.getbuffer())


def packed(path: Path) -> bool:
    """Tell by its suffix whether a file is compressed.

    Not collective.

    Parameters
    ----------
    path : Path
    """
    return path.suffix.lower() in (".gz", ".bz2")


def open_stream(path: Path) -> BinaryIO:
    """Open a file for reading bytes, decompressed if the suffix says so.

    Not collective.

    Parameters
    ----------
    path : Path
        The file; .gz and .bz2 are decompressed.

    Returns
    -------
    binary stream
        To be closed by the caller.
    """
    if path.suffix.lower() == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    if path.suffix.lower() == ".bz2":
        return cast(BinaryIO, bz2.open(path, "rb"))
    return open(path, "rb")


def require_final_newline(path: Path) -> None:
    """Refuse a text file that stops within a line: its last number may have been cut.

    Not collective. Compressed files pass: their checksum tells whether they are whole.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ValueError
        If the last byte does not end a line.
    """
    if packed(path):
        return
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(size - 1, 0))
        if stream.read(1) not in (b"\n", b"\r"):
            raise ValueError("it ends within a line (if it is whole, add a newline at its end)")
