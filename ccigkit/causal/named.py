"""Knowledge of well-known attributes that comes along, by name, each entry with a sentence on why."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from importlib.resources import files
from itertools import product
from typing import Any

from ccigkit.causal.edges import parse_pair
from ccigkit.causal.knowledge import Knowledge
from ccigkit.errors import GraphError, one_of


def known_by_name() -> dict[str, str]:
    """What knowledge comes along: its name, and what it is about."""
    found = sorted(files("ccigkit").joinpath("knowledge").iterdir(), key=lambda path: path.name)
    return {p.name.removesuffix(".toml"): p.read_text(encoding="utf-8").splitlines()[0].lstrip("# ") for p in found}


def read_named(name: str) -> Mapping[str, Any]:
    """What stands in the file of that name: the `names` it is about, and each `entry` with its `why`.

    Raises:
        GraphError: where no knowledge has that name.
    """
    if name not in known_by_name():
        raise GraphError(one_of("knowledge.named", name, known_by_name()))
    return tomllib.loads(files("ccigkit").joinpath("knowledge", f"{name}.toml").read_text(encoding="utf-8"))


def named_knowledge(name: str, names: Sequence[str]) -> Knowledge:
    """The knowledge of that name, as far as it is about these attributes.

    Raises:
        GraphError: where no knowledge has that name, or it does not know one of the attributes.
    """
    content = read_named(name)
    known = content["names"]
    if others := [each for each in names if each not in known]:
        raise GraphError(
            f"knowledge.named={name} is about {len(known)} attributes, and {others[0]!r} is none of them; "
            "leave it out of data.attributes, or say in [knowledge] what you know"
        )
    forbidden: set[tuple[str, str]] = set()
    pairs = [parse_pair(pair, known) for entry in content["entry"] for pair in entry.get("confounded", ())]
    for entry in content["entry"]:
        earlier, later = (_listed(entry, key, known) for key in ("earlier", "later"))
        forbidden |= {edge for edge in product(later, earlier) if set(edge) <= set(names)}
    return Knowledge(forbidden=frozenset(forbidden), confounded=frozenset(p for p in pairs if p <= set(names)))


def _listed(entry: Mapping[str, Any], key: str, known: Sequence[str]) -> list[str]:
    """The attributes of one side of an entry: "others" are all that the entry does not name."""
    if entry.get(key) != "others":
        return list(entry.get(key, ()))
    return [name for name in known if name not in entry["later" if key == "earlier" else "earlier"]]
