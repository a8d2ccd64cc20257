"""The scores of a table by name, and which of them suits it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from ccigkit.causal.attributes import Table
from ccigkit.causal.regimes import natural, observed
from ccigkit.causal.strengths import Support, covariance
from ccigkit.errors import DataError
from ccigkit.structure.scores.base import Score
from ccigkit.structure.scores.cells import Labels
from ccigkit.structure.scores.gaussian import Gaussian, curved, curves, indicators
from ccigkit.structure.scores.judge import Judge
from ccigkit.structure.scores.labels import QNML, BDeu, Logistic
from ccigkit.structure.scores.regimes import ByRegime
from ccigkit.structure.tables import hard_labels, rounded

ScoreName = Literal["gaussian", "spline", "logistic", "bdeu", "qnml", "indicators"]

ENOUGH = 100  # rows in which nothing was set, from which on they alone tell which score suits
CLOSE = 1e-3  # nats that count as none
FEW = 20  # labels up to which the logistic score comes into question; with more of them it takes long


def score_of(name: ScoreName, table: Table, penalty: float, sample: float = 1.0) -> Score:
    """A score of a table; each attribute is explained in the rows in which it was not set.

    Args:
        name: of the score.
        table: the rows, which are read here, once.
        penalty: of a parameter, in units of BIC's; half of it for splines.
        sample: rows that the prior of bdeu is worth.

    Raises:
        DataError: where the table has attributes that the score does not take.
    """
    if table.intervened is None:
        return _plain(name, table, penalty, sample)
    regimes = len({column.tobytes() for column in table.intervened.T})
    return ByRegime(table, partial(_plain, name, penalty=penalty, sample=sample, scores=regimes))


def _plain(name: ScoreName, table: Table, penalty: float, sample: float, scores: int = 1) -> Score:
    """A score of all rows of a table, of which so many are to be in memory."""
    match name:
        case "spline":
            return curves(table, penalty / 2, scores)
        case "indicators":
            return indicators(table, penalty)
        case "logistic":
            _refuse_numbers(table, name, most=2)
            return Logistic(Labels(table.values), penalty)
        case "bdeu":
            _refuse_numbers(table, name, most=np.inf)
            return BDeu(Labels(table.values), sample)
        case "qnml":
            _refuse_numbers(table, name, most=np.inf)
            return QNML(Labels(table.values))
    return Gaussian(rounded(covariance(table)), len(table.values), penalty)


@dataclass(frozen=True)
class Choice:
    """The score that suits a table, the graph [d, d] that a search found by it, and why it was taken."""

    score: Score
    graph: Support
    why: str


def choose(table: Table, penalty: float, find: Callable[[Score], Support]) -> Choice:
    """Of the scores that come into question for the kinds of the attributes, the one whose graph is judged best.

    Kinds and judgement are those of the rows in which nothing was set.

    Args:
        table: the rows.
        penalty: of a parameter, in units of BIC's.
        find: the graph [d, d] that a search finds by a score.
    """
    typical = _typical(table)
    names = suited(typical, penalty)
    scores = {name: score_of(name, table, penalty) for name in names}
    graphs = {name: find(score) for name, score in scores.items()}
    if len(names) == 1:
        (name,) = names
        why = "straight lines explain the attributes as well as curves would"
    else:
        judge = Judge(typical)
        name, other = sorted(names, key=lambda name: -judge.total(graphs[name]))
        gain = judge.total(graphs[name]) - judge.total(graphs[other])
        better = f"better than that of {other} by {gain:.0f} nats" if gain > CLOSE else f"as well as that of {other}"
        why = f"its graph explains the attributes {better}"
    return Choice(scores[name], graphs[name], f"score {name}: {why}")


def _typical(table: Table) -> Table:
    """The rows in which nothing was set, where there are enough of them and every attribute varies there; else all."""
    if natural(table).sum() < ENOUGH:
        return table
    try:
        return observed(table)
    except DataError:
        return table


def suited(table: Table, penalty: float) -> tuple[ScoreName, ...]:
    """The scores that come into question for a table; the first is taken where no other explains it better."""
    kinds = {attribute.kind for attribute in table.attributes}
    if len(hard_labels(table)) == len(table.names):
        if "categorical" in kinds:
            return "qnml", "indicators"
        return ("qnml", "logistic") if len(table.names) <= FEW else ("gaussian", "qnml")
    straight: ScoreName = "indicators" if "categorical" in kinds else "gaussian"
    return (straight, "spline") if curved(table, penalty) else (straight,)


def _refuse_numbers(table: Table, score: str, most: float) -> None:
    """Check that every attribute has labels, and at most so many.

    Raises:
        DataError: where an attribute is continuous, graded or has more labels.
    """
    wanted = "labels 0 and 1" if most == 2 else "labels"
    for attribute, column in zip(table.attributes, table.values.T, strict=True):
        graded = column[column != np.round(column)]
        if attribute.kind == "continuous" or len(graded) or column.max() >= most:
            odd = graded[0] if len(graded) else column.max()
            raise DataError(
                f"structure.score={score} wants {wanted} only, but {attribute.name} is {attribute.kind} and has the "
                f"value {odd:.3g}; use structure.score=auto"
            )
