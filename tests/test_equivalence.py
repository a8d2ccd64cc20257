"""Equivalence classes: compared with all the graphs of a class, listed one by one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from ccigkit.causal.strengths import Support
from ccigkit.graph import CausalGraph, Knowledge, find_cycle
from ccigkit.structure.assess.equivalence import completed, extend, member, with_class

ANYTHING = ~np.eye(4, dtype=bool)


def orientations(adjacent: Support) -> list[Support]:
    """Every DAG with these adjacencies."""
    pairs = np.argwhere(np.triu(adjacent))
    found = []
    for turned in product((False, True), repeat=len(pairs)):
        dag = np.zeros_like(adjacent)
        for (i, j), turn in zip(pairs, turned, strict=True):
            dag[(j, i) if turn else (i, j)] = True
        if not find_cycle(dag):
            found.append(dag)
    return found


def colliders(dag: Support) -> set[tuple[int, int, int]]:
    """Each effect with two causes that are not adjacent."""
    size, adjacent = range(len(dag)), dag | dag.T
    return {(i, k, j) for i in size for j in size for k in size if i < j and dag[i, k] and dag[j, k]} - {
        (i, k, j) for i, k, j in product(size, repeat=3) if adjacent[i, j]
    }


def random_dag(random: np.random.Generator, size: int) -> Support:
    order = random.permutation(size)
    dag = np.triu(random.random((size, size)) < random.uniform(0.2, 0.9), 1)
    return dag[np.ix_(order, order)]


@pytest.mark.parametrize("seed", range(40))
def test_an_edge_is_directed_where_all_members_that_are_allowed_agree(seed: int) -> None:
    random = np.random.default_rng(seed)
    dag = random_dag(random, 5)
    allowed = dag | (random.random((5, 5)) < (1.0 if seed % 2 else 0.7)) & ~np.eye(5, dtype=bool)
    members = [
        other
        for other in orientations(dag | dag.T)
        if colliders(other) == colliders(dag) and not (other & ~allowed).any()
    ]
    directed, undirected = completed(dag, allowed)
    np.testing.assert_array_equal(directed, np.all(members, axis=0))
    np.testing.assert_array_equal(undirected, np.any(members, axis=0) & np.any(members, axis=0).T)


@pytest.mark.parametrize("seed", range(40))
def test_a_class_is_extended_to_one_of_its_members(seed: int) -> None:
    dag = random_dag(np.random.default_rng(seed), 6)
    anything = ~np.eye(6, dtype=bool)
    directed, undirected = completed(dag, anything)
    extended = extend(directed, undirected, anything)
    assert extended is not None
    assert colliders(extended) == colliders(dag)
    np.testing.assert_array_equal(extended | extended.T, dag | dag.T)
    again = completed(extended, anything)
    np.testing.assert_array_equal(again, (directed, undirected))


def test_an_extension_makes_no_new_collider_and_keeps_to_the_knowledge() -> None:
    chain = np.zeros((3, 3), dtype=bool)
    chain[[0, 1, 1, 2], [1, 0, 2, 1]] = True  # 0 - 1 - 2
    nothing, anything = np.zeros((3, 3), dtype=bool), ~np.eye(3, dtype=bool)
    assert np.argwhere(extend(nothing, chain, anything)).tolist() == [[0, 1], [1, 2]]
    no_cause = anything.copy()
    no_cause[0] = False
    assert np.argwhere(extend(nothing, chain, no_cause)).tolist() == [[1, 0], [1, 2]]


def test_a_square_without_colliders_has_no_extension() -> None:
    square = np.zeros((4, 4), dtype=bool)
    for i in range(4):
        square[i, (i + 1) % 4] = square[(i + 1) % 4, i] = True
    nothing = np.zeros((4, 4), dtype=bool)
    assert extend(nothing, square, ANYTHING) is None
    graph = member(square, nothing, tuple("abcd"), Knowledge())
    assert len(graph.edges) == 4
    assert "contradict" in graph.notes[0]


def test_knowledge_wins_over_what_was_found() -> None:
    found = np.zeros((4, 4), dtype=bool)
    found[0, 1] = found[2, 1] = True  # a -> b <- c
    knowledge = Knowledge(required=frozenset({("b", "a"), ("c", "d")}), forbidden=frozenset({("c", "b"), ("b", "c")}))
    assert member(found | found.T, found, tuple("abcd"), knowledge).edges == [("b", "a"), ("c", "d")]


def test_a_note_says_which_arrows_are_a_choice() -> None:
    chain = CausalGraph.from_edges("abc", ["a -> b", "b -> c"])
    free = with_class(chain, Knowledge())
    assert free.notes == ("directed by choice, the data allow either way: a -> b, b -> c",)
    assert with_class(chain, Knowledge(roots=frozenset({"a"}))).notes == ()
    collider = CausalGraph.from_edges("abc", ["a -> b", "c -> b"])
    assert with_class(collider, Knowledge()).notes == ()
