"""Which graph explains a table best, whatever score it was found by: models of many shapes judge."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import combinations

import numpy as np
from scipy.stats import differential_entropy

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.strengths import Support
from ccigkit.structure.scores.cells import Labels
from ccigkit.structure.scores.gaussian import GLANCE, LEAST, RIDGE, Spline, products, shapes
from ccigkit.structure.scores.labels import MDL, QNML
from ccigkit.structure.tables import evenly, hard_labels


class Judge(ABC):
    """How well graphs explain a table, in nats: each attribute by the best of several models of it, by BIC."""

    def __init__(self) -> None:
        self._known: dict[tuple[int, ...], float] = {}

    @staticmethod
    def of(table: Table) -> Judge:
        """The judge of a table of labels, or of numbers."""
        return LabelJudge(table) if len(hard_labels(table)) == len(table.names) else NumberJudge(table)

    def total(self, graph: Support) -> float:
        """The nats of all attributes along a graph [d, d]."""
        families = [(target, *np.flatnonzero(column).tolist()) for target, column in enumerate(graph.T)]
        for target, *causes in families:
            if (target, *causes) not in self._known:
                self._known[target, *causes] = self.local(target, tuple(causes))
        return sum(self._known[family] for family in families)

    @abstractmethod
    def local(self, target: int, causes: tuple[int, ...]) -> float:
        """The nats of the target given these causes."""


class LabelJudge(Judge):
    """Explains labels by a table of their causes' labels or by a regression on them, by what takes fewer nats."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        labels = Labels(table.values)
        self.model, self.tables = MDL(labels), QNML(labels)

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        return self.model.local(target, causes)

    def act_together(self, graph: Support) -> bool:
        """Whether a table explains some attribute better than a regression on its causes in a graph [d, d]."""
        families = [(target, tuple(np.flatnonzero(column).tolist())) for target, column in enumerate(graph.T)]
        return any(
            self.model.local(target, causes) == self.tables.local(target, causes) - self.model.naming(len(causes))
            for target, causes in families
            if len(causes) > 1
        )


class NumberJudge(Judge):
    """Explains numbers by straight lines, by splines, and by splines and products of pairs of the causes.

    What is left may have any distribution (Vasicek's entropy, 1976). If only a normal one would do, wrong arrows would
    be the likelier ones wherever noise is not normal: the regression of a cause on its effect then bends, and curves
    gain.

    Of many rows 10,000 are looked at, evenly chosen.
    """

    def __init__(self, table: Table) -> None:
        super().__init__()
        latents = Table(table.attributes, evenly(table.values, GLANCE)).latents
        self.n = len(latents)
        self.columns = (latents - latents.mean(axis=0)) / np.maximum(latents.std(axis=0), LEAST)
        self.splines = [_spline(column) for column in self.columns.T]

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        column = spread(self.columns[:, target])
        found: list[float] = []
        for design in self._designs(causes):
            moments = design.T @ design + RIDGE * self.n * np.eye(design.shape[1])
            left = column - design @ np.linalg.solve(moments, design.T @ column)
            found.append(-self.n * float(differential_entropy(left)) - design.shape[1] * math.log(self.n) / 2)
        return max(found)

    def _designs(self, causes: tuple[int, ...]) -> list[Values]:
        """Columns [n, k] of the causes, ever more of them."""
        designs = [self.columns[:, causes]]
        if causes:
            designs.append(np.column_stack([self.splines[cause] for cause in causes]))
        if len(causes) > 1:
            pairs = [products(shapes(self.columns[:, pair])).reshape(self.n, -1) for pair in combinations(causes, 2)]
            designs.append(np.column_stack([designs[-1], *pairs]))
        return designs


def _spline(column: Values) -> Values:
    """[n, k], splines of a column [n], less their means."""
    bent = Spline(column)(column)
    return np.asarray(bent - bent.mean(axis=0))


def spread(values: Values) -> Values:
    """Values [n]; where some occur more than once, as rounded ones do, each is moved by less than they were rounded.

    Equal values would have no entropy.
    """
    distinct = np.unique(values)
    if len(distinct) == len(values):
        return values
    step = np.diff(distinct).min(initial=1.0)
    return np.asarray(values + step * np.random.default_rng(0).uniform(-0.5, 0.5, len(values)))
