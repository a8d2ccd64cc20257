"""The scores of a table by name, and which of them suits it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol, TypeVar

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
from ccigkit.structure.scores.strong import ROWS
from ccigkit.structure.tables import hard_labels, rounded

ScoreName = Literal["gaussian", "spline", "logistic", "bdeu", "qnml", "indicators"]

ENOUGH = 100  # rows in which nothing was set, from which on they alone tell which score suits
DENSE = 4  # edges per attribute beyond which searches by other scores take minutes
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


class Found(Protocol):
    """What a search found by a score."""

    @property
    def support(self) -> Support:
        """[d, d], the edges of the graph."""


AnyFound = TypeVar("AnyFound", bound=Found)


def choose(table: Table, penalty: float, find: Callable[[Score], AnyFound]) -> tuple[AnyFound, str]:
    """Of what is found by the scores that suit the kinds of the attributes, what is judged best, and why.

    Kinds and judgement are those of the rows in which nothing was set.

    Args:
        table: the rows.
        penalty: of a parameter, in units of BIC's.
        find: what a search finds by a score.
    """
    typical = _typical(table)
    names = first, *others = suited(typical, penalty)
    found = {first: find(score_of(first, table, penalty))}
    if not others:
        lines = "straight lines explain the attributes as well as curves would"
        mixed = "there are labels beside numbers" if hard_labels(typical) else lines
        return found[first], f"score {first}: {'labels may act together' if first == 'qnml' else mixed}"
    dense = len(table.values) >= ROWS and found[first].support.sum() > DENSE * len(table.names)
    if dense and names == ("gaussian", "qnml"):
        return found[first], "score gaussian: of so many rows and edges tables of labels take long"
    found.update({name: find(score_of(name, table, penalty)) for name in others})
    judge = Judge.of(typical)
    totals = {name: judge.total(found[name].support) for name in names}
    best, other = sorted(names, key=lambda name: -totals[name])
    gain = totals[best] - totals[other]
    better = f"better than that of {other} by {gain:.0f} nats" if gain > CLOSE else f"as well as that of {other}"
    return found[best], f"score {best}: its graph explains the attributes {better}"


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
            return ("qnml",)  # the judge was not seen to take indicators where they are nearer the truth
        return ("qnml", "logistic") if len(table.names) <= FEW else ("gaussian", "qnml")
    straight: ScoreName = "indicators" if "categorical" in kinds else "gaussian"
    if hard_labels(table):
        return (straight,)  # graphs by splines beside labels were judged better that were far from the truth
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
