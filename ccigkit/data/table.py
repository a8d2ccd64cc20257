"""A folder of one's own images with a table of their attributes; kinds and splits are inferred, and reported."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ccigkit.causal.attributes import Attribute, Attributes, Kind
from ccigkit.data.files.cache import OnBad
from ccigkit.data.files.columns import Columns, as_attribute, describe_kinds, joined, read_columns, unfit
from ccigkit.data.files.crops import Preset
from ccigkit.data.files.folder import FileData, Rows
from ccigkit.data.files.parquet import ParquetImages, image_column, parquet_blocks, parquet_files, parts_by_file
from ccigkit.data.files.sources import PARTS, ImageFiles, Images, Names, unique
from ccigkit.errors import DataError, one_of

SPLIT = ("split", "partition", "subset", "fold")  # what a column of splits is called
NAMING: tuple[Callable[[PurePosixPath], str], ...] = (str, lambda path: path.name, lambda path: path.stem)


class ImageTable(FileData):
    """Any folder of images with a table of attributes: a row per image, a column per attribute.

    The table names each image by its path in the folder, its file name, or that without the ending. Kinds are inferred
    and reported once: two values are binary, words and few whole numbers from 0 are categorical, other numbers are
    continuous.

    Args:
        root: the folder with the images, folders in it included, or a .zip of them; or parquet files with images.
        labels: the table (.csv, .tsv or .parquet); empty for the only one in the folder.
        attributes: which columns to model; empty for all that can be.
        kinds: kinds of attributes, where the inferred ones are wrong.
        image: the column that names the image; empty to look for it.
        split: the column that says train, valid or test; empty for one named split or partition, if there is one.
        size: height and width of the images, in pixels.
        crop: what is cut out before resizing: the largest central square, one of so many pixels a side, or a paper's
            crop by its name; whole, or 0, squeezes the whole image into a square.
        limit: use only so many images, spread evenly over the table; 0 for all.
        on_bad: whether image files that cannot be read are an error (refuse) or are left out (skip).
        cache: folder for the decoded images; empty for `ccigkit` in the user's cache.
        share_test: share of the images in the test split, where no column says which those are.
        seed: seed of that split.
    """

    name = "table"

    def __init__(
        self,
        *,
        root: str = "",
        labels: str = "",
        attributes: list[str] = [],  # noqa: B006  never written to
        kinds: dict[str, Kind] = {},  # noqa: B006
        image: str = "",
        split: str = "",
        size: int = 64,
        crop: Preset | int = "square",
        limit: int = 0,
        on_bad: OnBad = "refuse",
        cache: str = "",
        share_test: float = 0.1,
        seed: int = 0,
    ) -> None:
        super().__init__(root, size, crop, limit, on_bad, cache, share_test, seed)
        sheet = _read(self.place("the images"), labels, image)
        for name in (*attributes, *kinds, *filter(None, [split])):
            if name not in sheet.columns:
                raise DataError(f"{sheet.path}: {one_of('column', name, sheet.columns)}")
        splits = split or next((name for name in sheet.columns if name.lower() in SPLIT), "")
        others = {name: cells for name, cells in sheet.columns.items() if name not in ("", sheet.image, splits)}
        unfits = {name: why for name, cells in others.items() if not attributes and (why := unfit(cells))}
        chosen = attributes or [name for name in others if name not in unfits]
        if not chosen:
            raise DataError(f"{sheet.path}: none of its {len(sheet.columns)} columns can be an attribute")
        columns = [as_attribute(name, sheet.columns[name], kinds.get(name), sheet.path) for name in chosen]
        self.attributes = tuple(Attributes(attribute for attribute, _ in columns))
        values = np.stack([values for _, values in columns], axis=1)
        self._found = Rows(sheet.images, sheet.names, values, _parts(sheet, splits))
        warnings.warn(_report(sheet, self.attributes, splits, unfits), stacklevel=2)

    def find(self) -> Rows:
        return self._found


@dataclass(frozen=True)
class Sheet:
    """A table beside its images: its file, its columns of n cells, and the images [n] that the rows are about.

    `image` is the column that names them; empty where the images lie in the table itself.
    """

    path: Path
    columns: Columns
    images: Images
    names: Names
    image: str


def _read(place: Path, labels: str, image: str) -> Sheet:
    """The table and the images of a folder, a zip, or parquet files that hold both."""
    files = parquet_files(place)
    if files and not labels and image_column(files[0]):
        images = ParquetImages.find(place, files)
        return Sheet(files[0], joined(parquet_blocks(files)), images, np.array(list(images.entries)), "")
    path = Path(labels).expanduser() if labels else _only_table(place if place.is_dir() else place.parent)
    if not path.is_file():
        raise DataError(f"there is no table {path}; set data.labels to the one of the images")
    columns = read_columns(path)
    if image and image not in columns:
        raise DataError(f"{path}: {one_of('column', image, columns)}")
    return _matched(path, columns, ImageFiles.find(place), [image] if image else list(columns))


def _only_table(folder: Path) -> Path:
    tables = sorted(path for suffix in ("csv", "tsv", "parquet") for path in folder.glob(f"*.{suffix}"))
    if len(tables) != 1:
        what = f"{len(tables)} tables ({', '.join(path.name for path in tables)})" if tables else "no .csv or .parquet"
        raise DataError(f"{folder} has {what}; name the one of the images: data.labels=FILE")
    return tables[0]


def _matched(path: Path, columns: Columns, files: ImageFiles, candidates: Sequence[str]) -> Sheet:
    """The rows that have an image, by the first column and the first way of naming that name any."""
    for naming in NAMING:
        by_name = {naming(PurePosixPath(name)) for name in files.entries}
        for column in candidates:
            if any(str(cell).strip() in by_name for cell in columns[column]):
                images = files.named(naming)
                names = unique(path, ((str(cell).strip(), row) for row, cell in enumerate(columns[column])))
                rows = [row for name, row in names.items() if name in images.entries]
                if lost := [name for name in names if name not in images.entries]:
                    warnings.warn(f"{len(lost)} rows of {path} have no image, first {lost[0]}; left out", stacklevel=4)
                kept: Columns = {name: [cells[row] for row in rows] for name, cells in columns.items()}
                return Sheet(path, kept, images, np.array(list(names))[rows], column)
    raise DataError(
        f"no column of {path} names any of the {len(files.entries)} images in {files.place}; "
        "data.image=COLUMN says which one should"
    )


def _parts(sheet: Sheet, column: str) -> Names | None:
    """The splits [n] that a column or the parquet files' names say; None where they say none."""
    if not column:
        return None if sheet.image else parts_by_file(sheet.names.tolist())
    words = [str(cell).strip().lower() for cell in sheet.columns[column]]
    if odd := next((word for word in words if word not in PARTS), None):
        raise DataError(f"{sheet.path}: {column} says {odd!r}, but a split is train, valid or test")
    return np.array([PARTS[word] for word in words])


def _report(sheet: Sheet, attributes: Sequence[Attribute], splits: str, unfits: Mapping[str, str]) -> str:
    """What was inferred, in one line."""
    left_out = ", ".join(f"{name} ({why})" for name, why in unfits.items())
    parts = {"images by ": sheet.image, "splits by ": splits, "not taken: ": left_out}
    inferred = (f"{what}{said}" for what, said in parts.items() if said)
    return "; ".join([f"{sheet.path}: {len(sheet.names)} images", describe_kinds(attributes), *inferred])
