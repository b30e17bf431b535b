"""The matrix that the tests of the command line work on."""

from pympf import gallery

N = 300


def matrix():
    return gallery.laplacian(gallery.random_geometric_graph(N, seed=1), shift=0.1)
