"""Where the attributes of a graph stand in a picture: in layers, with room for every arrow (Sugiyama et al., 1981)."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt
from scipy.optimize import isotonic_regression

from ccigkit.causal.graph import CausalGraph, topological_order
from ccigkit.names import shown, width

Point = tuple[float, float]
Spot = tuple[str, ...]  # an attribute (name,), or where an arrow crosses a layer (cause, effect, layer)
Neighbours = dict[Spot, list[Spot]]

SWEEPS, STEPS = 24, 60  # to order the layers, and to move what stands in them
PATIENCE = 150_000  # spots looked at in all sweeps; of a graph with very many there are fewer sweeps
STEP, MARGIN = 1.3, 0.35  # from layer to layer, and above the first and below the last
DEEPEST, GUTTER = 40, 0.25  # layers of a picture in one piece, and the room of an arrow from the end of one to the next
WIDEST = 300  # letters that a layer has room for
TOGETHER = 0.97  # of its distance from the middle, that a spot keeps at a step, so that parts do not drift away
STRAIGHT = 4.0  # how much more an arrow's way through a layer counts than an attribute's place


@dataclass(frozen=True)
class Layout:
    """Places from the upper left, downwards; an arrow is a way of points, from its cause to its effect."""

    places: dict[str, Point]
    arrows: dict[tuple[str, str], list[Point]]
    width: float
    height: float


def layered(
    graph: CausalGraph,
    *,
    letter: float = 0.08,
    beside: float = 0.5,
    lane: float = 0.4,
    step: float = STEP,
    margin: float = MARGIN,
) -> Layout:
    """Causes above their effects, one layer per edge of the longest path, few crossings, no arrow across a name.

    A layer too wide for a page is broken into several, and attributes without an edge then stand below all others.

    Args:
        graph: what to draw; lengths are inches, or whatever is given.
        letter: the width of a letter of a name, as it is shown.
        beside: what a name takes besides.
        lane: the width left to an arrow that passes a layer.
        step: from one layer to the next.
        margin: above the first layer, and below the last.
    """
    boxes = {name: letter * width(shown(name)) + beside for name in graph.names}
    level = levels(graph, boxes, WIDEST * letter)
    chains = {
        (cause, effect): [
            (cause,),
            *((cause, effect, str(at)) for at in range(level[cause] + 1, level[effect])),
            (effect,),
        ]
        for cause, effect in graph.edges
    }
    rows: list[list[Spot]] = [[(n,) for n in graph.names if level[n] == at] for at in range(max(level.values()) + 1)]
    above: Neighbours = {}
    below: Neighbours = {}
    for chain in chains.values():
        for spot in chain[1:-1]:
            rows[int(spot[2])].append(spot)
        for upper, lower in pairwise(chain):
            below.setdefault(upper, []).append(lower)
            above.setdefault(lower, []).append(upper)
    rows = ordered(rows, above, below)
    widths = {
        spot: boxes[spot[0]] if len(spot) == 1 else min(lane, WIDEST * letter / lanes)
        for row in rows
        for lanes in [sum(len(spot) > 1 for spot in row)]
        for spot in row
    }
    across = spread_out(rows, above, below, widths)
    places = {spot: (across[spot], margin + step * at) for at, row in enumerate(rows) for spot in row}
    return Layout(
        {name: places[name,] for name in graph.names},
        {edge: [places[spot] for spot in chain] for edge, chain in chains.items()},
        max(across[spot] + widths[spot] / 2 for spot in across),
        2 * margin + step * (len(rows) - 1),
    )


def folded(drawn: Layout) -> Layout:
    """Very many layers as columns beside each other, each read downwards, with room for the arrows between them.

    As many columns as make the page about as wide as it is high; none where so many arrows go from one to the next that
    it would not be smaller.
    """
    layers = 1 + round((drawn.height - 2 * MARGIN) / STEP)
    columns = round((drawn.height / drawn.width) ** 0.5) if layers > DEEPEST else 1
    if columns < 2:
        return drawn
    rows = -(-layers // columns)
    at = {y: divmod(round((y - MARGIN) / STEP), rows) for way in drawn.arrows.values() for _, y in way}
    crossing = [
        [edge for edge, way in drawn.arrows.items() if at[way[0][1]][0] <= column < at[way[-1][1]][0]]
        for column in range(columns)
    ]
    lefts = [0.0]
    for edges in crossing:
        lefts.append(lefts[-1] + drawn.width + GUTTER * (len(edges) + 1))
    wide, high = lefts[-1] - GUTTER, 2 * MARGIN + STEP * rows  # with a free row above all others
    if max(wide, high) >= max(drawn.width, drawn.height):
        return drawn

    def place(point: Point) -> Point:
        column, row = divmod(round((point[1] - MARGIN) / STEP), rows)
        return lefts[column] + point[0], MARGIN + STEP * (row + 1)

    lanes = {
        (edge, column): lefts[column + 1] - GUTTER * (nth + 1)
        for column, edges in enumerate(crossing)
        for nth, edge in enumerate(edges)
    }
    arrows = {}
    for edge, way in drawn.arrows.items():
        arrows[edge] = [place(way[0])]
        for upper, lower in pairwise(way):
            if (column := at[upper[1]][0]) != at[lower[1]][0]:  # up again between the columns, a point for each layer
                lane, top = lanes[edge, column], MARGIN + STEP / 2 * (crossing[column].index(edge) % 8) / 8
                arrows[edge] += [(lane, MARGIN + STEP * (row + 0.5)) for row in range(rows - 1, -1, -1)]
                arrows[edge] += [((lane + place(lower)[0]) / 2, top), (place(lower)[0], top + STEP / 8)]
            arrows[edge].append(place(lower))
    return Layout({name: place(point) for name, point in drawn.places.items()}, arrows, wide, high)


def levels(graph: CausalGraph, boxes: Mapping[str, float], widest: float) -> dict[str, int]:
    """The layer of each attribute: one below its lowest cause; of layers with too wide boxes, several are made."""
    level = dict.fromkeys(graph.names, 0)
    for name in (graph.names[i] for i in topological_order(graph.adjacency)):
        level[name] = max((level[parent] + 1 for parent in graph.parents(name)), default=0)
    last = max(level.values())
    if sum(boxes[name] for name in graph.names if level[name] == 0) > widest:
        joined = {name for edge in graph.edges for name in edge}
        level |= {name: last + 1 for name in graph.names if name not in joined}
    wrapped: dict[str, int] = {}
    top = 0
    for at in range(last + 2):
        filled = 0.0
        for name in (name for name in graph.names if level[name] == at):
            if filled and filled + boxes[name] > widest:
                top, filled = top + 1, 0.0
            wrapped[name], filled = top, filled + boxes[name]
        top += bool(filled)
    return wrapped


def ordered(rows: list[list[Spot]], above: Neighbours, below: Neighbours) -> list[list[Spot]]:
    """The layers, each in the order in which the fewest arrows cross: by the middle of its neighbours, up and down."""
    best, fewest = rows, crossings(rows, below)
    for sweep in range(rounds(SWEEPS, rows)):
        rows = [list(row) for row in rows]
        downwards = sweep % 2 == 0
        neighbours = above if downwards else below
        rank = {spot: at / len(row) for row in rows for at, spot in enumerate(row)}
        for row in rows[1:] if downwards else rows[-2::-1]:
            middle = {s: mean([rank[n] for n in neighbours.get(s, [s])]) for s in row}
            row.sort(key=middle.__getitem__)
            rank.update({spot: at / len(row) for at, spot in enumerate(row)})
        if (now := crossings(rows, below)) < fewest:
            best, fewest = rows, now
    return best


def crossings(rows: Sequence[Sequence[Spot]], below: Neighbours) -> int:
    """How many pairs of arrows cross between neighbouring layers."""
    count = 0
    for upper, lower in pairwise(rows):
        rank = {spot: at for at, spot in enumerate(lower)}
        passed: list[int] = []  # where the arrows from further left end, in order
        for spot in upper:
            ends = [rank[n] for n in below.get(spot, [])]
            count += sum(len(passed) - bisect_right(passed, end) for end in ends)
            for end in ends:
                insort(passed, end)
    return count


def rounds(most: int, rows: Sequence[Sequence[Spot]]) -> int:
    """How many rounds to make: `most`, but fewer where there are very many spots."""
    return max(3, min(most, PATIENCE // sum(map(len, rows))))


def mean(numbers: Sequence[float]) -> float:
    """The mean; for few numbers faster than numpy's."""
    return sum(numbers) / len(numbers)


def spread_out(
    rows: Sequence[Sequence[Spot]], above: Neighbours, below: Neighbours, widths: dict[Spot, float]
) -> dict[Spot, float]:
    """How far from the left each spot stands, as near the middle of its neighbours as the layer's order permits."""
    across: dict[Spot, float] = {}
    gaps: list[npt.NDArray[np.float64]] = []
    for row in rows:
        wide = np.array([widths[spot] for spot in row])
        gaps.append(np.cumsum(wide) - wide / 2)
        across.update(zip(row, (gaps[-1] - wide.sum() / 2).tolist(), strict=True))
    for _ in range(rounds(STEPS, rows)):
        for row, gap in zip(rows, gaps, strict=True):
            near = [[*above.get(spot, []), *below.get(spot, [])] or [spot] for spot in row]
            wish = TOGETHER * np.array([mean([across[n] for n in spots]) for spots in near])
            weights = np.array([1.0 if len(spot) == 1 else STRAIGHT for spot in row])
            placed = isotonic_regression(wish - gap, weights=weights).x + gap
            across.update(zip(row, placed.tolist(), strict=True))
    left = min(across[spot] - widths[spot] / 2 for spot in across)
    return {spot: x - left for spot, x in across.items()}


def smooth(way: Sequence[Point]) -> list[tuple[Point, Point, Point]]:
    """A smooth curve through points: for each but the first, the two controls of a Bezier curve to it, and itself."""
    points = np.array(way, dtype=float)
    slopes = np.gradient(points, axis=0) if len(points) > 2 else np.repeat(points[1:] - points[:1], 2, axis=0)
    controls = np.stack([points[:-1] + slopes[:-1] / 3, points[1:] - slopes[1:] / 3, points[1:]], axis=1)
    return [((a, b), (c, d), (x, y)) for (a, b), (c, d), (x, y) in controls.tolist()]
