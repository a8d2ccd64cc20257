"""Which graph explains a table best, whatever score it was found by: models of many shapes judge."""

from __future__ import annotations

import math
import warnings
from itertools import combinations

import numpy as np
from scipy.stats import differential_entropy

from ccigkit.causal.attributes import Table, Values
from ccigkit.causal.strengths import Support
from ccigkit.structure.scores.cells import Labels
from ccigkit.structure.scores.gaussian import GLANCE, LEAST, RIDGE, Spline, products, shapes
from ccigkit.structure.scores.labels import QNML, Logistic
from ccigkit.structure.tables import evenly, hard_labels


class Judge:
    """How well graphs explain a table, in nats: each attribute by the best of several models of it, by BIC.

    A label is explained by a table of its causes' labels (quotient NML) and by logistic regressions, any other
    attribute by regressions on straight lines, on splines, and on splines and products of pairs of the causes. Their
    residuals may have any distribution (Vasicek's entropy, 1976). If only a normal one would do, wrong arrows would be
    the likelier ones wherever noise is not normal: the regression of a cause on its effect then bends, and curves gain.

    Of many rows with an attribute that is no label, 10,000 are looked at, evenly chosen.
    """

    def __init__(self, table: Table) -> None:
        if len(labels := hard_labels(table)) < len(table.names):
            table = Table(table.attributes, evenly(table.values, GLANCE))
        latents = table.latents
        self.n, size = latents.shape
        self.columns = (latents - latents.mean(axis=0)) / np.maximum(latents.std(axis=0), LEAST)
        self.labelled = np.isin(table.names, labels)
        self.codes = table.values
        self.lines = [self._lines(j, table.attributes[j].kind == "categorical") for j in range(size)]
        self.splines = [self.lines[j] if self.labelled[j] else self._spline(j) for j in range(size)]
        self.at = np.cumsum(self.labelled) - 1  # each label's position among the labels
        marks = Labels(table.values[:, self.labelled]) if labels else None
        self.tables = QNML(marks) if marks else None
        self.logistic = Logistic(marks) if marks and len(labels) == size and marks.levels.max() == 2 else None
        self._known: dict[tuple[int, ...], float] = {}

    def total(self, graph: Support) -> float:
        """The nats of all attributes along a graph [d, d]."""
        return sum(self.local(target, column) for target, column in enumerate(graph.T))

    def local(self, target: int, causes: Support) -> float:
        """The nats of the target given its causes [d], true where one is."""
        at = tuple(np.flatnonzero(causes).tolist())
        if (known := self._known.get((target, *at))) is None:
            known = self._label(target, at) if self.labelled[target] else self._number(target, at)
            self._known[target, *at] = known
        return known

    def _label(self, target: int, causes: tuple[int, ...]) -> float:
        among, ranks = self.labelled[list(causes)].all(), tuple(int(self.at[cause]) for cause in causes)
        found: list[float] = []
        if among and self.tables is not None:
            found.append(self.tables.local(int(self.at[target]), ranks))
        if self.logistic is not None:
            found.append(self.logistic.local(target, causes))
        elif len(causes) > 1 or not among:
            found += [logistic(self.codes[:, target], design) for design in self._designs(causes)]
        return max(found)

    def _number(self, target: int, causes: tuple[int, ...]) -> float:
        column = spread(self.columns[:, target])
        found: list[float] = []
        for design in self._designs(causes):
            moments = design.T @ design + RIDGE * self.n * np.eye(design.shape[1])
            left = column - design @ np.linalg.solve(moments, design.T @ column)
            found.append(-self.n * float(differential_entropy(left)) - design.shape[1] * math.log(self.n) / 2)
        return max(found)

    def _designs(self, causes: tuple[int, ...]) -> list[Values]:
        """Columns [n, k] of the causes, ever more of them."""
        none = np.empty((self.n, 0))
        lines = np.column_stack([none, *(self.lines[cause] for cause in causes)])
        bent = [cause for cause in causes if not self.labelled[cause]]
        if not bent:
            return [lines]
        splines = np.column_stack([self.splines[cause] for cause in causes])
        pairs = [products(shapes(self.columns[:, pair])).reshape(self.n, -1) for pair in combinations(bent, 2)]
        return [lines, splines, *([np.column_stack([splines, *pairs])] if pairs else [])]

    def _lines(self, column: int, categorical: bool) -> Values:
        values = self.codes[:, column]
        return centred(values[:, None] == np.unique(values)[1:]) if categorical else self.columns[:, [column]]

    def _spline(self, column: int) -> Values:
        values = self.columns[:, column]
        return centred(Spline(values)(values))


def centred(columns: Values | Support) -> Values:
    """Columns [n, k] less their means."""
    return np.asarray(columns - columns.mean(axis=0))


def spread(values: Values) -> Values:
    """Values [n]; where some occur more than once, as rounded ones do, each is moved by less than they were rounded.

    Equal values would have no entropy.
    """
    distinct = np.unique(values)
    if len(distinct) == len(values):
        return values
    step = np.diff(distinct).min(initial=1.0)
    return np.asarray(values + step * np.random.default_rng(0).uniform(-0.5, 0.5, len(values)))


def logistic(labels: Values, design: Values) -> float:
    """The BIC in nats of a multinomial logistic regression of labels [n] on columns [n, k]."""
    if (labels == labels[0]).all():
        return 0.0
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    rows, counts = np.unique(np.column_stack([design, labels]), axis=0, return_counts=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # where labels can be told apart it has no greatest value
        model = LogisticRegression(C=1e4, max_iter=200).fit(rows[:, :-1], rows[:, -1], sample_weight=counts)
    own = np.searchsorted(model.classes_, rows[:, -1])
    chances = np.maximum(model.predict_proba(rows[:, :-1])[np.arange(len(rows)), own], LEAST)
    parameters = (len(model.classes_) - 1) * (design.shape[1] + 1)
    return float(counts @ np.log(chances)) - float(parameters * math.log(len(labels)) / 2)
