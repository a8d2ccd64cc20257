"""Columns of a label file, whatever wrote it: text in any encoding and with any delimiter, or parquet."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np

from ccigkit.causal.attributes import KINDS, Attribute, SaidKind, Table, Values
from ccigkit.data.files.cells import (
    MOST_CATEGORIES,
    Cells,
    Missing,
    foreign,
    holes,
    nested,
    numbers,
    read_attributes,
    words_of,
)
from ccigkit.data.files.intervened import Interventions, columns_of, read_intervened
from ccigkit.data.files.parquet import parquet_blocks
from ccigkit.data.files.spelling import DRESSED
from ccigkit.data.files.text import Form, form_of, refuse_headless, text_rows
from ccigkit.errors import DataError, one_of
from ccigkit.names import heading

Columns = Mapping[str, Cells]

MOST_TOLD = 100  # names in a line
ROWS = 10_000  # of a file, that are in memory as objects at once


def is_table(path: Path) -> bool:
    """Whether a file's name ends like a table's: .csv, .tsv or .parquet, in any case, and perhaps .gz."""
    name = path.name.lower().removesuffix(".gz")
    return name.endswith((".csv", ".tsv", ".parquet"))


def read_columns(path: Path) -> Columns:
    """The columns of a table by name, without those that hold images, the cells as they are written.

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


def written(path: Path) -> Form:
    """How a table is written, and what was inferred of that and is to be said."""
    return Form("", "", 0, ()) if path.suffix.lower() == ".parquet" else form_of(path)


def blocks(path: Path) -> Iterator[Columns]:
    """The same columns, some rows at a time: as objects, all cells of a long table would take much memory."""
    if path.suffix.lower() == ".parquet":
        yield from parquet_blocks([path])
        return
    rows = text_rows(path, form_of(path))
    names = [heading(name) for name in next(rows, [])]
    number = 2
    while block := list(islice(rows, ROWS)):
        if number == 2:
            names = _fitted(names, block)
        for at, row in enumerate(block, number):
            if len(row) < len(names) or any(map(str.strip, row[len(names) :])):
                raise _ragged(path, names, row, at)
        if number == 2:
            refuse_headless(path, names, block)
            _refuse_twice(path, names)
        number += len(block)
        yield dict(_named(path, names, block))
    if number == 2:
        raise DataError(f"{path} needs a header and at least one row")


def _fitted(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Names [d] for all the cells of rows: with one for the numbers of rows, which R writes without, and not more."""
    more = all(len(row) == len(names) + 1 for row in rows)
    if more and [row[0].strip() for row in rows] == [str(at) for at in range(1, len(rows) + 1)]:
        return ["", *names]
    widest, last = max(map(len, rows)), len(names)
    while last > widest and not names[last - 1]:
        last -= 1
    return list(names[:last])


def _ragged(path: Path, names: Sequence[str], row: Sequence[str], at: int) -> DataError:
    """What to do about a row that is longer or shorter than the header."""
    mend = "mend or delete that row, and put what has the delimiter in it in quotation marks"
    if at == 2 and len(row) != len(names):
        mend = "the first line must be the names of all columns: delete what stands above them"
    return DataError(f"{path}, row {at}: {len(row)} cells, but the header has {len(names)}; {mend}")


def _refuse_twice(path: Path, names: Sequence[str]) -> None:
    named = [name for name in names if name]
    if len(set(named)) < len(named):
        twice = next(name for name in named if named.count(name) > 1)
        raise DataError(f"{path} has two columns named {twice!r}; rename one")


def _named(path: Path, names: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[tuple[str, Cells]]:
    """The columns by name; of those without a name only the first, and nothing may be in another."""
    first = names.index("") if "" in names else -1
    for at, name in enumerate(names):
        cells = [row[at] for row in rows]
        if name or at == first:
            yield name, cells
        elif any(map(str.strip, cells)):
            raise DataError(f"{path}: column {at + 1} has cells but no name; name it in the header, or drop it")


def read_table(
    path: Path,
    attributes: Sequence[str] = (),
    kinds: Mapping[str, SaidKind] = MappingProxyType({}),
    missing: Missing = "refuse",
    interventions: Interventions = "",
) -> Table:
    """A bare table of attributes, without images, from a .csv, .tsv (or .gz of these) or .parquet file.

    Args:
        path: the file.
        attributes: which columns to take; empty for all but a numbering of the rows and columns of mostly different
            texts, which a warning names.
        kinds: kinds of attributes, where the inferred ones are wrong.
        missing: whether rows with holes are refused or dropped.
        interventions: a column that names what was set from outside in each row (`a;b`, or nothing), or columns of 0
            and 1, {column: attribute}; empty where nothing was set.

    Raises:
        DataError: where the file cannot be read, or a column has holes, is constant or has cells of another kind.
    """
    if not path.is_file():
        raise DataError(f"there is no table {path}")
    columns = _compact(path)
    columns = {name: cells for name, cells in columns.items() if name or not holes(cells).all()}
    if not columns or not any(map(len, columns.values())):
        raise DataError(f"{path} has no rows")
    for name in (*attributes, *kinds, *columns_of(interventions)):
        if name not in columns:
            raise DataError(f"{path}: {one_of('column', name, columns)}")
    others = {name: cells for name, cells in columns.items() if name not in columns_of(interventions)}
    apart = (
        {}
        if attributes
        else {n: why for n, cells in others.items() if n not in kinds and (why := _apart(n, cells, missing))}
    )
    chosen = list(attributes) or [name for name in others if name not in apart]
    left_out = ", ".join(f"{name!r} ({why})" for name, why in apart.items())
    if not chosen:
        alone = "; columns are parted by commas, semicolons, tabs or bars" if len(columns) == 1 else ""
        raise DataError(f"{path}: no column can be an attribute: {left_out}{alone}")
    form = written(path)
    reading = read_attributes(columns, chosen, kinds, missing, path, semicolons=form.delimiter == ";")
    setting = read_intervened(columns, chosen, interventions, reading.kept, path)
    table = Table.fit(reading.attributes, reading.values, intervened=setting.intervened)
    said = [*form.said, *reading.said, *setting.said, *([f"not taken: {left_out}"] if left_out else [])]
    if said:
        warnings.warn(f"{path}: {'; '.join(said)}", stacklevel=2)
    return table


def _apart(name: str, cells: Cells, missing: Missing) -> str:
    """Why a column of a bare table is left out."""
    return foreign(name, cells, missing) if name else "has no name"


def _compact(path: Path, words: frozenset[str] = frozenset()) -> Columns:
    """The columns, those of many different numbers as arrays [n], the others as words of which equal ones are one."""
    arrays: dict[str, list[Values]] = {}
    texts: dict[str, list[object]] = {}
    names: Iterable[str] = ()
    for block in blocks(path):
        names = block
        for name, cells in block.items():
            if name in arrays:
                if (values := _plain(cells)) is None:  # from the start, as a number does not say how it was written
                    return _compact(path, words | {name})
                arrays[name].append(values)
                continue
            kept = cells if nested(cells) else list(map(sys.intern, words_of(cells)))
            column = texts.setdefault(name, [])
            column.extend(kept)
            many = name not in words and not nested(cells) and len(set(kept)) > MOST_CATEGORIES
            if many and (values := _plain(column)) is not None:
                arrays[name] = [values]
                del texts[name]
    return {name: np.concatenate(arrays[name]) if name in arrays else texts[name] for name in names}


def _plain(cells: Cells) -> Values | None:
    """Cells [n] as numbers; None where one is a word or is so written that a whole column decides the meaning."""
    values = numbers(cells)
    odd = any(DRESSED.search(cell.strip()) for cell in cells if isinstance(cell, str))
    return None if values is None or odd else values


def describe_kinds(attributes: Sequence[Attribute]) -> str:
    """The attributes by their kinds, for one line: "binary: striped; categorical: shape (flat, long, round)"."""
    named = {kind: [_with_categories(a) for a in attributes if a.kind == kind] for kind in KINDS}
    return "; ".join(f"{kind}: {some(names)}" for kind, names in named.items() if names)


def some(names: Sequence[str]) -> str:
    """Names for one line; of very many the first and how many more there are."""
    if len(names) <= MOST_TOLD:
        return ", ".join(names)
    return f"{', '.join(names[: MOST_TOLD // 2])} and {len(names) - MOST_TOLD // 2} more"


told = describe_kinds  # its former name, for one release


def _with_categories(attribute: Attribute) -> str:
    between = " < " if attribute.ordered else ", "
    return f"{attribute.name} ({between.join(attribute.categories)})" if attribute.categories else attribute.name
