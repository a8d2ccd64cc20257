"""The causal graph: who causes whom, how strongly, and where something hidden causes two."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import UnionType
from typing import Literal

import numpy as np
import numpy.typing as npt

from ccigkit.causal.dag import Matrix as Matrix
from ccigkit.causal.dag import acyclic as acyclic
from ccigkit.causal.dag import find_cycle as find_cycle
from ccigkit.causal.dag import paired
from ccigkit.causal.dag import reachability as reachability
from ccigkit.causal.dag import topological_order as topological_order
from ccigkit.causal.edges import Edge, Pair, is_pair, pair_of, parse_pair, read_edge, written_edge, written_pair
from ccigkit.causal.edges import parse_edge as parse_edge
from ccigkit.causal.evidence import Evidence
from ccigkit.causal.knowledge import Knowledge as Knowledge
from ccigkit.errors import GraphError, one_of
from ccigkit.names import one_line, quoted, width


@dataclass(frozen=True)
class CausalGraph:
    """A directed acyclic graph over named attributes, some of which may have a hidden cause in common.

    `strengths[i, j]` is nonzero where attribute i is a direct cause of attribute j (row to column, everywhere in
    ccigkit); its value is the learned weight, or 1 where only the edge is known. `confounded` holds the pairs of which
    neither causes the other directly but something that is no attribute causes both, a <-> b: an acyclic directed mixed
    graph (Richardson 2003) without a pair that has both. `evidence` says how sure edges are, where a learner knows.

    Raises:
        GraphError: where the graph has a cycle, its names and matrix do not fit together, or a pair has both.

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
    confounded: frozenset[Pair] = frozenset()
    evidence: Mapping[tuple[str, str], Evidence] = field(default_factory=dict, compare=False)  # by (cause, effect)

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

        Args:
            names: the attributes, in the order of rows and columns.
            edges: lines or tables, in any order.
            confounded: pairs with a hidden common cause, as lines or tables.

        Raises:
            GraphError: where a line is no edge, or names an attribute that the graph has not.

        Examples:
            >>> CausalGraph.from_edges(["a", "b"], ["a -> b : 0.7"]).strengths.tolist()
            [[0.0, 0.7], [0.0, 0.0]]
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

        Args:
            names: the attributes, in the order of rows and columns.
            edges: the triples; a strength of 0 is no edge.
            confounded: the pairs.

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
        return replace(self, names=tuple(names), strengths=self.strengths[np.ix_(at, at)])

    def shd(self, truth: CausalGraph, *, reversal: Literal[1, 2] = 1) -> int:
        """Structural Hamming distance: edges missing, extra or reversed; a reversal counts one, or two by option.

        A hidden common cause missing or extra counts one, too; an arrow in its place counts as a reversal does.

        Args:
            truth: the graph to compare with, over the same names in any order.
            reversal: what an edge the other way round counts.

        Examples:
            >>> truth = CausalGraph.from_edges(["a", "b", "c"], ["a -> b", "b -> c"])
            >>> found = CausalGraph.from_edges(["a", "b", "c"], ["b -> a"])
            >>> found.shd(truth), found.shd(truth, reversal=2)
            (2, 3)
        """
        truth = truth.reordered(self.names)
        arrows, hidden = self.adjacency != truth.adjacency, np.triu(self.confounding != truth.confounding)
        if reversal == 2:
            return int(arrows.sum() + hidden.sum())
        return int((np.triu(arrows | arrows.T) | hidden).sum())

    def to_text(self) -> str:
        """One line per attribute, causes before effects: "effect <- cause (strength), ...", roots bare.

        Then one for each hidden common cause: "one <-> other".

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
        lines += [f"{one_line(one)} <-> {one_line(other)}" for one, other in self.pairs]
        return "\n".join(lines)

    def to_toml(self, remarks: Mapping[tuple[str, str], str] | None = None) -> str:
        """`names = [...]` and `edges = ["a -> b : strength", ...]`, to edit by hand and hand back.

        An edge that such a line would not give back, as its names hold an arrow or a colon, is a table:
        `{ cause = "a", effect = "b", strength = 0.7 }`.

        `confounded = ["a <-> b", ...]` follows where there are hidden common causes, or { one = "a", other = "b" }.

        A remark on an edge (cause, effect), and its evidence, stand beside it as a comment; an edge that the graph
        lacks is then written too, but commented out.

        Args:
            remarks: what to write beside edges, by (cause, effect).

        Examples:
            >>> print(CausalGraph.from_edges(["a", "b"], ["a -> b"]).to_toml({("a", "b"): "found in 98%"}), end="")
            names = ["a", "b"]
            edges = [
                "a -> b : 1",  # found in 98%
            ]
        """
        said = dict(remarks or {})
        for edge in (edge for edge in self.edges if edge in self.evidence):
            said[edge] = "; ".join(filter(None, (said.get(edge), str(self.evidence[edge]))))
        lines = []
        for cause, effect in dict.fromkeys((*self.edges, *said)):
            strength = self.strengths[self.index(cause), self.index(effect)]
            line = f"{'' if strength else '# '}{written_edge(cause, effect, strength, self.names)},"
            remark = said.get((cause, effect))
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
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise GraphError(f"cannot read the graph {path}: {error.strerror or error}") from None
        except UnicodeDecodeError as error:
            raise GraphError(f"{path} is not TOML: {error}") from None
        return cls.of_toml(text, str(path))

    @classmethod
    def of_toml(cls, text: str, path: str = "the text") -> CausalGraph:
        """Read what `to_toml` gives; `path` is what errors call it.

        Raises:
            GraphError: where it is not such a text, or holds a cycle.
        """
        try:
            content = tomllib.loads(text)
        except tomllib.TOMLDecodeError as error:
            raise GraphError(f"{path} is not TOML: {error}") from None
        names, edges, hidden = content.get("names", ""), content.get("edges", ""), content.get("confounded", [])
        if not _all(str, names) or not _all(str | dict, edges):
            raise GraphError(f'{path} must hold names = ["a", "b", ...] and edges = ["a -> b", ...]')
        if not _all(str | dict, hidden):
            raise GraphError(f'{path}: confounded must be a list such as ["a <-> b"], got {hidden!r}')
        return cls.from_edges(names, edges, hidden)


def _all(kind: type | UnionType, value: object) -> bool:
    return isinstance(value, list) and all(isinstance(item, kind) for item in value)


def honours(graph: CausalGraph, knowledge: Knowledge) -> None:
    """Check that a graph contradicts nothing that is known."""
    assert not (graph.adjacency & ~knowledge.allowed(graph.names)).any(), "forbidden edges and tiers are honoured"
    assert not (knowledge.required_edges(graph.names) & ~graph.adjacency).any(), "required edges are in the graph"
