"""CelebA: 202,599 photographs of faces with 40 attributes each, read as its authors, or data hubs, lay it out."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from itertools import islice
from pathlib import Path

import numpy as np
from PIL import Image

from ccigkit.causal.attributes import Attribute, Attributes, Values
from ccigkit.component.options import Count, Folder, Fraction, Natural
from ccigkit.data.files.cache import OnBad
from ccigkit.data.files.cells import binary, numbers
from ccigkit.data.files.columns import joined
from ccigkit.data.files.crops import ALIGNED, LARGEST, Crop, Preset
from ccigkit.data.files.folder import FileData, Rows
from ccigkit.data.files.parquet import ParquetImages, parquet_blocks, parquet_files, parts_by_file
from ccigkit.data.files.sources import PARTS, ImageFiles, Images, Names, refuse_html, unique
from ccigkit.errors import DataError, one_of
from ccigkit.pixels import UNREADABLE

SIGNS = {"1": 1.0, "0": 0.0, "-1": 0.0}
LABELS = ("list_attr_celeba.txt", "list_attr_celeba.csv")
PEOPLE = ("celeb_id", "identity")  # what data hubs call the column that says who it is

WIDTH = ALIGNED[0]  # pixels, of the aligned images


class CelebA(FileData):
    """Photographs of faces (Liu et al., 2015, "Deep Learning Face Attributes in the Wild"), from a folder of yours.

    The folder, or `celeba` in it, holds img_align_celeba (a folder or a .zip) and list_attr_celeba (.txt or .csv), and
    may hold list_eval_partition and identity_CelebA (.txt or .csv); or it holds parquet files with images and labels.
    The images are decoded once, into a cache.

    Args:
        root: the folder with the files of CelebA.
        attributes: which of the label file's attributes to model.
        columns: what the file calls an attribute, where it has another name for it.
        size: height and width of the images, in pixels.
        crop: what is cut out before resizing: a paper's crop by its name, or the side of a central square in pixels;
            whole, or 0, squeezes the whole image into a square.
        limit: use only so many images, spread evenly over the label file; 0 for all.
        on_bad: whether image files that cannot be read are an error (refuse) or are left out (skip).
        cache: folder for the decoded images; empty for `ccigkit` in the user's cache.
        share_test: share of the images in the test split, where no file says which those are; where
            identities are known, no person is in both.
        seed: seed of that split.
    """

    name = "celeba"

    def __init__(
        self,
        *,
        root: Folder = "",
        attributes: list[str] = ["Smiling", "Male", "High_Cheekbones", "Mouth_Slightly_Open", "Narrow_Eyes"],  # noqa: B006  never written to
        columns: dict[str, str] = {},  # noqa: B006
        size: Count = 64,
        crop: Preset | int = "dear",
        limit: Natural = 0,
        on_bad: OnBad = "refuse",
        cache: Folder = "",
        share_test: Fraction = 0.1,
        seed: Natural = 0,
    ) -> None:
        super().__init__(root, size, crop, limit, on_bad, cache, share_test, seed)
        if not attributes:
            raise DataError("celeba: attributes is empty; name at least one, for example Smiling")
        if extra := columns.keys() - {*attributes}:
            raise DataError(f"celeba: columns: {one_of('attribute', min(extra), attributes)}")
        self.attributes = tuple(Attributes(Attribute(name, "binary") for name in attributes))
        self.columns = [columns.get(name, name) for name in attributes]
        self.frame = min(self.view.crop.side / WIDTH, 1.0) or 1.0

    def find(self) -> Rows:
        rows = self._listed()
        if said := said_of_size(self.view.crop, *first_size(rows.images)):
            warnings.warn(f"{rows.images.place}: {said}", stacklevel=2)
        return rows

    def _listed(self) -> Rows:
        root = self.place("list_attr_celeba.txt")
        folder = next((folder for folder in (root, root / "celeba") if _find(folder, *LABELS)), root)
        if not _find(folder, *LABELS) and (files := parquet_files(folder)):
            return self._in_parquet(folder, files)
        return self._in_folder(folder)

    # --- as its authors lay it out ------------------------------------------------------------------------------------

    def _in_folder(self, folder: Path) -> Rows:
        path = _find(folder, *LABELS)
        if not path:
            raise DataError(f"{folder} has neither a {' nor a '.join(LABELS)}, nor any .parquet files")
        images = _images(folder)
        labels = read_labels(path, self.columns)
        small = {image.lower(): image for image in images.entries}  # some copies have 000001.JPG
        found = {name: small[name.lower()] for name in labels if name.lower() in small}
        names = list(found)
        if not names:
            raise DataError(
                f"none of the {len(labels)} names in {path} is among the {len(images.entries)} images in {images.place}"
            )
        _report(f"label rows in {path} have no image", [name for name in labels if name not in found])
        _report(f"images in {images.place} have no label row", sorted(images.entries.keys() - {*found.values()}))
        values = np.array([labels[name] for name in names])
        return Rows(images, np.array(list(found.values())), values, _parts(folder, names), _people(folder, names))

    # --- as data hubs do ----------------------------------------------------------------------------------------------

    def _in_parquet(self, folder: Path, files: Sequence[Path]) -> Rows:
        columns = joined(parquet_blocks(files))
        images = ParquetImages.find(folder, files)
        for column in self.columns:
            if column not in columns:
                raise DataError(f"{files[0]}: {one_of('attribute', column, columns)}; data.columns maps names")
        values = np.stack([_labels(files[0].parent, name, columns[name]) for name in self.columns], axis=1)
        names = np.array(list(images.entries))
        people = next((np.array(columns[name]).astype(str) for name in PEOPLE if name in columns), None)
        return Rows(images, names, values, parts_by_file(names.tolist()), people)


def said_of_size(crop: Crop, width: int, height: int) -> str:
    """What a crop does to pictures of another size than CelebA's; empty where it cuts what it says, or there are none.

    Raises:
        DataError: where they are no larger or smaller copies of CelebA's, so that a paper's crop shows something else.
    """
    pictures = f"pictures are {width} x {height} pixels"
    if not width:
        return ""
    if (scale := crop.scale(width, height)) is None:
        raise DataError(
            f"{pictures}, not CelebA's {WIDTH} x {ALIGNED[1]} or a copy in another size, so that the crop {crop.name} "
            "shows something else; data.crop=square takes the largest square, data.crop=N the central N x N pixels"
        )
    if scale != 1:
        left, top, right, _ = crop.box(width, height)
        return f"{pictures}, so the crop {crop.name} is scaled with them, to {right - left} pixels at ({left}, {top})"
    if min(width, height) < crop.side < LARGEST:
        return f"{pictures}, smaller than data.crop={crop.side}; the largest square of each is taken"
    return ""


def first_size(images: Images) -> tuple[int, int]:
    """Width and height of the first image that can be read; 0 and 0 where none of the first few can."""
    with images.reading() as read:
        for name in islice(images.entries, 5):
            try:
                with Image.open(BytesIO(read(name))) as image:
                    return image.size
            except UNREADABLE:
                continue
    return 0, 0


def _images(folder: Path) -> ImageFiles:
    """The images, in the folder or in the zip, by the last part of their path."""
    place = _find(folder, "img_align_celeba", "img_align_celeba.zip")
    if not place:
        raise DataError(f"{folder} has neither a folder img_align_celeba nor an img_align_celeba.zip")
    return ImageFiles.find(place).named(lambda path: path.name)


def _parts(folder: Path, names: list[str]) -> Names | None:
    """The split of every image [n] from list_eval_partition, if there is one."""
    if not (path := _find(folder, "list_eval_partition.txt", "list_eval_partition.csv")):
        return None
    part = _read_pairs(path)
    if lost := [name for name in names if part.get(name) not in ("0", "1", "2")]:
        raise DataError(f"{path} has no 0, 1 or 2 for {len(lost)} images, first {lost[0]}")
    return np.array([PARTS[part[name]] for name in names])


def _people(folder: Path, names: list[str]) -> Names | None:
    """The person on every image [n] from identity_CelebA, if there is one; each image it lacks counts as another."""
    if not (path := _find(folder, "identity_CelebA.txt", "identity_CelebA.csv")):
        return None
    person = _read_pairs(path)
    return np.array([person.get(name, name) for name in names])


def _labels(where: Path, name: str, cells: Sequence[object]) -> Values:
    """A column of truths, signs, or zeros and ones, as 0 and 1."""
    found = numbers(cells)
    values = None if found is None else binary(found)
    if values is None:
        raise DataError(f"{where}: the labels in {name} must be true or false, 1 or 0, or 1 or -1")
    return values


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
        if len(row) != 1 + len(names) or any(row[column] not in SIGNS for column in columns):
            raise DataError(f"{path}, line {number}: expected a name and {len(names)} labels, each 1, 0 or -1")
        return [SIGNS[row[column]] for column in columns]

    labels = unique(path, ((row[0], values(number, row)) for number, row in lines))
    if announced and int(announced) != len(labels):
        raise DataError(f"{path} announces {announced} rows in its first line but has {len(labels)}; fetch it again")
    return labels


def _read_pairs(path: Path) -> Mapping[str, str]:
    """The last field of every line by the first, without the header that a CSV has."""
    return unique(path, ((row[0], row[-1]) for _, row in _lines(path) if row[0] != "image_id"))


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
