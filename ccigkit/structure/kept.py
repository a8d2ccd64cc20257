"""Learned graphs that several trainings share: each is learned once, and kept under what it was learned from."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, fields
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from ccigkit.causal.attributes import Table
from ccigkit.causal.evidence import Evidence
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.files import explaining, write_json


def key_of(learner: Mapping[str, Any], table: Table, knowledge: Knowledge) -> str:
    """A hash of all that a learned graph depends on.

    Args:
        learner: the learner's name and options, and whatever else of it matters.
        table: what it learns from; its rows, their order and what was set in them count.
        knowledge: what is known beforehand.
    """
    told = {field.name: getattr(knowledge, field.name) for field in fields(knowledge)}
    content = [
        version("ccigkit"),
        learner,
        [asdict(attribute) for attribute in table.attributes],
        table.truth.to_toml() if table.truth else "",
        _ordered(told),
    ]
    found = hashlib.sha256(json.dumps(content, sort_keys=True, default=str).encode())
    found.update(table.values.tobytes())
    found.update(b"" if table.intervened is None else table.intervened.tobytes())
    return found.hexdigest()[:32]


def kept_graph(folder: Path, key: str, learn: Callable[[], CausalGraph]) -> CausalGraph:
    """The graph of a key: read from a folder, or learned and written there; of several processes one learns.

    Raises:
        WriteError: where the folder cannot be written.
    """
    path = folder / f"{key}.json"
    with explaining(folder):
        folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / f".{key}.lock"):
        try:
            return _read(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, KeyError, TypeError):  # not there yet, or damaged
            graph = learn()
            write_json(path, _written(graph))
            return graph


def _written(graph: CausalGraph) -> dict[str, Any]:
    return {
        "names": graph.names,
        "strengths": graph.strengths.tolist(),
        "notes": graph.notes,
        "confounded": graph.pairs,
        "evidence": [[*edge, asdict(evidence)] for edge, evidence in graph.evidence.items()],
    }


def _read(said: dict[str, Any]) -> CausalGraph:
    return CausalGraph(
        tuple(said["names"]),
        said["strengths"],
        tuple(said["notes"]),
        frozenset(map(frozenset, said["confounded"])),
        {(cause, effect): Evidence(**evidence) for cause, effect, evidence in said["evidence"]},
    )


def _ordered(thing: Any) -> Any:
    """Sets as sorted lists, however deep."""
    if isinstance(thing, dict):
        return {key: _ordered(value) for key, value in thing.items()}
    if isinstance(thing, frozenset):
        return sorted((_ordered(item) for item in thing), key=str)
    return [_ordered(item) for item in thing] if isinstance(thing, tuple) else thing
