"""Columns of a label file, whatever wrote it: text or typed, cells as numbers, signs, truths or words."""

from __future__ import annotations

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ccigkit.attributes import Attribute, Kind, Values, infer_kind
from ccigkit.data.parquet import read_parquet_columns
from ccigkit.data.sources import refuse_html
from ccigkit.errors import DataError

Columns = dict[str, Sequence[object]]

TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
MOST_CATEGORIES = 50  # more different words than that are names or remarks, and no attribute


def read_columns(path: Path) -> Columns:
    """The columns of a .csv, .tsv or .parquet file by name, without those that hold images.

    Raises:
        DataError: where it cannot be read, or a line has more or fewer cells than the header.
    """
    refuse_html(path, "a table")
    if path.suffix == ".parquet":
        return read_parquet_columns([path])
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",") if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a table of separated text: {error}") from None
    if len(rows) < 2:
        raise DataError(f"{path} needs a header and at least one row")
    names = [name.strip() for name in rows[0]]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise DataError(f"{path} has two columns named {twice!r}; rename one")
    for line, row in enumerate(rows[1:], 2):
        if len(row) != len(names):
            raise DataError(f"{path}, row {line}: {len(row)} cells, but the header has {len(names)}")
    return dict(zip(names, zip(*rows[1:], strict=True), strict=True))


def numbers(cells: Sequence[object]) -> Values | None:
    """Cells [n] as numbers, truths as 0 and 1, empty ones as NaN; None where one is a word."""
    try:
        return np.array([_number(cell) for cell in cells])
    except (TypeError, ValueError):
        return None


def _number(cell: object) -> float:
    if cell is None:
        return math.nan
    if isinstance(cell, str):
        text = cell.strip().lower()
        return TRUTHS[text] if text in TRUTHS else float(text) if text else math.nan
    if isinstance(cell, bool | int | float):
        return float(cell)
    raise TypeError


def binary(values: Values) -> Values | None:
    """Labels of -1 and 1, or of 0 and 1, as 0 and 1; None where there are others."""
    distinct = set(np.unique(values).tolist())
    if distinct <= {-1.0, 0.0, 1.0} and distinct != {-1.0, 0.0, 1.0}:
        return (values > 0).astype(float)
    return None


def as_attribute(name: str, cells: Sequence[object], kind: Kind | None, where: Path) -> tuple[Attribute, Values]:
    """A column as an attribute, its kind inferred where none is given, and its values [n].

    Raises:
        DataError: where the cells are not of that kind.
    """
    found = numbers(cells)
    if found is None:
        return _categorical(name, cells, kind, where)
    if lost := int((~np.isfinite(found)).sum()):
        raise DataError(f"{where}: {name} is empty or infinite in {lost} rows; fill or drop those rows")
    signs = binary(found)
    if kind == "binary" and signs is None:
        odd = next(value for value in found if value not in (-1, 0, 1))
        raise DataError(f"{where}: {name} is to be binary but has {odd:g}; use 0 and 1, or -1 and 1")
    if kind == "categorical":
        return _categorical(name, [f"{value:g}" for value in found], kind, where)
    if (signs is not None and kind is None) or kind == "binary":
        return Attribute(name, "binary"), np.asarray(signs)
    return Attribute(name, kind or infer_kind(found)), found


def _categorical(name: str, cells: Sequence[object], kind: Kind | None, where: Path) -> tuple[Attribute, Values]:
    if kind not in (None, "categorical"):
        word = next(cell for cell in cells if numbers([cell]) is None)
        raise DataError(f"{where}: {name} is to be {kind} but has {word!r}, which is no number")
    words = [str(cell).strip() for cell in cells]
    if lost := words.count("") + sum(cell is None for cell in cells):
        raise DataError(f"{where}: {name} is empty in {lost} rows; fill or drop those rows")
    categories = sorted(set(words), key=_natural)
    code = {word: float(i) for i, word in enumerate(categories)}
    return Attribute(name, "categorical", categories=tuple(categories)), np.array([code[word] for word in words])


def _natural(word: str) -> tuple[float, str]:
    """Numbers by their size, then words by their letters."""
    try:
        return float(word), word
    except ValueError:
        return math.inf, word


def unfit(cells: Sequence[object]) -> str:
    """Why a column is not taken for an attribute unasked; empty where it is."""
    words = {"" if cell is None else str(cell).strip() for cell in cells}
    if {"", "nan"} & {word.lower() for word in words}:
        return "has empty cells"
    if len(words) < 2:
        return "constant"
    found = numbers(cells)
    if found is not None and not np.isfinite(found).all():
        return "has infinite cells"
    if found is None:
        return f"{len(words)} different texts" if len(words) > min(MOST_CATEGORIES, len(cells) // 2) else ""
    return "numbers the rows" if len(cells) > 2 and (np.diff(found) == 1).all() else ""
