"""Published graphs by name, and graphs from files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccigkit.attributes import Attribute, Table
from ccigkit.data.drawn.digits import Digits
from ccigkit.data.drawn.flow import Flow
from ccigkit.data.drawn.pendulum import Pendulum
from ccigkit.errors import GraphError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.structure.learners.known import Known, published, read_graph

EDGES = {
    "celeba-age": 6,
    "celeba-causalgan-big": 14,
    "celeba-causalgan-small": 12,
    "celeba-complex": 4,
    "celeba-simple": 0,
    "celeba-smile": 5,
    "flow": 3,
    "morphomnist": 1,
    "pendulum": 4,
}


def test_every_published_graph_is_read_by_its_name() -> None:
    assert {name: len(read_graph(name).edges) for name in published()} == EDGES


def test_those_of_drawn_data_are_their_truth() -> None:
    assert read_graph("pendulum") == Pendulum.truth
    assert read_graph("flow") == Flow.truth
    assert read_graph("morphomnist") == Digits(slant=False).truth


@pytest.mark.parametrize("name", EDGES)
def test_a_published_graph_is_learned_with_strengths(name: str) -> None:
    names = read_graph(name).names
    values = np.random.default_rng(0).normal(size=(200, len(names)))
    table = Table.fit([Attribute(each, "continuous") for each in names], values).reordered(names[::-1])
    learned = Known(table.names, graph=name).learn(table, Knowledge())
    assert set(learned.edges) == set(read_graph(name).edges)


def test_an_unknown_name_is_told_the_nearest_and_all() -> None:
    with pytest.raises(GraphError, match="did you mean 'celeba-smile'") as refusal:
        read_graph("celeba-smiles")
    assert all(name in str(refusal.value) for name in EDGES)
    assert "\n" not in str(refusal.value)


def test_a_graph_over_other_attributes_is_refused_with_the_remedy() -> None:
    table = Pendulum(n=20).table()
    with pytest.raises(GraphError, match=r"celeba-smile has Smiling.*the data has angle.*data\.attributes"):
        Known(table.names, graph="celeba-smile").learn(table, Knowledge())


def test_a_path_is_read_and_a_missing_one_named(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(CausalGraph.from_edges(("a", "b"), ["a -> b"]).to_toml())
    assert read_graph(str(path)).edges == [("a", "b")]
    with pytest.raises(GraphError, match=r"other\.toml"):
        read_graph(str(tmp_path / "other.toml"))
