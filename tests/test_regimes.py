"""Tables in which attributes were set: what is learned from which rows, and what an intervention tells apart."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from itertools import pairwise, product
from typing import get_args

import numpy as np
import pytest

from ccigkit.attributes import Attribute, Kind, Table
from ccigkit.causal.model import CausalModel
from ccigkit.causal.regimes import left_alone, observed, set_apart
from ccigkit.causal.scm.linear import LinearSCM
from ccigkit.causal.strengths import Support, fit_strengths
from ccigkit.causal.structure import Structure
from ccigkit.commands.config import Config
from ccigkit.commands.graph import learn_graph
from ccigkit.errors import DataError
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.structure.assess.bootstrap import bootstrap, sorted_rows
from ccigkit.structure.assess.equivalence import with_class
from ccigkit.structure.assess.falsify import falsify
from ccigkit.structure.learners.boss import Boss
from ccigkit.structure.learners.pc import PC
from ccigkit.structure.scores.cells import Labels
from ccigkit.structure.scores.choice import ScoreName
from ccigkit.structure.scores.gaussian import Curves, Gaussian, curves
from ccigkit.structure.scores.labels import QNML
from ccigkit.structure.scores.regimes import ByRegime
from tests.simulate import intervened, linear
from tests.test_equivalence import colliders, orientations, random_dag

NAMES = tuple("abcd")
CHAIN = CausalGraph.from_edges(NAMES, ["a -> b : 1.0", "b -> c : -0.8", "c -> d : 0.9"])


def of_gaussian(table: Table) -> Gaussian:
    return Gaussian(np.cov(table.values, rowvar=False), len(table.values), 2.0)


def learned(table: Table, structure: str = "auto") -> CausalGraph:
    config = Config.resolve([("test", {"structure": {"name": structure}})])
    return learn_graph(config, table, Knowledge()).graph


def members(dag: Support, targets: list[tuple[int, ...]]) -> list[Support]:
    """Every DAG of the interventional class of one, by what do() leaves of each (Hauser and Bühlmann, 2012)."""

    def shape(other: Support, cut: tuple[int, ...]) -> tuple[object, ...]:
        left = other.copy()
        left[:, list(cut)] = False
        return (left | left.T).tobytes(), frozenset(colliders(left))

    same = [shape(dag, cut) for cut in ((), *targets)]
    return [other for other in orientations(dag | dag.T) if [shape(other, cut) for cut in ((), *targets)] == same]


# --- scores -----------------------------------------------------------------------------------------------------------


def test_a_cause_is_scored_by_the_rows_in_which_its_effect_was_not_set() -> None:
    table = intervened(CHAIN, 300, [("b",), ("a", "c")])
    score = ByRegime(table, of_gaussian)
    for effect, cause in pairwise(range(4)):
        rows = table.values[~table.intervened[:, effect]]  # type: ignore[index]
        share = 1 - np.corrcoef(rows[:, [effect, cause]].T)[0, 1] ** 2
        by_hand = -len(rows) / 2 * np.log(share) - np.log(len(rows))
        assert score.local(effect, (cause,)) - score.local(effect, ()) == pytest.approx(by_hand, rel=1e-6)


@pytest.mark.parametrize("kind", ["continuous", "binary"])
def test_members_of_an_interventional_class_score_alike_and_others_do_not(kind: Kind) -> None:
    table = intervened(CHAIN, 300, [("b",), ("c", "d")])
    if kind == "binary":
        values = (table.values > 0).astype(float)
        table = Table.fit([Attribute(n, kind) for n in NAMES], values, intervened=table.intervened)
    score = ByRegime(table, of_gaussian if kind == "continuous" else lambda rows: QNML(Labels(rows.values)))
    classes: dict[frozenset[bytes], list[float]] = defaultdict(list)
    every = {dag.tobytes(): dag for chosen in product((False, True), repeat=6) for dag in orientations(joined(chosen))}
    for dag in every.values():
        alike = frozenset(other.tobytes() for other in members(dag, [(1,), (2, 3)]))
        classes[alike].append(sum(score.local(j, tuple(np.flatnonzero(dag[:, j]).tolist())) for j in range(4)))
    assert len(every) == 543
    assert {len(alike) for alike in classes} == {1, 2}
    for alike, scores in classes.items():
        assert len(scores) == len(alike)
        np.testing.assert_allclose(scores, scores[0], rtol=1e-7, atol=1e-6)
    totals = [scores[0] for scores in classes.values()]
    assert np.diff(np.sort(totals)).min() > 1e-5


def joined(chosen: tuple[bool, ...]) -> Support:
    adjacent = np.zeros((4, 4), dtype=bool)
    adjacent[np.triu_indices(4, 1)] = chosen
    return adjacent | adjacent.T


def test_what_is_added_or_left_out_scores_as_if_it_were_asked_for() -> None:
    table = intervened(CHAIN, 300, [("b",), ("a", "c")])
    score = ByRegime(table, of_gaussian)
    added, removed = score.additions(2, (3, 1)), score.removals(2, (3, 1))
    np.testing.assert_allclose(removed, [score.local(2, (1,)), score.local(2, (3,))], rtol=1e-8)
    assert added[0] == pytest.approx(score.local(2, (3, 1, 0)), rel=1e-8)
    assert added[[1, 2, 3]].max() <= score.local(2, (3, 1))


def test_what_was_set_in_all_rows_or_never_varies_by_itself_has_no_cause_but_may_be_one() -> None:
    table = intervened(CHAIN, 300, [("b",)])
    values, held = table.values.copy(), np.zeros_like(table.intervened)
    held[:, 0] = True  # a was set everywhere
    values[300:, 3], held[300:, 3] = 5.0, True  # d was set to 5 where it was, and is 1 elsewhere
    values[:300, 3] = 1.0
    table = Table.fit([Attribute(name, "continuous") for name in NAMES], values, CHAIN, held)
    graph = Boss(NAMES).learn(table, Knowledge())
    assert not graph.parents("a")
    assert not graph.parents("d")
    assert ("a", "b") in graph.edges
    required = Knowledge(required=frozenset({("b", "a"), ("c", "d")}))
    assert {("b", "a"), ("c", "d")} <= set(Boss(NAMES).learn(table, required).edges)
    assert "a was set in all rows but 0: too few to say what causes it" in learned(table).notes


# --- classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_the_note_names_the_edges_that_the_interventions_leave_open(seed: int) -> None:
    random = np.random.default_rng(seed)
    dag = random_dag(random, 5)
    targets = [tuple(random.choice(5, random.integers(1, 3), replace=False).tolist()) for _ in range(seed % 3)]
    held = np.array([[j in cut for j in range(5)] for cut in ((), *targets)])
    attributes = Table.of({name: [0.5, 1.5] for name in "vwxyz"}).attributes
    table = Table(attributes, np.zeros(held.shape), intervened=held)
    graph = with_class(CausalGraph(table.names, dag.astype(float)), Knowledge(), set_apart(table))
    others = np.any([other & ~dag for other in members(dag, targets)], axis=0)
    named = {(i, j) for i, j in np.argwhere(others.T)}
    said = "".join(graph.notes).partition(": ")[2].split(", ") if graph.notes else []
    assert {tuple(edge.split(" -> ")) for edge in said} == {(table.names[i], table.names[j]) for i, j in named}


# --- learning ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("effect", ["b", "a"])
def test_an_intervention_on_one_of_two_tells_which_is_the_cause(effect: str) -> None:
    cause = {"a": "b", "b": "a"}[effect]
    truth = CausalGraph.from_edges(("a", "b"), [f"{cause} -> {effect} : 1.0"])
    table = intervened(truth, 500, [("a",)])
    graph = learned(table)
    assert graph.edges == [(cause, effect)]
    assert not any("by choice" in note for note in graph.notes)
    unaware = Boss(table.names, score="gaussian").learn(replace(table, intervened=None), Knowledge())
    assert any("by choice" in note for note in unaware.notes)


@pytest.mark.parametrize("seed", range(4))
def test_with_every_attribute_set_once_the_truth_is_found_and_no_other_learner_is_asked_of_such_rows(seed: int) -> None:
    random = np.random.default_rng(seed)
    weights = np.triu(random.random((7, 7)) < 0.4, 1) * random.uniform(0.6, 1.4, (7, 7))
    at = random.permutation(7)
    truth = CausalGraph(tuple("abcdefg"), weights[np.ix_(at, at)])
    table = intervened(truth, 2000, [(name,) for name in truth.names], seed)
    assert set(learned(table).edges) == set(truth.edges)
    assert set(learned(replace(table, intervened=None)).edges) != set(truth.edges)
    pc, alone = learned(table, "pc"), PC(table.names).learn(observed(table), Knowledge())
    assert pc.edges == alone.edges
    assert "learned from the 2000 of 16000 rows in which nothing was set, as pc cannot use the others" in pc.notes[-1]


@pytest.mark.parametrize("score", get_args(ScoreName))
def test_the_order_of_rows_and_columns_changes_nothing_under_any_score(score: ScoreName) -> None:
    table, kind = intervened(CHAIN, 200, [("b",), ("d",)]), "continuous"
    values, held, random = table.values, table.intervened, np.random.default_rng(1)
    assert held is not None
    if score not in ("gaussian", "spline"):
        values, kind = (values > 0).astype(float), "binary"
    attributes = [Attribute(name, kind) for name in NAMES]  # type: ignore[arg-type]
    at = random.permutation(len(values))
    one = Table.fit(attributes, values, intervened=held)
    other = Table.fit(attributes, values[at], intervened=held[at]).reordered(list(random.permutation(NAMES)))
    graphs = [Boss(each.names, score=score).learn(each, Knowledge()) for each in (one, other)]
    assert set(graphs[0].edges) == set(graphs[1].edges) == {("a", "b"), ("b", "c"), ("c", "d")}
    np.testing.assert_array_equal(sorted_rows(other.reordered(NAMES)).values, sorted_rows(one).values)
    np.testing.assert_array_equal(sorted_rows(other.reordered(NAMES)).intervened, sorted_rows(one).intervened)


def test_where_scores_of_pairs_of_curves_would_fill_the_memory_each_curve_stands_alone() -> None:
    table = linear(300)
    assert isinstance(curves(table, scores=6), Curves)
    assert not isinstance(curves(table, scores=20_000), Curves)
    assert curves(Table(table.attributes, np.tile(table.values, (200, 1))), scores=6).n == 60_000


def test_resamples_keep_what_was_set() -> None:
    table = intervened(CausalGraph.from_edges(("a", "b"), ["a -> b : 1.0"]), 300, [("a",)])
    aware, unaware = (
        bootstrap(Boss(table.names), each, Knowledge(), samples=10, workers=1)
        for each in (table, replace(table, intervened=None))
    )
    assert aware.arrows.tolist() == [[0, 1], [0, 0]]
    assert unaware.adjacent[0, 1] == 1


# --- what else reads a table ------------------------------------------------------------------------------------------


def test_rows_in_which_an_attribute_was_set_teach_neither_its_strengths_nor_its_mechanism() -> None:
    table = intervened(CHAIN, 5000, [("b",), ("c", "d")])
    spreads = np.array([a.spread for a in table.attributes])
    units = spreads[None, :] / spreads[:, None]
    np.testing.assert_allclose(fit_strengths(table, CHAIN.adjacency) * units, CHAIN.strengths, atol=0.05)
    mixed = fit_strengths(replace(table, intervened=None), CHAIN.adjacency) * units
    assert abs(mixed - CHAIN.strengths).max() > 0.2
    model = CausalModel(table.attributes, Structure(CHAIN), LinearSCM(4)).fit(table)
    np.testing.assert_allclose(model.graph.strengths * units, CHAIN.strengths, atol=0.05)
    drawn = model.sample(5000, seed=0).numpy()
    natural = observed(table).values
    np.testing.assert_allclose(np.cov(drawn, rowvar=False), np.cov(natural, rowvar=False), atol=0.3)


def test_what_a_graph_claims_is_tested_in_rows_in_which_nothing_was_set() -> None:
    table = intervened(CHAIN, 2000, [("b",), ("c", "d")])
    verdict = falsify(CHAIN, table)
    assert verdict.rows == 2000
    assert not verdict.contradicted
    assert falsify(CHAIN, replace(table, intervened=None)).contradicted


def test_without_a_row_in_which_nothing_was_set_only_what_needs_none_goes_on() -> None:
    table = intervened(CHAIN, 400, [(name,) for name in NAMES])
    table = table.taken(np.arange(400, len(table.values)))
    assert set(learned(table).edges) == {("a", "b"), ("b", "c"), ("c", "d")}
    with pytest.raises(DataError, match="something was set in 1600 of 1600 rows"):
        learned(table, "pc")
    with pytest.raises(DataError, match="something was set in 1600 of 1600 rows"):
        CausalModel(table.attributes, Structure(CHAIN), LinearSCM(4)).fit(table)


def test_what_was_set_has_the_shape_of_the_values_and_nothing_set_is_nothing() -> None:
    attributes, values = Table.of({"a": [1.0, 2.0, 3.0], "b": [3.0, 1.0, 2.0]}).attributes, np.eye(3)[:, :2]
    with pytest.raises(DataError, match=r"must be \[3, 2\] like the values, got \[3\]"):
        Table.fit(attributes, values, intervened=[True, False, True])
    table = Table.fit(attributes, values, intervened=np.zeros((3, 2)))
    assert table.intervened is None
    assert [(rows is table, at) for rows, at in left_alone(table)] == [(True, [0, 1])]


def test_an_arrow_that_interventions_tell_is_by_the_data_and_not_by_choice() -> None:
    chain = CausalGraph.from_edges(("a", "b", "c"), ["a -> b : 1.0", "b -> c : 1.0"])
    told = Boss(chain.names).explained(intervened(chain, 2000, [("a",), ("b",)]), Knowledge())
    assert {edge: sure.reason for edge, sure in told.evidence.items()} == dict.fromkeys(chain.edges, "the data")
    assert all(sure.reversal > 100 for sure in told.evidence.values())
