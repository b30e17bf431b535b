"""Images: read from files, resized, generated."""

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pympf.nets.patches import SHAPES, Scenes, digits, load_images, resize

SHARED = Path(__file__).parents[3] / "shared/data/nets"


# ---- size ----------------------------------------------------------------------------------------
def test_a_shrinking_picture_is_that_of_pillow():
    image = pytest.importorskip("PIL.Image")
    X = np.random.default_rng(0).random((28, 21), dtype=np.float32)
    for height, width in ((16, 12), (9, 30), (28, 21), (50, 7)):
        pillow = image.fromarray(X).resize((width, height), image.Resampling.BILINEAR)
        np.testing.assert_allclose(resize(X, (height, width)), np.asarray(pillow), atol=1e-6)


def test_without_antialiasing_a_new_pixel_sees_two_old_ones_a_side():
    X = np.arange(64.0).reshape(8, 8)
    assert resize(X, 2, antialias=False).tolist() == [[13.5, 17.5], [45.5, 49.5]]
    X[0] = X[3] = 1e9  # rows 0 and 3 are seen by no new pixel
    assert resize(X, 2, antialias=False).max() < 100
    assert resize(X, 2).max() > 1e6


@settings(deadline=None)
@given(
    st.integers(1, 12), st.integers(1, 12), st.integers(1, 12), st.booleans(), st.integers(0, 99)
)
def test_resizing_keeps_constants_bounds_and_symmetry(height, width, size, antialias, seed):
    X = np.random.default_rng(seed).random((2, 3, height, width))
    small = resize(X, size, antialias=antialias)
    assert small.shape == (2, 3, size, size)
    assert small.min() >= X.min() - 1e-12
    assert small.max() <= X.max() + 1e-12
    flipped = resize(X[..., ::-1], size, antialias=antialias)[..., ::-1]
    np.testing.assert_allclose(flipped, small, atol=1e-12)
    np.testing.assert_allclose(resize(0 * X + 3, size, antialias=antialias), 3)
    assert resize(X.astype(np.float32), size).dtype == np.float32


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match=r"height, width\), got \(3,\)"):
        resize(np.zeros(3), 2)
    with pytest.raises(TypeError, match="real numbers"):
        resize(np.zeros((2, 2), complex), 2)
    with pytest.raises(ValueError, match=r"height = .* integer in .1, inf"):
        resize(np.zeros((2, 2)), 0)


# ---- files ---------------------------------------------------------------------------------------
def idx(array):
    sizes = np.array(array.shape, ">u4").tobytes()
    return bytes((0, 0, 8, array.ndim)) + sizes + array.tobytes()


@pytest.fixture
def mnist(tmp_path):
    rng = np.random.default_rng(0)
    written = {}
    for kind, n in (("train", 5), ("t10k", 3)):
        images, labels = rng.integers(0, 256, (n, 6, 4), np.uint8), np.arange(n, dtype=np.uint8)
        written[kind] = images, labels
        (tmp_path / f"{kind}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(images)))
        (tmp_path / f"{kind}-labels-idx1-ubyte").write_bytes(idx(labels))
    return tmp_path, written


def test_idx_files_packed_and_not(mnist):
    folder, written = mnist
    for images in (load_images(folder), load_images(str(folder), "idx")):
        np.testing.assert_allclose(images.X_train[:, 0], written["train"][0] / 255, rtol=1e-6)
        assert images.y_test.tolist() == [0, 1, 2]
        assert images.X_train.shape == (5, 1, 6, 4)
        assert images.n_classes == 5


def test_colours_and_size(mnist):
    X = load_images(mnist[0], size=3, channels=3).X_train
    assert X.shape == (5, 3, 3, 3)
    assert (X[:, 0] == X[:, 2]).all()


@pytest.mark.parametrize("content", [b"", b"abcdefgh", idx(np.zeros((2, 2, 2), np.uint8))[:-1]])
def test_broken_idx_files_are_refused(mnist, content):
    folder, _ = mnist
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content))
    with pytest.raises(ValueError, match=r"ubyte\.gz: expected"):
        load_images(folder)
    (folder / "train-images-idx3-ubyte.gz").write_bytes(gzip.compress(content)[:-3])
    with pytest.raises(ValueError, match=r"ubyte\.gz: "):
        load_images(folder)


def test_labels_of_another_number_are_refused(mnist):
    (mnist[0] / "train-labels-idx1-ubyte").write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(ValueError, match="expected 5 labels"):
        load_images(mnist[0])


def test_missing_files_and_unknown_names(mnist):
    folder, _ = mnist
    with pytest.raises(FileNotFoundError, match="expected a folder"):
        load_images(folder / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"omniglot_small.npz in .* holds \['idx'\]"):
        load_images(folder, "omniglot")
    with pytest.raises(ValueError, match=r"name = .* is not one of"):
        load_images(folder, "imagenet")
    (folder / "t10k-labels-idx1-ubyte").unlink()
    with pytest.raises(FileNotFoundError, match="t10k-labels"):
        load_images(folder)
    (folder / "train-images-idx3-ubyte.gz").unlink()
    with pytest.raises(ValueError, match=r"holds \[\]"):
        load_images(folder)


@pytest.mark.skipif(not SHARED.is_dir(), reason="without the folder of shared data")
@pytest.mark.parametrize(
    ("name", "shape", "classes"),
    [("fashion-mnist", (8000, 1, 8, 8), 10), ("omniglot", (3630, 1, 8, 8), 242)],
)
def test_small_collections(name, shape, classes):
    images = load_images(SHARED, name, size=8)
    assert images.X_train.shape == shape
    assert images.n_classes == classes
    assert 0 <= images.X_train.min() < images.X_train.max() <= 1 + 1e-6


def test_jpeg_streams_without_their_header(tmp_path):
    image = pytest.importorskip("PIL.Image")
    import io

    rng, streams = np.random.default_rng(0), []
    pictures = np.repeat(np.repeat(rng.integers(0, 256, (5, 4, 4, 3), np.uint8), 8, 1), 8, 2)
    for picture in pictures:
        stream = io.BytesIO()
        image.fromarray(picture).save(stream, "JPEG", quality=95)
        streams.append(stream.getvalue())
    header, bodies = streams[0][:100], [stream[100:] for stream in streams]
    assert all(stream[:100] == header for stream in streams)
    stored = {"header": np.frombuffer(header, np.uint8)}
    for kind, part in (("train", slice(0, 3)), ("test", slice(3, 5))):
        stored[f"bytes_{kind}"] = np.frombuffer(b"".join(bodies[part]), np.uint8)
        stored[f"ends_{kind}"] = np.cumsum([len(body) for body in bodies[part]])
        stored[f"labels_{kind}"] = np.arange(len(bodies[part]), dtype=np.uint8)
    np.savez(tmp_path / "cifar10_jpeg.npz", **stored)
    images = load_images(tmp_path)
    assert images.X_test.shape == (2, 3, 32, 32)
    assert abs(255 * images.X_train - pictures[:3].transpose(0, 3, 1, 2)).mean() < 8
    with pytest.raises(ValueError, match="expected 1 channels, got images with 3"):
        load_images(tmp_path, channels=1)


def test_digits_are_split_by_the_seed():
    pytest.importorskip("sklearn")
    first, again, other = digits(), digits(), digits(seed=1)
    assert first.X_train.shape == (1297, 1, 8, 8)
    assert np.array_equal(first.X_test, again.X_test)
    assert not np.array_equal(first.y_test, other.y_test)
    assert first.X_train.max() == 1
    assert len(digits(n_test=100).y_test) == 100


# ---- scenes --------------------------------------------------------------------------------------
def test_scenes_depend_on_the_seed_only():
    scenes = Scenes(12)
    (X, labels), (again, _), (other, _) = (scenes.sample(30, seed=seed) for seed in (0, 0, 1))
    assert np.array_equal(X, again)
    assert not np.array_equal(X, other)
    assert X.dtype == np.float32
    assert 0 <= X.min() < X.max() <= 1
    for kind, values in labels.items():
        assert values.dtype == np.int64
        assert 0 <= values.min() <= values.max() < scenes.n_classes[kind]


def test_the_shape_is_where_detection_says():
    """A scene is brighter or darker there than elsewhere, whatever its texture."""
    scenes = Scenes(24, classes=4, grid=3)
    X, labels = scenes.sample(600)
    cell, shape = np.divmod(labels["detection"], 4)
    assert np.array_equal(shape, labels["shape"])
    away = abs(X.mean(1) - np.median(X.mean(1), axis=(1, 2), keepdims=True))
    cells = away.reshape(600, 3, 8, 3, 8).mean((2, 4)).reshape(600, 9)
    assert (cells.argmax(1) == cell).mean() > 0.6  # a shape may stick out of its cell


def test_texture_and_orientation_are_those_of_the_spectrum():
    scenes = Scenes(32, channels=1)
    texture, orientation = np.repeat(np.arange(3), 40), np.tile(np.repeat(np.arange(4), 10), 3)
    grain = scenes._grain(texture, orientation, np.random.default_rng(0))
    rough = [(np.diff(grain[texture == k], axis=2) ** 2).mean() for k in range(3)]
    assert rough[0] > 1.5 * rough[1] > 2 * rough[2]
    steps = {  # differences along the four directions; along the grain they are smallest
        0: grain[:, 1:-1, 2:] - grain[:, 1:-1, :-2],
        1: (grain[:, 2:, 2:] - grain[:, :-2, :-2]) / np.sqrt(2),
        2: grain[:, 2:, 1:-1] - grain[:, :-2, 1:-1],
        3: (grain[:, 2:, :-2] - grain[:, :-2, 2:]) / np.sqrt(2),
    }
    wide = texture == 2
    for direction in range(4):
        of = wide & (orientation == direction)
        sizes = [(steps[k][of] ** 2).mean() for k in range(4)]
        assert np.argmin(sizes) == direction


def test_every_shape_covers_its_own_part_of_the_square():
    u, v = np.meshgrid(*2 * [(np.arange(80) + 0.5) / 40 - 1])
    pictures = [shape(u, v) for shape in SHAPES.values()]
    assert all(0.1 < picture.mean() < 0.8 for picture in pictures)
    for i, one in enumerate(pictures):
        assert all((one != other).mean() > 0.1 for other in pictures[:i])


def test_the_seed_chooses_shapes():
    chosen = {Scenes(8, classes=5, seed=seed).shapes for seed in range(5)}
    assert len(chosen) > 1
    assert Scenes(8).shapes == tuple(SHAPES)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"size": 3}, "size = .* integer in .4, inf"),
        ({"classes": 11}, "classes = .* integer in .2, 10"),
        ({"grid": 17}, "grid = .* integer in .1, 16"),
        ({"channels": 0}, "channels = .* integer in .1, inf"),
    ],
)
def test_bad_scenes_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Scenes(**options)
