"""PC: a graph by tests of conditional independence."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Literal

from annotated_types import Gt, Lt

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge, Matrix
from ccigkit.causal.strengths import covariance, regress
from ccigkit.errors import DataError
from ccigkit.structure.assess.equivalence import member
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.scores.independence import (
    Counted,
    FisherZ,
    Independence,
    Mixed,
    chi_square,
    fitting,
    g_square,
)
from ccigkit.structure.tables import by_skewness, hard_labels, refuse_collinear

Test = Literal["auto", "fisherz", "gsq", "chisq", "mixed"]


class PC(StructureLearner):
    """The PC algorithm of causal-learn: drop every edge that some test calls needless, then orient the colliders.

    Spirtes et al. (2000); stable variant of Colombo and Maathuis (2014). The data decide only an equivalence class; a
    member is chosen, and a note says which arrows were choice. Knowledge limits the tests and wins over them.

    Args:
        test: fisherz is linear, on the latent scale; gsq and chisq count hard labels; mixed is linear with categories
            as indicators; auto counts where all are labels, and is linear otherwise.
        alpha: a dependence less sure than this significance level is none.
    """

    name = "pc"

    def __init__(
        self, names: tuple[str, ...], *, test: Test = "auto", alpha: Annotated[float, Gt(0), Lt(1)] = 0.01
    ) -> None:
        self.names, self.test, self.alpha = names, test, alpha

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        """A member of the equivalence class that the tests and the knowledge leave."""
        from ccigkit.structure.learners import causal_learn  # it takes its time to import

        ordered = by_skewness(table)
        allowed, required = knowledge.allowed(ordered.names), knowledge.required_edges(ordered.names)
        moments = covariance(ordered)
        refuse_collinear(moments, ordered.names)
        chosen, test = self._test(ordered, moments)
        adjacent, directed = causal_learn.pc(len(moments), test, self.alpha, allowed, required)
        graph = member(adjacent, directed, ordered.names, knowledge)
        notes = (f"tested by {chosen}", *graph.notes) if self.test == "auto" else graph.notes
        return replace(graph, strengths=regress(moments, graph.adjacency), notes=notes).reordered(table.names)

    def _test(self, table: Table, moments: Matrix) -> tuple[str, Independence]:
        """The name of the test for the kinds of the attributes, and the test."""
        if self.test == "auto":
            return fitting(table)
        hard = hard_labels(table)
        soft = [name for name in table.names if name not in hard]
        if soft and self.test in ("gsq", "chisq"):
            raise DataError(f"the test {self.test} counts hard labels, but {soft[0]} is graded; use test fisherz")
        match test := self.test:
            case "gsq":
                return test, Counted(table.values, g_square)
            case "chisq":
                return test, Counted(table.values, chi_square)
            case "mixed":
                return test, Mixed(table)
        return test, FisherZ(moments, len(table.values))
