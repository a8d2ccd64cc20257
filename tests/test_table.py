"""A folder of one's own images with a table: what is inferred, what can be said, and what is refused."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from ccigkit import testing
from ccigkit.component.options import options_of
from ccigkit.component.registry import signature_fault
from ccigkit.data.celeba import CelebA
from ccigkit.data.table import ImageTable
from ccigkit.errors import DataError
from tests.celeba_folder import write_celeba
from tests.data_folders import write_parquet, write_table
from tests.helpers import process

PARTITION = "0" * 28 + "1" * 4 + "2" * 8
ATTRIBUTES = ["Smiling", "Male", "Young"]

pytestmark = pytest.mark.filterwarnings("ignore:.*images; .*:UserWarning")


@pytest.fixture
def table(tmp_path: Path) -> Callable[..., ImageTable]:
    """A table in tmp_path/shells, with its cache beside it."""

    def build(**options: Any) -> ImageTable:
        return ImageTable(**{"root": str(tmp_path / "shells"), "cache": str(tmp_path / "cache"), "size": 16, **options})

    return build


def write_images(folder: Path, names: Sequence[str]) -> None:
    """Write squares, the i-th as bright as 6 i."""
    for i, name in enumerate(names):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (6 * i,) * 3).save(folder / name)


def write_csv(path: Path, columns: Mapping[str, Sequence[object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([list(columns), *zip(*columns.values(), strict=True)])


def shells(folder: Path, n: int = 12, **more: Sequence[object]) -> Path:
    """A folder of n images with a size, a stripe and a shape each, and more columns."""
    names = [f"{i:03d}.png" for i in range(n)]
    write_images(folder, names)
    columns: dict[str, Sequence[object]] = {
        "photo": names,
        "size": [1.5 + i * i for i in range(n)],
        "striped": [i % 2 for i in range(n)],
        "shape": [("round", "long", "flat")[i % 3] for i in range(n)],
    }
    write_csv(folder / "shells.csv", columns | more)
    return folder


# --- what is read -----------------------------------------------------------------------------------------------------


def test_is_a_component_and_keeps_the_contract(tmp_path: Path) -> None:
    assert signature_fault(ImageTable) is None
    assert all(option.help for option in options_of(ImageTable).values())
    testing.check(ImageTable, root=str(shells(tmp_path / "s", 30)), cache=str(tmp_path / "cache"), size=16)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "parquet"])
def test_a_table_gives_the_tensors_of_celeba(tmp_path: Path, suffix: str) -> None:
    if suffix == "parquet":
        pytest.importorskip("pyarrow")
    options: dict[str, Any] = {"attributes": ATTRIBUTES, "cache": str(tmp_path / "cache"), "size": 32, "crop": "dear"}
    celeba = CelebA(root=str(write_celeba(tmp_path / "celeba", partition=PARTITION)), **options)
    own = ImageTable(root=str(write_table(tmp_path / "own", partition=PARTITION, suffix=suffix)), **options)
    assert own.preprocess_id == celeba.preprocess_id
    for split in ("train", "test"):
        assert torch.equal(own.load(split).images, celeba.load(split).images)
        np.testing.assert_array_equal(own.load(split).values, celeba.load(split).values)


def test_images_in_the_parquet_file_itself(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    options: dict[str, Any] = {"attributes": ATTRIBUTES, "cache": str(tmp_path / "cache"), "size": 32, "crop": "dear"}
    root = str(write_parquet(tmp_path / "hub", partition=PARTITION))
    own, celeba = ImageTable(root=root, **options), CelebA(root=root, **options)
    for split in ("train", "test"):
        assert torch.equal(own.load(split).images, celeba.load(split).images)
        np.testing.assert_array_equal(own.load(split).values, celeba.load(split).values)


def test_kinds_are_inferred_and_said_once(tmp_path: Path, table: Callable[..., ImageTable]) -> None:
    shells(
        tmp_path / "shells",
        rank=[i % 4 for i in range(12)],
        alive=["true", "False"] * 6,
        side=[-1, 1] * 6,
        number=range(12),
        remark=[f"found {i}" for i in range(12)],
        place=["beach"] * 12,
        depth=["", *range(3, 14)],
    )
    with pytest.warns(UserWarning, match="shells.csv: 12 images") as said:
        data = table()
    assert {a.name: a.kind for a in data.attributes} == {
        "size": "continuous", "striped": "binary", "shape": "categorical", "rank": "categorical", "alive": "binary",
        "side": "binary",
    }  # fmt: skip
    assert data.attributes[2].categories == ("flat", "long", "round")
    (line,) = (str(warning.message) for warning in said)
    assert "binary: striped, alive, side; categorical: shape (flat, long, round), rank; continuous: size" in line
    assert "images by photo" in line
    assert (
        "not taken: number (numbers the rows), remark (12 different texts), place (constant), depth (has empty" in line
    )
    values = np.concatenate([data.load(split).values for split in ("train", "test")])
    assert set(values[:, 4]) == set(values[:, 5]) == {0.0, 1.0}


def test_kinds_can_be_said(tmp_path: Path, table: Callable[..., ImageTable]) -> None:
    shells(tmp_path / "shells", rank=[i % 4 for i in range(12)], grade=[10 * (i % 2) + 5 for i in range(12)])
    data = table(attributes=["rank", "grade"], kinds={"rank": "continuous", "grade": "categorical"})
    assert [a.kind for a in data.attributes] == ["continuous", "categorical"]
    assert data.attributes[1].categories == ("5", "15")


@pytest.mark.parametrize("naming", [lambda p: p, lambda p: p.rpartition("/")[2], lambda p: p.rpartition("/")[2][:-4]])
@pytest.mark.parametrize("zipped", [False, True])
def test_images_are_named_by_path_or_file_or_stem(
    tmp_path: Path, table: Callable[..., ImageTable], naming: Callable[[str], str], zipped: bool
) -> None:
    paths = [f"{'ab'[i % 2]}/{i:02d}.png" for i in range(12)]
    write_images(tmp_path / "shells", paths)
    labels = tmp_path / "labels.csv"
    write_csv(labels, {"weight": [i * i for i in range(12)], "which": list(map(naming, paths))})
    root = tmp_path / "shells"
    if zipped:
        root = tmp_path / "shells.zip"
        with zipfile.ZipFile(root, "w") as archive:
            for path in paths:
                archive.write(tmp_path / "shells" / path, path)
    data = table(root=str(root), labels=str(labels))
    for split in ("train", "test"):
        loaded = data.load(split)
        assert [int(image[0, 0, 0]) for image in loaded.images] == [6 * round(w**0.5) for w in loaded.values[:, 0]]


@pytest.mark.parametrize("words", [("train", "test"), ("Training", "eval"), ("0", "2"), ("train", "validation")])
def test_splits_come_from_a_column(tmp_path: Path, table: Callable[..., ImageTable], words: tuple[str, str]) -> None:
    shells(tmp_path / "shells", partition=[words[i >= 9] for i in range(12)])
    assert (len(table().load("train")), len(table().load("test"))) == (9, 3)
    shells(tmp_path / "shells", use=[words[i >= 9] for i in range(12)])
    assert (len(table(split="use").load("train")), len(table(split="use").load("test"))) == (9, 3)


def test_the_largest_central_square_is_shown(tmp_path: Path, table: Callable[..., ImageTable]) -> None:
    for path in shells(tmp_path / "shells").glob("*.png"):
        image = Image.new("RGB", (60, 20))
        image.paste((255, 255, 255), (20, 0, 40, 20))
        image.save(path)
    assert int(table().load("train").images.min()) == 255
    assert int(table(crop="whole").load("train").images.min()) == 0
    assert table().preprocess_id == "square-16px-bilinear"


def test_pictures_of_many_sizes_and_modes(tmp_path: Path, table: Callable[..., ImageTable]) -> None:
    folder = shells(tmp_path / "shells")
    for i, (mode, size) in enumerate([("L", (9, 31)), ("RGBA", (40, 20)), ("P", (20, 20)), ("1", (64, 64))]):
        Image.new(mode, size, 1).save(folder / f"{i:03d}.png")
    assert len(table().load("train")) + len(table().load("test")) == 12


def test_the_command_line_reads_a_table(tmp_path: Path) -> None:
    folder = shells(tmp_path / "shells", 30)
    settings = (f"root={folder}", f"cache={tmp_path / 'cache'}", "size=32")
    done = process("data", "prepare", "table", *settings, folder=tmp_path)
    assert done.code == 0, done.err
    assert "train: 27 images of [3, 32, 32]" in done.out
    assert done.err.count("shells.csv: 30 images") == 1


# --- bad input: one clear line each -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"root": ""}, "table needs the place of its files: data.root=FOLDER"),
        ({"root": "/no/such/folder"}, "there is no folder /no/such/folder"),
        ({"labels": "/no/table.csv"}, "there is no table /no/table.csv"),
        ({"attributes": ["sise"]}, "unknown column 'sise': did you mean 'size'"),
        ({"kinds": {"sise": "binary"}}, "unknown column 'sise': did you mean 'size'"),
        ({"image": "foto"}, "unknown column 'foto': did you mean 'photo'"),
        ({"image": "shape"}, "no column of .*shells.csv names any of the 12 images"),
        ({"split": "shape"}, "shape says 'round', but a split is train, valid or test"),
        ({"kinds": {"size": "binary"}}, "size is to be binary but has 1.5; use 0 and 1"),
        ({"kinds": {"shape": "continuous"}}, "shape is to be continuous but has 'round', which is no number"),
        ({"crop": -1}, "crop=-1 must be at least 0"),
        ({"limit": 1}, "none of the 1 images in .* is in the test split"),
    ],
)
def test_bad_options(tmp_path: Path, table: Callable[..., ImageTable], options: dict[str, Any], message: str) -> None:
    shells(tmp_path / "shells")
    with pytest.raises(DataError, match=message) as caught:
        table(**options).load("test")
    assert "\n" not in str(caught.value)


def lines(change: Callable[[list[str]], list[str]]) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        path = folder / "shells.csv"
        path.write_text("\n".join(change(path.read_text().splitlines())) + "\n")

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda folder: (folder / "shells.csv").unlink(), "has no .csv or .parquet; name the one .*data.labels=FILE"),
        (lambda folder: (folder / "b.csv").write_text(""), r"has 2 tables \(b.csv, shells.csv\)"),
        (lambda folder: (folder / "shells.csv").write_text("<!doctype html>"), "is an HTML page, not a table"),
        (lines(lambda rows: rows[:1]), "needs a header and at least one row"),
        (lines(lambda rows: [*rows, rows[-1] + ",1"]), "row 14: 5 cells, but the header has 4"),
        (lines(lambda rows: [rows[0].replace("shape", "size"), *rows[1:]]), "two columns named 'size'"),
        (lines(lambda rows: [*rows, rows[-1]]), "has 011.png twice"),
        (lambda folder: (folder / "003.png").write_text("no image"), "1 of 1[01] images .* cannot be read, first 003"),
        (lambda folder: (folder / "003.png").write_bytes((folder / "003.png").read_bytes()[:50]), "cannot be read"),
    ],
)
def test_bad_files(
    tmp_path: Path, table: Callable[..., ImageTable], spoil: Callable[[Path], None], message: str
) -> None:
    spoil(shells(tmp_path / "shells"))
    with pytest.raises(DataError, match=message) as caught:
        table().load("train")
    assert "\n" not in str(caught.value)


def test_rows_without_an_image_are_counted(tmp_path: Path, table: Callable[..., ImageTable]) -> None:
    (shells(tmp_path / "shells") / "004.png").unlink()
    with pytest.warns(UserWarning, match=r"^1 rows of .*shells.csv have no image, first 004.png; left out$"):
        data = table()
    assert len(data.load("train")) + len(data.load("test")) == 11


def test_a_table_of_nothing_but_names(tmp_path: Path, table: Callable[..., ImageTable]) -> None:
    folder = shells(tmp_path / "shells")
    write_csv(folder / "shells.csv", {"photo": [f"{i:03d}.png" for i in range(12)]})
    with pytest.raises(DataError, match="none of its 1 columns can be an attribute"):
        table()


@pytest.mark.parametrize("cell", ["", "nan", "NaN", "inf"])
@pytest.mark.parametrize("kind", ["continuous", "categorical"])
def test_a_number_that_is_missing_is_refused_or_left_out(
    tmp_path: Path, table: Callable[..., ImageTable], cell: str, kind: str
) -> None:
    """Wherever it is, in the test split too, which no training looks at."""
    folder = shells(tmp_path / "shells")
    size = [cell, *(str(1.5 * i) for i in range(1, 12))]
    write_csv(folder / "shells.csv", {"photo": [f"{i:03d}.png" for i in range(12)], "size": size, "old": [0, 1] * 6})
    with pytest.raises(DataError, match="size is empty or infinite in 1 rows"):
        table(attributes=["size"], kinds={"size": kind})
    with pytest.warns(UserWarning, match=r"not taken: size \(has (empty|infinite) cells\)"):
        assert [attribute.name for attribute in table().attributes] == ["old"]


def test_a_web_page_in_place_of_a_parquet_file_is_called_one(tmp_path: Path, table: Callable[..., ImageTable]) -> None:
    pytest.importorskip("pyarrow")
    (tmp_path / "hub.parquet").write_text("<!DOCTYPE html><html></html>")
    with pytest.raises(DataError, match=r"hub.parquet is an HTML page, not a parquet file"):
        table(root=str(tmp_path / "hub.parquet"))


def test_a_truncated_parquet_file(tmp_path: Path, table: Callable[..., ImageTable]) -> None:
    pytest.importorskip("pyarrow")
    hub = write_parquet(tmp_path / "hub")
    path = next((hub / "data").glob("*.parquet"))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=r"is no parquet file: .*; if it was cut short, fetch it again"):
        table(root=str(hub))
