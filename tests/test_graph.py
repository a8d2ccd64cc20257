"""The causal graph and what is known of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from ccigkit.errors import GraphError
from ccigkit.graph import (
    CausalGraph,
    Knowledge,
    acyclic,
    find_cycle,
    parse_edge,
    reachability,
    topological_order,
)

ABC = ("a", "b", "c")
CHAIN = CausalGraph.from_edges(ABC, ["a -> b : 0.5", "b -> c : -2"])


def edges_of(matrix: np.ndarray) -> set[tuple[int, int]]:
    return {(int(i), int(j)) for i, j in np.argwhere(matrix)}


# --- graphs -----------------------------------------------------------------------------------------------------------


def test_edges_run_from_row_to_column() -> None:
    assert CHAIN.strengths[0, 1] == 0.5
    assert CHAIN.edges == [("a", "b"), ("b", "c")]
    assert CHAIN.parents("c") == ["b"]
    assert CHAIN.descendants("a") == ["b", "c"]
    assert CHAIN.roots == ["a"]
    assert CHAIN.order == ["a", "b", "c"]


def test_an_edge_without_a_strength_has_strength_one() -> None:
    assert CausalGraph.from_edges(ABC, ["c->a"]).strengths[2, 0] == 1


@pytest.mark.parametrize(
    ("edges", "message"),
    [
        (["a -> b", "b -> c", "c -> a"], "cycle: a -> b -> c -> a; remove one of its edges"),
        (["a -> a"], "cycle: a -> a"),
        (["a -> d"], "unknown attribute in an edge: 'd': known are a, b, c"),
        (["a b"], 'not an edge; write "cause -> effect"'),
        (["-> b"], "not an edge"),
        (["a -> b : strong"], "strength that is not a number"),
        (["a -> b : nan"], "not a finite number"),
        (["a -> b : inf"], "not a finite number"),
    ],
)
def test_what_is_no_graph_is_refused(edges: list[str], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        CausalGraph.from_edges(ABC, edges)


def test_names_and_matrix_must_fit() -> None:
    with pytest.raises(GraphError, match="3 names but a matrix of shape"):
        CausalGraph(ABC, np.zeros((2, 2)))
    with pytest.raises(GraphError, match="twice"):
        CausalGraph(("a", "a"), np.zeros((2, 2)))


def test_the_cycle_that_is_named_is_a_shortest_one_that_exists() -> None:
    matrix = np.zeros((5, 5), dtype=bool)
    for i, j in [(0, 1), (1, 2), (2, 3), (3, 1), (3, 4), (2, 1)]:  # 0 leads into a cycle but is on none
        matrix[i, j] = True
    assert find_cycle(matrix) == [1, 2]
    assert find_cycle(np.triu(np.ones((5, 5), dtype=bool), 1)) == []


def test_strengths_cannot_be_changed_behind_the_graph() -> None:
    matrix = np.zeros((3, 3))
    graph = CausalGraph(ABC, matrix)
    matrix[0, 1] = 1
    assert graph.edges == []
    with pytest.raises(ValueError, match="read-only"):
        graph.strengths[0, 1] = 1


def test_equal_graphs_are_equal_whatever_their_notes() -> None:
    other = CausalGraph(ABC, CHAIN.strengths, notes=("a remark",))
    assert other == CHAIN
    assert hash(other) == hash(CHAIN)
    assert CausalGraph.from_edges(ABC, []) != CHAIN


def test_reordering_moves_edges_with_their_names() -> None:
    graph = CHAIN.reordered(["c", "a", "b"])
    assert graph.strengths[1, 2] == 0.5
    assert set(graph.edges) == set(CHAIN.edges)
    assert graph.reordered(ABC) == CHAIN
    with pytest.raises(GraphError, match=r"it lacks \['z'\] and adds \['c'\]"):
        CHAIN.reordered(["a", "b", "z"])
    with pytest.raises(GraphError, match="twice"):
        CHAIN.reordered(["a", "b", "c", "c"])


@pytest.mark.parametrize(
    ("edges", "distance"),
    [
        (["a -> b", "b -> c"], 0),
        (["b -> a", "b -> c"], 1),
        (["a -> b"], 1),
        (["a -> b", "b -> c", "a -> c"], 1),
        (["b -> a", "c -> b", "c -> a"], 3),
    ],
)
def test_a_reversed_edge_counts_once(edges: list[str], distance: int) -> None:
    other = CausalGraph.from_edges(ABC, edges)
    assert CHAIN.shd(other) == other.shd(CHAIN) == distance
    assert CHAIN.shd(other.reordered(["c", "b", "a"])) == distance


def test_toml_round_trip(tmp_path: Path) -> None:
    for graph in (CHAIN, CausalGraph.from_edges(ABC, []), CausalGraph((), np.zeros((0, 0)))):
        path = tmp_path / "graph.toml"
        path.write_text(graph.to_toml(), encoding="utf-8")
        assert CausalGraph.from_toml(path) == graph


@pytest.mark.parametrize("text", ['names = ["a"]', "names = 1\nedges = []", 'names = ["a"]\nedges = "a -> b"'])
def test_another_toml_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "graph.toml"
    path.write_text(text)
    with pytest.raises(GraphError, match="must hold names"):
        CausalGraph.from_toml(path)
    path.write_text("names = [")
    with pytest.raises(GraphError, match="is not TOML"):
        CausalGraph.from_toml(path)
    with pytest.raises(GraphError, match="cannot read the graph"):
        CausalGraph.from_toml(tmp_path)


def test_text_lists_causes_before_effects() -> None:
    assert CHAIN.to_text().splitlines() == ["a", "b <- a (+0.50)", "c <- b (-2.00)"]


def test_an_unknown_name_is_one_clear_error() -> None:
    with pytest.raises(GraphError, match="unknown attribute 'd'"):
        CHAIN.parents("d")


# --- on matrices ------------------------------------------------------------------------------------------------------


def test_breaking_cycles_removes_the_weakest_edge() -> None:
    weights = np.array([[0, 0.9, 0], [0, 0, -0.1], [0.5, 0, 0]])
    assert edges_of(acyclic(weights)) == {(0, 1), (2, 0)}
    needed = np.zeros((3, 3), dtype=bool)
    needed[1, 2] = True
    assert edges_of(acyclic(weights, needed)) == {(0, 1), (1, 2)}


def test_breaking_cycles_leaves_an_acyclic_graph_as_it_is_and_ignores_the_diagonal() -> None:
    weights = np.triu(np.random.default_rng(0).normal(size=(7, 7)))
    assert edges_of(acyclic(weights)) == edges_of(np.triu(np.ones((7, 7)), 1))


def test_what_survives_is_always_acyclic_and_maximal() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        weights = rng.normal(size=(6, 6)) * (rng.random((6, 6)) < 0.6)
        kept = acyclic(weights)
        topological_order(kept)
        reach = reachability(kept)
        for i, j in edges_of((weights != 0) & ~kept & ~np.eye(6, dtype=bool)):
            assert reach[j, i]  # it would have closed a cycle


def test_reachability_follows_paths_of_any_length() -> None:
    chain = np.eye(5, k=1, dtype=bool)
    assert (reachability(chain) == np.triu(np.ones((5, 5), dtype=bool), 1)).all()


def test_a_cycle_has_no_order() -> None:
    with pytest.raises(GraphError, match="no causal order"):
        topological_order(np.array([[False, True], [True, False]]))


def test_an_edge_is_parsed_from_cause_to_effect() -> None:
    assert parse_edge(" Male->Bald ") == ("Male", "Bald")


# --- knowledge --------------------------------------------------------------------------------------------------------


def test_nothing_known_allows_all_but_self_causes() -> None:
    assert not Knowledge()
    assert (Knowledge().allowed(ABC) == ~np.eye(3, dtype=bool)).all()
    assert not Knowledge().required_edges(ABC).any()


@pytest.mark.parametrize(
    ("knowledge", "allowed"),
    [
        (Knowledge(forbidden=frozenset({("a", "b")})), {(0, 2), (1, 0), (1, 2), (2, 0), (2, 1)}),
        (Knowledge(required=frozenset({("a", "b")})), {(0, 1), (0, 2), (1, 2), (2, 0), (2, 1)}),
        (Knowledge(tiers=(("c",), ("a", "b"))), {(0, 1), (1, 0), (2, 0), (2, 1)}),
        (Knowledge(tiers=(("c",), ("a",))), {(0, 1), (1, 0), (1, 2), (2, 0), (2, 1)}),
        (Knowledge(tiers=(("c",), ("b",), ("a",))), {(2, 0), (2, 1), (1, 0)}),
        (Knowledge(roots=frozenset({"a"})), {(0, 1), (0, 2), (1, 2), (2, 1)}),
        (Knowledge(leaves=frozenset({"a"})), {(1, 0), (1, 2), (2, 0), (2, 1)}),
    ],
    ids=["forbidden", "required", "tiers", "a free attribute", "three tiers", "roots", "leaves"],
)
def test_knowledge_leaves_these_edges(knowledge: Knowledge, allowed: set[tuple[int, int]]) -> None:
    assert knowledge
    assert edges_of(knowledge.allowed(ABC)) == allowed


def test_needed_edges_are_the_required_ones() -> None:
    assert edges_of(Knowledge(required=frozenset({("b", "a")})).required_edges(ABC)) == {(1, 0)}


def test_the_old_name_of_required_edges_works_and_says_so() -> None:
    known = Knowledge(required=frozenset({("b", "a")}))
    with pytest.warns(DeprecationWarning, match="called required_edges now"):
        assert edges_of(known.needed(ABC)) == {(1, 0)}


@pytest.mark.parametrize(
    ("knowledge", "message"),
    [
        (Knowledge(required=frozenset({("a", "b")}), forbidden=frozenset({("a", "b")})), "a -> b is both"),
        (Knowledge(required=frozenset({("a", "b")}), tiers=(("b",), ("a",))), "a -> b is both"),
        (Knowledge(required=frozenset({("a", "b")}), roots=frozenset({"b"})), "a -> b is both"),
        (Knowledge(required=frozenset({("a", "b")}), leaves=frozenset({"a"})), "a -> b is both"),
        (Knowledge(required=frozenset({("a", "a")})), "a -> a is both"),
        (Knowledge(required=frozenset({("a", "b"), ("b", "c"), ("c", "a")})), "form a cycle among a, b, c"),
        (Knowledge(required=frozenset({("a", "d")})), "unknown attribute in the background knowledge: 'd'"),
    ],
)
def test_contradictory_knowledge_is_refused(knowledge: Knowledge, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        knowledge.required_edges(ABC)


def test_two_required_edges_against_each_other_are_called_a_contradiction() -> None:
    with pytest.raises(GraphError):
        Knowledge(required=frozenset({("a", "b"), ("b", "a")})).required_edges(ABC)


@pytest.mark.parametrize(
    "knowledge",
    [
        Knowledge(forbidden=frozenset({("a", "d")})),
        Knowledge(tiers=(("a",), ("d",))),
        Knowledge(tiers=(("d",),)),
        Knowledge(roots=frozenset({"d"})),
        Knowledge(leaves=frozenset({"d"})),
    ],
)
def test_knowledge_of_unknown_attributes_is_refused(knowledge: Knowledge) -> None:
    with pytest.raises(GraphError, match="unknown attribute in the background knowledge: 'd'"):
        knowledge.allowed(ABC)
