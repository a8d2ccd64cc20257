"""Equivalence classes: which arrows the data settle, and which are a choice."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.causal.strengths import Support
from ccigkit.structure.tables import listed, project


def with_class(
    graph: CausalGraph, knowledge: Knowledge, apart: Support | None = None, assumed: str = ""
) -> CausalGraph:
    """The graph, with a note on the edges whose direction neither the data nor the knowledge settle.

    That holds for a graph found by a score or a test that treats all members of an equivalence class alike. Two that
    are set `apart` [d, d], in some row the one without the other, show by that which causes which (the interventional
    equivalence class; Hauser and Bühlmann, 2012). A score that tells members apart by the `assumed` form of effects has
    chosen among them, and the note says by what.
    """
    _, undirected = completed(graph.adjacency, unset(knowledge.allowed(graph.names), graph.adjacency, apart))
    if not undirected.any():
        return graph
    chosen = listed(graph.adjacency & undirected, graph.names)
    how = f"assumption of {assumed} alone, the data do not tell" if assumed else "choice, the data allow either way"
    return replace(graph, notes=(*graph.notes, f"directed by {how}: {chosen}"))


def unset(allowed: Support, support: Support, apart: Support | None) -> Support:
    """[d, d], what is allowed but for arrows against those of a graph [d, d] between two that are set `apart`."""
    return allowed if apart is None else allowed & ~(support & apart).T


def member(adjacent: Support, directed: Support, names: tuple[str, ...], knowledge: Knowledge) -> CausalGraph:
    """The DAG chosen of the class of these edges [d, d], held to the knowledge, which wins wherever they differ.

    What is undirected is directed without making a new collider (`extend`), so that earlier columns come out as causes.
    Where no DAG has just the colliders asked for, those arrows stay that no cycle forbids; a note says so.

    >>> chain = np.array([[0, 1, 0], [1, 0, 1], [0, 1, 0]], dtype=bool)
    >>> member(chain, np.zeros_like(chain), ("a", "b", "c"), Knowledge(roots=frozenset({"b"}))).edges
    [('b', 'a'), ('b', 'c')]

    Args:
        adjacent: which two are joined, both ways.
        directed: from cause to effect, which of these have a direction; the others are undirected.
        names: the attributes' names.
        knowledge: what is known beforehand.
    """
    return with_class(chosen(adjacent, directed, names, knowledge), knowledge)


def chosen(
    adjacent: Support,
    directed: Support,
    names: tuple[str, ...],
    knowledge: Knowledge,
    confounded: Support | None = None,
) -> CausalGraph:
    """The same without a note on the class, and beside pairs with a hidden common cause [d, d], if there are any."""
    allowed, required = knowledge.allowed(names), knowledge.required_edges(names)
    hidden = np.zeros_like(adjacent) if confounded is None else confounded
    adjacent = (adjacent | required | required.T) & (allowed | allowed.T)
    directed = adjacent & allowed & (directed | ~allowed.T)
    undirected = adjacent & ~directed & ~directed.T
    extended, notes = extend(directed, undirected, allowed, hidden), []
    if extended is None:
        notes.append("the colliders found contradict each other or the knowledge: no acyclic graph has just these")
        extended = directed | (undirected & allowed)
    # an arrow of the data enters before a choice, and of two choices the one along the order of the columns
    rank = extended * (1.0 + directed + np.triu(undirected) / 2)
    graph = project(rank, required, names)
    lost = extended & ~graph.adjacency & ~graph.adjacency.T
    if lost.any():
        notes.append(f"cut because they close a cycle of stronger edges: {listed(lost, names)}")
    return replace(graph, notes=tuple(notes))


def completed(dag: Support, allowed: Support) -> tuple[Support, Support]:
    """The directed and the undirected edges, each [d, d], of the class of a DAG under what is allowed.

    Directed are the arrows of its colliders, those whose reverse is not allowed, and what follows from them by the
    four rules of Meek (1995).
    """
    adjacent = dag | dag.T
    directed = dag & ~allowed.T
    for effect in range(len(dag)):
        causes = np.flatnonzero(dag[:, effect])
        for cause in causes:
            directed[cause, effect] |= any(not adjacent[cause, other] for other in causes if other != cause)
    while True:
        undirected = adjacent & ~directed & ~directed.T
        follows = [(i, j) for i, j in np.argwhere(undirected & dag) if _follows(i, j, directed, undirected, adjacent)]
        if not follows:
            return directed, undirected
        for i, j in follows:
            directed[i, j] = True


def _follows(i: int, j: int, directed: Support, undirected: Support, adjacent: Support) -> bool:
    """Whether i -> j, because j -> i would make a new collider or a cycle (Meek, 1995, rules 1 to 4)."""
    if (directed[:, i] & ~adjacent[:, j]).any() or (directed[i] & directed[:, j]).any():
        return True
    between = undirected[i] & directed[:, j]
    if not adjacent[np.ix_(between, between)][~np.eye(between.sum(), dtype=bool)].all():
        return True
    first, second = undirected[i] & ~adjacent[j], adjacent[i] & directed[:, j]
    return bool(directed[np.ix_(first, second)].any())


def extend(
    directed: Support, undirected: Support, allowed: Support, confounded: Support | None = None
) -> Support | None:
    """[d, d], a DAG with this skeleton, these arrows and no new collider, or None where there is none.

    Dor and Tarsi (1992): find an attribute that can be a sink, point its undirected edges to it, take it away, go on.
    Among several, the last column is taken, so that earlier columns come out as causes. What has a hidden common cause
    with x is an arrow into x in this, and adjacent.
    """
    hidden = np.zeros_like(directed) if confounded is None else confounded.copy()
    extended, directed, undirected = directed.copy(), directed.copy(), undirected.copy()
    left = set(range(len(directed)))
    while left:
        adjacent = directed | directed.T | undirected | hidden
        for x in sorted(left, reverse=True):
            friends = np.flatnonzero(undirected[x])
            shielded = all(np.delete(adjacent[y] | ~adjacent[x], [x, int(y)]).all() for y in friends)
            if not directed[x].any() and shielded and allowed[friends, x].all():
                break
        else:
            return None
        extended[friends, x] = True
        left.remove(x)
        directed[:, x] = undirected[:, x] = undirected[x, :] = hidden[:, x] = hidden[x, :] = False
    return extended
