"""MorphoMNIST's published files, with and without intensities, plain and compressed, and damaged."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ccigkit import testing
from ccigkit.component.options import options_of
from ccigkit.component.registry import build, signature_fault
from ccigkit.data.morphomnist import MorphoMNIST, measured_intensity
from ccigkit.errors import DataError, UserError
from tests.data_folders import write_idx, write_morphomnist
from tests.helpers import ccigkit


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_morphomnist(tmp_path / "digits")


def test_is_a_component_and_keeps_the_contract(folder: Path) -> None:
    assert signature_fault(MorphoMNIST) is None
    assert all(option.help for option in options_of(MorphoMNIST).values())
    testing.check(MorphoMNIST, root=str(folder))


def test_images_keep_their_pixels_inside_a_border(folder: Path) -> None:
    wide, bare = MorphoMNIST(root=str(folder)), MorphoMNIST(root=str(folder), size=28)
    images = wide.load("train").images
    assert images.shape == (40, 1, 32, 32)
    assert (images[:, :, 2:30, 2:30] == bare.load("train").images).all()
    assert int(images.sum()) == int(bare.load("train").images.sum())
    assert (wide.preprocess_id, bare.preprocess_id) == ("padded-32px", "padded-28px")


def test_intensities_are_measured_where_the_file_lacks_them(tmp_path: Path, folder: Path) -> None:
    told = MorphoMNIST(root=str(folder))
    seen = MorphoMNIST(root=str(write_morphomnist(tmp_path / "bare", intensity=False, zipped=False)))
    for split in ("train", "test"):
        np.testing.assert_array_equal(seen.load(split).values, told.load(split).values)
    assert told.truth is not None
    assert told.truth.edges == (("thickness", "intensity"),) or set(told.truth.edges) == {("thickness", "intensity")}
    assert seen.truth is None, "the original digits were made by nobody's causal model"


def test_the_intensity_is_the_median_of_the_strokes() -> None:
    image = np.zeros((1, 28, 28), np.uint8)
    image[0, 5, 3:10] = [40, 99, 100, 130, 150, 190, 200]
    assert measured_intensity(image)[0] == 150  # of the pixels from 100, half of the brightest, up


def test_digits_are_categories(folder: Path) -> None:
    table = MorphoMNIST(root=str(folder)).table()
    digit = table.attributes[2]
    assert (digit.kind, digit.categories) == ("categorical", tuple("0123456789"))
    assert MorphoMNIST(root=str(folder), attributes=["slant", "thickness"]).truth is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": ""}, "data.root=FOLDER"),
        ({"root": "/no/such/folder"}, "there is no folder /no/such/folder"),
        ({"size": 20}, "size=20 must be at least 28"),
        ({"attributes": []}, "attributes is empty"),
        ({"attributes": ["thicknes"]}, "unknown attribute 'thicknes': did you mean 'thickness'"),
    ],
)
def test_bad_options(folder: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        build("data", {"name": "morphomnist", "root": str(folder), **options}, {})
    assert "\n" not in str(caught.value)


def rewrite(name: str, change: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(change((folder / name).read_bytes())) and None


IMAGES, LABELS = "train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz"


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / IMAGES).unlink(), "cannot read .*train-images-idx3-ubyte.gz: No such file"),
        (rewrite(IMAGES, lambda content: content[:-20]), "if it was cut short, fetch it again"),
        (rewrite(IMAGES, lambda _: b"<html>quota"), "is an HTML page, not an idx file"),
        (rewrite(IMAGES, lambda _: gzip.compress(b"\0\0\x08\x01 and so on and on")), "no idx file of bytes in 3"),
        (rewrite(IMAGES, lambda c: gzip.compress(gzip.decompress(c)[:-784])), "should hold .* bytes but has"),
        (lambda folder: write_idx(folder / LABELS, np.zeros(39, np.uint8)), "do not belong together: .* 39 digit"),
        (lambda folder: write_idx(folder / IMAGES, np.zeros((40, 32, 32), np.uint8)), "32 x 32 pixels, not 28 x 28"),
        (rewrite("train-morpho.csv", lambda content: content[:-30]), "train-morpho.csv is no table of numbers"),
    ],
)
def test_bad_files(folder: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(folder)
    with pytest.raises(DataError, match=message) as caught:
        MorphoMNIST(root=str(folder)).load("train")
    assert "\n" not in str(caught.value)


def test_it_trains(folder: Path, tmp_path: Path) -> None:
    small = ("backbone.name=dcgan", "backbone.width=8", "train.batch=8", "train.device=cpu", "structure.name=known")
    done = ccigkit(
        "train", "--data", "morphomnist", f"data.root={folder}", "--steps", "2", "--run", tmp_path / "run", *small
    )
    assert done.code == 0, done.err
    assert (tmp_path / "run" / "interventions.png").is_file()
