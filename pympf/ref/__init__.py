"""Numpy twins of the C++ kernels: their readable definition, and the oracle of their tests."""
