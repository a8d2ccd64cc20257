"""How sure each arrow is: held to all graphs of three attributes, one by one."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from ccigkit import Attribute, Table
from ccigkit.causal.attributes import Kind
from ccigkit.causal.strengths import Support, covariance
from ccigkit.graph import CausalGraph, Knowledge, find_cycle
from ccigkit.show import drawings
from ccigkit.structure.assess.equivalence import completed
from ccigkit.structure.assess.reversal import evidence, turned
from ccigkit.structure.learners.boss import Boss, Found, search
from ccigkit.structure.scores.base import Score
from ccigkit.structure.scores.cells import Labels
from ccigkit.structure.scores.gaussian import Gaussian, additive, indicators
from ccigkit.structure.scores.labels import Logistic
from tests.helpers import ccigkit

FORTH = [(0, 1), (0, 2), (1, 2)]


def table_of(rows: np.ndarray, kind: Kind = "continuous") -> Table:
    return Table.fit([Attribute(f"x{i}", kind) for i in range(rows.shape[1])], rows)


def numbers(seed: int, n: int = 300, bend: float = 0.0) -> Table:
    """Three attributes, each following from those before it in an order that the seed says, some along a curve."""
    random = np.random.default_rng(seed)
    a, b, c = random.normal(size=(3, n))
    b = b + random.choice([0.0, 0.4, 0.8]) * a
    c = c + random.choice([0.0, 0.3, 0.6]) * a + random.choice([0.0, 0.3, 0.6]) * b + bend * np.square(b)
    return table_of(np.stack([a, b, c], axis=1)[:, random.permutation(3)])


def labels(seed: int, n: int = 600) -> np.ndarray:
    random = np.random.default_rng(seed)
    rows = np.zeros((n, 3))
    for j in range(3):
        rows[:, j] = random.random(n) < expit(rows[:, :j] @ random.choice([0.0, 1.0, 2.0], j) - 0.7)
    return rows[:, random.permutation(3)]


SCORES: dict[str, Callable[[int], Score]] = {
    "gaussian": lambda seed: Gaussian(covariance(numbers(seed)), 300, 2.0),
    "indicators": lambda seed: indicators(numbers(seed), 2.0),
    "curves": lambda seed: additive(numbers(seed, bend=0.5), 1.0),
    "logistic": lambda seed: Logistic(Labels(labels(seed)), 2.0),
}


def graphs(allowed: Support) -> list[Support]:
    """All 25 graphs of three attributes, or those that are allowed."""
    found = []
    for ways in product((0, 1, 2), repeat=3):
        dag = np.zeros((3, 3), dtype=bool)
        for (i, j), way in zip(FORTH, ways, strict=True):
            dag[i, j], dag[j, i] = way == 1, way == 2
        if not find_cycle(dag) and not (dag & ~allowed).any():
            found.append(dag)
    return found


def total(score: Score, dag: Support) -> float:
    return sum(score.local(j, tuple(np.flatnonzero(column).tolist())) for j, column in enumerate(dag.T))


def found_by(score: Score, allowed: Support) -> Found:
    return search(score, allowed, np.zeros((3, 3), dtype=bool), np.arange(3)).refined(2, 0)


@pytest.mark.parametrize("name", SCORES)
@pytest.mark.parametrize("seed", range(8))
def test_turning_an_arrow_costs_what_the_best_of_all_graphs_with_it_turned_scores_less(name: str, seed: int) -> None:
    score, allowed = SCORES[name](seed), ~np.eye(3, dtype=bool)
    if seed % 2:
        allowed[0, 1] = False
    best, costs = turned(found_by(score, allowed))
    totals = [(total(score, dag), dag) for dag in graphs(allowed)]
    most = max(value for value, _ in totals)
    assert best.total == pytest.approx(most)
    for i, j in np.argwhere(best.support).tolist():
        if not allowed[j, i]:
            assert math.isinf(costs[i, j])
        else:
            exact = most - max(value for value, dag in totals if dag[j, i])
            assert costs[i, j] == pytest.approx(exact, abs=1e-6)


@pytest.mark.parametrize("seed", range(8))
def test_by_choice_is_what_the_class_leaves_open_and_costs_nothing(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = np.triu(random.random((7, 7)) < 0.4, 1) * random.uniform(0.4, 1.2, (7, 7))
    rows = random.normal(size=(2000, 7)) @ np.linalg.inv(np.eye(7) - weights)
    table = table_of(rows[:, random.permutation(7)])
    knowledge = Knowledge(tiers=(("x0", "x1"), ("x2", "x3"))) if seed % 2 else Knowledge()
    graph = Boss(table.names, score="gaussian").explained(table, knowledge)
    _, undirected = completed(graph.adjacency, knowledge.allowed(graph.names))
    open_edges = {(graph.names[i], graph.names[j]) for i, j in np.argwhere(graph.adjacency & undirected)}
    assert set(graph.evidence) == set(graph.edges)
    assert {edge for edge, sure in graph.evidence.items() if sure.reason == "choice"} == open_edges
    for edge, sure in graph.evidence.items():
        assert (sure.reversal == 0) == (edge in open_edges)
        assert math.isinf(sure.reversal) <= (sure.reason == "knowledge")
        assert sure.reversal >= 0


def test_a_better_graph_that_turning_finds_is_taken() -> None:
    random = np.random.default_rng(0)
    weights = np.triu(random.random((12, 12)) < 0.5, 1) * random.choice([-1, 1], (12, 12))
    rows = random.normal(size=(500, 12)) @ np.linalg.inv(np.eye(12) - weights)
    score, allowed = Gaussian(covariance(table_of(rows)), 500, 2.0), ~np.eye(12, dtype=bool)
    nothing = np.zeros((12, 12), dtype=bool)
    poor = search(score, allowed, nothing, np.arange(12)[::-1])
    best, costs = turned(poor)
    assert best.total > poor.total + 1
    assert best.total == pytest.approx(total(score, best.support))
    assert (costs[best.support] >= 0).all()
    assert not find_cycle(best.support)


def reasons(graph: CausalGraph) -> dict[str, str]:
    return {" -> ".join(edge): sure.why for edge, sure in graph.evidence.items()}


def test_what_a_direction_rests_on_is_told_apart() -> None:
    random = np.random.default_rng(0)
    a, b, c, d = random.normal(size=(4, 4000))
    c, d = c + a + b, d + np.square(a + b)
    collider = table_of(np.stack([a, b, c], axis=1))
    assert reasons(Boss(collider.names).explained(collider, Knowledge())) == dict.fromkeys(
        ("x0 -> x2", "x1 -> x2"), "by the data"
    )
    chain = table_of(np.stack([a, c, c + random.normal(size=4000)], axis=1))
    assert set(reasons(Boss(chain.names).explained(chain, Knowledge())).values()) == {"by choice"}
    told = Boss(chain.names).explained(chain, Knowledge(roots=frozenset({"x0"})))
    assert reasons(told) == dict.fromkeys(("x0 -> x1", "x1 -> x2"), "as told")  # the second follows from the first
    assert [math.isinf(told.evidence[edge].reversal) for edge in told.edges] == [True, False]
    curve = table_of(np.stack([d, a + b], axis=1))
    graph = Boss(curve.names).explained(curve, Knowledge())
    assert reasons(graph) == {"x1 -> x0": "by assumption of curves"}
    assert graph.evidence["x1", "x0"].reversal > 10
    assert graph.notes[-1] == "directed by assumption of curves alone, the data do not tell: x1 -> x0"
    assert drawings.labels(graph) == {("x1", "x0"): "assumed"}
    assert "turned" not in graph.to_toml()  # no nats, as they would be those of the assumption
    known = Boss(curve.names).explained(curve, Knowledge(roots=frozenset({"x1"})))
    assert not [note for note in known.notes if "assumption" in note]


def test_too_many_arrows_are_not_turned_and_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ccigkit.structure.assess.reversal.WORK", 9)
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 1000))
    table = table_of(np.stack([a, b, a + b + random.normal(size=1000)], axis=1))
    graph = Boss(table.names).explained(table, Knowledge())
    assert all(math.isnan(sure.reversal) for sure in graph.evidence.values())
    assert graph.notes[-1] == "2 arrows were not turned, as that takes long in so large a graph"
    assert "nan" not in graph.to_toml()


def test_evidence_stands_beside_the_edge_with_other_remarks_and_moves_with_the_columns() -> None:
    table = numbers(0, n=2000)
    graph = Boss(table.names).explained(table, Knowledge())
    edge = graph.edges[0]
    line = f'{graph.strengths[graph.index(edge[0]), graph.index(edge[1])]:.6g}",  # seen; {graph.evidence[edge]}'
    assert line in graph.to_toml({edge: "seen"})
    assert graph.reordered(table.names[::-1]).evidence == graph.evidence
    assert graph == Boss(table.names).learn(table, Knowledge())


def test_evidence_is_a_strength_that_is_the_partial_correlation() -> None:
    table = numbers(5, n=5000)
    found = search(SCORES["gaussian"](5), ~np.eye(3, dtype=bool), np.zeros((3, 3), dtype=bool), np.arange(3))
    table = numbers(5)
    for (cause, effect), sure in evidence(found, np.zeros((3, 3)), table.names).items():
        given = np.flatnonzero(found.support[:, table.names.index(effect)]).tolist()
        at = [table.names.index(effect), *given]
        precision = np.linalg.inv(covariance(table)[np.ix_(at, at)])
        place = at.index(table.names.index(cause))
        partial = abs(precision[0, place]) / math.sqrt(precision[0, 0] * precision[place, place])
        assert sure.strength == pytest.approx(partial, abs=1e-3)


def test_the_command_shows_it_in_the_text_the_toml_and_the_picture(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    a, b, noise = random.normal(size=(3, 2000))
    c = a + b + noise
    table = tmp_path / "table.csv"
    np.savetxt(table, np.stack([a, b, c], axis=1), delimiter=",", header="a,b,c", comments="")
    toml, svg = tmp_path / "graph.toml", tmp_path / "graph.svg"
    done = ccigkit("graph", table, "--out", toml, "--out", svg)
    assert done.code == 0, done.err
    sure = Boss(("x0", "x1", "x2")).explained(table_of(np.stack([a, b, c], axis=1)), Knowledge()).evidence["x0", "x2"]
    assert "nats lost if turned" in done.out
    assert done.out.count("by the data") == 2
    assert f"# {sure}" in toml.read_text()
    assert svg.read_text().count(f">{sure.nats}</text>") == 2
    assert ccigkit("graph", table, "--bootstrap", "3", "--workers", "1", "--out", toml, "--out", svg).code == 0
    assert f"# joined in 100%, this way in 100%; {sure}" in toml.read_text()
    assert f">{sure.nats}</text>" not in svg.read_text()
    assert CausalGraph.from_toml(toml).edges == [("a", "c"), ("b", "c")]
