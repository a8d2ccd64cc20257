"""Columns of a label file, whatever wrote it: text or typed, cells as numbers, signs, truths or words."""

from __future__ import annotations

import csv
import math
import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ccigkit.causal.attributes import KINDS, Attribute, Kind, Table, Values, infer_kind
from ccigkit.data.files.parquet import parquet_blocks
from ccigkit.data.files.sources import refuse_html
from ccigkit.errors import DataError, one_of
from ccigkit.names import heading, setting

Cells = Sequence[object] | Values  # one of a column's, [n]
Columns = Mapping[str, Cells]

TRUTHS = {"true": 1.0, "false": 0.0, "yes": 1.0, "no": 0.0}
ROWS = 10_000  # of a file, that are in memory as objects at once
MOST_CATEGORIES = 50  # more different words than that are names or remarks, and no attribute


def is_table(path: Path) -> bool:
    """Whether a file's name ends like a table's: .csv, .tsv or .parquet, in any case, and perhaps .gz."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith((".csv", ".tsv", ".parquet"))


def read_columns(path: Path) -> Columns:
    """The columns of a .csv, .tsv or .parquet file by name, without those that hold images.

    Raises:
        DataError: where it cannot be read, or a line has more or fewer cells than the header.
    """
    return joined(blocks(path))


def joined(parts: Iterable[Columns]) -> dict[str, Sequence[object]]:
    """Columns under one another."""
    columns: dict[str, list[object]] = {}
    for part in parts:
        for name, cells in part.items():
            columns.setdefault(name, []).extend(cells)
    return dict(columns)


def blocks(path: Path) -> Iterator[Columns]:
    """The same columns, some rows at a time: as objects, all cells of a long table would take much memory."""
    if path.suffix == ".parquet":
        yield from parquet_blocks([path])
        return
    refuse_html(path, "a table")
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = (row for row in csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ",") if row)
            names, number = [heading(name) for name in next(rows, [])], 2
            if len(set(names)) < len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise DataError(f"{path} has two columns named {twice!r}; rename one")
            while block := list(islice(rows, ROWS)):
                for row in block:
                    if len(row) != len(names):
                        raise DataError(f"{path}, row {number}: {len(row)} cells, but the header has {len(names)}")
                    number += 1
                yield dict(zip(names, zip(*block, strict=True), strict=True))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} is not a table of separated text: {error}") from None
    if number == 2:
        raise DataError(f"{path} needs a header and at least one row")


def read_table(path: Path, attributes: Sequence[str] = (), kinds: Mapping[str, Kind] = MappingProxyType({})) -> Table:
    """A bare table of attributes, without images, from a .csv, .tsv or .parquet file; kinds are inferred.

    Args:
        path: the file.
        attributes: which columns to take; empty for all but a numbering of the rows and columns of mostly different
            texts, which a warning names.
        kinds: kinds of attributes, where the inferred ones are wrong.

    Raises:
        DataError: where the file cannot be read, or a column has holes, is constant or has cells of another kind.
    """
    if not path.is_file():
        raise DataError(f"there is no table {path}")
    columns = _compact(path)
    if not columns:
        raise DataError(f"{path} has no rows")
    for name in (*attributes, *kinds):
        if name not in columns:
            raise DataError(f"{path}: {one_of('column', name, columns)}")
    apart = (
        {} if attributes else {n: why for n, cells in columns.items() if n not in kinds and (why := _apart(n, cells))}
    )
    chosen = list(attributes) or [name for name in columns if name not in apart]
    left_out = ", ".join(f"{name!r} ({why})" for name, why in apart.items())
    if not chosen:
        raise DataError(f"{path}: no column can be an attribute: {left_out}")
    if left_out:
        warnings.warn(f"{path}: not taken: {left_out}", stacklevel=2)
    read = [as_attribute(name, columns[name], kinds.get(name), path) for name in chosen]
    return Table.fit([attribute for attribute, _ in read], np.stack([values for _, values in read], axis=1))


def _apart(name: str, cells: Cells) -> str:
    """Why a column of a bare table is left out; one of numbers with a stray word is not, so that it is seen."""
    return "" if _strays(cells) else foreign(cells, numbers(cells)) if name else "has no name"


def _compact(path: Path, words: frozenset[str] = frozenset()) -> Columns:
    """The columns, those of numbers as arrays [n], the others as words of which equal ones are one."""
    arrays: dict[str, list[Values]] = {}
    texts: dict[str, list[str]] = {}
    names: Iterable[str] = ()
    for block in blocks(path):
        names = block
        found = {name: numbers(cells) for name, cells in block.items() if name not in words}
        if late := {name for name, values in found.items() if values is None}:
            return _compact(
                path, words | late
            )  # read again from the start, as a parsed number has lost the way it was written
        for name, cells in block.items():
            if (values := found.get(name)) is not None:
                arrays.setdefault(name, []).append(values)
            else:
                interned = (sys.intern("" if cell is None else str(cell)) for cell in cells)
                texts.setdefault(name, []).extend(interned)
    return {name: texts[name] if name in words else np.concatenate(arrays[name]) for name in names}


def describe_kinds(attributes: Sequence[Attribute]) -> str:
    """The attributes by their kinds, for one line: "binary: striped; categorical: shape (flat, long, round)"."""
    named = {kind: [_named(a) for a in attributes if a.kind == kind] for kind in KINDS}
    return "; ".join(f"{kind}: {', '.join(names)}" for kind, names in named.items() if names)


told = describe_kinds  # its former name, for one release


def _named(attribute: Attribute) -> str:
    return f"{attribute.name} ({', '.join(attribute.categories)})" if attribute.categories else attribute.name


def numbers(cells: Cells) -> Values | None:
    """Cells [n] as numbers, truths as 0 and 1, empty ones as NaN; None where one is a word."""
    try:
        return np.array(cells, dtype=np.float64)  # much the faster where all are numbers
    except (TypeError, ValueError):
        pass
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


def as_attribute(name: str, cells: Cells, kind: Kind | None, where: Path) -> tuple[Attribute, Values]:
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


def _categorical(name: str, cells: Cells, kind: Kind | None, where: Path) -> tuple[Attribute, Values]:
    if kind not in (None, "categorical"):
        word = next(cell for cell in cells if numbers([cell]) is None)
        raise DataError(f"{where}: {name} is to be {kind} but has {word!r}, which is no number")
    if kind is None and (odd := _strays(cells)):
        raise DataError(
            f"{where}: {name} is {cells[odd[0]]!r} in row {odd[0] + 1} of {len(cells)}, where most others are numbers; "
            f"mend or drop such rows ({len(odd)}), or say what it is: {setting('data.kinds', {name: 'categorical'})}"
        )
    words = [str(cell).strip() for cell in cells]
    if lost := words.count("") + sum(cell is None for cell in cells):
        raise DataError(f"{where}: {name} is empty in {lost} rows; fill or drop those rows")
    categories = sorted(set(words), key=_natural)
    code = {word: float(i) for i, word in enumerate(categories)}
    return Attribute(name, "categorical", categories=tuple(categories)), np.array([code[word] for word in words])


def _strays(cells: Cells) -> list[int]:
    """The rows that have a word, in a column of more numbers than words."""
    if isinstance(cells, np.ndarray):
        return []
    texts = ["" if cell is None else str(cell).strip() for cell in cells]
    read = {text: numbers([text]) is not None and text.lower() not in TRUTHS for text in set(texts) - {""}}
    odd = [row for row, text in enumerate(texts) if text and not read[text]]
    return odd if len(odd) < sum(map(bool, texts)) - len(odd) else []


def _natural(word: str) -> tuple[float, str]:
    """Numbers by their size, then words by their letters."""
    try:
        return float(word), word
    except ValueError:
        return math.inf, word


def unfit(cells: Cells) -> str:
    """Why a column is not taken for an attribute of images by itself; empty where it is."""
    words = {"" if cell is None else str(cell).strip() for cell in cells}
    if {"", "nan"} & {word.lower() for word in words}:
        return "has empty cells"
    if len(words) < 2:
        return "constant"
    found = numbers(cells)
    if found is not None and not np.isfinite(found).all():
        return "has infinite cells"
    return foreign(cells, found)


def foreign(cells: Cells, found: Values | None) -> str:
    """Why a column, of numbers where some were found, is no attribute of anything; empty where it may be one."""
    if found is not None:
        return "numbers the rows" if len(cells) > 2 and (np.diff(found) == 1).all() else ""
    texts = len(set(cells))
    return f"{texts} different texts" if texts > min(MOST_CATEGORIES, len(cells) // 2) else ""
