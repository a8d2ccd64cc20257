"""Auto: the learner that suits the attributes, where nobody names one."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from annotated_types import Ge

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.component.options import Seed
from ccigkit.structure.base import StructureLearner
from ccigkit.structure.learners.boss import Boss
from ccigkit.structure.scores.strong import Least


class Auto(StructureLearner):
    """Picks learner and score by the kinds of the attributes and by the rows, and says in a note which and why.

    The learner is `boss`: of all that come along it was measured to find the best graphs on standardised tables, linear
    or curved, of numbers or of labels, and it keeps to knowledge natively. Its score is the one of those that suit the
    kinds of the attributes whose graph explains them best: see there.

    Args:
        least: strength, on the scale of a correlation, below which an edge of many rows is left out; 0 keeps all. auto
            leaves out none of fewer than 20,000 rows, and else no more than leaves five edges per attribute.
        seed: of the changes of order that its further searches start from.
    """

    name = "auto"
    uses_interventions = True

    def __init__(self, names: tuple[str, ...], *, least: Least = "auto", seed: Annotated[Seed, Ge(0)] = 0) -> None:
        self.boss = Boss(names, least=least, seed=seed)

    def learn(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        return _said(self.boss.learn(table, knowledge))

    def explained(self, table: Table, knowledge: Knowledge) -> CausalGraph:
        return _said(self.boss.explained(table, knowledge))


def _said(graph: CausalGraph) -> CausalGraph:
    picked, *others = graph.notes  # boss says first which score it took, and why
    return replace(graph, notes=(f"auto took boss, {picked}", *others))
