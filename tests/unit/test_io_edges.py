"""Edge lists and vectors as text."""

import gzip

import numpy as np
import pytest

from pympf.io import (
    read_labels,
    read_matrix,
    read_vector,
    write_matrix,
    write_vector,
)

from .io_files import random_vector, write_text


def test_edges(tmp_path):
    text = "# Nodes: 3 Edges: 4\n% a comment\n7\t100\n100 7\n\n7 3\n5000000000 5000000000\n"
    A = read_matrix(write_text(tmp_path / "graph.txt", text))
    # Nodes 3, 7, 100, 5000000000 become 0 to 3.
    expected = np.zeros((4, 4))
    expected[0, 1] = expected[1, 0] = expected[1, 2] = expected[2, 1] = expected[3, 3] = 1
    np.testing.assert_array_equal(A.toarray(), expected)


def test_weighted_edges_take_the_largest_weight(tmp_path):
    path = write_text(tmp_path / "graph.edges", "0 1 0.5\n1 0 2.5\n0 1 1.5\n1 2 -3\n2 1 -4\n")
    np.testing.assert_array_equal(
        read_matrix(path).toarray(), [[0, 2.5, 0], [2.5, 0, -3], [0, -3, 0]]
    )


@pytest.mark.parametrize("suffix", [".txt.gz", ".edges.gz"])
def test_compressed_edges(tmp_path, suffix):
    path = tmp_path / f"graph{suffix}"
    path.write_bytes(gzip.compress(b"# SNAP\n0 1\n"))
    np.testing.assert_array_equal(read_matrix(path).toarray(), [[0, 1], [1, 0]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends within a line"),
        ("# nothing\n", "no numbers"),
        ("1 2\n3 4", "ends within a line"),
        ("1 2\n3\n", "columns"),
        ("1\n2\n", "has 1 columns"),
        ("1 2 3 4\n", "has 4 columns"),
        ("1 2\na b\n", "a"),
        ("%%MatrixMarket matrix coordinate pattern general\n2 2 1\n1 1\n", "suffix is .mtx"),
        ("# pympf vector, shape 1 x 2\n1 2\n", "holds a vector"),
        ("1.5 2\n", "1.5"),
        ("1 2 x\n", "x"),
        ("# Nodes: 4 Edges: 3\n1 2\n2 3\n", "3 edges are announced, there are 2"),
    ],
)
def test_edges_that_are_wrong(tmp_path, text, message):
    path = write_text(tmp_path / "graph.edges", text)
    with pytest.raises(OSError, match=rf"graph\.edges.*{message}"):
        read_matrix(path)


def test_edge_lists_are_not_written(tmp_path):
    with pytest.raises(OSError, match=r"cannot write a matrix with this suffix; allowed: .*\.npz"):
        write_matrix(tmp_path / "A.txt", np.eye(2))


@pytest.mark.parametrize(
    ("suffix", "text", "labels"),
    [
        (".edges", "b a\na c\n", ["a", "b", "c"]),
        (".txt", "1 2 {}\n1 3 {'weight': 1, 'color': 'red'}\n", [1, 2, 3]),
        (".edges", "b a {}\na c {}\n", ["a", "b", "c"]),
        (".edgelist", "b a {}\na c {}\n", ["a", "b", "c"]),
        (".csv", "source,target\n20,10\n10,30\n", [10, 20, 30]),
        (".csv", "20;10\n10;30\n", [10, 20, 30]),
        (".csv", "Source,Target\nb,a\na,c\n", ["a", "b", "c"]),
        (".csv", "x,y,weight\nb,a,1\na,c,1D0\n", ["a", "b", "c"]),
        (".csv", 'b,"a, jr"\n"a, jr",c\n', ["a, jr", "b", "c"]),
        (".csv", "b,a\r\na,c\r\n", ["a", "b", "c"]),
        (".tsv", "b b\ta a\t+1\na a\tc c\t1\n", ["a a", "b b", "c c"]),
        (".tsv", "20\t10\n10\t30\n", [10, 20, 30]),
        (".csv.gz", "\ufeffb,a\na,\u00e7\n", ["a", "b", "\u00e7"]),
    ],
)
def test_edges_between_labels(tmp_path, suffix, text, labels):
    path = tmp_path / f"graph{suffix}"
    path.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    assert read_labels(path).tolist() == labels
    expected = np.zeros((3, 3))
    expected[0, 1:] = expected[1:, 0] = 1
    np.testing.assert_array_equal(read_matrix(path).toarray(), expected)


@pytest.mark.parametrize(
    ("suffix", "text", "message"),
    [
        (".csv", "a,b\nc\n", "line 2: expected 2 or 3 columns, got 1"),
        (".csv", "a,b\nc,\n", "line 2: expected the number or name of a node, got ''"),
        (".csv", "a,b,1\nc,d,x\n", "line 2: expected a number, got 'x'"),
        (".csv", "a,b,1\nc,d,1e999\n", "line 2: the number 1e999 is out of range"),
        (".csv", "a,b\n1.5,c\n", "line 2: expected the number or name of a node, got '1.5'"),
        (".csv", "1,2\n3,b\n", "line 2: expected an integer, got 'b'"),
        (".csv", "1,2\n3;4\n", "line 2: expected an integer, got '3;4'"),
        (".csv", "a;b;3,5\nb;c;2,5\n", "both ',' and ';': expected one of them"),
        (".csv", "1;2;3,5\n", "both ',' and ';': expected one of them"),
        (".csv", "a,b\nc,\x00d\n", "line 2: expected text"),
        (".edges", "a b\n<c d\n", "line 2: .* got '<c'"),
        (".edges", "1 2 {'weight': x}\n", "line 1: expected a number, got 'x'"),
    ],
)
def test_labels_that_are_wrong(tmp_path, suffix, text, message):
    path = write_text(tmp_path / f"graph{suffix}", text)
    with pytest.raises(OSError, match=rf"graph\{suffix}.*{message}"):
        read_matrix(path)


def test_labels_that_are_not_utf8(tmp_path):
    (tmp_path / "graph.csv").write_bytes(b"a,b\nc,\xe9\n")
    with pytest.raises(OSError, match=r"graph\.csv.*line 2: expected UTF-8"):
        read_matrix(tmp_path / "graph.csv")


def test_vectors_next_to_labels(tmp_path):
    path = tmp_path / "x.csv"
    labels, x = np.array(["a, jr", "b", "10"]), random_vector(3)
    for values in (x, random_vector(3, 2)):
        write_vector(path, values, labels=labels)
        np.testing.assert_array_equal(read_vector(path, labels=labels), values)
        np.testing.assert_array_equal(read_vector(path, labels=labels[::-1]), values[::-1])
    write_vector(path, x, labels=labels)
    assert path.read_text().splitlines()[:2] == ["node,value", f'"a, jr",{float(x[0])!r}']
    with pytest.raises(ValueError, match=r"x\.csv: its rows belong to nodes.*labels="):
        read_vector(path)
    with pytest.raises(ValueError, match=r"x\.csv: the node '10' is not in the graph"):
        read_vector(path, labels=labels[:2])
    with pytest.raises(ValueError, match=r"x\.csv: the node 'c' is not in the file"):
        read_vector(path, labels=[*labels, "c"])
    with pytest.raises(ValueError, match=r"labels: expected 3 of them, got shape \(2,\)"):
        write_vector(path, x, labels=labels[:2])
    with pytest.raises(ValueError, match="only tables"):
        write_vector(tmp_path / "x.txt", x, labels=labels)
    with pytest.raises(OSError, match="line 3: the node 'a' has two rows"):
        read_vector(write_text(path, "node,value\na,1\na,2\n"), labels=["a"])


def test_only_edge_lists_have_labels(tmp_path):
    write_matrix(tmp_path / "A.mtx", np.eye(2))
    with pytest.raises(OSError, match=r"A\.mtx: only edge lists have labels of nodes; .*\.csv"):
        read_labels(tmp_path / "A.mtx")


# Vectors as text, .npy


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("1\n2.5\n", [1, 2.5]),
        ("# x\n1 2\n3 4\n", [[1, 2], [3, 4]]),
        ("1 2\n", [[1, 2]]),
        ("\ufeff1.0D0\r\n +2 # two\r\n\r\n% three\r\n-3d-1\r\n", [1, 2, -0.3]),
    ],
)
def test_text_vectors_of_others(tmp_path, text, values):
    np.testing.assert_array_equal(read_vector(write_text(tmp_path / "x.txt", text)), values)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "ends within a line"),
        ("# x\n", "no numbers"),
        ("1\n2", "ends within a line"),
        ("1\n2 3\n", "expected 1 column"),
        ("1\nx\n", "x"),
        ("# pympf vector, shape 3\n1\n2\n", "reshape"),
    ],
)
def test_text_vectors_that_are_wrong(tmp_path, text, message):
    path = write_text(tmp_path / "x.txt", text)
    with pytest.raises(OSError, match=rf"x\.txt.*{message}"):
        read_vector(path)
