"""Is the graph false? Which independences it claims the table contradicts, and how many chance would have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, find_cycle, reachability, topological_order
from ccigkit.causal.regimes import observed
from ccigkit.causal.strengths import covariance
from ccigkit.errors import DataError
from ccigkit.structure.scores.independence import Independence, Stratified, fitting
from ccigkit.structure.tables import evenly, refuse_collinear

ALPHA = 0.01  # chance that a graph is contradicted at all, were everything it claims true
FAINT = 0.1  # a dependence weaker than that contradicts nothing: no graph of a few attributes is true to the last digit
ROWS = 50_000  # that are looked at, evenly chosen
WORK = 5_000  # claims of shuffled graphs that are tested, and at least FEWEST such graphs
FEWEST = 5
GLANCE, SHUFFLES = 10_000, 20  # rows and shuffles for a line that nobody asked for
TRIED = 8  # contradictions, the strongest first, of which it is tried what would mend them

Question = tuple[int, int, tuple[int, ...]]  # whether two attributes are independent given others, by position


@dataclass(frozen=True)
class Claim:
    """An independence that a graph claims, and what the table says of it.

    `p` is corrected for the number of claims; `strength` is between 0 and 1 (`Independence.strength`).
    """

    one: str
    other: str
    given: tuple[str, ...]
    p: float
    strength: float

    @property
    def contradicted(self) -> bool:
        """Whether the dependence is sure, and not faint."""
        return self.p < ALPHA and self.strength >= FAINT

    def __str__(self) -> str:
        return f"{self.one} _||_ {self.other}" + (f" | {', '.join(self.given)}" if self.given else "")


@dataclass(frozen=True)
class Mend:
    """An edge or a hidden common cause, written as in a graph, and how many contradictions there are with it."""

    change: str
    left: int


@dataclass(frozen=True)
class Verdict:
    """What the table says of a graph: of each claim, of the graph's names shuffled, and of what would mend most."""

    claims: tuple[Claim, ...]
    rows: int
    shuffled: tuple[int, ...]  # contradictions of the same graph, each time with its names shuffled
    mends: tuple[Mend, ...]  # what would mend most, an edge and a hidden common cause

    @property
    def contradicted(self) -> tuple[Claim, ...]:
        """The claims that are contradicted, the strongest dependence first."""
        return tuple(sorted((c for c in self.claims if c.contradicted), key=lambda c: -c.strength))

    @property
    def faint(self) -> int:
        """How many more claims are surely false, but by a dependence too faint to count."""
        return sum(claim.p < ALPHA for claim in self.claims) - len(self.contradicted)

    @property
    def as_good(self) -> float:
        """The share of shuffled graphs that are contradicted no more often: a p-value (Eulig et al. 2023)."""
        return float(np.mean([count <= len(self.contradicted) for count in self.shuffled]))

    def line(self) -> str:
        """The verdict in one line."""
        if not self.claims:
            return "the graph claims no independence, so no table can contradict it"
        said = f"the table contradicts {len(self.contradicted)} of {len(self.claims)} independences the graph claims"
        said += f" ({self.faint} more by faint dependences)" if self.faint else ""
        if not self.shuffled:
            return said
        usual = f"{np.mean(self.shuffled):.1f} on the average with its names shuffled"
        return f"{said}; {usual}, and {self.as_good:.0%} of {len(self.shuffled)} such graphs do as well"


def falsify(
    graph: CausalGraph,
    table: Table,
    knowledge: Knowledge = Knowledge(),  # noqa: B008  it cannot be changed
    *,
    shuffles: int = 100,
    seed: int = 0,
    mend: bool = True,
) -> Verdict:
    """Hold a graph to a table: test every independence that it claims of two attributes (`claims_of`).

    The p-values are Holm's (1979), for the number of claims, at the level 0.01; a dependence also has to be at least
    0.1 strong to contradict. As a graph may claim much that is false and still be better than none, the same is counted
    for the graph with its names shuffled: Eulig, Mastakouri, Blöbaum, Hardt and Janzing (2023), "Toward falsifying
    causal graphs using a permutation-based test". Of many rows 50,000 are looked at, and large graphs are shuffled less
    often. Rows in which something was set say nothing of these independences and are left out.

    Args:
        graph: the graph to be held to the table.
        table: rows of its attributes.
        knowledge: what is known, so that no edge is proposed that it forbids.
        shuffles: how often the names are shuffled, at most.
        seed: of the shuffles.
        mend: whether to look for what would mend most.

    Raises:
        DataError: where the table has no more such rows than attributes, or attributes that follow from each other.
    """
    graph = graph.reordered(table.names)
    table = looked_at(table)
    test = test_of(table)
    claims = judged(graph, test)
    times = min(shuffles, max(FEWEST, WORK // len(claims))) if claims else 0
    others = (shuffled(graph, np.random.default_rng([seed, number])) for number in range(times))
    counts = [sum(claim.contradicted for claim in judged(other, test)) for other in others]
    verdict = Verdict(claims, len(table.values), tuple(counts), ())
    return replace(verdict, mends=tuple(mends(graph, knowledge, verdict, test))) if mend else verdict


def in_a_line(graph: CausalGraph, table: Table) -> str:
    """What a table says of a graph in one line, and soon: few rows are looked at, and few shuffles made."""
    try:
        rows = observed(table)
        few = replace(rows, values=evenly(rows.values, GLANCE))
        return falsify(graph, few, shuffles=SHUFFLES, mend=False).line()
    except DataError as reason:
        return f"whether the graph is false cannot be tested: {reason}"


def looked_at(table: Table) -> Table:
    """The rows in which nothing was set, or 50,000 of them, evenly chosen, where there are more.

    Raises:
        DataError: where there are none.
    """
    table = observed(table)
    return replace(table, values=evenly(table.values, ROWS)) if len(table.values) > ROWS else table


def test_of(table: Table) -> Independence:
    """The test for a table, as `pc` takes it, but for labels one that is right for many causes, too.

    Raises:
        DataError: where the table has no more rows than attributes, or attributes that follow from each other.
    """
    moments = covariance(table)
    name, test = fitting(table)
    if name == "gsq":
        return Stratified(table.values)
    refuse_collinear(moments, table.names)
    return test


def shuffled(graph: CausalGraph, random: np.random.Generator) -> CausalGraph:
    """The same graph with its names shuffled, and then in their order again."""
    names = tuple(graph.names[i] for i in random.permutation(len(graph.names)))
    hidden = frozenset(frozenset(names[graph.index(one)] for one in pair) for pair in graph.confounded)
    return CausalGraph(names, graph.strengths, confounded=hidden).reordered(graph.names)


def judged(graph: CausalGraph, test: Independence) -> tuple[Claim, ...]:
    """What the test says of every claim of a graph over the test's attributes, in their order."""
    asked = list(claims_of(graph))
    chances = holm([test(*question) for question in asked])
    names = graph.names
    return tuple(
        Claim(names[x], names[y], tuple(names[k] for k in given), p, test.strength(x, y, given) if p < ALPHA else 0.0)
        for (x, y, given), p in zip(asked, chances, strict=True)
    )


def claims_of(graph: CausalGraph) -> Iterator[Question]:
    """The pairwise local Markov property: each attribute is independent of what it does not cause, given its causes.

    Asked in one direction of every pair, that of the causal order. Where a hidden common cause makes that false, the
    pair's ancestors are given instead; where even those do not separate the two, the graph claims nothing of them.
    """
    adjacency, hidden = graph.adjacency, graph.confounding
    order = topological_order(adjacency)
    over = reachability(adjacency) | np.eye(len(order), dtype=bool)
    for place, effect in enumerate(order):
        causes = tuple(np.flatnonzero(adjacency[:, effect]).tolist())
        for other in order[:place]:
            if other in causes or hidden[other, effect]:
                continue
            above = (over[:, effect] | over[:, other]).copy()
            above[[effect, other]] = False
            for given in (causes, tuple(np.flatnonzero(above).tolist())):
                if not hidden.any() or separated(graph, (other, effect, given)):
                    yield other, effect, given
                    break


def separated(graph: CausalGraph, question: Question) -> bool:
    """Whether a graph separates two attributes given others (m-separation, Richardson 2003).

    In the graph over them and what causes them, two are joined that have an arrow or a hidden common cause between
    them, and so are all that a path of colliders joins; without the given ones no way is left.
    """
    x, y, given = question
    adjacency, hidden = graph.adjacency, graph.confounding
    kept = [x, y, *given]
    above = (reachability(adjacency) | np.eye(len(adjacency), dtype=bool))[:, kept].any(axis=1)
    at = np.flatnonzero(above)
    adjacency, hidden = adjacency[np.ix_(at, at)], hidden[np.ix_(at, at)]
    district = reachability(hidden) | np.eye(len(at), dtype=bool)  # joined by hidden common causes
    into = district | (adjacency @ district)  # an attribute, and the district that it is in or has an effect in
    joined = (into @ into.T) & ~np.isin(at, given)[:, None] & ~np.isin(at, given)[None, :]
    return not bool(reachability(joined)[np.searchsorted(at, x), np.searchsorted(at, y)])


def mends(graph: CausalGraph, knowledge: Knowledge, verdict: Verdict, test: Independence) -> Iterator[Mend]:
    """The edge, and the hidden common cause, with which the fewest contradictions are left.

    They are looked for between two that the graph says are independent and the table says are not; of several that
    leave as many, the one that leaves the weaker dependences.
    """
    found, allowed = verdict.contradicted[:TRIED], knowledge.allowed(graph.names)
    pairs = dict.fromkeys((graph.index(claim.one), graph.index(claim.other)) for claim in found)
    ways = [way for pair in pairs for way in (pair, pair[::-1]) if allowed[way]]
    arrows = [with_edge(graph, i, j) for i, j in ways]
    hidden = [
        (f"{a} <-> {b}", replace(graph, confounded=graph.confounded | {frozenset((a, b))}))
        for a, b in ((graph.names[i], graph.names[j]) for i, j in pairs)
    ]
    for changes in ([arrow for arrow in arrows if arrow], hidden):
        left = []
        for number, (_, changed) in enumerate(changes):
            wrong = [claim.strength for claim in judged(changed, test) if claim.contradicted]
            left.append((len(wrong), round(sum(wrong), 6), number))
        if left and min(left)[0] < len(verdict.contradicted):
            count, _, number = min(left)
            yield Mend(changes[number][0], count)


def with_edge(graph: CausalGraph, cause: int, effect: int) -> tuple[str, CausalGraph] | None:
    """The graph with one edge more, and how that is written; None where it would close a cycle."""
    strengths = graph.strengths.copy()
    strengths[cause, effect] = 1.0
    if find_cycle(strengths != 0):
        return None
    return f"{graph.names[cause]} -> {graph.names[effect]}", replace(graph, strengths=strengths)


def holm(chances: Sequence[float]) -> list[float]:
    """P-values corrected for their number (Holm 1979)."""
    many = np.array(chances, dtype=np.float64)
    ranked = many.argsort(kind="stable")
    corrected = np.empty_like(many)
    corrected[ranked] = np.maximum.accumulate(many[ranked] * np.arange(len(many), 0, -1)).clip(max=1)
    return [float(p) for p in corrected]
