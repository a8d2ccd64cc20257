"""How sure is each arrow? What it costs to turn it, and what the direction rests on."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Protocol, Self, TypeVar

import numpy as np

from ccigkit.causal.attributes import Values
from ccigkit.causal.evidence import Evidence, Reason
from ccigkit.causal.graph import reachability
from ccigkit.causal.strengths import Support
from ccigkit.structure.assess.equivalence import completed, unset
from ccigkit.structure.scores.base import Score
from ccigkit.structure.scores.strong import strengths

WORK = 1_000_000  # arrows to turn times attributes squared, up to which all are turned
CLOSE = 1e-9  # totals that differ by less, relative to their size, are one


class Found(Protocol):
    """The best graph that a search over orders found; it can go on under a constraint."""

    @property
    def score(self) -> Score:
        """What was searched by."""

    @property
    def order(self) -> list[int]:
        """The attributes, causes before effects."""

    @property
    def total(self) -> float:
        """The score of the graph, in nats."""

    @property
    def support(self) -> Support:
        """[d, d], its edges."""

    @property
    def allowed(self) -> Support:
        """[d, d], those that could be there."""

    @property
    def required(self) -> Support:
        """[d, d], those that had to be there."""

    def turned(self, order: list[int], cause: int, effect: int) -> Self:
        """The best graph found in which the effect causes the cause, from an order."""


Better = TypeVar("Better", bound=Found)


def turned(found: Better) -> tuple[Better, Values]:
    """The best graph found, which may be better than the one given, and the cost in nats [d, d] of turning its arrows.

    For each arrow the search goes on from the best order with the two the other way round, held to the arrow turned.
    The cost is the best total so far less the best so far with that arrow turned, whichever search found it; so it is
    never negative, and an upper bound, as any search may miss the best. Infinite where the arrow may not be turned; not
    a number where turning all takes too long. Where all graphs of a class score alike, what is directed by choice costs
    nothing.

    Args:
        found: the best graph so far.
    """
    size, best = len(found.order), found
    settled = ~found.allowed.T | reachability(found.required)  # by knowledge
    highest = np.full((size, size), -np.inf)  # the best total of a graph that has this arrow
    highest[found.support] = found.total
    looked = np.zeros((size, size), dtype=bool)
    while (left := _to_turn(best) & ~settled & ~looked).any() and (left | looked).sum() * size**2 <= WORK:
        cause, effect = np.argwhere(left)[0].tolist()
        other = found.turned(best.order, cause, effect)
        looked[cause, effect] = True
        highest[other.support] = np.maximum(highest[other.support], other.total)
        if other.total > best.total + CLOSE * abs(best.total):
            best = other
    highest[~looked.T & np.isinf(highest)] = math.nan
    costs = np.maximum(best.total - highest.T, 0.0)
    costs[~_to_turn(best)] = 0.0
    costs[settled] = math.inf
    return best, costs


def _to_turn(found: Found) -> Support:
    """[d, d], the arrows of which it is not clear beforehand that they can be turned for nothing."""
    if not found.score.equivalent:
        return found.support
    directed, _ = completed(found.support, unset(found.allowed, found.support, found.score.apart))
    return found.support & directed


def evidence(found: Found, costs: Values, names: tuple[str, ...]) -> Mapping[tuple[str, str], Evidence]:
    """Of each edge of a graph that was found, by cause and effect, what is known of it.

    Args:
        found: the graph, over the names in their order.
        costs: of turning its arrows [d, d], as `turned` gives them.
        names: the attributes' names.
    """
    allowed, support, strong = found.allowed, found.support, strengths(found.score, found.support)
    _, open_to_all = completed(support, unset(~np.eye(len(names), dtype=bool), support, found.score.apart))
    _, undirected = completed(support, unset(allowed, support, found.score.apart))
    assumed = found.score.assumed

    def of(i: int, j: int) -> Evidence:
        reason: Reason = "the data"
        if not allowed[j, i] or math.isinf(costs[i, j]):
            reason = "knowledge"
        elif undirected[i, j]:
            reason = "choice" if found.score.equivalent else "assumption" if assumed else "the data"
        elif open_to_all[i, j]:
            reason = "knowledge"
        return Evidence(float(strong[i, j]), float(costs[i, j]), reason, assumed if reason == "assumption" else "")

    return {(names[i], names[j]): of(i, j) for i, j in np.argwhere(support).tolist()}
