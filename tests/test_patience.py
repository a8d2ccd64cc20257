"""Learners end in time, or refuse with an estimate and a way to go on."""

from __future__ import annotations

import numpy as np
import pytest

from ccigkit import Attribute, Table
from ccigkit.commands.graph import crowded
from ccigkit.errors import DataError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.structure.assess.patience import Patient, duration, extrapolated, refuse_large, refuse_long
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.learners.auto import Auto
from ccigkit.structure.learners.fci import FCI
from ccigkit.structure.learners.ges import GES
from ccigkit.structure.learners.grasp import GRaSP
from ccigkit.structure.learners.notears import Notears
from ccigkit.structure.learners.pc import PC
from ccigkit.structure.scores.independence import FisherZ


def dense(size: int, n: int = 3000) -> Table:
    """Rows of which every two attributes go together, as they share a cause."""
    random = np.random.default_rng(0)
    rows = random.normal(size=(n, size)) + random.normal(size=(n, 1))
    return Table.fit([Attribute(f"x{i}", "continuous") for i in range(size)], rows)


@pytest.mark.parametrize("learner", [PC, FCI])
def test_tests_that_would_take_too_long_are_refused_with_an_estimate_and_a_remedy(
    learner: type[PC] | type[FCI], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(np.arange(0.0, 1e6, 0.01))  # ten milliseconds for every look at it, and so for a test in a thousand
    monkeypatch.setattr("ccigkit.structure.assess.patience.time.process_time", lambda: float(next(clock)))
    table = dense(12)
    with pytest.raises(DataError, match=r"some 660 tests given 1 others each.*structure.least=0.1.*structure.limit=0"):
        learner(table.names, limit=1e-4).learn(table, Knowledge())
    faint = learner(table.names, least=0.9, limit=1.0).learn(table, Knowledge())
    assert faint.edges == []  # no dependence is so strong, so nothing is left to test


def test_what_takes_longer_than_estimated_ends_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(np.arange(1.0, 1e6, 0.3))
    monkeypatch.setattr("ccigkit.structure.assess.patience.time.process_time", lambda: float(next(clock)))
    monkeypatch.setattr("ccigkit.structure.assess.patience.LOOK", 1)
    test = Patient(FisherZ(np.eye(2), 1000), "pc", 2, 0.01, 0.0, limit=1.0)
    for _ in range(3):
        test.p_value(0, 1, ())
    with pytest.raises(DataError, match=r"pc would take 1 seconds or more \(that long it took so far, given 0 others"):
        test.p_value(0, 1, ())


def test_a_limit_of_none_and_a_limit_that_is_kept_find_the_same_graph() -> None:
    table = dense(6)
    found = PC(table.names).learn(table, Knowledge())
    assert PC(table.names, limit=0.0).learn(table, Knowledge()) == found
    assert found.edges


def test_the_least_strength_of_a_dependence_is_that_of_its_test() -> None:
    moments = np.array([[1.0, 0.2], [0.2, 1.0]])
    for least, apart in ((0.0, False), (0.19, False), (0.21, True)):
        test = Patient(FisherZ(moments, 10_000), "pc", 2, 0.01, least, 0.0)
        assert (test(0, 1, ()) > 0.01) == apart
        assert test.joined[0, 1] != apart


@pytest.mark.parametrize("learner", [GES, GRaSP])
def test_a_search_that_would_take_too_long_is_refused_by_what_a_part_takes(
    learner: type[GES] | type[GRaSP], monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    clock = [0.0]
    monkeypatch.setattr("ccigkit.structure.assess.patience.time.process_time", lambda: clock[0])

    def search(self: object, rows: np.ndarray, score: str) -> tuple[np.ndarray, np.ndarray]:
        sizes.append(rows.shape[1])
        clock[0] += rows.shape[1] / 100
        return (np.zeros((rows.shape[1],) * 2, dtype=bool),) * 2

    monkeypatch.setattr(learner, "search", search)
    table = dense(32)
    with pytest.raises(DataError, match=r"by what 8 and 20 of the 32 attributes take"):
        learner(table.names, limit=0.2).learn(table, Knowledge())
    assert sizes == [8, 8, 20]
    learner(table.names, limit=1.0).learn(table, Knowledge())
    assert sizes[3:] == [8, 8, 20, 32]
    learner(table.names, limit=0.0).learn(table, Knowledge())
    assert sizes[7:] == [32]


def test_the_part_that_is_measured_is_spread_over_all_attributes() -> None:
    asked: list[list[int]] = []
    refuse_large("any", lambda few: asked.append(few.tolist()), 11, 1.0, (2, 3))
    assert asked == [[0, 10], [0, 10], [0, 5, 10]]
    refuse_large("any", lambda few: asked.append(few.tolist()), 3, 1.0, (2, 3))  # of which nothing is left to foresee
    assert len(asked) == 3


def test_what_a_whole_takes_follows_the_power_of_its_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [0.0]
    monkeypatch.setattr("ccigkit.structure.assess.patience.time.process_time", lambda: clock[0])

    def cubic(size: int) -> None:
        clock[0] += size**3 / 1000

    assert extrapolated(cubic, (8, 16), 40) == pytest.approx(64.0)


def test_an_estimate_within_the_limit_is_no_reason_to_refuse() -> None:
    refuse_long("ges", 10.0, 10.0, "so")
    refuse_long("ges", 1e9, 0.0, "so")
    with pytest.raises(
        DataError, match=r"ges would take 28 hours or more \(so\), and structure.limit=10 allows 10 sec"
    ):
        refuse_long("ges", 1e5, 10.0, "so")
    assert duration(7300) == "2 hours"


@pytest.mark.parametrize(("learner", "remedy"), [(Auto, r"(structure.least="), (Notears, r"(--structure auto")])
def test_a_graph_that_joins_most_pairs_is_said_to_tell_little(learner: type[StructureLearner], remedy: str) -> None:
    names = [f"x{i}" for i in range(10)]
    pairs = [f"{a} -> {b}" for i, a in enumerate(names) for b in names[i + 1 :]]
    (note,) = crowded(CausalGraph.from_edges(names, pairs[:23]), learner(tuple(names)))
    assert note.startswith("23 of 45 pairs are joined")
    assert remedy in note
    assert crowded(CausalGraph.from_edges(names, pairs[:22]), learner(tuple(names))) == []
    assert crowded(CausalGraph.from_edges(names[:3], pairs[:2]), learner(tuple(names[:3]))) == []
