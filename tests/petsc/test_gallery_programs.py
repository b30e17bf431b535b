"""The PETSc programs of the gallery solve their system, in C and in Python, alone and on ranks."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import command, compiler_flags, environment

import pympf.petsc

PROGRAMS = Path(__file__).parents[2] / "docs" / "gallery" / "programs"
