"""What a training read: enough of it in its checkpoint to notice, and name, what changed before it went on."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ccigkit.causal.attributes import Attribute, Table, Values
from ccigkit.data.base import DataModule, RenderedData

Fingerprint = Mapping[str, Any]  # plain data


def fingerprint(data: DataModule, table: Table) -> Fingerprint:
    """Names, kinds and values of the columns, in their order and in the rows', and a hash of the images.

    Of drawn data, names and kinds alone: the rest follows from the options, to the last bit only on one machine.

    Args:
        data: what is trained on.
        table: its table.
    """
    drawn = isinstance(data, RenderedData)
    every = table.values if drawn else data.all_values()
    columns = {
        attribute.name: [_kind(attribute), *([] if drawn else _hashes(table.values[:, j], every[:, j]))]
        for j, attribute in enumerate(table.attributes)
    }
    return {"rows": len(table.values), "columns": columns, "images": "" if drawn else data.images_hash()}


def _kind(attribute: Attribute) -> str:
    return " ".join([attribute.kind, *(["in order"] if attribute.ordered else []), *map(repr, attribute.categories)])


def _hashes(values: Values, every: Values) -> list[str]:
    """Of a column, a hash of its values [n] in the order of the rows, and one of those of all splits in any order."""
    with np.errstate(over="ignore"):
        single = [values.astype(np.float32), np.sort(every.astype(np.float32))]
    return [hashlib.sha256(column.tobytes()).hexdigest() for column in single]


def changes(then: Fingerprint, now: Fingerprint) -> list[str]:
    """What differs between two fingerprints, in words; empty where they are the same.

    Examples:
        >>> then = {"rows": 3, "columns": {"sun": ["continuous", "1", "2"]}, "images": "5"}
        >>> changes(then, then | {"rows": 4})
        ['there were 3 rows and are 4']
        >>> changes(then, then | {"columns": {"light": ["continuous", "1", "2"]}})
        ['the column sun is now called light']
    """
    return _of_columns(then["columns"], now["columns"]) + _of_rows(then, now)


def _of_columns(then: Mapping[str, list[str]], now: Mapping[str, list[str]]) -> list[str]:
    lost, new = ([name for name in one if name not in other] for one, other in ((then, now), (now, then)))
    renamed = {a: b for a in lost for b in new if len(then[a]) > 1 and then[a][1:] == now[b][1:]}
    found = [f"the column {a} is now called {b}" for a, b in renamed.items()]
    found += [f"the column {name} is gone" for name in lost if name not in renamed]
    found += [f"the column {name} is new" for name in new if name not in renamed.values()]
    if not found and list(then) != list(now):
        found = [f"the columns were {', '.join(then)} and are {', '.join(now)}"]
    shared = [name for name in then if name in now]
    return found + [f"{n} was {then[n][0]} and is {now[n][0]}" for n in shared if then[n][0] != now[n][0]]


def _of_rows(then: Fingerprint, now: Fingerprint) -> list[str]:
    if then["rows"] != now["rows"]:
        return [f"there were {then['rows']} rows and are {now['rows']}"]
    pairs = {
        name: (then["columns"][name], column) for name, column in now["columns"].items() if name in then["columns"]
    }
    moved = [name for name, (a, b) in pairs.items() if a[1:2] != b[1:2]]
    others = [name for name in moved if pairs[name][0][2:] != pairs[name][1][2:]]
    if moved and not others:
        return ["the rows are in another order, or in other splits"]
    found = [f"the values of {', '.join(others)} are others"] if others else []
    return found + (["the images are others"] if then["images"] != now["images"] else [])
