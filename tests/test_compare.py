"""Distances between graphs: by hand where they can be counted, against gadjid where it is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from ccigkit.errors import ConfigError
from ccigkit.graph import CausalGraph
from ccigkit.structure.assess.compare import adjustment_distances, auprc, compare

ABCD = ("a", "b", "c", "d")
EMPTY = CausalGraph(ABCD, np.zeros((4, 4)))
TRUTH = CausalGraph.from_edges(ABCD, ["a -> b", "b -> c", "c -> d"])


def graph(*edges: str) -> CausalGraph:
    return CausalGraph.from_edges(ABCD, edges)


def random_dag(size: int, seed: int) -> CausalGraph:
    rng = np.random.default_rng(seed)
    order = rng.permutation(size)
    upper = np.triu(rng.random((size, size)) < 0.4, 1).astype(float)
    return CausalGraph(tuple(f"x{i}" for i in range(size)), upper[np.ix_(order, order)])


def test_missing_extra_and_reversed_edges_are_counted() -> None:
    found = compare(graph("b -> a", "b -> c", "a -> d"), TRUTH)  # one reversed, one right, one extra; one missing
    assert found.shd == 3
    assert (found.skeleton.precision, found.skeleton.recall) == (2 / 3, 2 / 3)
    assert (found.arrows.precision, found.arrows.recall, found.arrows.f1) == (1 / 3, 1 / 3, 1 / 3)


def test_a_reversal_counts_two_where_that_is_asked_for() -> None:
    assert graph("b -> a", "b -> c", "c -> d").shd(TRUTH) == 1
    assert graph("b -> a", "b -> c", "c -> d").shd(TRUTH, reversal=2) == 2
    assert graph("b -> c", "a -> d").shd(TRUTH, reversal=2) == 3


def test_the_graph_itself_is_at_no_distance() -> None:
    found = compare(TRUTH, TRUTH)
    assert found.shd == 0
    assert found.skeleton.f1 == found.arrows.f1 == found.auprc == 1


def test_shares_of_nothing_are_one() -> None:
    nothing_found, nothing_true, neither = compare(EMPTY, TRUTH), compare(TRUTH, EMPTY), compare(EMPTY, EMPTY)
    assert [nothing_found.arrows.precision, nothing_found.arrows.recall, nothing_found.arrows.f1] == [1, 0, 0]
    assert [nothing_true.skeleton.precision, nothing_true.skeleton.recall, nothing_true.skeleton.f1] == [0, 1, 0]
    assert [neither.arrows.precision, neither.arrows.recall, neither.arrows.f1, neither.auprc] == [1, 1, 1, 1]
    assert nothing_true.auprc == 0


def test_the_order_of_the_names_changes_no_distance() -> None:
    other = graph("b -> a : 0.5", "b -> c : -2", "a -> d")
    assert compare(other, TRUTH) == compare(other.reordered("dbca"), TRUTH) == compare(other, TRUTH.reordered("dbca"))


def test_auprc_by_hand() -> None:
    # right, wrong, right, then all the rest at once: the third true arrow comes with the 12 of all
    found = graph("a -> b : 3", "a -> d : -2", "b -> c : 1")
    assert auprc(found.strengths, TRUTH) == pytest.approx((1 / 1 + 2 / 3 + 3 / 12) / 3)
    assert auprc(np.zeros((4, 4)), TRUTH) == pytest.approx(3 / 12)  # chance
    together = graph("a -> b", "a -> d", "b -> c")
    assert auprc(together.strengths, TRUTH) == pytest.approx((2 / 3 * 2 + 3 / 12) / 3)


def test_auprc_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    pairs = ~np.eye(8, dtype=bool)
    for seed in range(10):
        truth, scores = random_dag(8, seed), np.random.default_rng(seed).integers(-3, 4, (8, 8)).astype(float)
        expected = metrics.average_precision_score(truth.adjacency[pairs], abs(scores)[pairs])
        assert auprc(scores, truth) == pytest.approx(expected)


# --- through gadjid ---------------------------------------------------------------------------------------------------


def test_without_gadjid_the_remedy_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gadjid", None)
    with pytest.raises(ConfigError, match=r"pip install 'ccigkit\[metrics\]'"):
        adjustment_distances(TRUTH, TRUTH)


def test_effects_by_hand() -> None:
    pytest.importorskip("gadjid")
    exact = adjustment_distances(TRUTH, TRUTH)
    assert (exact.pairs, exact.sid, exact.ancestor) == (12, 0, 0)
    assert adjustment_distances(TRUTH, EMPTY).sid == 0  # edges too many leave every effect right
    assert adjustment_distances(EMPTY, TRUTH).sid == 6  # with no parents to adjust for, each effect on a cause is wrong
    # Peters and Bühlmann (2015), example 1: an extra edge does no harm, a reversed one does
    names = ("x1", "x2", "y1", "y2", "y3")
    both = [f"{x} -> {y}" for x in ("x1", "x2") for y in ("y1", "y2", "y3")]
    true = CausalGraph.from_edges(names, ["x1 -> x2", *both])
    extra = CausalGraph.from_edges(names, ["x1 -> x2", *both, "y1 -> y2"])
    turned = CausalGraph.from_edges(names, ["x2 -> x1", *both])
    assert (extra.shd(true), adjustment_distances(extra, true).sid) == (1, 0)
    assert (turned.shd(true), adjustment_distances(turned, true).sid) == (1, 8)


def test_distances_of_one_attribute_are_none() -> None:
    pytest.importorskip("gadjid")
    one = CausalGraph(("a",), np.zeros((1, 1)))
    assert adjustment_distances(one, one).pairs == 0


def test_gadjid_counts_as_we_do_and_reads_our_direction() -> None:
    gadjid = pytest.importorskip("gadjid")
    for seed in range(30):
        ours, theirs = random_dag(7, seed), random_dag(7, 100 + seed)
        matrices = [g.adjacency.astype(np.int8) for g in (theirs, ours)]
        assert ours.shd(theirs) == gadjid.shd(*matrices)[1]
        assert (
            adjustment_distances(ours, theirs).sid
            == gadjid.parent_aid(*(m.T.copy() for m in matrices), edge_direction="from column to row")[1]
        )
