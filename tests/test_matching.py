"""Rows and the images they are about: found however a table writes their names, and never somebody else's."""

from __future__ import annotations

import csv
import io
import json
import tarfile
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ccigkit.data.celeba import CelebA
from ccigkit.data.sharded import Shards
from ccigkit.data.table import ImageTable
from ccigkit.errors import DataError
from tests.celeba_folder import write_celeba

pytestmark = pytest.mark.filterwarnings("ignore:.*images; .*:UserWarning")
N = 12


def write(folder: Path, images: Sequence[str], columns: Mapping[str, Sequence[object]]) -> None:
    """Write squares, the i-th as bright as 6 i, and a table beside them that says so."""
    for i, name in enumerate(images):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        kind = "PNG" if path.suffix.lower() == ".png" else "JPEG"
        Image.new("RGB", (8, 8), (6 * i,) * 3).save(path, kind, quality=95)
    rows = [*zip(*columns.values(), [6 * i for i in range(len(images))], strict=True)]
    with (folder / "labels.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([[*columns, "bright"], *rows[::-1]])  # in another order than the folder's


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., ImageTable]:
    options = {"root": str(tmp_path / "D"), "cache": str(tmp_path / "cache"), "size": 8, "attributes": ["bright"]}
    return lambda **more: ImageTable(**{**options, **more})  # type: ignore[arg-type]


def assert_true(data: ImageTable, count: int = N) -> None:
    """Every image has the label that it shows."""
    splits = [data.load("train"), data.load("test")]
    assert sum(map(len, splits)) == count
    for split in splits:
        np.testing.assert_allclose(split.images[:, 0, 0, 0], split.values[:, 0], atol=1)


NUMBERED = [f"{'ab'[i % 2]}/{i + 1:03d}.jpg" for i in range(N)]
FLAT = [f"{i + 1:04d}.jpg" for i in range(N)]
ACCENTS = [f"{'ab'[i % 2]}/é{i}.jpg" for i in range(N)]
WAYS: dict[str, tuple[Sequence[str], Callable[[str], object]]] = {
    "as they are": (NUMBERED, str),
    "from here": (NUMBERED, lambda name: f"./{name}"),
    "backslashes": (NUMBERED, lambda name: name.replace("/", "\\")),
    "of another machine": (NUMBERED, lambda name: f"/home/somebody/D/{name}"),
    "of another Windows": (NUMBERED, lambda name: "C:\\Users\\me\\D\\" + name.replace("/", "\\")),
    "under the folder": (NUMBERED, lambda name: f"D/{name}"),
    "in a folder that the table omits": ([f"photos/{name}" for name in NUMBERED], lambda name: name[7:]),
    "twice the slash": (NUMBERED, lambda name: name.replace("/", "//")),
    "spaces around": (NUMBERED, lambda name: f"  {name} "),
    "the file name": (NUMBERED, lambda name: name[2:]),
    "flattened out of folders": (FLAT, lambda name: f"/data/{name[3]}/{name}"),
    "the file name less its ending": (NUMBERED, lambda name: name[2:-4]),
    "the path less its ending": (NUMBERED, lambda name: name[:-4]),
    "numbers of files": (FLAT, lambda name: int(name[:-4])),
    "numbers with a fraction of nothing": (FLAT, lambda name: f"{float(name[:-4])}"),
    "numbers less zeros in folders": (NUMBERED, lambda name: int(name[2:-4])),
    "endings of the other case": (NUMBERED, lambda name: name.replace("jpg", "JPG")),
    "files with endings of the other case": ([name.replace("jpg", "JPG") for name in NUMBERED], str.lower),
    "some endings missing": (NUMBERED, lambda name: name[:-4] if int(name[2:-4]) % 3 else name),
    "another ending": (NUMBERED, lambda name: name.replace("jpg", "png")),
    "another case": ([name.replace("a/", "A/IMG_").replace("b/", "B/Img_") for name in NUMBERED], str.lower),
    "decomposed accents in files": ([unicodedata.normalize("NFD", name) for name in ACCENTS],
                                    lambda name: unicodedata.normalize("NFC", name)),
    "decomposed accents in cells": (ACCENTS, lambda name: unicodedata.normalize("NFD", name)),
    "dots in names": ([name.replace("/", "/img.") for name in NUMBERED], lambda name: name[:-4]),
}  # fmt: skip


@pytest.mark.parametrize(("images", "cell"), WAYS.values(), ids=WAYS)
@pytest.mark.parametrize("before", [True, False])
def test_rows_find_their_images(
    tmp_path: Path, table: Any, images: Sequence[str], cell: Callable[[str], object], before: bool
) -> None:
    """Whether the column comes before or after others that might be names of some."""
    named = {"which": [cell(name) for name in images]}
    others: dict[str, Sequence[object]] = {"age": [20 + i % 5 for i in range(N)], "colour": ["red", "blue"] * (N // 2)}
    write(tmp_path / "D", images, named | others if before else others | named)
    with pytest.warns(UserWarning, match="images by which"):
        assert_true(table())


def test_the_column_that_explains_most_images_names_them(tmp_path: Path, table: Any) -> None:
    """Ages are names of files too, where those are numbers; half of them would get other people's labels."""
    write(tmp_path / "D", [f"{i}.jpg" for i in range(40)], {"age": [20 + i // 2 for i in range(40)], "id": range(40)})
    with pytest.warns(UserWarning, match="images by id"):
        assert_true(table(), 40)


def test_rows_and_images_that_lack_the_other_are_counted(tmp_path: Path, table: Any) -> None:
    write(tmp_path / "D", NUMBERED, {"which": NUMBERED})
    (tmp_path / "D" / NUMBERED[0]).unlink()
    Image.new("RGB", (8, 8)).save(tmp_path / "D" / "more.jpg")
    with pytest.warns(UserWarning, match="images without a row") as said:
        assert_true(table(), N - 1)
    lines = [str(warning.message) for warning in said]
    assert any(line.startswith("1 rows of") and "first a/001.jpg; left out" in line for line in lines)
    assert any("1 images without a row" in line for line in lines)


REFUSED: dict[str, tuple[Sequence[str], Mapping[str, Sequence[object]], str]] = {
    "two columns that disagree": (FLAT, {"first": FLAT, "second": FLAT[::-1]}, "both name 12 images, but not the same"),
    "only ages": ([f"{i}.jpg" for i in range(60)], {"age": [30 + i // 3 for i in range(60)]}, "perhaps by chance"),
    "few ages, each once": ([f"{i}.jpg" for i in range(99)], {"age": [70 + i for i in range(99)]}, "perhaps by chance"),
    "a file twice": (FLAT, {"which": [*FLAT[:-1], FLAT[0]]}, "has 0001.jpg twice"),
    "a file twice, in two ways": ([*FLAT, "b.jpg"], {"which": [*FLAT[:-1], "0001", "b"]}, "has 0001.* twice"),
    "one name in two folders": ([f"{d}/{i}.jpg" for d in "ab" for i in range(6)],
                                {"which": [f"{i}.jpg" for _ in "ab" for i in range(6)]}, "no column of"),
    "one number for two files": ([f"{z}{i}.jpg" for z in ("", "00") for i in range(1, 7)],
                                 {"which": [f"0{i}" for _ in "ab" for i in range(1, 7)]}, "by chance"),
    "another folder's images": ([f"a/{i}.jpg" for i in range(6)] + [f"b/{i}.png" for i in range(6, 12)],
                                {"which": [f"c/{i}.jpg" for i in range(12)]}, "by chance"),
    "the same names in another folder": (
        [f"train/{name}" for name in FLAT], {"which": [f"test/{name}" for name in FLAT]}, "by chance"),
}  # fmt: skip


@pytest.mark.parametrize(("images", "columns", "said"), REFUSED.values(), ids=REFUSED)
def test_what_is_ambiguous_is_refused(
    tmp_path: Path, table: Any, images: Sequence[str], columns: Mapping[str, Sequence[object]], said: str
) -> None:
    write(tmp_path / "D", images, columns)
    with pytest.raises(DataError, match=said) as caught:
        table()
    assert "\n" not in str(caught.value)
    assert "data.image=" in str(caught.value)


def test_a_column_can_be_said_to_name_images(tmp_path: Path, table: Any) -> None:
    write(tmp_path / "D", [f"{i}.jpg" for i in range(40)], {"age": range(40), "nr": range(39, -1, -1), "x": ["r"] * 40})
    assert_true(table(image="age"), 40)
    with pytest.raises(DataError, match=r"no column of .* names any of the 40 images in .*; x has 'r', an image"):
        table(image="x", attributes=["age"])


def test_celebas_images_may_have_an_ending_of_the_other_case(tmp_path: Path) -> None:
    root, options = write_celeba(tmp_path / "D", partition="0" * 30 + "2" * 10), {"attributes": ["Male"], "size": 8}
    same = CelebA(root=str(root), cache=str(tmp_path / "a"), **options).load("test")  # type: ignore[arg-type]
    for path in (root / "img_align_celeba").iterdir():
        path.rename(path.with_suffix(".JPG"))
    found = CelebA(root=str(root), cache=str(tmp_path / "b"), **options).load("test")  # type: ignore[arg-type]
    assert (found.images == same.images).all()
    np.testing.assert_array_equal(found.values, same.values)


# --- splits -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", [(0, 1, 2), ("0.0", "1.0", "2.0"), (1, 2, 3), tuple(range(5))])
def test_folds_of_a_cross_validation_are_no_split_unless_wanted(tmp_path: Path, table: Any, words: Any) -> None:
    """None of them is left unused without a word."""
    write(tmp_path / "D", FLAT, {"which": FLAT, "fold": [words[i % len(words)] for i in range(N)]})
    with pytest.warns(UserWarning, match=r"fold \(folds; data.split=fold uses them\)"):
        assert_true(table(attributes=[], share_test=0.25))
    if words[0] != 1 and len(words) == 3:
        with pytest.warns(UserWarning, match=r"splits by fold \(4 images of valid are not used\)"):
            data = table(split="fold")
        assert (len(data.load("train")), len(data.load("test"))) == (4, 4)


def test_a_column_of_splits_can_be_switched_off(tmp_path: Path, table: Any) -> None:
    write(tmp_path / "D", FLAT, {"which": FLAT, "split": ["train"] * 8 + ["test"] * 4})
    assert len(table().load("test")) == 4
    assert len(table(split="none", share_test=0.5).load("test")) == 6
    write(tmp_path / "D", FLAT, {"which": FLAT, "split": ["upper", "lower"] * 6})
    with pytest.raises(DataError, match=r"split says 'lower', but a split is train.*; data.split=.* data.split=none"):
        table()
    assert len(table(split="none", share_test=0.5).load("test")) == 6


# --- shards -----------------------------------------------------------------------------------------------------------


def write_shard(path: Path, files: Mapping[str, bytes]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def square(bright: int) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (8, 8), (bright,) * 3).save(file, "PNG")
    return file.getvalue()


NAMES = {"one dot": "img.{:03d}", "no dot": "img{:03d}", "many dots": "a.b/c.{:03d}.D", "large letters": "IMG.A{:03d}"}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES)
def test_every_image_of_a_shard_has_its_own_labels(tmp_path: Path, name: str) -> None:
    files = {}
    for i in range(N):
        files[f"{name.format(i)}.png"] = square(6 * i)
        files[f"{name.format(i)}.json"] = json.dumps({"bright": 6 * i}).encode()
    write_shard(tmp_path / "D" / "train-0.tar", files)
    data = Shards(root=str(tmp_path / "D"), attributes=["bright"], size=8, cache=str(tmp_path / "cache"))
    splits = [data.load("train"), data.load("test")]
    assert sum(map(len, splits)) == N
    for split in splits:
        np.testing.assert_allclose(split.images[:, 0, 0, 0], split.values[:, 0])
    pytest.importorskip("webdataset")
    streamed = list(data.stream("train"))
    assert len(streamed) == len(splits[0])
    assert all(int(sample.image[0, 0, 0]) == sample.values[0] for sample in streamed)


def test_another_part_of_a_sample_is_no_image_of_its_own(tmp_path: Path) -> None:
    files = {}
    for i in range(N):
        files |= {f"{i}.png": square(6 * i), f"{i}.mask.png": square(255)}
        files[f"{i}.json"] = json.dumps({"bright": 6 * i}).encode()
    write_shard(tmp_path / "D" / "train-0.tar", files)
    data = Shards(root=str(tmp_path / "D"), attributes=["bright"], size=8, cache=str(tmp_path / "cache"))
    split = data.load("train")
    np.testing.assert_allclose(split.images[:, 0, 0, 0], split.values[:, 0])


@pytest.mark.parametrize("hole", [None, "NA", "?", ""])
def test_samples_with_holes_are_refused_or_dropped(tmp_path: Path, hole: object) -> None:
    files = {}
    for i in range(N):
        files[f"{i}.png"] = square(6 * i)
        files[f"{i}.json"] = json.dumps({"bright": hole if i == 3 else 6 * i}).encode()
    write_shard(tmp_path / "D" / "train-0.tar", files)
    options: dict[str, Any] = {"root": str(tmp_path / "D"), "attributes": ["bright"], "size": 8}
    with pytest.raises(DataError, match="bright is empty or infinite in 1 rows"):
        Shards(**options)
    with pytest.warns(UserWarning, match="dropped 1 of 12 rows"):
        data = Shards(**options, missing="drop", cache=str(tmp_path / "cache"))
    split = data.load("train")
    np.testing.assert_allclose(split.images[:, 0, 0, 0], split.values[:, 0])


def test_labels_that_are_lists_are_refused_by_name(tmp_path: Path) -> None:
    files = {"a.png": square(1), "a.json": b'{"box": [1, 2]}', "b.png": square(2), "b.json": b'{"box": [1]}'}
    write_shard(tmp_path / "D" / "train-0.tar", files)
    with pytest.raises(DataError, match="box holds lists, structures or bytes, not single values; leave it out"):
        Shards(root=str(tmp_path / "D"), attributes=["box"])
