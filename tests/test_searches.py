"""GES, GRaSP and auto: what they pick, what they say, and how knowledge is laid on a result."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from ccigkit.attributes import Attribute, Kind, Table
from ccigkit.errors import DataError
from ccigkit.graph import Knowledge
from ccigkit.structure.learners.auto import Auto
from ccigkit.structure.learners.ges import GES
from ccigkit.structure.learners.grasp import GRaSP
from ccigkit.structure.learners.score_search import ScoreSearch
from tests.helpers import environment
from tests.simulate import PENDULUM_TIERS, linear, pendulum

every_search = pytest.mark.parametrize("search", [GES, GRaSP])


def table(columns: dict[str, tuple[Kind, np.ndarray]]) -> Table:
    attributes = [Attribute(name, kind) for name, (kind, _) in columns.items()]
    return Table.fit(attributes, np.stack([column for _, column in columns.values()], axis=1))


def collider(third: Kind, n: int = 3000) -> Table:
    """Labels x -> b <- y, one of them of another kind."""
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 3, n), rng.integers(0, 2, n)
    both = np.where(rng.random(n) < 0.1, rng.integers(0, 2, n), (x == 1) ^ y)
    return table({"x": ("categorical", x), "y": ("binary", y), "b": (third, both)})


def table_of_labels() -> Table:
    """Whether each attribute of a linear model is above its mean."""
    truth = linear(500)
    return table({name: ("binary", column > 0) for name, column in zip(truth.names, truth.values.T, strict=True)})


@every_search
def test_a_search_finds_the_class_and_says_what_is_choice(search: type[ScoreSearch]) -> None:
    truth = linear(5000, seed=1)
    graph = search(truth.names).learn(truth, Knowledge())
    assert (graph.adjacency | graph.adjacency.T == truth.truth.adjacency | truth.truth.adjacency.T).all()
    assert {("b", "d"), ("c", "d"), ("d", "e")} <= set(graph.edges)
    assert graph.notes[0] == "score gaussian"
    assert graph.notes[1].startswith("directed by choice")


@every_search
def test_a_search_says_what_knowledge_did_to_its_result(search: type[ScoreSearch]) -> None:
    knowledge = Knowledge(required=frozenset({("f", "a"), ("d", "b")}), forbidden=frozenset({("d", "e"), ("e", "d")}))
    graph = search(tuple("abcdef")).learn(linear(5000, seed=1), knowledge)
    assert {("f", "a"), ("d", "b")} <= set(graph.edges)
    note = next(note for note in graph.notes if "takes no knowledge" in note)
    for said in ("added f -> a", "turned d -> b", "dropped d -> e"):
        assert said in note


@every_search
def test_a_search_counts_where_labels_have_no_order(search: type[ScoreSearch]) -> None:
    graph = search(tuple("xyb")).learn(collider("binary"), Knowledge())
    assert set(graph.edges) == {("x", "b"), ("y", "b")}
    assert graph.notes[0] == "score bdeu"


@every_search
def test_a_search_refuses_what_it_cannot_score(search: type[ScoreSearch]) -> None:
    with pytest.raises(DataError, match=r"use structure\.score=gaussian"):
        search(tuple("abcdef"), score="bdeu").learn(linear(100), Knowledge())


def test_ges_refuses_more_attributes_than_it_can_take() -> None:
    with pytest.raises(DataError, match=r"use structure boss, or raise structure\.most=5"):
        GES(tuple("abcdef"), most=5).learn(linear(100), Knowledge())


@pytest.mark.parametrize("learner", ["ges", "grasp", "pc", "fci"])
def test_the_global_seeds_stay_where_causal_learn_is_imported_first(learner: str) -> None:
    script = f"""
import random
import numpy as np
from ccigkit.causal.graph import Knowledge
from ccigkit.component.registry import registry
from tests.helpers import environment
from tests.simulate import linear
table = linear(100)
random.seed(1)
np.random.seed(1)
expected = random.getstate(), repr(np.random.get_state())
registry().get("structure", "{learner}")(table.names).learn(table, Knowledge())
assert (random.getstate(), repr(np.random.get_state())) == expected
"""
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_auto_says_what_it_took_and_why() -> None:
    straight = Auto(tuple("abcdef")).learn(linear(), Knowledge())
    lines = "straight lines explain the attributes as well as curves would"
    assert straight.notes[0] == f"auto took boss, score gaussian: {lines}"
    labels = Auto(tuple("abcdef")).learn(table_of_labels(), Knowledge())
    assert labels.notes[0] == "auto took boss, score mdl: labels may act together or add up"
    tied = Auto(pendulum().names).learn(pendulum(through=True), PENDULUM_TIERS)
    assert tied.notes[0].endswith("score gaussian: its graph explains the attributes as well as that of spline")
    mixed = Auto(tuple("xyb")).learn(collider("continuous"), Knowledge())
    assert mixed.notes[0] == "auto took boss, score indicators: there are labels beside numbers"


def test_auto_finds_the_pendulum_given_its_tiers() -> None:
    for seed in range(3):
        truth = pendulum(5000, seed)
        assert Auto(truth.names).learn(truth, PENDULUM_TIERS).shd(truth.truth) == 0
