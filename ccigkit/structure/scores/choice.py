"""The scores of a table by name, and which of them suits it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Literal, Protocol, TypeVar

import numpy as np

from ccigkit.causal.attributes import Table
from ccigkit.causal.regimes import natural, observed, set_alike
from ccigkit.causal.strengths import Support, covariance
from ccigkit.errors import DataError
from ccigkit.structure.scores.base import Score
from ccigkit.structure.scores.cells import Labels
from ccigkit.structure.scores.gaussian import Gaussian, curved, curves, indicators
from ccigkit.structure.scores.judge import Judge, LabelJudge
from ccigkit.structure.scores.labels import MDL, QNML, BDeu, Logistic
from ccigkit.structure.scores.regimes import ByRegime
from ccigkit.structure.tables import hard_labels, refuse_collinear, rounded

ScoreName = Literal["gaussian", "spline", "logistic", "bdeu", "qnml", "mdl", "indicators"]

BY_REGRESSION: tuple[ScoreName, ...] = ("gaussian", "indicators", "spline")  # of columns, not of labels
ENOUGH = 100  # rows in which nothing was set, from which on they alone tell which score suits
DENSE = 4  # edges per attribute beyond which searches by other scores take minutes
CLOSE = 1e-3  # nats that count as none
WORK = 40_000_000  # rows times squared labels up to which mdl comes into question; more take minutes
WHY: dict[ScoreName, str] = {"mdl": "labels may act together or add up", "qnml": "labels may act together"}


def score_of(name: ScoreName, table: Table, penalty: float, sample: float = 1.0) -> Score:
    """A score of a table; each attribute is explained in the rows in which it was not set.

    Args:
        name: of the score.
        table: the rows, which are read here, once.
        penalty: of a parameter, in units of BIC's; half of it for splines.
        sample: rows that the prior of bdeu is worth.

    Raises:
        DataError: where the table has attributes that the score does not take, or columns that follow from each other
            and the score tells causes apart by the regression of columns.
    """
    if name in BY_REGRESSION:
        refuse_collinear(rounded(covariance(table)), table.names)
    if table.intervened is None:
        return _plain(name, table, penalty, sample)
    return ByRegime(table, partial(_plain, name, penalty=penalty, sample=sample, scores=len(set_alike(table))))


def _plain(name: ScoreName, table: Table, penalty: float, sample: float, scores: int = 1) -> Score:
    """A score of all rows of a table, of which so many are to be in memory."""
    match name:
        case "spline":
            return curves(table, penalty / 2, scores)
        case "indicators":
            return indicators(table, penalty)
        case "logistic":
            _refuse_numbers(table, name)
            return Logistic(Labels(table.values), penalty)
        case "bdeu":
            _refuse_numbers(table, name)
            return BDeu(Labels(table.values), sample)
        case "qnml":
            _refuse_numbers(table, name)
            return QNML(Labels(table.values))
        case "mdl":
            _refuse_numbers(table, name)
            return MDL(Labels(table.values))
    return Gaussian(rounded(covariance(table)), len(table.values), penalty)


class Found(Protocol):
    """What a search found by a score."""

    @property
    def support(self) -> Support:
        """[d, d], the edges of the graph."""


AnyFound = TypeVar("AnyFound", bound=Found)


def choose(
    table: Table, penalty: float, find: Callable[[Score], AnyFound], refine: Callable[[AnyFound], AnyFound]
) -> tuple[AnyFound, str]:
    """Of what is found by the scores that suit the kinds of the attributes, what is judged best, and why.

    Kinds and judgement are those of the rows in which nothing was set. A search by a second score goes on only where
    what it finds at first is judged better than what the first score finds in the end: where noise is not normal,
    splines join what straight lines do not, and a whole search by them takes long.

    Args:
        table: the rows.
        penalty: of a parameter, in units of BIC's.
        find: what a search finds at first by a score.
        refine: what it finds when it goes on.
    """
    typical = _typical(table)
    first, *others = suited(typical, penalty)
    found = refine(find(score_of(first, table, penalty)))
    if not others:
        lines = "straight lines explain the attributes as well as curves would"
        mixed = "there are labels beside numbers" if hard_labels(typical) else lines
        return found, f"score {first}: {WHY.get(first, mixed)}"
    (other,) = others
    if other == "qnml" and found.support.sum() > DENSE * len(table.names):
        return found, f"score {first}: of so many rows and edges tables of labels take long"
    judge = Judge.of(typical)
    if isinstance(judge, LabelJudge) and not judge.act_together(found.support):
        return found, f"score {first}: in its graph the causes of labels add up"
    glance = find(score_of(other, table, penalty))
    gain = judge.total(glance.support) - judge.total(found.support)
    better = f"better than that of {{}} by {abs(gain):.0f} nats" if abs(gain) > CLOSE else "as well as that of {}"
    if gain > CLOSE:
        return refine(glance), f"score {other}: its graph explains the attributes {better.format(first)}"
    return found, f"score {first}: its graph explains the attributes {better.format(other)}"


def _typical(table: Table) -> Table:
    """The rows in which nothing was set, where there are enough of them and every attribute varies there; else all."""
    if natural(table).sum() < ENOUGH:
        return table
    try:
        return observed(table)
    except DataError:
        return table


def suited(table: Table, penalty: float) -> tuple[ScoreName, ...]:
    """The one or two scores that come into question for a table; the second where it explains the attributes better."""
    kinds = {attribute.kind for attribute in table.attributes}
    if len(hard_labels(table)) == len(table.names):
        if "categorical" in kinds:
            return ("qnml",)  # by mdl a real table, of proteins, had far more edges than are known
        return ("mdl",) if table.values.size * len(table.names) <= WORK else ("gaussian", "qnml")
    straight: ScoreName = "indicators" if "categorical" in kinds else "gaussian"
    if hard_labels(table):
        return (straight,)  # graphs by splines beside labels were judged better that were far from the truth
    return (straight, "spline") if curved(table, penalty) else (straight,)


def _refuse_numbers(table: Table, score: str) -> None:
    """Check that every attribute has labels.

    Raises:
        DataError: where an attribute is continuous or graded.
    """
    for attribute, column in zip(table.attributes, table.values.T, strict=True):
        graded = column[column != np.round(column)]
        if attribute.kind == "continuous" or len(graded):
            odd = graded[0] if len(graded) else column.max()
            raise DataError(
                f"structure.score={score} wants labels only, but {attribute.name} is {attribute.kind} and has the "
                f"value {odd:.3g}; use structure.score=auto"
            )
