"""The PETSc programs of the gallery solve their system, in C and in Python, alone and on ranks."""

from pathlib import Path

PROGRAMS = Path(__file__).parents[2] / "docs" / "gallery" / "programs"
