"""The causal graph: who causes whom, how strongly, and what is known of it beforehand."""

from __future__ import annotations

import tomllib
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Literal

import numpy as np
import numpy.typing as npt

from ccigkit.causal.edges import Edge, read_edge, written_edge
from ccigkit.causal.edges import parse_edge as parse_edge
from ccigkit.errors import GraphError, one_of
from ccigkit.names import one_line, quoted, width

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CausalGraph:
    """A directed acyclic graph over named attributes.

    `strengths[i, j]` is nonzero where attribute i is a direct cause of attribute j (row to column, everywhere in
    ccigkit); its value is the learned weight, or 1 where only the edge is known.

    Raises:
        GraphError: where the graph has a cycle, or its names and matrix do not fit together.

    Examples:
        >>> graph = CausalGraph.from_edges(["sun", "ice", "sales"], ["sun -> ice : -0.5", "ice -> sales"])
        >>> graph.edges
        [('sun', 'ice'), ('ice', 'sales')]
        >>> graph.roots, graph.parents("sales"), graph.descendants("sun")
        (['sun'], ['ice'], ['ice', 'sales'])
    """

    names: tuple[str, ...]
    strengths: Matrix
    notes: tuple[str, ...] = field(default=(), compare=False)  # remarks of the learner to show, e.g. which edges it cut

    def __post_init__(self) -> None:
        strengths = np.array(self.strengths, dtype=np.float64)
        size = len(self.names)
        if strengths.shape != (size, size):
            raise GraphError(f"the graph has {size} names but a matrix of shape {strengths.shape}")
        if len(set(self.names)) != size:
            raise GraphError(f"the graph names an attribute twice: {', '.join(self.names)}")
        if not np.isfinite(strengths).all():
            raise GraphError("the graph has a strength that is not a finite number")
        strengths.flags.writeable = False
        object.__setattr__(self, "names", tuple(self.names))
        object.__setattr__(self, "strengths", strengths)
        if cycle := find_cycle(strengths != 0):
            path = " -> ".join(self.names[i] for i in (*cycle, cycle[0]))
            raise GraphError(f"the graph has a cycle: {path}; remove one of its edges")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CausalGraph)
            and self.names == other.names
            and np.array_equal(self.strengths, other.strengths)
        )

    def __hash__(self) -> int:
        return hash((self.names, self.strengths.tobytes()))

    @classmethod
    def from_edges(cls, names: Sequence[str], edges: Iterable[Edge]) -> CausalGraph:
        """A graph from lines such as "Smiling -> Mouth_Slightly_Open", with strength 1 or "... : 0.7".

        An edge may be a table too, {"cause": "a", "effect": "b", "strength": 0.7}, which any names can stand in.

        Args:
            names: the attributes, in the order of rows and columns.
            edges: lines or tables, in any order.

        Raises:
            GraphError: where a line is no edge, or names an attribute that the graph has not.

        Examples:
            >>> CausalGraph.from_edges(["a", "b"], ["a -> b : 0.7"]).strengths.tolist()
            [[0.0, 0.7], [0.0, 0.0]]
        """
        return cls.from_weights(names, [read_edge(edge, names) for edge in edges])

    @classmethod
    def from_weights(cls, names: Sequence[str], edges: Iterable[tuple[str, str, float]]) -> CausalGraph:
        """A graph from triples (cause, effect, strength).

        Args:
            names: the attributes, in the order of rows and columns.
            edges: the triples; a strength of 0 is no edge.

        Raises:
            GraphError: where a triple names an attribute that the graph has not.

        Examples:
            >>> CausalGraph.from_weights(["a", "b"], [("b", "a", -0.2)]).edges
            [('b', 'a')]
        """
        names = tuple(names)
        strengths = np.zeros((len(names), len(names)))
        for cause, effect, strength in edges:
            parse_edge({"cause": cause, "effect": effect}, names)  # refuses unknown names
            strengths[names.index(cause), names.index(effect)] = strength
        return cls(names, strengths)

    @property
    def adjacency(self) -> npt.NDArray[np.bool_]:
        """[d, d], true where row causes column."""
        return np.asarray(self.strengths != 0)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Every edge as (cause, effect), in the order of the names."""
        return [(self.names[i], self.names[j]) for i, j in np.argwhere(self.adjacency)]

    @property
    def order(self) -> list[str]:
        """The names, causes before effects; among equals, the first named first."""
        return [self.names[i] for i in topological_order(self.adjacency)]

    @property
    def roots(self) -> list[str]:
        """The attributes that nothing in the graph causes."""
        return [self.names[j] for j in np.flatnonzero(~self.adjacency.any(axis=0))]

    def parents(self, name: str) -> list[str]:
        """The direct causes of an attribute."""
        return [self.names[i] for i in np.flatnonzero(self.adjacency[:, self.index(name)])]

    def descendants(self, name: str) -> list[str]:
        """Everything an attribute causes, along paths of any length; not itself."""
        return [self.names[j] for j in np.flatnonzero(reachability(self.adjacency)[self.index(name)])]

    def index(self, name: str) -> int:
        """The position of a name.

        Raises:
            GraphError: where no attribute has that name.
        """
        if name not in self.names:
            raise GraphError(one_of("attribute", name, self.names))
        return self.names.index(name)

    def reordered(self, names: Sequence[str]) -> CausalGraph:
        """The same graph with its attributes in another order.

        Args:
            names: the same names in the order wanted.

        Examples:
            >>> CausalGraph.from_edges(["a", "b"], ["a -> b"]).reordered(["b", "a"]).strengths.tolist()
            [[0.0, 0.0], [1.0, 0.0]]
        """
        if set(names) != set(self.names):
            missing, extra = set(names) - set(self.names), set(self.names) - set(names)
            raise GraphError(f"the graph is over other attributes: it lacks {sorted(missing)} and adds {sorted(extra)}")
        at = [self.names.index(name) for name in names]
        return CausalGraph(tuple(names), self.strengths[np.ix_(at, at)], self.notes)

    def shd(self, truth: CausalGraph, *, reversal: Literal[1, 2] = 1) -> int:
        """Structural Hamming distance: edges missing, extra or reversed; a reversal counts one, or two by option.

        Args:
            truth: the graph to compare with, over the same names in any order.
            reversal: what an edge the other way round counts.

        Examples:
            >>> truth = CausalGraph.from_edges(["a", "b", "c"], ["a -> b", "b -> c"])
            >>> found = CausalGraph.from_edges(["a", "b", "c"], ["b -> a"])
            >>> found.shd(truth), found.shd(truth, reversal=2)
            (2, 3)
        """
        differs = self.adjacency != truth.reordered(self.names).adjacency
        return int(differs.sum() if reversal == 2 else np.triu(differs | differs.T).sum())

    def to_text(self) -> str:
        """One line per attribute, causes before effects: "effect <- cause (strength), ...", roots bare.

        Examples:
            >>> print(CausalGraph.from_edges(["sales", "sun"], ["sun -> sales : 0.7"]).to_text())
            sun
            sales <- sun (+0.70)
        """
        most = max((width(one_line(name)) for name in self.names), default=0)
        lines = []
        for name in self.order:
            j = self.names.index(name)
            strengths = {p: self.strengths[self.names.index(p), j] for p in self.parents(name)}
            causes = ", ".join(f"{one_line(p)} ({strength:+.2f})" for p, strength in strengths.items())
            line = one_line(name)
            lines.append(f"{line}{' ' * (most - width(line))} <- {causes}" if causes else line)
        return "\n".join(lines)

    def to_toml(self, remarks: Mapping[tuple[str, str], str] | None = None) -> str:
        """`names = [...]` and `edges = ["a -> b : strength", ...]`, to edit by hand and hand back.

        An edge that such a line would not give back, as its names hold an arrow or a colon, is a table:
        `{ cause = "a", effect = "b", strength = 0.7 }`.

        A remark on an edge (cause, effect) stands beside it as a comment; an edge that the graph lacks is then written
        too, but commented out.

        Args:
            remarks: what to write beside edges, by (cause, effect).

        Examples:
            >>> print(CausalGraph.from_edges(["a", "b"], ["a -> b"]).to_toml({("a", "b"): "found in 98%"}), end="")
            names = ["a", "b"]
            edges = [
                "a -> b : 1",  # found in 98%
            ]
        """
        remarks = remarks or {}
        lines = []
        for cause, effect in dict.fromkeys((*self.edges, *remarks)):
            strength = self.strengths[self.index(cause), self.index(effect)]
            line = f"{'' if strength else '# '}{written_edge(cause, effect, strength, self.names)},"
            remark = remarks.get((cause, effect))
            lines.append(f"    {line}  # {one_line(remark)}" if remark else f"    {line}")
        names = ", ".join(map(quoted, self.names))
        return "\n".join([f"names = [{names}]", "edges = [", *lines, "]"]) + "\n"

    @classmethod
    def from_toml(cls, path: Path) -> CausalGraph:
        """Read what `to_toml` writes.

        Raises:
            GraphError: where the file is missing, is not such a file, or holds a cycle.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise GraphError(f"cannot read the graph {path}: {error.strerror or error}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise GraphError(f"{path} is not TOML: {error}") from None
        names, edges = content.get("names", ""), content.get("edges", "")
        if not _all(str, names) or not _all(str | dict, edges):
            raise GraphError(f'{path} must hold names = ["a", "b", ...] and edges = ["a -> b", ...]')
        return cls.from_edges(names, edges)


@dataclass(frozen=True)
class Knowledge:
    """What is known of the graph before looking at the data; every structure learner honours it.

    Edges are pairs (cause, effect). Tiers order attributes in time: nothing in a later tier causes anything in an
    earlier one; attributes in no tier are free.

    Args:
        required: edges that are there.
        forbidden: edges that are not.
        tiers: names that come first, second, ...
        roots: attributes without a cause.
        leaves: attributes without an effect.

    Examples:
        >>> known = Knowledge(tiers=(("age",), ("wage",)), forbidden=frozenset({("sex", "age")}))
        >>> known.allowed(["age", "sex", "wage"]).astype(int).tolist()
        [[0, 1, 1], [0, 0, 1], [0, 1, 0]]
    """

    required: frozenset[tuple[str, str]] = frozenset()
    forbidden: frozenset[tuple[str, str]] = frozenset()
    tiers: tuple[tuple[str, ...], ...] = ()
    roots: frozenset[str] = frozenset()
    leaves: frozenset[str] = frozenset()

    def allowed(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[d, d], true where an edge from row to column contradicts nothing that is known.

        Args:
            names: the attributes, in the order of rows and columns.
        """
        allowed = ~np.eye(len(names), dtype=bool)
        at = {name: i for i, name in enumerate(names)}
        for cause, effect in self._known(self.forbidden, names):
            allowed[at[cause], at[effect]] = False
        for cause, effect in self._known(self.required, names):
            allowed[at[effect], at[cause]] = False
        for root in self._named(self.roots, names):
            allowed[:, at[root]] = False
        for leaf in self._named(self.leaves, names):
            allowed[at[leaf], :] = False
        tiers = [[at[name] for name in self._named(tier, names)] for tier in self.tiers]
        for later, tier in enumerate(tiers):
            for earlier in tiers[:later]:
                allowed[np.ix_(tier, earlier)] = False
        return allowed

    def required_edges(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[d, d], true where an edge from row to column is required.

        Args:
            names: the attributes, in the order of rows and columns.

        Raises:
            GraphError: where the required edges contradict the rest, or form a cycle.

        Examples:
            >>> Knowledge(required=frozenset({("a", "b")})).required_edges(["a", "b"]).tolist()
            [[False, True], [False, False]]
        """
        required = np.zeros((len(names), len(names)), dtype=bool)
        for cause, effect in self._known(self.required, names):
            required[names.index(cause), names.index(effect)] = True
        for i, j in np.argwhere(required & ~self.allowed(names)):
            raise GraphError(f"the edge {names[i]} -> {names[j]} is both required and forbidden")
        if cycle := find_cycle(required):
            raise GraphError(f"the required edges form a cycle among {', '.join(names[i] for i in cycle)}")
        return required

    def needed(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """The old name of `required_edges`, for one release."""
        warnings.warn("Knowledge.needed is called required_edges now", DeprecationWarning, stacklevel=2)
        return self.required_edges(names)

    def __bool__(self) -> bool:
        return any((self.required, self.forbidden, self.tiers, self.roots, self.leaves))

    @staticmethod
    def _named(wanted: Iterable[str], names: Sequence[str]) -> list[str]:
        for name in wanted:
            if name not in names:
                raise GraphError(one_of("attribute in the background knowledge:", name, names))
        return list(wanted)

    def _known(self, edges: Iterable[tuple[str, str]], names: Sequence[str]) -> list[tuple[str, str]]:
        pairs = list(edges)
        self._named((name for pair in pairs for name in pair), names)
        return pairs


def reachability(adjacency: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """[d, d], true where column can be reached from row by one edge or more.

    Examples:
        >>> chain = np.array([[False, True, False], [False, False, True], [False, False, False]])
        >>> reachability(chain).astype(int).tolist()
        [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    """
    reach = adjacency.copy()
    for k in range(len(reach)):  # Warshall
        reach |= np.outer(reach[:, k], reach[k])
    return reach


def find_cycle(adjacency: npt.NDArray[np.bool_]) -> list[int]:
    """The nodes along one directed cycle, or nothing where the graph is acyclic."""
    looping = np.flatnonzero(np.diag(reachability(adjacency)))
    if not len(looping):
        return []
    start = int(looping[0])
    paths = [[start]]
    while True:  # breadth first, so the cycle named is a shortest one
        path = paths.pop(0)
        if adjacency[path[-1], start]:
            return path
        paths += [[*path, int(j)] for j in np.flatnonzero(adjacency[path[-1]]) if j not in path]


def topological_order(adjacency: npt.NDArray[np.bool_]) -> list[int]:
    """Positions, causes before effects; among equals the lowest position first (Kahn's algorithm).

    Examples:
        >>> topological_order(np.array([[False, False], [True, False]]))
        [1, 0]
    """
    waiting = adjacency.sum(axis=0)
    order: list[int] = []
    left = set(range(len(adjacency)))
    while left:
        ready = min((i for i in left if waiting[i] == 0), default=None)
        if ready is None:
            raise GraphError("the graph has a cycle, so it has no causal order")
        order.append(ready)
        left.remove(ready)
        waiting = waiting - adjacency[ready]
    return order


def acyclic(weights: Matrix, required: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """[d, d], the edges of a weighted graph that survive when its cycles are broken.

    Edges enter from the strongest to the weakest, and one that would close a cycle stays out (so of a cycle the
    weakest edge goes). Edges that are `required` enter first.

    Args:
        weights: [d, d], of which only the size counts; 0 is no edge.
        required: true [d, d] where an edge must stay.

    Examples:
        >>> acyclic(np.array([[0.0, 0.9], [0.4, 0.0]])).astype(int).tolist()
        [[0, 1], [0, 0]]
    """
    size = len(weights)
    kept = np.zeros((size, size), dtype=bool)
    reach = np.eye(size, dtype=bool)
    rank = np.abs(weights).astype(float)
    if required is not None:
        rank[required] = np.inf
    for flat in np.argsort(-rank, axis=None, kind="stable"):
        i, j = divmod(int(flat), size)
        if rank[i, j] == 0:
            break
        if i != j and not reach[j, i]:
            kept[i, j] = True
            reach |= np.outer(reach[:, i], reach[j])
    return kept


def _all(kind: type | UnionType, value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def honours(graph: CausalGraph, knowledge: Knowledge) -> None:
    """Check that a graph contradicts nothing that is known."""
    assert not (graph.adjacency & ~knowledge.allowed(graph.names)).any(), "forbidden edges and tiers are honoured"
    assert not (knowledge.required_edges(graph.names) & ~graph.adjacency).any(), "required edges are in the graph"
