"""What a table says of a graph: the claims that it contradicts, and what would mend them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ccigkit.causal.attributes import Attribute, Table
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.structure.assess.falsify import claims_of, falsify, holm, in_a_line, separated, shuffled
from ccigkit.structure.scores.independence import Counted, FisherZ, Stratified, g_square
from tests.helpers import ccigkit

NAMES = ("a", "b", "c", "d", "e")
TRUE = CausalGraph.from_edges(NAMES, ["a -> b", "b -> c", "c -> d", "a <-> e"])


def table(labelled: bool, n: int = 3000) -> Table:
    """Rows of a chain whose first attribute has a hidden cause in common with the last: numbers or labels."""
    random = np.random.default_rng(0)
    hidden, noise = random.normal(size=n), random.normal(size=(n, 5))
    columns = [hidden + noise[:, 0]]
    for j in (1, 2, 3):
        before = columns[-1] > 0 if labelled else columns[-1]
        columns.append(1.5 * before - 0.75 * labelled + noise[:, j])
    values = np.column_stack([*columns, hidden + noise[:, 4]])
    kind = "binary" if labelled else "continuous"
    return Table.fit([Attribute(name, kind) for name in NAMES], (values > 0) * 1.0 if labelled else values)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_true_graph_stands_and_a_wrong_one_falls(labelled: bool) -> None:
    rows = table(labelled)
    good = falsify(TRUE, rows, shuffles=20)
    assert good.contradicted == ()
    assert np.mean(good.shuffled) > 2
    assert good.as_good < 0.2
    without = CausalGraph.from_edges(NAMES, ["a -> b", "c -> d", "a <-> e"])
    bad = falsify(without, rows, shuffles=0)
    assert {claim.one for claim in bad.contradicted[:1]} | {claim.other for claim in bad.contradicted[:1]} == {"b", "c"}
    assert {"b -> c", "c -> b", "a -> c"} & {mend.change for mend in bad.mends}
    assert min(mend.left for mend in bad.mends) < len(bad.contradicted)


def test_what_would_mend_most_is_the_hidden_cause_that_was_left_out() -> None:
    rows = table(labelled=False)
    told = falsify(replace(TRUE, confounded=frozenset()), rows, shuffles=0)
    assert [mend.change for mend in told.mends if "<->" in mend.change] == ["a <-> e"]
    known = Knowledge(tiers=(("e",), ("a",)), forbidden=frozenset({("e", "a")}))
    again = falsify(replace(TRUE, confounded=frozenset()), rows, known, shuffles=0)
    assert not {"a -> e", "e -> a"} & {mend.change for mend in again.mends}


@st.composite
def mixed_graphs(draw: st.DrawFn) -> CausalGraph:
    """A graph of five attributes with arrows along their order and hidden common causes."""
    pairs = [(NAMES[i], NAMES[j], draw(st.sampled_from(["", "", "->", "<->"]))) for j in range(5) for i in range(j)]
    return CausalGraph.from_edges(NAMES, [f"{a} {arrow} {b}" for a, b, arrow in pairs if arrow])


def covariance(graph: CausalGraph, seed: int) -> np.ndarray:
    """Of a linear model along the graph with random weights, each hidden cause a variable of its own."""
    random = np.random.default_rng(seed)
    weights = graph.adjacency * random.uniform(0.5, 1.5, (5, 5)) * random.choice([-1, 1], (5, 5))
    noise = np.eye(5)
    for i, j in np.argwhere(np.triu(graph.confounding)):
        into = np.zeros(5)
        into[[i, j]] = random.uniform(0.5, 1.5, 2)
        noise += np.outer(into, into)
    total = np.linalg.inv(np.eye(5) - weights)
    return total.T @ noise @ total


@settings(deadline=None, max_examples=60)
@given(mixed_graphs(), st.integers(0, 100), st.data())
def test_separation_is_independence_in_a_linear_model(graph: CausalGraph, seed: int, data: st.DataObject) -> None:
    x, y, *others = data.draw(st.permutations(range(5)))
    among = tuple(others[: data.draw(st.integers(0, 3))])
    at = [x, y, *among]
    precision = np.linalg.inv(covariance(graph, seed)[np.ix_(at, at)])
    correlation = abs(precision[0, 1]) / np.sqrt(precision[0, 0] * precision[1, 1])
    assert separated(graph, (x, y, among)) == (correlation < 1e-9)


@settings(deadline=None, max_examples=40)
@given(mixed_graphs())
def test_every_claim_is_one_of_the_graph_and_joined_pairs_make_none(graph: CausalGraph) -> None:
    joined = graph.adjacency | graph.adjacency.T | graph.confounding
    for x, y, among in claims_of(graph):
        assert separated(graph, (x, y, among))
        assert not joined[x, y]
    plain = replace(graph, confounded=frozenset())
    free = 10 - len(plain.edges)
    assert len(list(claims_of(plain))) == free  # without hidden causes every pair without an arrow makes one


def test_a_shuffle_changes_names_alone() -> None:
    other = shuffled(TRUE, np.random.default_rng(1))
    assert other.names == TRUE.names
    assert other != TRUE
    assert (len(other.edges), len(other.pairs)) == (len(TRUE.edges), len(TRUE.pairs))
    assert sorted(other.adjacency.sum(axis=0)) == sorted(TRUE.adjacency.sum(axis=0))


def test_holm_is_its_definition() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([]) == []


def test_a_faint_dependence_of_many_rows_contradicts_nothing() -> None:
    random = np.random.default_rng(0)
    a = random.random(200_000) < 0.5
    b = random.random(200_000) < np.where(a, 0.52, 0.5)
    rows = Table.fit([Attribute(name, "binary") for name in "ab"], np.column_stack([a, b]) * 1.0)
    told = falsify(CausalGraph.from_edges(("a", "b"), []), rows, shuffles=0)
    assert (len(told.contradicted), told.faint) == (0, 1)
    assert "(1 more by faint dependences)" in told.line()


def test_strength_is_the_partial_correlation() -> None:
    moments = np.array([[1.0, 0.3], [0.3, 1.0]])
    assert FisherZ(moments, 10_000_000).strength(1, 0, ()) == pytest.approx(0.3, abs=1e-4)


def test_sparse_strata_do_not_mislead() -> None:
    random = np.random.default_rng(0)
    rows = (random.random((2000, 12)) < 0.5) * 1.0
    among = tuple(range(2, 12))
    assert Counted(rows, g_square)(0, 1, among) < 1e-6  # two rows a stratum
    chances = [Stratified((random.random((500, 10)) < 0.5) * 1.0)(0, 1, tuple(range(2, 10))) for _ in range(100)]
    assert np.mean(np.array(chances) < 0.05) < 0.15
    rows[:, 1] = np.where(random.random(2000) < 0.4, rows[:, 0], rows[:, 1])
    assert Stratified(rows)(0, 1, among) < 1e-6
    assert Stratified(rows)(0, 1, (2,)) == Counted(rows, g_square)(0, 1, (2,))


def test_a_graph_that_claims_nothing_cannot_be_false() -> None:
    whole = CausalGraph(NAMES, np.triu(np.ones((5, 5)), 1))
    told = falsify(whole, table(labelled=True))
    assert (told.claims, told.shuffled, told.mends) == ((), (), ())
    assert "claims no independence" in told.line()


def test_attributes_that_follow_from_each_other_are_said() -> None:
    rows = table(labelled=False).values
    twin = Table.fit([Attribute(name, "continuous") for name in "ab"], rows[:, [0, 0]])
    assert "cannot be tested: columns a and b are collinear" in in_a_line(CausalGraph.from_edges(("a", "b"), []), twin)


def test_the_command_says_it(tmp_path: Path) -> None:
    rows = table(labelled=True, n=600)
    text = "\n".join([",".join(NAMES), *(",".join(str(int(v)) for v in row) for row in rows.values)])
    (tmp_path / "t.csv").write_text(text)
    (tmp_path / "g.toml").write_text(replace(TRUE, confounded=frozenset()).to_toml())
    words = ("graph", tmp_path / "t.csv", "--structure", "known", f"structure.graph={tmp_path / 'g.toml'}")
    told = ccigkit(*words, "--check").out
    assert "Is the graph false? the table contradicts" in told
    assert "would mend most" in told
    assert "Is the graph false?" not in ccigkit(*words).out
