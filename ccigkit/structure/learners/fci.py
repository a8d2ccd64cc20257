"""FCI: a graph by tests of conditional independence, where some causes may be hidden."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np
from annotated_types import Ge

from ccigkit.causal.dag import paired
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.component.options import Weight
from ccigkit.structure.assess.equivalence import chosen
from ccigkit.structure.assess.patience import LIMIT
from ccigkit.structure.learners.by_tests import ByTests, Faint, Level, Test
from ccigkit.structure.learners.pag import ARROW, NONE, OPEN, TAIL, Ends, Triples, oriented, parted
from ccigkit.structure.scores.independence import Independence
from ccigkit.structure.tables import listed


class FCI(ByTests):
    """Fast causal inference, which finds hidden common causes: the adjacency search of causal-learn, then our rules.

    Spirtes et al. (2000); the rules of Zhang (2008) but for those about selection. The data decide only a partial
    ancestral graph: x <-> y is a hidden common cause, x -> y an arrow, and of x o-> y and x o-o y the tests leave open
    which. The first is then an arrow and the second directed as `pc` would, which makes one of the graphs that the
    tests cannot tell apart (Zhang 2006, lemma 3.3.4). Notes list what is settled, what is open, and what is hidden.

    A forbidden arrow x -> y says that x does not cause y, so what joins the two is y -> x or hidden; where both arrows
    are forbidden it is hidden.

    Args:
        depth: the most attributes that one test is given of Possible-D-Sep, which holds more than neighbours and can be
            large; 0 leaves these tests out.
    """

    name = "fci"
    finds_hidden = True

    def __init__(
        self,
        names: tuple[str, ...],
        *,
        test: Test = "auto",
        alpha: Level = 0.01,
        depth: Annotated[int, Ge(0)] = 3,
        least: Faint = 0.0,
        limit: Weight = LIMIT,
    ) -> None:
        super().__init__(names, test=test, alpha=alpha, least=least, limit=limit)
        self.depth = depth

    def found(self, names: tuple[str, ...], test: Independence, knowledge: Knowledge) -> CausalGraph:
        """One of the graphs that the tests and the knowledge leave, with hidden common causes."""
        ends = self.ancestral(names, test, knowledge)
        hidden = (ends == ARROW) & (ends.T == ARROW)
        directed = (ends == ARROW) & ~hidden
        graph = chosen((ends != NONE) & ~hidden, directed, names, knowledge, hidden)
        pairs = frozenset(frozenset((names[i], names[j])) for i, j in np.argwhere(hidden))
        notes = (*remarks(ends, names, knowledge), *graph.notes)
        return replace(graph, confounded=pairs, notes=notes)

    def ancestral(self, names: tuple[str, ...], test: Independence, knowledge: Knowledge) -> Ends:
        """The partial ancestral graph [d, d] by a test of these attributes; see `pag`."""
        from ccigkit.structure.learners import causal_learn  # it takes its time to import

        allowed, required = knowledge.allowed(names), knowledge.required_edges(names)
        joined = required | required.T | paired(knowledge.confounded, names)
        known = np.where(required.T, TAIL, np.where(allowed.T, NONE, ARROW))
        adjacent, separators = causal_learn.adjacencies(len(names), test, self.alpha)
        ends = oriented(Triples(adjacent | joined, separators, test, self.alpha), known)
        if not self.depth or not (more := parted(ends, test, self.alpha, self.depth)):
            return ends
        for i, j in more:
            adjacent[i, j] = adjacent[j, i] = False
        return oriented(Triples(adjacent | joined, separators | more, test, self.alpha), known)


def remarks(ends: Ends, names: tuple[str, ...], knowledge: Knowledge) -> list[str]:
    """What of a partial ancestral graph [d, d] is hidden, what is settled, and what is open; not what was known."""
    told = paired(knowledge.confounded | {frozenset(edge) for edge in knowledge.required}, names)
    hidden, open_ends = (ends == ARROW) & (ends.T == ARROW), (ends == OPEN) & (ends.T == OPEN)
    half = (ends == ARROW) & (ends.T == OPEN)
    settled = (ends == ARROW) & (ends.T == TAIL)
    either = [listed(half, names, "o->"), listed(np.triu(open_ends), names, "o-o")]
    notes = {
        "something hidden causes both": listed(np.triu(hidden & ~told), names, "<->"),
        "settled by the tests": listed(settled & ~told, names),
        "undetermined by the data, where an end o may be an arrowhead or not": ", ".join(filter(None, either)),
    }
    return [f"{what}: {which}" for what, which in notes.items() if which]
