"""Suspected hidden causes: warned of where there is one, and rarely where there is none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccigkit.attributes import Attribute, Kind, Table
from ccigkit.commands.config import Config
from ccigkit.commands.graph import learn_graph
from ccigkit.component.registry import registry
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.interfaces import StructureLearner
from ccigkit.structure.assess import hidden
from ccigkit.structure.assess.falsify import test_of as picked
from ccigkit.structure.assess.hidden import suspected
from tests.helpers import ccigkit
from tests.simulate import confounded, faces, linear, pendulum

INSTALLED = {learner.name: learner for learner in registry() if issubclass(learner, StructureLearner)}


def suspects(name: str, table: Table, knowledge: Knowledge = Knowledge()) -> list[tuple[str, str]]:  # noqa: B008
    return suspected(INSTALLED[name](table.names).learn(table, knowledge), picked(table))


def random_table(seed: int, size: int = 10, n: int = 5000) -> Table:
    """Linear Gaussian, standardised, over a random graph with two arrows per attribute and nothing hidden."""
    random = np.random.default_rng([5, seed])
    pairs = np.argwhere(np.triu(np.ones((size, size)), 1))
    chosen = pairs[random.choice(len(pairs), 2 * size, replace=False)]
    strengths = np.zeros((size, size))
    strengths[chosen[:, 0], chosen[:, 1]] = random.uniform(0.5, 2, 2 * size) * random.choice([-1, 1], 2 * size)
    values = random.normal(size=(n, size)) @ np.linalg.inv(np.eye(size) - strengths)
    names = tuple("abcdefghij"[:size])
    return Table.fit([Attribute(name, "continuous") for name in names], values, CausalGraph(names, strengths))


def notes_of(table: Table, name: str, knowledge: Knowledge = Knowledge()) -> list[str]:  # noqa: B008
    config = Config.resolve([("test", {"structure": {"name": name}})])
    return [note for note in learn_graph(config, table, knowledge).graph.notes if "something hidden" in note]


@pytest.mark.parametrize("name", ["auto", "boss", "pc"])
@pytest.mark.parametrize("kind", ["continuous", "binary"])
@pytest.mark.parametrize("seed", [1, 4, 5])
def test_a_hidden_cause_is_suspected_whatever_arrow_is_in_its_place(name: str, kind: Kind, seed: int) -> None:
    assert suspects(name, confounded(kind, seed, n=20_000)) == [("x", "y")]


@pytest.mark.parametrize("name", ["auto", "pc"])
def test_in_random_graphs_without_one_it_is_rarely_suspected(name: str) -> None:
    assert sum(bool(suspects(name, random_table(seed))) for seed in range(10)) <= 1


@pytest.mark.parametrize("table", [linear(5000), faces(5000), pendulum(5000)], ids=["linear", "faces", "pendulum"])
def test_in_the_true_graph_nothing_is_suspected(table: Table) -> None:
    assert table.truth is not None
    assert suspected(table.truth, picked(table)) == []


@pytest.mark.parametrize("order", ["axyb", "bxay", "yabx"])
def test_the_order_of_the_attributes_changes_nothing(order: str) -> None:
    table = confounded("continuous").reordered(list(order))
    graph = CausalGraph.from_edges(table.names, ["a -> x", "x -> y", "a -> y", "b -> y"])
    assert {frozenset(pair) for pair in suspected(graph, picked(table))} == {frozenset({"x", "y"})}


def test_effects_that_cancel_by_accident_are_doubted_the_more_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    table = confounded("continuous")
    graph = CausalGraph.from_edges(table.names, ["a -> x", "x -> y", "a -> y", "b -> y"])
    assert suspected(graph, picked(table))
    monkeypatch.setattr(hidden, "ACCIDENT", 1e-9)
    assert not suspected(graph, picked(table))


def test_nothing_is_looked_for_among_very_many_attributes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hidden, "MANY", 3)
    assert suspects("auto", confounded("continuous")) == []


# --- as a note --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["auto", "boss", "pc"])
def test_a_learned_graph_says_so_with_both_remedies(name: str) -> None:
    (note,) = notes_of(confounded("continuous"), name)
    assert note.startswith("x and y go together as if something hidden caused both")
    assert "--structure fci looks for that" in note
    assert note.endswith('say knowledge.confounded=["x <-> y"]')


def test_whoever_looks_for_hidden_causes_or_is_told_is_not_warned() -> None:
    table = confounded("continuous")
    assert all(note.startswith("something hidden causes both") for note in notes_of(table, "fci"))
    assert notes_of(table, "auto", Knowledge(confounded=frozenset({frozenset("xy")}))) == []
    assert notes_of(table, "auto", Knowledge(required=frozenset({("x", "y")}))) == []


def test_attributes_that_follow_from_each_other_are_left_in_peace() -> None:
    table = confounded("continuous")
    names = (*table.names, "copy")
    copied = Table.fit(
        [Attribute(name, "continuous") for name in names], np.column_stack([table.values, table.values[:, 0]])
    )
    assert notes_of(copied, "notears") == []


def test_the_remedy_can_be_said_as_it_is_written(tmp_path: Path) -> None:
    table = confounded("continuous")
    rows = "\n".join(",".join(f"{value:.6f}" for value in row) for row in table.values)
    (tmp_path / "t.csv").write_text(f"a,x,y,b\n{rows}\n")
    said = ccigkit("graph", tmp_path / "t.csv").out
    assert 'knowledge.confounded=["x <-> y"]' in said
    told = ccigkit("graph", tmp_path / "t.csv", 'knowledge.confounded=["x <-> y"]').out
    assert "as if something hidden" not in told
    assert "x <-> y" in told
