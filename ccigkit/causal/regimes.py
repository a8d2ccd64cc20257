"""Rows in which attributes were set from outside: what they teach, and what not.

An intervention is taken as perfect: it sets the attribute whatever its causes are, and touches nothing else but by way
of it. Such a row teaches what the attribute does, and nothing of what causes it (Cooper and Yoo, 1999).
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ccigkit.causal.attributes import Flags, Table
from ccigkit.errors import DataError


def set_alike(table: Table) -> list[list[int]]:
    """The attributes by the rows in which they were set: those that were set in the same ones are together.

    >>> attributes = Table.of({"a": [1, 2], "b": [3, 1], "c": [0, 1]}).attributes
    >>> set_alike(Table.fit(attributes, [[1, 3, 0], [2, 1, 1]], intervened=[[0, 1, 0], [0, 0, 0]]))
    [[0, 2], [1]]
    """
    if table.intervened is None:
        return [list(range(len(table.names)))]
    alike: dict[bytes, list[int]] = {}
    for j, column in enumerate(table.intervened.T):
        alike.setdefault(column.tobytes(), []).append(j)
    return list(alike.values())


def left_alone(table: Table) -> Iterator[tuple[Table, list[int]]]:
    """Rows, and the attributes that were set in none of them and in all others: each attribute comes once.

    >>> table = Table.fit(Table.of({"a": [1, 2, 3], "b": [3, 1, 2]}).attributes, [[1, 3], [2, 1], [3, 2]],
    ...     intervened=[[0, 0], [0, 1], [0, 1]])
    >>> [(rows.values.tolist(), attributes) for rows, attributes in left_alone(table)]
    [([[1.0, 3.0], [2.0, 1.0], [3.0, 2.0]], [0]), ([[1.0, 3.0]], [1])]
    """
    for attributes in set_alike(table):
        rows = table if table.intervened is None else table.taken(~table.intervened[:, attributes[0]])
        yield rows, attributes


def natural(table: Table) -> Flags:
    """The rows [n] in which nothing was set."""
    if table.intervened is None:
        return np.ones(len(table.values), dtype=bool)
    return np.asarray(~table.intervened.any(axis=1))


def undisturbed(table: Table) -> Table:
    """The rows in which nothing was set, on the scales of the whole table.

    Raises:
        DataError: where there are fewer than two.
    """
    if table.intervened is None:
        return table
    rows = natural(table)
    if rows.sum() < 2:
        raise DataError(
            f"something was set in {(~rows).sum()} of {len(rows)} rows, and this needs rows in which nothing was; only "
            "the structure learners auto and boss need none"
        )
    return table.taken(rows)


def observed(table: Table) -> Table:
    """The rows in which nothing was set, fitted and standardised like any table.

    Raises:
        DataError: where there are fewer than two, or an attribute is constant in them.
    """
    if table.intervened is None:
        return table
    return Table.fit(table.attributes, undisturbed(table).values, table.truth)


def set_apart(table: Table) -> Flags:
    """[d, d], of which two attributes one was set in some row and the other was not."""
    if table.intervened is None:
        return np.zeros((len(table.names),) * 2, dtype=bool)
    together = table.intervened.T.astype(np.float64) @ table.intervened
    each = together.diagonal()
    return np.asarray(each[:, None] + each - 2 * together > 0)
