"""PC: its tests against causal-learn's own, and what it finds where the truth is known."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from ccigkit.attributes import Attribute, Table
from ccigkit.causal.strengths import covariance
from ccigkit.errors import DataError
from ccigkit.graph import Knowledge
from ccigkit.structure.learners.causal_learn import pc, read_endpoints
from ccigkit.structure.learners.pc import PC
from ccigkit.structure.scores import independence
from ccigkit.structure.scores.independence import Counted, Counts, FisherZ, Independence, Mixed, chi_square, g_square
from tests.simulate import faces, linear


def table_of(columns: dict[str, np.ndarray]) -> Table:
    return Table.fit([Attribute(name, "continuous") for name in columns], np.stack(list(columns.values()), axis=1))


def labels(n: int, levels: list[int], seed: int = 0) -> np.ndarray:
    """[n, d], a chain of labels, each a noisy copy of the one before it, where there is one at all."""
    random = np.random.default_rng(seed)
    columns = [random.integers(0, levels[0], n)]
    for most in levels[1:]:
        columns.append(np.where(random.random(n) < 0.4, random.integers(0, most, n), columns[-1] % most))
    return np.stack(columns, axis=1).astype(float)


# --- the tests --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "statistic"), [("gsq", g_square), ("chisq", chi_square)])
@pytest.mark.parametrize("levels", [[2, 2, 2, 2, 2], [3, 2, 4, 2, 3]])
@pytest.mark.parametrize("dense", [0, 256])
def test_counting_agrees_with_causal_learn(
    name: str, statistic: independence.Statistic, levels: list[int], dense: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    from causallearn.utils.cit import CIT

    monkeypatch.setattr(independence, "DENSE", dense)
    rows = labels(301, levels)
    ours, theirs = Counted(rows, statistic), CIT(rows, name)
    for x, y in combinations(range(5), 2):
        others = [z for z in range(5) if z not in (x, y)]
        for size in range(4):
            for given in combinations(others, size):
                assert ours(x, y, given) == pytest.approx(theirs(x, y, given), rel=1e-9, abs=1e-300)


def test_counts_are_the_rows_in_each_cell(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = labels(500, [3, 2, 4])
    expected = np.zeros((4, 3, 2), dtype=int)
    np.add.at(expected, tuple(rows[:, [2, 0, 1]].astype(int).T), 1)
    np.testing.assert_array_equal(Counts(rows).strata(0, 1, (2,)), expected)
    monkeypatch.setattr(independence, "DENSE", 0)
    np.testing.assert_array_equal(Counts(rows).strata(0, 1, (2,)), expected)


def test_strata_that_do_not_occur_take_no_memory() -> None:
    rows = labels(200, [10] * 20)
    assert Counts(rows).strata(0, 1, tuple(range(2, 20))).shape[0] <= 200


def test_the_mixed_test_has_the_level_it_says() -> None:
    random = np.random.default_rng(0)
    values = []
    for _ in range(300):
        hub = random.normal(size=400)
        columns = np.stack([hub + random.normal(size=400), np.digitize(hub + random.normal(size=400), [-1, 1]), hub])
        kinds = ("continuous", "categorical", "continuous")
        table = Table.fit([Attribute(n, k) for n, k in zip("xyz", kinds, strict=True)], columns.T)
        values.append(Mixed(table)(0, 1, (2,)))
        assert Mixed(table)(0, 1, ()) < 1e-6
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.04)


def test_fishers_test_agrees_with_causal_learn_and_the_mixed_one_nearly() -> None:
    from causallearn.utils.cit import CIT

    table = linear(2000)
    ours, mixed, theirs = FisherZ(covariance(table), 2000), Mixed(table), CIT(table.latents, "fisherz")
    for x, y, given in [(0, 3, (1, 2)), (1, 2, (0,)), (4, 5, ()), (0, 4, (3,))]:
        assert ours(x, y, given) == pytest.approx(theirs(x, y, given), rel=1e-6, abs=1e-15)
        assert mixed(x, y, given) == pytest.approx(theirs(x, y, given), abs=0.01)


# --- the learner ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("levels", [[2] * 8, [2, 3, 4, 2, 3, 2]])
def test_pc_by_counting_finds_what_causal_learn_finds(levels: list[int]) -> None:
    rows = labels(3000, levels)
    assert_found_as_by_causal_learn(Counted(rows, g_square), rows, "gsq")


def test_pc_by_moments_finds_what_causal_learn_finds() -> None:
    table = linear(800)
    assert_found_as_by_causal_learn(FisherZ(covariance(table), 800), table.latents, "fisherz")


def assert_found_as_by_causal_learn(test: Independence, rows: np.ndarray, name: str) -> None:
    from causallearn.search.ConstraintBased.PC import pc as their_pc

    anything = ~np.eye(rows.shape[1], dtype=bool)
    theirs = read_endpoints(their_pc(rows, 0.01, name, show_progress=False).G.graph)
    np.testing.assert_array_equal(pc(rows.shape[1], test, 0.01, anything, ~anything & anything), theirs)


def test_pc_orients_a_collider_and_what_follows_from_it() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 2000))
    hub = x + y + rng.normal(size=2000)
    table = table_of({"end": hub + rng.normal(size=2000), "hub": hub, "x": x, "y": y})
    graph = PC(table.names).learn(table, Knowledge())
    assert set(graph.edges) == {("x", "hub"), ("y", "hub"), ("hub", "end")}
    assert graph.notes == ("tested by fisherz",)


def test_pc_says_what_the_data_leave_undirected() -> None:
    table = table_of({"x": (x := np.random.default_rng(0).normal(size=500)), "y": x + np.arange(500) % 7})
    free = PC(table.names, test="fisherz").learn(table, Knowledge())
    assert len(free.edges) == 1
    assert "directed by choice" in free.notes[0]
    told = PC(table.names, test="fisherz").learn(table, Knowledge(tiers=(("y",), ("x",))))
    assert told.edges == [("y", "x")]
    assert told.notes == ()


def test_pc_counts_hard_labels() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 2, (2, 3000))
    both = np.where(rng.random(3000) < 0.1, rng.integers(0, 2, 3000), x & y)
    table = Table.fit([Attribute(name, "binary") for name in "xyb"], np.stack([x, y, both], axis=1))
    graph = PC(table.names).learn(table, Knowledge())
    assert set(graph.edges) == {("x", "b"), ("y", "b")}
    assert graph.notes == ("tested by gsq",)


def test_pc_takes_categories_without_order_beside_numbers() -> None:
    rng = np.random.default_rng(0)
    shape, size = rng.integers(0, 3, 2000), rng.normal(size=2000)
    weight = np.array([0.0, 2.0, 0.0])[shape] + size + rng.normal(size=2000)  # no straight line sees the shape
    attributes = [Attribute("shape", "categorical"), Attribute("size", "continuous"), Attribute("weight", "continuous")]
    table = Table.fit(attributes, np.stack([shape, size, weight], axis=1))
    graph = PC(table.names).learn(table, Knowledge())
    assert set(graph.edges) == {("shape", "weight"), ("size", "weight")}
    assert graph.notes == ("tested by mixed",)


def test_pc_refuses_to_count_grades() -> None:
    with pytest.raises(DataError, match="is graded; use test fisherz"):
        PC(faces(50).names, test="gsq").learn(faces(50), Knowledge())


def test_the_endpoints_of_causal_learn_are_read_from_cause_to_effect() -> None:
    from causallearn.graph.GeneralGraph import GeneralGraph
    from causallearn.graph.GraphNode import GraphNode

    nodes = [GraphNode(name) for name in "abc"]
    graph = GeneralGraph(nodes)
    graph.add_directed_edge(nodes[2], nodes[0])
    adjacent, directed = read_endpoints(graph.graph)
    assert np.argwhere(directed).tolist() == [[2, 0]]
    assert np.argwhere(adjacent).tolist() == [[0, 2], [2, 0]]
