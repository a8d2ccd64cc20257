"""Which attributes were set from outside in which rows of a table, as its own columns say."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ccigkit.causal.attributes import Flags
from ccigkit.data.files.cells import Cells, binary, holes, nested, numbers, words_of
from ccigkit.data.files.spelling import is_hole, word
from ccigkit.errors import DataError, one_of

Interventions = str | dict[str, str | list[str]]  # a column of names, or {a column of 0 and 1: what it says was set}

NOTHING = ("observational", "obs", "control", "0")  # what a cell says, beside a hole, where nothing was set


@dataclass(frozen=True)
class Setting:
    """Which of the chosen attributes were set in which rows that are kept, [m, d], and what is to be said of that."""

    intervened: Flags | None = None
    said: tuple[str, ...] = ()


def columns_of(interventions: Interventions) -> tuple[str, ...]:
    """The columns that say what was set."""
    return tuple(filter(None, [interventions])) if isinstance(interventions, str) else tuple(interventions)


def read_intervened(
    columns: Mapping[str, Cells], chosen: Sequence[str], interventions: Interventions, kept: Flags, where: Path
) -> Setting:
    """What the columns say was set.

    Args:
        columns: all columns of the table, each of n cells.
        chosen: the names of the attributes, d of them.
        interventions: the columns that say it; empty for none.
        kept: which of the rows [n] to keep.
        where: the file, to say where something is wrong.

    Raises:
        DataError: where there is no such column or attribute, a cell says neither 0 nor 1, or nothing was set anywhere.

    Examples:
        >>> columns = {"a": [1, 2, 3], "b": [2, 1, 2], "done": ["", "b", "a;b"]}
        >>> setting = read_intervened(columns, ["a", "b"], "done", np.array([True] * 3), Path("table.csv"))
        >>> setting.intervened.astype(int).tolist()
        [[0, 0], [0, 1], [1, 1]]
        >>> setting.said
        ('set from outside: a in 1 of 3 rows, b in 2, nothing in 1',)
    """
    if not (saying := columns_of(interventions)):
        return Setting()
    for name in saying:
        if name not in columns:
            raise DataError(f"{where}: {one_of('column', name, columns)}")
        if why := nested(columns[name]):
            raise DataError(f"{where}: {name} {why}; write the names of what was set as a;b")
    names = [name for name in columns if name not in saying or name in chosen]
    if isinstance(interventions, str):
        found = _by_names(interventions, columns[interventions], names, where)
    else:
        found = _by_columns(columns, interventions, names, where)
    counts = {name: int(rows[kept].sum()) for name, rows in found.items() if rows[kept].any()}
    if not counts:
        raise DataError(f"{where}: by {', '.join(saying)} nothing was set in any row; leave data.interventions out")
    none = np.zeros(len(kept), dtype=bool)
    flags = np.stack([found.get(name, none) for name in chosen], axis=1)[kept]
    first, *more = [f"{name} in {counts[name]}" for name in chosen if name in counts] or ["no attribute in any"]
    first, last = f"{first} of {len(flags)} rows", f"nothing in {int((~flags.any(axis=1)).sum())}"
    said = [f"set from outside: {', '.join([first, *more, last])}"]
    if others := [f"{name} in {count} rows" for name, count in counts.items() if name not in chosen]:
        said.append(f"set but no attribute here, so not counted: {', '.join(others)}")
    return Setting(flags if flags.any() else None, tuple(said))


def _by_names(column: str, cells: Cells, names: Sequence[str], where: Path) -> dict[str, Flags]:
    """In which rows [n] each attribute was set, from a column of names."""
    words = words_of(cells)
    means = {text: _named(text, names) for text in set(words)}
    for row, text in enumerate(words):
        for name in means[text]:
            if name not in names:
                raise DataError(
                    f"{where}: {column} says {text!r} in row {row + 1}; {one_of('attribute', name, names)}; where "
                    "nothing was set the cell is empty, and several names are written a;b"
                )
    return {name: np.array([name in means[text] for text in words]) for name in names}


def _named(text: str, names: Sequence[str]) -> list[str]:
    """The names of what was set that a cell holds."""
    if text in names:
        return [text]
    if is_hole(text) or text.lower() in NOTHING:
        return []
    return [name for part in re.split(r"[;,|+]", text) if (name := part.strip())]


def _by_columns(
    columns: Mapping[str, Cells], interventions: Mapping[str, str | list[str]], names: Sequence[str], where: Path
) -> dict[str, Flags]:
    """In which rows [n] each attribute was set, from columns of 0 and 1."""
    found: dict[str, Flags] = {}
    for column, said in interventions.items():
        cells = columns[column]
        values = None if holes(cells).any() else numbers(cells)
        if values is None or (labels := binary(values)) is None:
            odd = next(word(cell) for cell in cells if word(cell).lower() not in ("0", "1", "true", "false"))
            raise DataError(
                f"{where}: {column} has {odd!r}, but where it says what was set it is 1, and 0 elsewhere; for a column "
                f"of names write data.interventions={column}"
            )
        for name in [said] if isinstance(said, str) else said:
            if name not in names:
                raise DataError(f"{where}: {column} cannot say that {name} was set: {one_of('column', name, names)}")
            found[name] = found.get(name, False) | (labels > 0)
    return found
