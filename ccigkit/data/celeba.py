"""CelebA: 202,599 photographs of faces with 40 attributes each, read as its authors lay it out."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ccigkit.attributes import Attribute, Attributes, Table, Values
from ccigkit.data.cache import ImageFiles, OnBad, cached_images, refuse_html, unique
from ccigkit.errors import DataError, one_of
from ccigkit.files import cache_folder
from ccigkit.interfaces import DataModule, Split, SplitName

BINARY = {"1": 1.0, "0": 0.0, "-1": 0.0}
PARTITION = {"0": "train", "1": "valid", "2": "test"}
LABELS = ("list_attr_celeba.txt", "list_attr_celeba.csv")

Names = npt.NDArray[np.str_]

WIDTH = 178  # pixels, of the aligned images


class CelebA(DataModule):
    """Photographs of faces (Liu et al., 2015, "Deep Learning Face Attributes in the Wild"), from a folder of yours.

    The folder, or `celeba` in it, holds img_align_celeba (a folder or a .zip) and list_attr_celeba (.txt or .csv), and
    may hold list_eval_partition (.txt or .csv). The images are decoded once, into a cache.

    Args:
        root: the folder with the files of CelebA.
        attributes: which of the label file's attributes to model.
        size: height and width of the images, in pixels.
        crop: side of the central square that is cut out before resizing; 0 squeezes the whole image into a square.
        limit: use only so many images, spread evenly over the label file; 0 for all.
        on_bad: whether image files that cannot be read are an error (refuse) or are left out (skip).
        cache: folder for the decoded images; empty for `ccigkit` in the user's cache.
        share_test: share of the images in the test split, where there is no list_eval_partition.
        seed: seed of that split.
    """

    name = "celeba"

    def __init__(
        self,
        *,
        root: str = "",
        attributes: list[str] = ["Smiling", "Male", "High_Cheekbones", "Mouth_Slightly_Open", "Narrow_Eyes"],  # noqa: B006  never written to
        size: int = 64,
        crop: int = 128,
        limit: int = 0,
        on_bad: OnBad = "refuse",
        cache: str = "",
        share_test: float = 0.1,
        seed: int = 0,
    ) -> None:
        for option, value, least in (("size", size, 1), ("crop", crop, 0), ("limit", limit, 0), ("seed", seed, 0)):
            if value < least:
                raise DataError(f"celeba: {option}={value} must be at least {least}")
        if not 0 < share_test < 1:
            raise DataError(f"celeba: share_test={share_test} must be between 0 and 1")
        if not attributes:
            raise DataError("celeba: attributes is empty; name at least one, for example Smiling")
        self.root, self.size, self.crop, self.limit, self.on_bad = root, size, crop, limit, on_bad
        self.share_test, self.seed = share_test, seed
        self.cache = Path(cache).expanduser() if cache else cache_folder()
        self.attributes = tuple(Attributes(Attribute(name, "binary") for name in attributes))
        self.image_shape = (3, size, size)
        self.frame = crop / WIDTH if crop else 1.0

    def load(self, split: SplitName) -> Split:
        """The images and attributes of one split, in the order of the label file; decoded at the first call only."""
        names, values = self._split(split)
        images, kept = cached_images(
            self._files, names, size=self.size, crop=self.crop, on_bad=self.on_bad, folder=self.cache
        )
        return Split(images, values[kept])

    def table(self) -> Table:
        """The training split's attributes, without a look at the images, unless bad ones drop out of the split."""
        values = self.load("train").values if self.on_bad == "skip" else self._split("train")[1]
        return Table.fit(self.attributes, values, self.truth)

    def _split(self, split: SplitName) -> tuple[list[str], Values]:
        names, values, parts = self._rows
        wanted = "valid" if split == "test" and not (parts == "test").any() else split
        if not (parts == wanted).any():
            raise DataError(f"celeba: none of the {len(names)} images in {self._folder} is in the {split} split")
        return names[parts == wanted].tolist(), values[parts == wanted]

    @cached_property
    def _folder(self) -> Path:
        """Where the files lie."""
        if not self.root:
            raise DataError("celeba needs the folder with its files: data.root=FOLDER")
        root = Path(self.root).expanduser()
        if not root.is_dir():
            raise DataError(f"celeba: there is no folder {root}; set data.root to the one with list_attr_celeba.txt")
        return next((folder for folder in (root, root / "celeba") if _find(folder, *LABELS)), root)

    @cached_property
    def _files(self) -> ImageFiles:
        """The images, in the folder or in the zip."""
        folder = _find(self._folder, "img_align_celeba", "img_align_celeba.zip")
        if not folder:
            raise DataError(f"{self._folder} has neither a folder img_align_celeba nor an img_align_celeba.zip")
        inner = folder / folder.name  # where an unpacker made a folder of its own
        return ImageFiles.find(inner if inner.is_dir() else folder)

    @cached_property
    def _rows(self) -> tuple[Names, Values, Names]:
        """The images that have labels, in the order of the label file: names [n], values [n, d] and splits [n]."""
        path = _find(self._folder, *LABELS)
        if not path:
            raise DataError(f"{self._folder} has neither a {' nor a '.join(LABELS)}")
        labels = read_labels(path, [attribute.name for attribute in self.attributes])
        images = self._files.entries
        names = [name for name in labels if name in images]
        if not names:
            raise DataError(
                f"none of the {len(labels)} names in {path} is among the {len(images)} images in {self._files.place}"
            )
        _report(f"label rows in {path} have no image", [name for name in labels if name not in images])
        _report(f"images in {self._files.place} have no label row", sorted(images.keys() - labels.keys()))
        if 0 < self.limit < len(names):
            names = [names[i * len(names) // self.limit] for i in range(self.limit)]
        return np.array(names), np.array([labels[name] for name in names]), self._parts(names)

    def _parts(self, names: list[str]) -> Names:
        """The split of every image [n], from list_eval_partition, or drawn where there is none."""
        if path := _find(self._folder, "list_eval_partition.txt", "list_eval_partition.csv"):
            part = unique(path, ((row[0], row[-1]) for _, row in _lines(path) if row[0] != "image_id"))
            if lost := [name for name in names if part.get(name) not in PARTITION]:
                raise DataError(f"{path} has no 0, 1 or 2 for {len(lost)} images, first {lost[0]}")
            return np.array([PARTITION[part[name]] for name in names])
        order = np.random.default_rng(self.seed).permutation(len(names))
        return np.where(order < round(self.share_test * len(names)), "test", "train")


def read_labels(path: Path, attributes: list[str]) -> dict[str, list[float]]:
    """The values of some attributes, 0 or 1, by image name, from list_attr_celeba.txt or .csv.

    Raises:
        DataError: where the file is not such a list, is cut short, or lacks an attribute.
    """
    lines = _lines(path)
    comma = path.suffix == ".csv"
    announced = "" if comma else next(lines, (1, [""]))[1][0]
    if not comma and not announced.isdigit():
        raise DataError(f"{path}: expected the number of rows in the first line and the attributes in the second")
    names = next(lines, (1, [""]))[1][comma:]  # the name of the image has a column title in the CSV only
    for attribute in attributes:
        if attribute not in names:
            raise DataError(f"{path}: {one_of('attribute', attribute, names)}")
    columns = [1 + names.index(attribute) for attribute in attributes]

    def values(number: int, row: list[str]) -> list[float]:
        if len(row) != 1 + len(names) or any(row[column] not in BINARY for column in columns):
            raise DataError(f"{path}, line {number}: expected a name and {len(names)} labels, each 1, 0 or -1")
        return [BINARY[row[column]] for column in columns]

    labels = unique(path, ((row[0], values(number, row)) for number, row in lines))
    if announced and int(announced) != len(labels):
        raise DataError(f"{path} announces {announced} rows in its first line but has {len(labels)}; fetch it again")
    return labels


def _lines(path: Path) -> Iterator[tuple[int, list[str]]]:
    """The lines that are not empty, numbered from 1 and cut into their fields."""
    refuse_html(path, "a list")
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file) if path.suffix == ".csv" else map(str.split, file)
        yield from ((number, row) for number, row in enumerate(rows, 1) if row)


def _find(folder: Path, *names: str) -> Path | None:
    """The first of some names that is there."""
    return next((folder / name for name in names if (folder / name).exists()), None)


def _report(what: str, names: list[str]) -> None:
    if names:
        warnings.warn(f"{len(names)} {what}, first {names[0]}; left out", stacklevel=2)
