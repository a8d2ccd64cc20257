"""BOSS: a graph by the best order of its attributes, on a score that looks at the rows once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from ccigkit.attributes import Table
from ccigkit.errors import ConfigError, DataError
from ccigkit.graph import CausalGraph, Knowledge, reachability, topological_order
from ccigkit.interfaces import StructureLearner
from ccigkit.structure.common import Support, canonical, covariance, refuse_collinear, with_strengths
from ccigkit.structure.equivalence import with_class
from ccigkit.structure.scores import BDeu, Gaussian, Logistic, Score, curved, indicators, splines

ScoreName = Literal["auto", "gaussian", "spline", "logistic", "bdeu", "indicators"]


class Boss(StructureLearner):
    """Best order score search: each attribute is moved to its best place in the order until none gains by moving.

    Andrews et al. (2023). An attribute's causes are found among those before it by growing and shrinking the set, and
    what was found is kept in a tree. Scores are free of scale. Under `gaussian`, `indicators` and `bdeu` the graph is
    one of an equivalence class, and its note says which arrows were choice; `spline` and `logistic` tell them apart.

    Args:
        score: gaussian (BIC on the covariance, for 0/1 columns too), spline (curved effects of continuous attributes),
            logistic (0/1 labels, reads the rows every time), bdeu (counts), indicators (mixed), or auto: indicators
            where an attribute is categorical, spline where all are continuous and curves explain them better, else
            gaussian.
        penalty: price of a parameter in units of BIC's; above 1, as many candidates are tried for every edge.
        restarts: further searches from random orders; the best of all is kept.
        seed: of the random orders.
    """

    name = "boss"

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        score: ScoreName = "auto",
        penalty: float = 2.0,
        restarts: int = 0,
        seed: int = 0,
    ) -> None:
        self.score, self.penalty, self.restarts, self.seed = score, penalty, restarts, seed
        if penalty <= 0:
            raise ConfigError(f"structure.penalty={penalty:g} must be above 0: with no price every edge is in")

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        ordered = canonical(table)
        moments = covariance(ordered)
        refuse_collinear(moments, ordered.names)
        score, chosen = self._score(ordered)
        allowed, needed = knowledge.allowed(ordered.names), knowledge.needed(ordered.names)
        support = search(score, allowed, needed, self.restarts, self.seed)
        found = CausalGraph(ordered.names, support.astype(float), (chosen,) if self.score == "auto" else ())
        graph = with_strengths(found, table)
        return with_class(graph, knowledge) if score.equivalent else graph

    def _score(self, table: Table) -> tuple[Score, str]:
        """The score, and why it was chosen."""
        kinds = {attribute.kind for attribute in table.attributes}
        linear = Gaussian(covariance(table), len(table.values), self.penalty)
        match self.score:
            case "gaussian":
                return linear, ""
            case "spline":
                return splines(table, self.penalty), ""
            case "indicators":
                return indicators(table, self.penalty), ""
            case "logistic" | "bdeu":
                return self._discrete(table), ""
        if "categorical" in kinds:
            return indicators(table, self.penalty), "score indicators: some attributes are categorical"
        if kinds == {"continuous"} and curved(linear, additive := splines(table, self.penalty)):
            return additive, "score spline: curves explain some attribute better than straight lines"
        return linear, "score gaussian: straight lines explain the attributes as well as curves would" if kinds == {
            "continuous"
        } else "score gaussian: fast and near the best on labels"

    def _discrete(self, table: Table) -> Score:
        for attribute, column in zip(table.attributes, table.values.T, strict=True):
            whole = (column == np.round(column)).all()
            if attribute.kind == "continuous" or not whole or (self.score == "logistic" and attribute.kind != "binary"):
                wanted = "0 or 1" if self.score == "logistic" else "labels"
                raise DataError(
                    f"structure.score={self.score} wants {wanted} only, and {attribute.name} is {attribute.kind} with "
                    f"values such as {column[0]:.3g}; use structure.score=gaussian"
                )
        return Logistic(table.values, self.penalty) if self.score == "logistic" else BDeu(table.values)


# --- the search -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Node:
    """A set of causes of one attribute, what it scores, and what may be added: a place in the grow-shrink tree."""

    causes: tuple[int, ...]
    score: float
    better: list[tuple[int, float]] | None = None  # the causes that would raise the score, to what; the best first
    children: dict[int, Node | None] = field(default_factory=dict)
    best: tuple[float, tuple[int, ...]] | None = None  # after shrinking


class Tree:
    """The grow-shrink tree of one attribute: every set of causes that was ever tried, scored once."""

    def __init__(self, score: Score, target: int, allowed: Support, needed: Support) -> None:
        self.of, self.target = score, target
        self.allowed = sum(1 << int(i) for i in np.flatnonzero(allowed[:, target]))
        self.needed = tuple(int(i) for i in np.flatnonzero(needed[:, target]))
        self.root = Node(self.needed, score.local(target, self.needed))
        self._seen: dict[int, tuple[float, tuple[int, ...]]] = {}

    def best(self, before: int) -> tuple[float, tuple[int, ...]]:
        """The best score and causes among the attributes whose bits are set in `before`."""
        before &= self.allowed
        if (known := self._seen.get(before)) is None:
            known = self._seen[before] = self._shrunk(self._grown(before))
        return known

    def _grown(self, before: int) -> Node:
        node = self.root
        while True:
            if node.better is None:
                scores = self.of.additions(self.target, node.causes)
                raising = np.flatnonzero(scores > node.score)
                ranked = raising[np.argsort(-scores[raising], kind="stable")]
                node.better = list(zip(ranked.tolist(), scores[ranked].tolist(), strict=True))
            for cause, promised in node.better:
                if before >> cause & 1 and (child := self._child(node, cause, promised)) is not None:
                    node = child
                    break
            else:
                return node

    def _child(self, node: Node, cause: int, promised: float) -> Node | None:
        """The node with one cause more, or None where that scores no better after all."""
        if cause not in node.children:
            causes = tuple(sorted((*node.causes, cause)))
            score = promised if self.of.exact else self.of.local(self.target, causes)
            node.children[cause] = Node(causes, score) if score > node.score else None
        return node.children[cause]

    def _shrunk(self, node: Node) -> tuple[float, tuple[int, ...]]:
        if node.best is None:
            score, causes = node.score, node.causes
            while len(causes) > len(self.needed):
                scores = self.of.removals(self.target, causes)
                scores[[cause in self.needed for cause in causes]] = -np.inf
                least = int(scores.argmax())
                if scores[least] <= score:
                    break
                score, causes = float(scores[least]), causes[:least] + causes[least + 1 :]
            node.best = score, causes
        return node.best


def search(score: Score, allowed: Support, needed: Support, restarts: int = 0, seed: int = 0) -> Support:
    """[d, d], the edges of the best order found: from the given order first, then from random ones."""
    trees = [Tree(score, target, allowed, needed) for target in range(score.size)]
    reach = reachability(needed)
    first = topological_order(needed | _tiers(allowed))
    random = np.random.default_rng(seed)
    starts = [first]
    for _ in range(restarts):
        rank = random.permutation(score.size)
        shuffled = (needed | _tiers(allowed))[np.ix_(rank, rank)]
        starts.append([int(rank[i]) for i in topological_order(shuffled)])
    _, order = max((_climb(trees, start, reach) for start in starts), key=lambda found: found[0])
    support = np.zeros((score.size, score.size), dtype=bool)
    before = 0
    for target in order:
        support[list(trees[target].best(before)[1]), target] = True
        before |= 1 << target
    return support


def _tiers(allowed: Support) -> Support:
    """Where only one direction is allowed and no path leads back, the order may as well start that way round."""
    one_way = allowed & ~allowed.T
    return one_way & ~reachability(one_way).T


def _climb(trees: list[Tree], order: list[int], reach: Support) -> tuple[float, list[int]]:
    """Move each attribute to its best place until a whole round gains nothing (Andrews et al., 2023, algorithm 1)."""
    total, before = -np.inf, -np.inf
    while True:
        for target in sorted(order):
            total, order = _place(trees, order, target, reach)
        if total <= before + 1e-9 * abs(total):
            return total, order
        before = total


def _place(trees: list[Tree], order: list[int], target: int, reach: Support) -> tuple[float, list[int]]:
    """The best total score with the target moved anywhere that required edges permit, and the order it gives."""
    rest = [x for x in order if x != target]
    bit, prefix = 1 << target, 0
    after = [trees[target].best(0)[0]]  # the target's score at each place
    without, with_target = [], []  # the score of each other attribute with the target after it, and before it
    for x in rest:
        tree = trees[x]
        without.append(tree.best(prefix)[0])
        with_target.append(tree.best(prefix | bit)[0])
        prefix |= 1 << x
        after.append(trees[target].best(prefix)[0])
    totals = np.array(after) + np.concatenate([[0.0], np.cumsum(without)]) + sum(with_target)
    totals -= np.concatenate([[0.0], np.cumsum(with_target)])
    first = max((i + 1 for i, x in enumerate(rest) if reach[x, target]), default=0)
    last = min((i for i, x in enumerate(rest) if reach[target, x]), default=len(rest))
    now = order.index(target)
    place = first + int(np.argmax(totals[first : last + 1]))
    if totals[place] <= totals[now] + 1e-9 * abs(totals[now]):
        place = now
    return float(totals[place]), [*rest[:place], target, *rest[place:]]
