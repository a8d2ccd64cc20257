"""How long learning will take: measured on a part, and refused before it takes too long."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from math import comb

import numpy as np
import numpy.typing as npt

from ccigkit.errors import DataError
from ccigkit.structure.scores.independence import Independence

LIMIT = 120.0  # seconds that a learner may take unless told otherwise
LOOK = 500  # tests after which the clock is looked at
MOMENT = 0.01  # seconds below which a measurement tells nothing

Positions = npt.NDArray[np.int64]


def refuse_long(name: str, seconds: float, limit: float, how: str) -> None:
    """Check that learning takes no longer than so many seconds; 0 for no limit.

    Raises:
        DataError: where it is estimated to take longer, with the estimate, how that was made, and what to do.
    """
    if limit and seconds > limit:
        raise DataError(
            f"{name} would take {duration(seconds)} or more ({how}), and structure.limit={limit:g} allows "
            f"{duration(limit)}: use --structure auto, take fewer attributes (data.attributes=[...]), or go on with "
            "structure.limit=0"
        )


def refuse_large(
    name: str, run: Callable[[Positions], object], size: int, limit: float, parts: tuple[int, int]
) -> None:
    """Check, by what some of the attributes take, that learning from all takes no longer than so many seconds.

    Args:
        name: the learner.
        run: what takes the time, given the positions of some attributes, which are evenly spread.
        size: the number of attributes; not more than the larger part are not measured.
        limit: the seconds; 0 for no limit.
        parts: two numbers of attributes, rising.

    Raises:
        DataError: as `refuse_long`.
    """
    if limit and size > parts[-1]:
        seconds = extrapolated(lambda few: run(np.linspace(0, size - 1, few).astype(int)), parts, size)
        refuse_long(name, seconds, limit, f"by what {parts[0]} and {parts[1]} of the {size} attributes take")


def extrapolated(run: Callable[[int], object], parts: Sequence[int], whole: int) -> float:
    """The seconds that a run of the whole will take, by those of two parts: they rise with some power of the size.

    Args:
        run: what takes the time, given the size of a part.
        parts: two sizes, rising.
        whole: the size that is asked about.
    """
    taken = []
    for part in (parts[0], *parts):  # the first time it may have something to import
        start = time.process_time()
        run(part)
        taken.append(max(time.process_time() - start, MOMENT))
    _, first, second = taken
    return float(second * (second / first) ** (math.log(whole / parts[1]) / math.log(parts[1] / parts[0])))


def duration(seconds: float) -> str:
    """Seconds in the unit that suits them.

    >>> duration(120), duration(600), duration(1e5)
    ('120 seconds', '10 minutes', '28 hours')
    """
    if seconds < 300:
        return f"{seconds:.0f} seconds"
    return f"{seconds / 60:.0f} minutes" if seconds < 7200 else f"{seconds / 3600:.0f} hours"


class Patient(Independence):
    """A test of independence for a search by growing sets of given attributes, such as that of PC, that ends in time.

    Before the search goes on to larger sets, it is worked out how many there are among the neighbours that are left,
    and how long they will take at the pace so far. Where that was too little, it ends at the limit.

    Args:
        test: what is asked.
        name: the learner that asks.
        size: the number of attributes.
        alpha: the level at which a dependence counts.
        least: strength below which it counts as none, on the scale of a correlation.
        limit: seconds that the search may take; 0 for no limit.
    """

    def __init__(self, test: Independence, name: str, size: int, alpha: float, least: float, limit: float) -> None:
        super().__init__(test.n)
        self.of, self.name, self.alpha, self.least, self.limit = test, name, alpha, least, limit
        self.joined = ~np.eye(size, dtype=bool)
        self.depth = self.tests = 0
        self.started = self.since = 0.0  # before the first test a learner has to be imported

    def p_value(self, x: int, y: int, given: tuple[int, ...]) -> float:
        if not self.started:
            self.started = self.since = time.process_time()
        if len(given) > self.depth:
            self._deepen(len(given))
        self.tests += 1
        if self.tests % LOOK == 0:
            spent = time.process_time() - self.started
            refuse_long(self.name, spent, self.limit, f"that long it took so far, given {self.depth} others each")
        p = self.of(x, y, given)
        if p <= self.alpha and self.least and self.of.strength(x, y, given) < self.least:
            p = 1.0
        if p > self.alpha:
            self.joined[x, y] = self.joined[y, x] = False
        return p

    def statistic(self, x: int, y: int, given: tuple[int, ...]) -> tuple[float, int]:
        return self.of.statistic(x, y, given)

    def _deepen(self, depth: int) -> None:
        now, degree = time.process_time(), self.joined.sum(axis=0)
        # neighbours of one are mostly those of the other, and the same question is worked out once
        left = sum(many * comb(many - 1, depth) for many in degree.tolist() if many) // 2
        pace = (now - self.since) / max(self.tests, 1)
        how = f"some {left} tests given {depth} others each, at {1000 * pace:.2g} ms, and more may follow"
        remedy = "" if self.least else "; structure.least=0.1 takes faint dependences for none"
        refuse_long(self.name, now - self.started + left * pace, self.limit, how + remedy)
        self.depth, self.tests, self.since = depth, 0, now
