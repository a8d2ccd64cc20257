"""BOSS: a graph by the best order of its attributes, on a score that looks at the rows once."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, reachability, topological_order
from ccigkit.causal.regimes import set_apart
from ccigkit.causal.strengths import Support, covariance, regress
from ccigkit.component.options import Natural, Positive, Seed
from ccigkit.structure.assess.equivalence import with_class
from ccigkit.structure.assess.reversal import CLOSE, evidence, turned
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.scores.base import Score
from ccigkit.structure.scores.choice import ScoreName, choose, score_of
from ccigkit.structure.scores.gaussian import LEAST, Positions
from ccigkit.structure.scores.strong import Least, Strong, enough, strong
from ccigkit.structure.tables import by_skewness, rounded

SHAKEN = 3, 10  # attributes moved before a further search, from so many to one less than so many


class Boss(StructureLearner):
    """Best order score search: each attribute is moved to its best place in the order until none gains by moving.

    Andrews et al. (2023). An attribute's causes are found among those before it by growing and shrinking the set, and
    what was found is kept in a tree. Where the published search starts from any order, this one puts first what the
    other attributes explain least, and it goes on from the order it finds (iterated local search; Lourenço et al.,
    2003). Scores are free of scale. Under all but `spline` the graph is one of an equivalence class, and its note says
    which arrows were choice.

    Args:
        score: gaussian (BIC on the covariance, for 0/1 columns too), spline (curves of numbers, and where all are
            numbers, at most 40, of pairs of them), logistic (labels, a regression per set of causes), bdeu and qnml
            (labels, a full table), mdl (labels, of a table and a regression whichever describes them in fewer nats),
            indicators (mixed), or auto: of those that suit the kinds of the attributes the one whose graph explains
            them best, as models of many shapes judge. For labels that is mdl, or where they are very many, gaussian and
            qnml, or qnml (categories). For others they are gaussian, or indicators where some are categories, and for
            numbers alone spline where some follows another along a curve.
        penalty: of a parameter, in units of BIC's; above 1, as many candidates are tried for every edge. Half of it for
            spline, whose edges have many parameters; bdeu, qnml and mdl bring their own.
        restarts: further searches in a row that may find nothing better, each from the best order so far with a few
            attributes moved anywhere.
        sample: rows that the prior of bdeu is worth; more rows make denser graphs.
        least: strength, on the scale of a correlation, below which an edge of many rows is left out; 0 keeps all. auto
            leaves out none of fewer than 20,000 rows, and else no more than leaves five edges per attribute.
        seed: of these moves.
    """

    name = "boss"
    uses_interventions = True

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        score: ScoreName | Literal["auto"] = "auto",
        penalty: Positive = 2.0,
        restarts: Natural = 50,
        sample: Positive = 1.0,
        least: Least = "auto",
        seed: Annotated[Seed, Ge(0)] = 0,
    ) -> None:
        self.score, self.penalty, self.sample, self.least = score, penalty, sample, least
        self.restarts, self.seed = restarts, seed

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        found, _, graph_of = self._searched(table, knowledge)
        return graph_of(found)

    def explained(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        found, names, graph_of = self._searched(table, knowledge)
        best, costs = turned(found)
        graph, sure = graph_of(best), evidence(best, costs, names)
        unturned = sum(math.isnan(each.reversal) for each in sure.values())
        said = (f"{unturned} arrows were not turned, as that takes long in so large a graph",) if unturned else ()
        return replace(graph, evidence=sure, notes=(*graph.notes, *said))

    def _searched(
        self, table: Table, knowledge: Knowledge
    ) -> tuple[Found, tuple[str, ...], Callable[[Found], CausalGraph]]:
        """The best order found, of the names in an order of their own, and what makes a graph of such a one."""
        ordered = by_skewness(table)
        moments = rounded(covariance(ordered))
        allowed, required = knowledge.allowed(ordered.names), knowledge.required_edges(ordered.names)
        unexplained = np.linalg.inv(
            moments + LEAST * np.eye(len(moments))
        )  # the inverse of what the others leave of each
        first = np.argsort(-1 / (unexplained.diagonal() * moments.diagonal()))

        def strongly(score: Score, least: float) -> Found:
            return search(strong(score, least), allowed, required, first)

        def find(score: Score) -> Found:
            least: float | str = self.least
            if isinstance(least, str):
                least = enough(score.n, lambda step: strongly(score, step).support)
            return strongly(score, least)

        def refine(found: Found) -> Found:
            return found.refined(self.restarts, self.seed)

        if self.score == "auto":
            found, why = choose(ordered, self.penalty, find, refine)
            notes = [why]
        else:
            found, notes = refine(find(score_of(self.score, ordered, self.penalty, self.sample))), []
        score = found.score
        if score.n < len(table.values):
            notes.append(f"looked at {score.n} of {len(table.values)} rows: moments of curves of pairs take long")
        if isinstance(score, Strong):
            notes.append(
                f"edges weaker than {score.least:g} are left out, though {score.n} rows may show them; "
                "structure.least=0 keeps them"
            )

        def graph_of(found: Found) -> CausalGraph:
            graph = CausalGraph(ordered.names, regress(moments, found.support), tuple(notes)).reordered(table.names)
            return with_class(graph, knowledge, set_apart(table), "" if score.equivalent else score.assumed)

        return found, ordered.names, graph_of


# --- the search -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class Node:
    """A place in a grow-shrink tree: causes of one attribute, in the order they were added, and what may be added.

    Sets of candidates are bits. Growth ends here for every set that has, of the `decisive` candidates, those `met`.
    """

    causes: tuple[int, ...]
    score: float
    better: list[int] | None = None  # causes that would raise the score, the best first
    promised: tuple[float, ...] = ()  # what they would raise it to
    children: dict[int, Node | None] = field(default_factory=dict)  # by rank among the better
    decisive: int = 0
    met: int = 0
    best: tuple[float, tuple[int, ...]] | None = None  # after shrinking


class Tree:
    """The grow-shrink tree of one attribute: every set of causes that was ever tried, scored once."""

    def __init__(self, score: Score, target: int, allowed: Support, required: Support) -> None:
        self.of, self.target, self.barred = score, target, np.where(allowed[:, target], 0.0, -np.inf)
        self.required = tuple(np.flatnonzero(required[:, target]).tolist())
        self.root = Node(self.required, score.local(target, self.required))
        self._last = self._grown(0)
        self._ends = {0: self._last}

    def best(self, before: int) -> tuple[float, tuple[int, ...]]:
        """The best score and causes among the attributes whose bits are set in `before`."""
        end = self._last  # one candidate more or less seldom leads elsewhere
        if before & end.decisive != end.met:
            if (known := self._ends.get(before)) is None:
                known = self._ends[before] = self._grown(before)
            end = self._last = known
        if end.best is None:
            end.best = self._shrunk(end)
        return end.best

    def _grown(self, before: int) -> Node:
        node, decisive = self.root, 0
        while True:
            for rank, bit in enumerate(self._better(node)):
                decisive |= bit
                if before & bit and (child := self._child(node, rank, bit)) is not None:
                    node = child
                    break
            else:
                node.decisive, node.met = decisive, before & decisive
                return node

    def _better(self, node: Node) -> list[int]:
        if node.better is None:
            scores = self.of.additions(self.target, node.causes) + self.barred
            ranked = (-scores).argsort(kind="stable")[: np.count_nonzero(scores > node.score)]
            node.promised, node.better = tuple(scores[ranked].tolist()), [1 << cause for cause in ranked.tolist()]
        return node.better

    def _child(self, node: Node, rank: int, bit: int) -> Node | None:
        """The node with one cause more, or None where that scores no better after all."""
        if rank not in node.children:
            causes = (*node.causes, bit.bit_length() - 1)
            score = node.promised[rank] if self.of.exact else self.of.local(self.target, causes)
            node.children[rank] = Node(causes, score) if score > node.score else None
        return node.children[rank]

    def _shrunk(self, node: Node) -> tuple[float, tuple[int, ...]]:
        score, causes = node.score, node.causes
        while len(causes) > len(self.required):
            scores = self.of.removals(self.target, causes)
            scores[[cause in self.required for cause in causes]] = -np.inf
            least = int(scores.argmax())
            if scores[least] <= score:
                break
            score, causes = float(scores[least]), causes[:least] + causes[least + 1 :]
        return score, causes


@dataclass(frozen=True)
class Found:
    """The best order of the attributes that a search found, its total score, and the trees it asked."""

    score: Score
    allowed: Support
    required: Support
    trees: list[Tree]
    order: list[int]
    total: float

    @cached_property
    def support(self) -> Support:
        """[d, d], the edges of the best graph with this order."""
        support, before = np.zeros_like(self.required), 0
        for target in self.order:
            support[list(self.trees[target].best(before)[1]), target] = True
            before |= 1 << target
        return support

    def refined(self, restarts: int, seed: int) -> Found:
        """What is found by going on from the best order with a few attributes moved anywhere.

        Args:
            restarts: how many times in a row that may find nothing better.
            seed: of the moves.
        """
        known, reach = _known(self.allowed, self.required), reachability(self.required)
        random, best, idle = np.random.default_rng(seed), self, 0
        while idle < restarts:
            start = _agreeing(np.array(_shaken(best.order, random)), known)
            total, order = _climb(self.trees, start, reach)
            idle += 1
            if total > best.total + CLOSE * abs(best.total):
                best, idle = replace(best, total=total, order=order), 0
        return best

    def turned(self, order: list[int], cause: int, effect: int) -> Found:
        """The best graph found in which the effect causes the cause, from an order with the two the other way round."""
        required, trees = self.required.copy(), [*self.trees]
        required[effect, cause] = True
        trees[cause] = Tree(self.score, cause, self.allowed, required)
        known, reach = _known(self.allowed, required), reachability(required)
        starts = [moved(order, effect, order.index(cause)), moved(order, cause, order.index(effect))]
        total, found = max(_climb(trees, _agreeing(np.array(start), known), reach) for start in starts)
        return replace(self, trees=trees, order=found, total=total)


def search(score: Score, allowed: Support, required: Support, first: Positions) -> Found:
    """The best order found, starting from one that need not agree with what is known; allowed edges are [d, d]."""
    trees = [Tree(score, target, allowed, required) for target in range(score.size)]
    order = _agreeing(first, _known(allowed, required))
    total, order = _climb(trees, order, reachability(required))
    return Found(score, allowed, required, trees, order, total)


def moved(order: list[int], target: int, place: int) -> list[int]:
    """The order with the target at another place."""
    rest = [x for x in order if x != target]
    return [*rest[:place], target, *rest[place:]]


def _known(allowed: Support, required: Support) -> Support:
    """[d, d], where an order may as well start with row before column: no path of what has one direction leads back."""
    one_way = required | (allowed & ~allowed.T)
    return np.asarray(required | (one_way & ~reachability(one_way).T))


def _agreeing(order: Positions, known: Support) -> list[int]:
    """The order, changed where it contradicts the edges that are known."""
    return [int(order[i]) for i in topological_order(known[np.ix_(order, order)])]


def _shaken(order: list[int], random: np.random.Generator) -> list[int]:
    """The order with a few attributes moved anywhere."""
    moved = random.choice(len(order), min(int(random.integers(*SHAKEN)), len(order)), replace=False).tolist()
    shaken = [x for x in order if x not in moved]
    for x in moved:
        shaken.insert(int(random.integers(len(shaken) + 1)), x)
    return shaken


def _climb(trees: list[Tree], order: list[int], reach: Support) -> tuple[float, list[int]]:
    """Move one attribute after the other to its best place until none gains (Andrews et al., 2023, algorithm 1)."""
    settled = 0
    while True:
        for target in range(len(order)):
            total, moved = _place(trees, order, target, reach)
            settled = settled + 1 if moved == order else 0
            order = moved
            if settled == len(order):
                return total, order


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
    if totals[place] <= totals[now] + CLOSE * abs(totals[now]):
        place = now
    return float(totals[place]), [*rest[:place], target, *rest[place:]]
