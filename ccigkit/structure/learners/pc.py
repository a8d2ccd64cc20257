"""PC: a graph by tests of conditional independence."""

from __future__ import annotations

from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.structure.assess.equivalence import member
from ccigkit.structure.learners.by_tests import ByTests
from ccigkit.structure.scores.independence import Independence


class PC(ByTests):
    """The PC algorithm of causal-learn: drop every edge that some test calls needless, then orient the colliders.

    Spirtes et al. (2000); stable variant of Colombo and Maathuis (2014). The data decide only an equivalence class; a
    member is chosen, and a note says which arrows were choice. Knowledge limits the tests and wins over them.
    """

    name = "pc"

    def found(self, names: tuple[str, ...], test: Independence, knowledge: Knowledge) -> CausalGraph:
        """A member of the equivalence class that the tests and the knowledge leave."""
        from ccigkit.structure.learners import causal_learn  # it takes its time to import

        allowed, required = knowledge.allowed(names), knowledge.required_edges(names)
        adjacent, directed = causal_learn.pc(len(names), test, self.alpha, allowed, required)
        return member(adjacent, directed, names, knowledge)
