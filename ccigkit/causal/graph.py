"""The causal graph: who causes whom, how strongly, and what is known of it beforehand."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Literal

import numpy as np
import numpy.typing as npt

from ccigkit.causal.edges import Edge, Pair, is_pair, pair_of, parse_pair, read_edge, written_edge, written_pair
from ccigkit.causal.edges import parse_edge as parse_edge
from ccigkit.errors import GraphError, one_of
from ccigkit.names import one_line, quoted, width

Matrix = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CausalGraph:
    """A directed acyclic graph over named attributes, some of which may have a hidden cause in common.

    `strengths[i, j]` is nonzero where attribute i is a direct cause of attribute j (row to column, everywhere in
    ccigkit); its value is the learned weight, or 1 where only the edge is known. `confounded` holds the pairs of which
    neither causes the other directly but something that is no attribute causes both, a <-> b: an acyclic directed mixed
    graph (Richardson 2003) without a pair that has both.

    Raises:
        GraphError: where the graph has a cycle, its names and matrix do not fit together, or a pair has both.
    """

    names: tuple[str, ...]
    strengths: Matrix
    notes: tuple[str, ...] = field(default=(), compare=False)  # what a learner wants said, e.g. the edges it cut
    confounded: frozenset[Pair] = frozenset()

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
        object.__setattr__(
            self, "confounded", frozenset(pair_of(min(pair), max(pair), self.names) for pair in self.confounded)
        )
        for i, j in np.argwhere(self.confounding & (strengths != 0)):
            a, b = self.names[i], self.names[j]
            raise GraphError(f"the graph has both {a} -> {b} and {a} <-> {b}; remove one of the two")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, CausalGraph)
            and self.names == other.names
            and np.array_equal(self.strengths, other.strengths)
            and self.confounded == other.confounded
        )

    def __hash__(self) -> int:
        return hash((self.names, self.strengths.tobytes(), self.confounded))

    @classmethod
    def from_edges(cls, names: Sequence[str], edges: Iterable[Edge], confounded: Iterable[Edge] = ()) -> CausalGraph:
        """A graph from lines such as "Smiling -> Mouth_Slightly_Open", with strength 1 or "... : 0.7".

        "Male <-> Young", here or in `confounded`, is a hidden common cause of the two. An edge may be a table too,
        {"cause": "a", "effect": "b", "strength": 0.7}, which any names can stand in; a pair {"one": "a", "other": "b"}.

        Raises:
            GraphError: where a line is no edge, or names an attribute that the graph has not.
        """
        edges = list(edges)
        pairs = [is_pair(edge, names) for edge in edges]
        arrows = [read_edge(edge, names) for edge, pair in zip(edges, pairs, strict=True) if not pair]
        hidden = [*(edge for edge, pair in zip(edges, pairs, strict=True) if pair), *confounded]
        return cls.from_weights(names, arrows, (parse_pair(pair, names) for pair in hidden))

    @classmethod
    def from_weights(
        cls, names: Sequence[str], edges: Iterable[tuple[str, str, float]], confounded: Iterable[Iterable[str]] = ()
    ) -> CausalGraph:
        """A graph from triples (cause, effect, strength), and from pairs with a hidden common cause.

        Raises:
            GraphError: where a triple names an attribute that the graph has not.
        """
        names = tuple(names)
        strengths = np.zeros((len(names), len(names)))
        for cause, effect, strength in edges:
            parse_edge({"cause": cause, "effect": effect}, names)  # refuses unknown names
            strengths[names.index(cause), names.index(effect)] = strength
        return cls(names, strengths, confounded=frozenset(pair_of(one, other, names) for one, other in confounded))

    @property
    def adjacency(self) -> npt.NDArray[np.bool_]:
        """[d, d], true where row causes column."""
        return np.asarray(self.strengths != 0)

    @property
    def edges(self) -> list[tuple[str, str]]:
        """Every edge as (cause, effect), in the order of the names."""
        return [(self.names[i], self.names[j]) for i, j in np.argwhere(self.adjacency)]

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Every pair with a hidden common cause, in the order of the names."""
        return [(self.names[i], self.names[j]) for i, j in np.argwhere(np.triu(self.confounding))]

    @property
    def confounding(self) -> npt.NDArray[np.bool_]:
        """[d, d], symmetric, true where two attributes have a hidden common cause."""
        return paired(self.confounded, self.names)

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
        """The same graph with its attributes in another order."""
        if set(names) != set(self.names):
            missing, extra = set(names) - set(self.names), set(self.names) - set(names)
            raise GraphError(f"the graph is over other attributes: it lacks {sorted(missing)} and adds {sorted(extra)}")
        at = [self.names.index(name) for name in names]
        return CausalGraph(tuple(names), self.strengths[np.ix_(at, at)], self.notes, self.confounded)

    def shd(self, truth: CausalGraph, *, reversal: Literal[1, 2] = 1) -> int:
        """Structural Hamming distance: edges missing, extra or reversed; a reversal counts one, or two by option.

        A hidden common cause missing or extra counts one, too; an arrow in its place counts as a reversal does.
        """
        truth = truth.reordered(self.names)
        arrows, hidden = self.adjacency != truth.adjacency, np.triu(self.confounding != truth.confounding)
        if reversal == 2:
            return int(arrows.sum() + hidden.sum())
        return int((np.triu(arrows | arrows.T) | hidden).sum())

    def to_text(self) -> str:
        """One line per attribute, causes before effects: "effect <- cause (strength), ...", roots bare.

        Then one for each hidden common cause: "one <-> other".
        """
        most = max((width(one_line(name)) for name in self.names), default=0)
        lines = []
        for name in self.order:
            j = self.names.index(name)
            strengths = {p: self.strengths[self.names.index(p), j] for p in self.parents(name)}
            causes = ", ".join(f"{one_line(p)} ({strength:+.2f})" for p, strength in strengths.items())
            told = one_line(name)
            lines.append(f"{told}{' ' * (most - width(told))} <- {causes}" if causes else told)
        lines += [f"{one_line(one)} <-> {one_line(other)}" for one, other in self.pairs]
        return "\n".join(lines)

    def to_toml(self, remarks: Mapping[tuple[str, str], str] | None = None) -> str:
        """`names = [...]` and `edges = ["a -> b : strength", ...]`, to edit by hand and hand back.

        An edge that such a line would not give back, as its names hold an arrow or a colon, is a table:
        `{ cause = "a", effect = "b", strength = 0.7 }`.

        `confounded = ["a <-> b", ...]` follows where there are hidden common causes, or { one = "a", other = "b" }.

        A remark on an edge (cause, effect) stands beside it as a comment; an edge that the graph lacks is then written
        too, but commented out.
        """
        remarks = remarks or {}
        lines = []
        for cause, effect in dict.fromkeys((*self.edges, *remarks)):
            strength = self.strengths[self.index(cause), self.index(effect)]
            line = f"{'' if strength else '# '}{written_edge(cause, effect, strength, self.names)},"
            remark = remarks.get((cause, effect))
            lines.append(f"    {line}  # {one_line(remark)}" if remark else f"    {line}")
        names = ", ".join(map(quoted, self.names))
        hidden = ", ".join(written_pair(one, other, self.names) for one, other in self.pairs)
        last = [f"confounded = [{hidden}]"] if hidden else []
        return "\n".join([f"names = [{names}]", "edges = [", *lines, "]", *last]) + "\n"

    @classmethod
    def from_toml(cls, path: Path) -> CausalGraph:
        """Read what `to_toml` writes; a line of `edges` may be "a <-> b", too.

        Raises:
            GraphError: where the file is missing, is not such a file, or holds a cycle.
        """
        try:
            content = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise GraphError(f"cannot read the graph {path}: {error.strerror or error}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise GraphError(f"{path} is not TOML: {error}") from None
        names, edges, hidden = content.get("names", ""), content.get("edges", ""), content.get("confounded", [])
        if not _all(str, names) or not _all(str | dict, edges):
            raise GraphError(f'{path} must hold names = ["a", "b", ...] and edges = ["a -> b", ...]')
        if not _all(str | dict, hidden):
            raise GraphError(f'{path}: confounded must be a list such as ["a <-> b"], got {hidden!r}')
        return cls.from_edges(names, edges, hidden)


@dataclass(frozen=True)
class Knowledge:
    """What is known of the graph before looking at the data; every structure learner honours it.

    Edges are pairs (cause, effect). Tiers order attributes in time: nothing in a later tier causes anything in an
    earlier one; attributes in no tier are free. Confounded are two of which neither causes the other directly, however
    much they go together: something hidden causes both.
    """

    required: frozenset[tuple[str, str]] = frozenset()
    forbidden: frozenset[tuple[str, str]] = frozenset()
    tiers: tuple[tuple[str, ...], ...] = ()
    roots: frozenset[str] = frozenset()
    leaves: frozenset[str] = frozenset()
    confounded: frozenset[Pair] = frozenset()

    def allowed(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[d, d], true where an edge from row to column contradicts nothing that is known."""
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
        allowed &= ~self._confounding(names)
        tiers = [[at[name] for name in self._named(tier, names)] for tier in self.tiers]
        for later, tier in enumerate(tiers):
            for earlier in tiers[:later]:
                allowed[np.ix_(tier, earlier)] = False
        return allowed

    def needed(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        """[d, d], true where an edge from row to column is required.

        Raises:
            GraphError: where the required edges contradict the rest, or form a cycle.
        """
        needed = np.zeros((len(names), len(names)), dtype=bool)
        for cause, effect in self._known(self.required, names):
            needed[names.index(cause), names.index(effect)] = True
        for i, j in np.argwhere(needed & self._confounding(names)):
            one, other = names[i], names[j]
            raise GraphError(
                f"{one} -> {other} is required, and by {one} <-> {other} neither causes the other; keep one of the two"
            )
        for i, j in np.argwhere(needed & ~self.allowed(names)):
            raise GraphError(f"the edge {names[i]} -> {names[j]} is both required and forbidden")
        if cycle := find_cycle(needed):
            raise GraphError(f"the required edges form a cycle among {', '.join(names[i] for i in cycle)}")
        return needed

    def joined(self, more: Knowledge) -> Knowledge:
        """Both together; the tiers are those of `more`, where it has any."""
        return Knowledge(
            self.required | more.required,
            self.forbidden | more.forbidden,
            more.tiers or self.tiers,
            self.roots | more.roots,
            self.leaves | more.leaves,
            self.confounded | more.confounded,
        )

    def __bool__(self) -> bool:
        return any((self.required, self.forbidden, self.tiers, self.roots, self.leaves, self.confounded))

    def _confounding(self, names: Sequence[str]) -> npt.NDArray[np.bool_]:
        self._named((name for pair in self.confounded for name in sorted(pair)), names)
        return paired(self.confounded, names)

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


def paired(pairs: Iterable[Pair], names: Sequence[str]) -> npt.NDArray[np.bool_]:
    """[d, d], symmetric, true for each pair of names."""
    joined = np.zeros((len(names), len(names)), dtype=bool)
    for one, other in pairs:
        joined[names.index(one), names.index(other)] = joined[names.index(other), names.index(one)] = True
    return joined


def reachability(adjacency: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """[d, d], true where column can be reached from row by one edge or more."""
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
    """Positions, causes before effects; among equals the lowest position first (Kahn's algorithm)."""
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


def acyclic(weights: Matrix, needed: npt.NDArray[np.bool_] | None = None) -> npt.NDArray[np.bool_]:
    """[d, d], the edges of a weighted graph that survive when its cycles are broken.

    Edges enter from the strongest to the weakest, and one that would close a cycle stays out (so of a cycle the
    weakest edge goes). Edges that are `needed` enter first.
    """
    size = len(weights)
    kept = np.zeros((size, size), dtype=bool)
    reach = np.eye(size, dtype=bool)
    rank = np.abs(weights).astype(float)
    if needed is not None:
        rank[needed] = np.inf
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
    assert not (knowledge.needed(graph.names) & ~graph.adjacency).any(), "required edges are in the graph"
