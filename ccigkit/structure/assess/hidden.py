"""Does something hidden cause two attributes? Where a table has two colliders that no graph of its attributes has."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.strengths import Support
from ccigkit.structure.scores.independence import Independence

DEPENDENT, INDEPENDENT = 1e-4, 0.02  # p-values below which a dependence is clear, and above which it counts as none
ACCIDENT = 0.25  # effects expected to cancel by accident that are too many; as they must be opposite, half as many do
GIVEN = 2  # neighbours given which two have to stay dependent
MANY = 100  # attributes beyond which nothing is looked for


def suspected(graph: CausalGraph, test: Independence) -> list[tuple[str, str]]:
    """Pairs with an arrow in a learned graph that look as if something hidden caused both, in the order of the names.

    Where a -> x <- hidden -> y <- b, a is independent of y and dependent given x, and b is independent of x and
    dependent given y. Then neither of x and y causes the other (Claassen and Heskes 2011), and yet nothing parts them.
    A learner without hidden causes makes x -> y of that, with a needless a -> y that cancels what a does by way of x.
    So of each arrow x -> y it is asked whether some b, not adjacent to x, makes y a collider, and some a, adjacent to y
    or not, makes x one. Arrows that are wrong for other reasons hide that.

    Two effects cancel by accident, too, and to a share f of one of them about as often as f. That share is the root of
    how much larger the test's statistic is with x given than without. It is multiplied by the number of triples
    (a, x, y) of which all the rest is so, and only what is then below 0.25 is named. In a large graph it takes many
    rows to be that sure.

    Nothing is looked for among more than 100 attributes.

    Args:
        graph: a learned graph over the attributes of the test, in their order.
        test: of independence in the table; `falsify.test_of` picks one.
    """
    if len(graph.names) > MANY:
        return []
    look = _Look(graph.adjacency, test)
    triples = [
        (a, x, y)
        for x, y in np.argwhere(graph.adjacency).tolist()
        if any(look.collides(b, y, x) for b in look.beside(y, x) if not look.adjacent[b, x]) and look.together(x, y)
        for a in look.beside(x, y)
        if look.opens(a, x, y)
    ]
    found = {(x, y) for a, x, y in triples if look.apart(a, x, y) and look.accident(a, x, y) * len(triples) < ACCIDENT}
    return [(graph.names[x], graph.names[y]) for x, y in sorted((min(pair), max(pair)) for pair in found)]


@dataclass(frozen=True)
class _Look:
    """What a test says of attributes in a graph [d, d]; a, x, y ask whether x is a collider between a and y."""

    causes: Support
    test: Independence

    @property
    def adjacent(self) -> Support:
        """[d, d], which two have an arrow between them."""
        return self.causes | self.causes.T

    def beside(self, x: int, y: int) -> list[int]:
        """The neighbours of x but y."""
        return [int(a) for a in np.flatnonzero(self.adjacent[x]) if a != y]

    def given(self, a: int, x: int, y: int) -> tuple[int, ...]:
        """The causes of y but a and x: given them a and y are independent, if x is a collider."""
        return tuple(int(z) for z in np.flatnonzero(self.causes[:, y]) if z not in (a, x))

    def opens(self, a: int, x: int, y: int) -> bool:
        """Whether a is clearly dependent on y given x, and on x."""
        given = self.given(a, x, y)
        return self.test(a, y, (*given, x)) < DEPENDENT and self.test(a, x, given) < DEPENDENT

    def apart(self, a: int, x: int, y: int) -> bool:
        """Whether a is independent of y without x."""
        return self.test(a, y, self.given(a, x, y)) > INDEPENDENT

    def collides(self, a: int, x: int, y: int) -> bool:
        """Whether x is a collider between a and y."""
        return self.apart(a, x, y) and self.opens(a, x, y)

    def accident(self, a: int, x: int, y: int) -> float:
        """How nearly what a does to y by way of x cancels what it does besides, as a share of the latter."""
        low, high, given = min(a, y), max(a, y), self.given(a, x, y)
        besides, _ = self.test.statistic(low, high, tuple(sorted((*given, x))))
        together, _ = self.test.statistic(low, high, given)
        return math.sqrt(max(together, 0.0) / besides)

    def together(self, x: int, y: int) -> bool:
        """Whether x and y are clearly dependent, whichever of their causes are given."""
        causes = [int(z) for z in np.flatnonzero(self.causes[:, x] | self.causes[:, y]) if z not in (x, y)]
        sets = (given for size in range(GIVEN + 1) for given in combinations(causes, size))
        return all(self.test(x, y, given) < DEPENDENT for given in sets)
