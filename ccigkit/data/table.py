"""A folder of one's own images with a table of their attributes; kinds and splits are inferred, and reported."""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from ccigkit.causal.attributes import Attributes, SaidKind
from ccigkit.component.options import Count, Folder, Fraction, Natural
from ccigkit.data.files.cache import OnBad
from ccigkit.data.files.cells import Missing, read_attributes, unfit
from ccigkit.data.files.columns import Columns, describe_kinds, is_table, joined, read_columns, written
from ccigkit.data.files.crops import Preset
from ccigkit.data.files.folder import FileData, Rows
from ccigkit.data.files.intervened import Interventions, columns_of, read_intervened
from ccigkit.data.files.matching import match_images
from ccigkit.data.files.parquet import ParquetImages, image_columns, parquet_blocks, parquet_files, parts_by_file
from ccigkit.data.files.sources import FOREIGN, PARTS, SUFFIXES, ImageFiles, Images, Names
from ccigkit.data.files.spelling import is_hole, is_number, word
from ccigkit.errors import DataError, one_of
from ccigkit.files import expanded

SHEETS = (".xlsx", ".xls", ".ods", ".numbers", ".sav", ".dta", ".rds", ".json", ".txt", ".xml")  # not read
SPLIT = ("split", "partition", "subset", "fold")  # what a column of splits is called


class ImageTable(FileData):
    """Any folder of images with a table of attributes: a row per image, a column per attribute.

    The table names each image by its path in the folder, its file name, or that without the ending, or its number.
    Kinds are inferred and said once: 0 and 1 are binary, words, two whole numbers and few in a row are categorical,
    other numbers continuous.

    Args:
        root: the folder with the images, folders in it included, or a .zip of them; or parquet files with images.
        labels: the table (.csv, .tsv or .parquet); empty for the only one in the folder.
        attributes: which columns to model; empty for all that can be.
        kinds: kinds of attributes, where the inferred ones are wrong; `ordered` is categorical, and the order counts.
        image: the column that names the image; empty to look for it.
        split: the column that says train, valid or test; empty for one named split or partition, if there is one; none
            to draw one.
        interventions: what says which attributes were set from outside in a row: a column of their names (a;b, or
            nothing), or columns of 0 and 1, {column = "attribute"}.
        missing: whether a row with a hole in an attribute is an error (refuse) or is dropped (drop).
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
        root: Folder = "",
        labels: str = "",
        attributes: list[str] = [],  # noqa: B006  never written to
        kinds: dict[str, SaidKind] = {},  # noqa: B006
        image: str = "",
        split: str = "",
        interventions: Interventions = "",
        missing: Missing = "refuse",
        size: Count = 64,
        crop: Preset | int = "square",
        limit: Natural = 0,
        on_bad: OnBad = "refuse",
        cache: Folder = "",
        share_test: Fraction = 0.1,
        seed: Natural = 0,
    ) -> None:
        super().__init__(root, size, crop, limit, on_bad, cache, share_test, seed)
        sheet = _read(self.place("the images"), labels, image)
        splits = _splits(sheet, split)
        for name in (*attributes, *kinds, *columns_of(interventions), *filter(None, [splits])):
            if name not in sheet.columns:
                raise DataError(f"{sheet.path}: {one_of('column', name, sheet.columns)}")
        spoken_for = ("", sheet.image, splits, *columns_of(interventions))
        others = {name: cells for name, cells in sheet.columns.items() if name not in spoken_for}
        unfits = {} if attributes else _unfits({n: cells for n, cells in others.items() if n not in kinds}, missing)
        left_out = ", ".join(f"{name} ({why})" for name, why in unfits.items())
        chosen = attributes or [name for name in others if name not in unfits]
        if not chosen:
            why = f": {left_out}" if left_out else ""
            raise DataError(f"{sheet.path}: none of its {len(sheet.columns)} columns can be an attribute{why}")
        reading = read_attributes(sheet.columns, chosen, kinds, missing, sheet.path, semicolons=sheet.semicolons)
        self.attributes = tuple(Attributes(reading.attributes))
        parts = _parts(sheet, splits)
        kept = None if parts is None else parts[reading.kept]
        setting = read_intervened(sheet.columns, chosen, interventions, reading.kept, sheet.path)
        names, intervened = sheet.names[reading.kept], setting.intervened
        self._found = Rows(sheet.images, names, reading.values, kept, intervened=intervened)
        said = [
            f"{sheet.path}: {len(self._found.names)} images",
            describe_kinds(self.attributes),
            *sheet.said,
            *_said_of(kept, splits),
            *reading.said,
            *setting.said,
            *([f"not taken: {left_out}"] if left_out else []),
        ]
        if any("has empty cells" in why for why in unfits.values()):
            said.append("data.missing=drop takes those with empty cells and drops the rows")
        warnings.warn("; ".join(said), stacklevel=2)

    def find(self) -> Rows:
        return self._found


@dataclass(frozen=True)
class Sheet:
    """A table beside its images: its file, its columns of n cells, and the images [n] that the rows are about.

    `image` is the column that names them; empty where the images lie in the table itself. `said` is what is to be said
    of how both were found.
    """

    path: Path
    columns: Columns
    images: Images
    names: Names
    image: str
    said: tuple[str, ...]
    semicolons: bool = False


def _read(place: Path, labels: str, image: str) -> Sheet:
    """The table and the images of a folder, a zip, or parquet files that hold both."""
    files = parquet_files(place)
    if files and not labels and (inside := image_columns(files[0])):
        if image and image not in inside:
            raise DataError(f"{files[0]}: {one_of('column of images', image, inside)}")
        column = image or inside[0]
        images = ParquetImages.find(place, files, column)
        others = [name for name in inside if name != column]
        said = (f"images in {column} (data.image={others[0]} takes others)",) if others else ()
        return Sheet(files[0], joined(parquet_blocks(files, column)), images, np.array(list(images.entries)), "", said)
    path = expanded(labels) if labels else _only_table(place if place.is_dir() else place.parent)
    if not path.is_file():
        raise DataError(f"there is no table {path}; set data.labels to the one of the images")
    columns = read_columns(path)
    if image and image not in columns:
        raise DataError(f"{path}: {one_of('column', image, columns)}")
    return _matched(path, columns, ImageFiles.find(place), image)


def _only_table(folder: Path) -> Path:
    tables = sorted(path for path in folder.iterdir() if is_table(path) and not path.name.startswith((".", "~$")))
    if len(tables) != 1:
        what = f"{len(tables)} tables ({', '.join(path.name for path in tables)})" if tables else "no .csv or .parquet"
        others = () if tables else (path.name for path in sorted(folder.iterdir()) if path.suffix.lower() in SHEETS)
        export = "".join(f"; {name} must be exported as .csv" for name in islice(others, 1))
        raise DataError(f"{folder} has {what}{export}; name the one of the images: data.labels=FILE")
    return tables[0]


def _matched(path: Path, columns: Columns, files: ImageFiles, given: str) -> Sheet:
    """The rows that have an image."""
    if not files.entries:
        raise DataError(f"{files.place} has no images ({', '.join(SUFFIXES)}); {_instead(files.place)}")
    match = match_images(columns, list(files.entries), path, files.place, given)
    if match.lost:
        other = next((f"; {text} must be converted to .jpg" for text in match.lost if _is_foreign(text)), "")
        said = f"{len(match.lost)} rows of {path} have no image, first {match.lost[0]}; left out{other}"
        warnings.warn(said, stacklevel=4)
    kept: Columns = {name: [cells[row] for row in match.images] for name, cells in columns.items()}
    found = [f"images by {match.column}{match.how}"]
    if lacking := len(files.entries) - len(match.images):
        found.append(f"{lacking} images without a row")
    form, names = written(path), np.array(list(match.images.values()))
    return Sheet(path, kept, files, names, match.column, (*form.said, *found), form.delimiter == ";")


def _is_foreign(name: str) -> bool:
    return name.lower().endswith(FOREIGN)


def _instead(place: Path) -> str:
    """What to do about a place without images."""
    others = sorted(path.name for path in place.rglob("*") if _is_foreign(path.name)) if place.is_dir() else []
    if others:
        return f"it has {len(others)} such as {others[0]}, which must be converted to .jpg"
    return "set data.root to where they are"


def _unfits(columns: Columns, missing: Missing) -> dict[str, str]:
    """The columns that are not taken unasked, and why."""
    reasons = {
        name: "folds; data.split=fold uses them" if name.lower() == "fold" else unfit(name, cells, missing)
        for name, cells in columns.items()
    }
    return {name: why for name, why in reasons.items() if why}


def _splits(sheet: Sheet, given: str) -> str:
    """The column of splits: the given one, none, or one that is named so and has what splits are called."""
    if given == "none" and given not in sheet.columns:
        return ""
    if given:
        return given
    for name in sheet.columns:
        if name.lower() in SPLIT and name != sheet.image:
            words = {word(cell).lower() for cell in sheet.columns[name]}
            if name.lower() != "fold" or not all(
                is_number(text) or is_hole(text) for text in words
            ):  # of which any may be the test
                return name
    return ""


def _parts(sheet: Sheet, column: str) -> Names | None:
    """The splits [n] that a column or the parquet files' names say; None where they say none."""
    if not column:
        return None if sheet.image else parts_by_file(sheet.names.tolist())
    words = [re.sub(r"\.0+$", "", word(cell).lower()) for cell in sheet.columns[column]]
    if (odd := next((text for text in words if text not in PARTS), None)) is not None:
        raise DataError(
            f"{sheet.path}: {column} says {odd!r}, but a split is train, valid or test; "
            "data.split=COLUMN names another column, data.split=none draws one"
        )
    return np.array([PARTS[text] for text in words])


def _said_of(parts: Names | None, column: str) -> list[str]:
    """Which column has the splits, and how many images are in none that is used."""
    if parts is None or not column:
        return []
    spare = int((parts == "valid").sum()) if (parts == "test").any() else 0
    return [f"splits by {column}" + (f" ({spare} images of valid are not used)" if spare else "")]
