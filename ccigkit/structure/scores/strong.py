"""A score that asks of every cause to be strong enough to matter, however many rows there are."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import takewhile
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge, Lt

from ccigkit.causal.attributes import Values
from ccigkit.causal.strengths import Support
from ccigkit.structure.scores.base import Score

Least = Annotated[float, Ge(0), Lt(1)] | Literal["auto"]

STEPS = 0.0, 0.03, 0.04, 0.05, 0.06, 0.08, 0.1, 0.15, 0.2, 0.3  # the first that leaves few edges is taken
ROWS = 20_000  # below which none are too many
MANY = 5  # edges per attribute that are


def enough(n: int, find: Callable[[float], Support]) -> float:
    """The strength below which edges of a graph of n rows may be left out, so that few enough are left to look at.

    Args:
        n: the number of rows.
        find: the edges [d, d] of a graph, given that strength.
    """
    if n < ROWS:
        return STEPS[0]
    few = takewhile(lambda least: is_sparse(find(least)), reversed(STEPS))  # as dense graphs take long to find
    return min(few, default=STEPS[-1])


def is_sparse(support: Support) -> bool:
    """Whether a graph [d, d] has fewer than five edges per attribute."""
    return int(support.sum()) < MANY * len(support)


def strength(gain: float, n: int) -> float:
    """How strong an edge is, from 0 to 1, whatever the number of rows n, where a score gains so many nats by it.

    On the scale of a correlation: sqrt(1 - exp(-2 I)), I the nats per row that the cause tells of the effect given its
    other causes (Linfoot 1957), where log n of the nats that it cost are given back. Of the Gaussian score at its own
    penalty it is the partial correlation.

    >>> n, correlation = 1000, 0.5
    >>> round(strength(-n / 2 * math.log(1 - correlation**2) - math.log(n), n), 9)
    0.5
    """
    return math.sqrt(-math.expm1(-2 * max(gain + math.log(n), 0.0) / n))


def surcharge(least: float, n: int) -> float:
    """What a cause must gain in nats to be as strong as `least`: 0 where what a score takes is as much anyway.

    >>> surcharge(0.03, 20_000), round(surcharge(0.03, 200_000), 1)
    (0.0, 77.8)
    """
    return max(0.0, -n / 2 * math.log1p(-(least**2)) - math.log(n))


def strong(score: Score, least: float) -> Score:
    """The score, or one for which causes that are weaker than `least` do not pay."""
    each = surcharge(least, score.n)
    return Strong(score, least) if each else score


class Strong(Score):
    """A score of which each cause costs as much as it must gain. Graphs of one class still score alike, if they did."""

    def __init__(self, score: Score, least: float) -> None:
        self.of, self.least, self.each = score, least, surcharge(least, score.n)
        self.size, self.n, self.exact = score.size, score.n, score.exact
        self.equivalent, self.assumed, self.apart = score.equivalent, score.assumed, score.apart

    def local(self, target: int, causes: tuple[int, ...]) -> float:
        return self.of.local(target, causes) - self.each * len(causes)

    def additions(self, target: int, causes: tuple[int, ...]) -> Values:
        return self.of.additions(target, causes) - self.each * (len(causes) + 1)

    def removals(self, target: int, causes: tuple[int, ...]) -> Values:
        return np.asarray(self.of.removals(target, causes) - self.each * (len(causes) - 1))


def strengths(score: Score, support: Support) -> Values:
    """[d, d], how strong each edge of a graph [d, d] is by a score, given the other causes; 0 where there is none."""
    plain, found = score.of if isinstance(score, Strong) else score, np.zeros(support.shape)
    for target, column in enumerate(support.T):
        causes = tuple(np.flatnonzero(column).tolist())
        if causes:
            gains = plain.local(target, causes) - plain.removals(target, causes)
            found[list(causes), target] = [strength(float(gain), plain.n) for gain in gains]
    return found
