"""FCI: held to the truth by a test that is never wrong, and what it finds in tables with hidden causes."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest

from ccigkit.attributes import Attribute, Table
from ccigkit.causal.dag import reachability
from ccigkit.graph import CausalGraph, Knowledge
from ccigkit.structure.assess.falsify import separated
from ccigkit.structure.learners.fci import FCI
from ccigkit.structure.learners.pag import ARROW, TAIL
from ccigkit.structure.scores.independence import Independence
from tests.simulate import confounded, linear

PARTED = ["a -> d", "e -> a", "e -> c", "e -> f", "f -> b", "f -> c", "a <-> b", "d <-> f"]
HIDDEN = frozenset({frozenset({"x", "y"})})


class Oracle(Independence):
    """What a graph separates is independent, and all else is dependent, for certain."""

    def __init__(self, graph: CausalGraph) -> None:
        super().__init__(1)
        self.graph = graph

    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        return float(separated(self.graph, (x, y, given)))

    def statistic(self, x: int, y: int, given: tuple[int, ...]) -> tuple[float, int]:
        raise NotImplementedError


def some_graph(seed: int) -> CausalGraph:
    """Four to six attributes with random arrows and, between others, hidden common causes."""
    random = np.random.default_rng(seed)
    size = int(random.integers(4, 7))
    names, order = tuple("abcdef"[:size]), random.permutation(size)
    strengths = np.triu(random.random((size, size)) < random.uniform(0.15, 0.5), 1)[np.ix_(order, order)]
    share = random.uniform(0.05, 0.3)
    free = [(i, j) for i, j in combinations(range(size), 2) if not strengths[i, j] and not strengths[j, i]]
    hidden = frozenset(frozenset((names[i], names[j])) for i, j in free if random.random() < share)
    return CausalGraph(names, strengths.astype(float), confounded=hidden)


def learned(truth: CausalGraph, depth: int = 3) -> CausalGraph:
    return FCI(truth.names, alpha=0.5, depth=depth).found(truth.names, Oracle(truth), Knowledge())


def with_effect() -> Table:
    """A hidden cause of x and y, and z, an effect of x."""
    table = confounded("continuous")
    x = table.values[:, table.names.index("x")]
    z = x + np.random.default_rng(9).normal(size=len(x))
    names = (*table.names, "z")
    return Table.fit([Attribute(name, "continuous") for name in names], np.column_stack([table.values, z]))


# --- with a test that is never wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_the_graph_separates_what_the_true_one_separates(seed: int) -> None:
    truth = some_graph(seed)
    ours, true = Oracle(learned(truth)), Oracle(truth)
    for x, y in combinations(range(len(truth.names)), 2):
        others = [z for z in range(len(truth.names)) if z not in (x, y)]
        for given in (given for size in range(len(others) + 1) for given in combinations(others, size)):
            assert ours(x, y, given) == true(x, y, given)


@pytest.mark.parametrize("seed", range(40))
def test_no_end_that_is_settled_is_wrong(seed: int) -> None:
    truth = some_graph(seed)
    ends = FCI(truth.names, alpha=0.5).ancestral(truth.names, Oracle(truth), Knowledge())
    causes = reachability(truth.adjacency)
    assert not (causes.T & (ends == ARROW)).any()
    assert not (~causes.T & (ends == TAIL)).any()


def test_possible_d_sep_parts_what_no_neighbours_part() -> None:
    truth = CausalGraph.from_edges(tuple("abcdef"), PARTED)
    assert len(learned(truth, depth=0).edges) + len(learned(truth, depth=0).pairs) == len(PARTED) + 1
    assert len(learned(truth).edges) + len(learned(truth).pairs) == len(PARTED)


# --- with tables ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["continuous", "binary"])
@pytest.mark.parametrize("test", ["auto", "fisherz"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_hidden_cause_between_two_effects_is_found(kind: str, test: str, seed: int) -> None:
    table = confounded(kind, seed)
    graph = FCI(table.names, test=test).learn(table, Knowledge())
    assert set(graph.edges) == {("a", "x"), ("b", "y")}
    assert graph.confounded == HIDDEN


def test_the_notes_tell_what_is_hidden_what_is_settled_and_what_is_open() -> None:
    table = with_effect()
    notes = FCI(table.names).learn(table, Knowledge()).notes
    assert notes[0] == "tested by fisherz"
    assert notes[1] in ("something hidden causes both: x <-> y", "something hidden causes both: y <-> x")
    assert notes[2] == "settled by the tests: x -> z"
    said, open_ends = notes[3].split(": ")
    assert said == "undetermined by the data, where an end o may be an arrowhead or not"
    assert set(open_ends.split(", ")) == {"a o-> x", "b o-> y"}
    assert len(notes) == 4


def test_a_chain_is_directed_without_a_collider_and_said_to_be_open() -> None:
    table = linear(3000).reordered(list("dcfeab"))
    graph = FCI(table.names).learn(table, Knowledge())
    assert graph.confounded == frozenset()
    assert {("b", "d"), ("c", "d"), ("d", "e")} <= set(graph.edges)
    assert (graph.adjacency | graph.adjacency.T).sum() == 12
    assert ("a", "b") in graph.edges or ("a", "c") in graph.edges  # or a were a collider
    assert any("o-o" in note for note in graph.notes)


# --- what is known ----------------------------------------------------------------------------------------------------


def test_a_forbidden_arrow_leaves_its_reverse_and_a_hidden_cause() -> None:
    table = confounded("continuous")
    for known in (Knowledge(tiers=(("y",), ("x",))), Knowledge(forbidden=frozenset({("x", "y")}))):
        assert FCI(table.names).learn(table, known).confounded == HIDDEN


def test_two_that_go_together_without_an_arrow_have_a_hidden_cause() -> None:
    table = replace(linear(2000), truth=None).reordered(["a", "b"])
    both = Knowledge(forbidden=frozenset({("a", "b"), ("b", "a")}))
    graph = FCI(table.names).learn(table, both)
    assert graph.edges == []
    assert graph.pairs == [("a", "b")]


def test_what_is_required_wins_over_the_tests() -> None:
    table = confounded("continuous")
    graph = FCI(table.names).learn(table, Knowledge(required=frozenset({("x", "y"), ("a", "b")})))
    assert {("x", "y"), ("a", "b")} <= set(graph.edges)
    assert not graph.confounded & {frozenset("xy"), frozenset("ab")}


def test_a_known_hidden_cause_stays_and_is_no_finding() -> None:
    table = confounded("continuous")
    known = frozenset({frozenset("xy"), frozenset("ab")})
    graph = FCI(table.names).learn(table, Knowledge(confounded=known))
    assert graph.confounded == known
    assert not any("something hidden" in note for note in graph.notes)


def test_tiers_settle_which_end_is_the_cause() -> None:
    table = replace(linear(2000), truth=None).reordered(["a", "b"])
    graph = FCI(table.names).learn(table, Knowledge(tiers=(("b",), ("a",))))
    assert graph.edges == [("b", "a")]
    assert graph.notes[1].endswith(": b o-> a")
