"""Partial ancestral graphs: what independences say of causes where some of them may be hidden.

`ends[i, j]` is the mark at the end at j of the edge between i and j: NONE (no edge), OPEN (undetermined), ARROW (j does
not cause i) or TAIL (j causes i). So i -> j is an ARROW in [i, j] and a TAIL in [j, i], and i <-> j two ARROWs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
import numpy.typing as npt

from ccigkit.causal.strengths import Support
from ccigkit.structure.scores.independence import Independence

Ends = npt.NDArray[np.int8]
Separators = Mapping[frozenset[int], frozenset[int]]  # of pairs, the attributes given which they are independent

NONE, OPEN, ARROW, TAIL = np.arange(4, dtype=np.int8)
AROUND = 3  # neighbours that are given at most when it is looked which set separates a pair best


class Triples:
    """Which attributes are colliders between two that are not joined, and which are none, as far as tests are sure.

    Of the sets of neighbours given which a and c are independent, the one with the highest p-value counts (Ramsey
    2016). In `a *-* b *-* c` b is a collider where it is not in that set and makes a and c dependent, and is none where
    it is in the set and they are dependent without it (Ramsey, Spirtes and Zhang 2006). A pair that was parted for want
    of power would make a collider of every neighbour of both, and so hidden causes.
    """

    def __init__(self, adjacent: Support, separators: Separators, test: Independence, alpha: float) -> None:
        self.adjacent, self.test, self.alpha = adjacent, test, alpha
        self.separators = {
            pair: self._surest(pair, given) for pair, given in separators.items() if not adjacent[tuple(pair)]
        }
        verdicts = {(a, b, c): self.collider(a, b, c) for b, (a, c) in unshielded(adjacent)}
        self.colliders = [triple for triple, verdict in verdicts.items() if verdict]
        self.through = np.zeros((len(adjacent),) * 3, dtype=bool)
        """[a, b, c], true where b is surely no collider between a and c."""
        for (a, b, c), verdict in verdicts.items():
            self.through[a, b, c] = self.through[c, b, a] = verdict is False

    def collider(self, a: int, b: int, c: int) -> bool | None:
        """Whether b is a collider between a and c; None where the tests are not sure."""
        separator = self.separators.get(frozenset((a, c)))
        if separator is None or self.test(a, c, tuple(sorted(separator ^ {b}))) > self.alpha:
            return None
        return b not in separator

    def _surest(self, pair: frozenset[int], found: frozenset[int]) -> frozenset[int]:
        a, c = sorted(pair)
        if not (self.adjacent[a] & self.adjacent[c]).any():
            return found
        sets = [tuple(sorted(found))]
        for end in (a, c):
            near = [int(z) for z in np.flatnonzero(self.adjacent[end])]
            sets += [given for size in range(AROUND + 1) for given in combinations(near, size)]
        best = max(sets, key=lambda given: self.test(a, c, given))
        return frozenset(best)


def oriented(triples: Triples, known: Ends) -> Ends:
    """The partial ancestral graph [d, d] of some adjacencies: FCI's orientation, without selection bias.

    Colliders first, then rules 1 to 4 and 8 to 10 of Zhang (2008), which are sound and complete. The others, 5 to 7,
    are about rows that were selected by an effect.

    Args:
        triples: which are adjacent, and what the tests say of those that are not.
        known: the ends [d, d] that are known beforehand, the others NONE; no rule changes them.
    """
    ends = np.where(triples.adjacent, np.where(known, known, OPEN), NONE).astype(np.int8)
    for a, b, c in triples.colliders:
        if TAIL not in (ends[a, b], ends[c, b]):
            ends[a, b] = ends[c, b] = ARROW
    rules = (_rule_1, _rule_2, _rule_3, _rule_8, _rule_9, _rule_10, _rule_4)
    while any(rule(ends, triples) for rule in rules):
        pass
    return ends


def unshielded(adjacent: Support) -> Iterator[tuple[int, tuple[int, int]]]:
    """Each attribute with each two of its neighbours that are not adjacent."""
    for b in range(len(adjacent)):
        for a, c in combinations(np.flatnonzero(adjacent[b]).tolist(), 2):
            if not adjacent[a, c]:
                yield b, (a, c)


def farther(ends: Ends, x: int) -> list[int]:
    """Possible-D-Sep of x: what could separate x from another, and need not be a neighbour (Spirtes et al., 2000).

    That is what a path from x leads to, each attribute on which is a collider or in a triangle with its neighbours.
    """
    seen = {(x, int(y)) for y in np.flatnonzero(ends[x])}
    ways = list(seen)
    while ways:
        before, at = ways.pop()
        collider = (ends[before, at] == ARROW) & (ends[:, at] == ARROW)
        onward = (ends[at] != NONE) & ((ends[before] != NONE) | collider)
        onward[[before, x]] = False
        more = {(at, int(z)) for z in np.flatnonzero(onward)} - seen
        seen |= more
        ways += more
    return sorted({at for _, at in seen})


def parted(ends: Ends, test: Independence, alpha: float, most: int) -> dict[frozenset[int], frozenset[int]]:
    """Adjacent pairs that are independent given at most so many of Possible-D-Sep, and given which.

    Sets of neighbours of one of the two are left out, as they have been tried.
    """
    around, beyond = [set(np.flatnonzero(row).tolist()) for row in ends], [farther(ends, x) for x in range(len(ends))]
    found = {}
    for x, y in np.argwhere(np.triu(ends)).tolist():
        tries = (
            given
            for end in (x, y)
            for size in range(1, most + 1)
            for given in combinations([z for z in beyond[end] if z not in (x, y)], size)
            if not around[x].issuperset(given) and not around[y].issuperset(given)
        )
        if (given := next((given for given in tries if test(x, y, given) > alpha), None)) is not None:
            found[frozenset((x, y))] = frozenset(given)
    return found


def _rule_1(ends: Ends, triples: Triples) -> bool:
    """A *-> b o-* c and b no collider between a and c: b -> c."""
    into = ends == ARROW
    for b, c in np.argwhere((ends.T == OPEN) & (ends != TAIL)):
        if (into[:, b] & triples.through[:, b, c]).any():
            ends[b, c], ends[c, b] = ARROW, TAIL
            return True
    return False


def _rule_2(ends: Ends, _: Triples) -> bool:
    """A -> b *-> c or a *-> b -> c, and a *-o c: a *-> c, or there were a cycle."""
    into = ends == ARROW
    causes = into & (ends.T == TAIL)
    found = ((causes @ into) | (into @ causes)) & (ends == OPEN)
    ends[found] = ARROW
    return bool(found.any())


def _rule_3(ends: Ends, triples: Triples) -> bool:
    """A *-> b <-* c, a *-o d o-* c and d no collider between them, and d *-o b: d *-> b."""
    for d, b in np.argwhere(ends == OPEN):
        both = np.flatnonzero((ends[:, b] == ARROW) & (ends[:, d] == OPEN))
        if triples.through[np.ix_(both, [d], both)].any():
            ends[d, b] = ARROW
            return True
    return False


def _rule_4(ends: Ends, triples: Triples) -> bool:
    """A path d *-> ... <-> a <-* b o-* c, all between d and b causes of c, d and c apart: it settles whether b is one.

    Where b is no collider between d and c, b -> c; where it is, a <-> b <-> c.
    """
    for c, b in np.argwhere(ends == OPEN):
        for a, d in _discriminating(ends, b, c):
            collider = triples.collider(d, int(b), int(c))
            if collider is False and ends[b, c] != TAIL:
                ends[b, c], ends[c, b] = ARROW, TAIL
                return True
            if collider and TAIL not in (ends[a, b], ends[b, c]):
                ends[a, b] = ends[b, a] = ends[b, c] = ends[c, b] = ARROW
                return True
    return False


def _discriminating(ends: Ends, b: int, c: int) -> Iterator[tuple[int, int]]:
    """The attribute before b on each such path, the shortest first, and the far end d."""
    parents = (ends[:, c] == ARROW) & (ends[c] == TAIL)
    for a in np.flatnonzero(parents & (ends[b] == ARROW)).tolist():
        seen, ways = {a, int(b), int(c)}, [a]
        for at in ways:
            for d in np.flatnonzero(ends[:, at] == ARROW).tolist():
                if d in seen:
                    continue
                if not ends[d, c]:
                    yield a, d
                if parents[d] and ends[at, d] == ARROW:
                    seen.add(d)
                    ways.append(d)


def _rule_8(ends: Ends, _: Triples) -> bool:
    """A -> b -> c and a o-> c: a -> c."""
    causes = (ends == ARROW) & (ends.T == TAIL)
    found = (causes @ causes) & (ends == ARROW) & (ends.T == OPEN)
    ends[found.T] = TAIL
    return bool(found.any())


def _rule_9(ends: Ends, triples: Triples) -> bool:
    """A o-> c, and a possible way from a by b to c without shortcuts, b and c apart: a -> c."""
    for c, a in np.argwhere((ends == OPEN) & (ends.T == ARROW)).tolist():
        firsts = [b for b in _onward(ends, a) if triples.through[b, a, c]]
        if any(c in _reached(ends, triples, a, b) for b in firsts):
            ends[c, a] = TAIL
            return True
    return False


def _rule_10(ends: Ends, triples: Triples) -> bool:
    """A o-> c, b -> c <- d, possible ways from a to b and to d without shortcuts whose firsts are apart: a -> c."""
    for c, a in np.argwhere((ends == OPEN) & (ends.T == ARROW)).tolist():
        parents = set(np.flatnonzero((ends[:, c] == ARROW) & (ends[c] == TAIL)).tolist())
        reach = {b: _reached(ends, triples, a, b) & parents for b in _onward(ends, a) if b != c}
        if any(
            triples.through[one, a, other] and reach[one] and reach[other] and len(reach[one] | reach[other]) > 1
            for one, other in combinations(reach, 2)
        ):
            ends[c, a] = TAIL
            return True
    return False


def _onward(ends: Ends, a: int) -> list[int]:
    """What a may cause directly: no arrow at a, no tail at the other."""
    return [int(b) for b in np.flatnonzero((ends[a] != NONE) & (ends[:, a] != ARROW) & (ends[a] != TAIL))]


def _reached(ends: Ends, triples: Triples, a: int, b: int) -> set[int]:
    """Where possible ways lead that begin with a, b and on which no attribute is a collider or can be left out."""
    seen = {(a, b)}
    ways = [(a, b)]
    for before, at in ways:
        more = {(at, z) for z in _onward(ends, at) if z != a and triples.through[before, at, z]} - seen
        seen |= more
        ways += sorted(more)
    return {at for _, at in seen}
