"""Rows of attributes whose meaning is known: read from a table, and written to one, in the attributes' own units."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute, Attributes
from ccigkit.data.files.cells import Cells, binary, holes, numbers, words_of
from ccigkit.data.files.columns import Columns, read_columns
from ccigkit.errors import ConfigError, DataError, one_of
from ccigkit.files import writing

ENDINGS = (".csv", ".tsv")


def read_rows(path: Path, attributes: Attributes) -> tuple[Columns, Tensor]:
    """The columns of a table as they are, and the values [n, d] of a model's attributes in it.

    Raises:
        DataError: where the table cannot be read, lacks an attribute, or has a value that the attribute cannot take.
    """
    if not path.is_file():
        raise DataError(f"there is no table {path}")
    columns = read_columns(path)
    for name in attributes.names:
        if name not in columns:
            raise DataError(f"{path} lacks the attribute {name!r}: {one_of('column', name, columns)}")
    read = [_values(attribute, columns[attribute.name], path) for attribute in attributes]
    return columns, torch.tensor(read, dtype=torch.float64).T


def _values(attribute: Attribute, cells: Cells, path: Path) -> list[float]:
    """The values [n] in an attribute's own units that cells [n] of a table stand for."""
    words = words_of(cells)
    if holes(cells).any():
        row = int(holes(cells).argmax())
        raise DataError(f"{path}: {attribute.name} is {words[row]!r} in row {row + 1}; fill or drop that row")
    if attribute.kind == "categorical":
        try:
            code = {word: float(attribute.coded(word)) for word in set(words)}
        except ConfigError as error:
            raise DataError(f"{path}: {error}") from None
        return [code[word] for word in words]
    found = numbers(cells)
    if found is None:
        odd = next(word for word in words if numbers([word]) is None)
        raise DataError(f"{path}: {attribute.name} is {odd!r} in a row, and it must be a number; mend or drop that row")
    if attribute.kind == "binary":
        found = binary(found) if (found < 0).any() else found
        if found is None or (found > 1).any():
            raise DataError(f"{path}: {attribute.name} is binary, so 0 and 1, or -1 and 1, but has others")
    return [float(value) for value in found]


def write_rows(path: Path, attributes: Attributes, values: Tensor, beside: Mapping[str, Sequence[object]]) -> None:
    """Write values [n, d] as a table, after the other columns [n] that stand `beside` them.

    Raises:
        ConfigError: where the name's ending is no table.
    """
    if path.suffix.lower() not in ENDINGS:
        raise ConfigError(f"--table {path}: a table is written as {' or '.join(ENDINGS)}")
    written = {a.name: [_written(a, float(value)) for value in values[:, j]] for j, a in enumerate(attributes)}
    columns = {**beside, **written}
    with writing(path) as temporary, temporary.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t" if path.suffix.lower() == ".tsv" else ",")
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _written(attribute: Attribute, value: float) -> str:
    """A value as a table has it: a category by its word, a number in as many digits as make it unique."""
    if attribute.kind == "categorical":
        return attribute.categories[round(value)]
    return f"{value:.8g}"
