"""Drawings that a page holds as text: graphs beside the true one, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ccigkit.causal.graph import CausalGraph
from ccigkit.names import shown, width
from ccigkit.show.layout import Layout, Point, layered, smooth

LETTER, HIGH = 7.2, 28  # the width of a letter and the height of a box, in pixels
DOWN, ASIDE = 96, 26  # from one layer to the next, and of an arrow without a lane around what is between
SIDE = 20  # left free at either side
POINTS = 120  # of a curve


def graph_svg(graph: CausalGraph, truth: CausalGraph | None, label: str) -> str:
    """A graph as SVG; beside a true one in the same places, its edges marked as right, reversed, extra or missing."""
    drawn = layered(truth or graph, letter=LETTER, beside=36, lane=34, step=DOWN, margin=HIGH + 8)
    boxes = {name: 22 + LETTER * width(shown(name)) for name in graph.names}
    lines = [_edge(boxes, edge, kind, _way(drawn, edge)) for edge, kind in verdicts(graph, truth).items()]
    nodes = [_node(name, drawn.places[name], boxes[name]) for name in graph.names]
    wide = max(340.0, drawn.width + 2 * SIDE)
    view = f"{(drawn.width - wide) / 2:.0f} 0 {wide:.0f} {drawn.height:.0f}"
    return (
        f'<svg class="graph" viewBox="{view}" style="width:{wide:.0f}px" role="img" '
        f'aria-label="{escape(label)}">{"".join(lines)}{"".join(nodes)}</svg>'
    )


def verdicts(graph: CausalGraph, truth: CausalGraph | None) -> dict[tuple[str, str], str]:
    """What is to be said of each edge: right, reversed or extra; and of each true one that is not there, missing."""
    if truth is None:
        return dict.fromkeys(graph.edges, "right")
    found, true = set(graph.edges), set(truth.edges)
    kinds = {e: "right" if e in true else "reversed" if e[::-1] in true else "extra" for e in graph.edges}
    return kinds | {e: "missing" for e in truth.edges if e not in found and e[::-1] not in found}


def _node(name: str, centre: Point, width: float) -> str:
    """A name in its box."""
    (x, y), text = centre, escape(shown(name))
    box = f'x="{x - width / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{width:.0f}" height="{HIGH}"'
    return f'<rect {box} rx="14"/><text x="{x:.0f}" y="{y + 4.5:.0f}">{text}</text>'


def _way(drawn: Layout, edge: tuple[str, str]) -> list[Point]:
    """The points of an arrow; of one that has no lane, bent where it would run along a layer or through a box."""
    if edge in drawn.arrows:
        return drawn.arrows[edge]
    if edge[::-1] in drawn.arrows:
        return drawn.arrows[edge[::-1]][::-1]
    (x, y), (u, v) = start, end = drawn.places[edge[0]], drawn.places[edge[1]]
    if abs(v - y) < DOWN / 2:
        return [start, ((x + u) / 2, y - 0.3 * DOWN), end]
    if abs(v - y) > 1.5 * DOWN:
        return [start, ((x + u) / 2 + (ASIDE if u >= x else -ASIDE), (y + v) / 2), end]
    return [start, end]


def _edge(boxes: dict[str, float], edge: tuple[str, str], kind: str, way: list[Point]) -> str:
    """One arrow."""
    start, end = _border(way[0], way[1], boxes[edge[0]], 2), _border(way[-1], way[-2], boxes[edge[1]], 4)
    bends = smooth([start, *way[1:-1], end])
    before = bends[-1][1]
    angle = np.arctan2(end[1] - before[1], end[0] - before[0])
    wings = [(end[0] - 9 * np.cos(angle + turn), end[1] - 9 * np.sin(angle + turn)) for turn in (-0.42, 0.42)]
    head = " ".join(f"{a:.1f},{b:.1f}" for a, b in (end, *wings))
    curves = " ".join("C" + " ".join(f"{a:.1f},{b:.1f}" for a, b in bend) for bend in bends)
    told = escape(f"{edge[0]} → {edge[1]}: {kind}")
    path = f"M{start[0]:.1f},{start[1]:.1f} {curves}"
    return f'<g class="edge {kind}"><title>{told}</title><path d="{path}"/><polygon points="{head}"/></g>'


def _border(centre: Point, toward: Point, width: float, gap: float) -> Point:
    """Where the line from the middle of a box to a point leaves the box, and a gap further."""
    dx, dy = toward[0] - centre[0], toward[1] - centre[1]
    size = float(np.hypot(dx, dy)) or 1.0
    share = min(width / 2 / abs(dx) if dx else np.inf, HIGH / 2 / abs(dy) if dy else np.inf, 1.0)
    share += gap / size
    return centre[0] + share * dx, centre[1] + share * dy


def curve_svg(points: Sequence[Point], label: str) -> str:
    """A curve as SVG, of means over as many steps as give it at most 120 points."""
    many = np.array(points, dtype=float)
    parts = np.array_split(many, min(POINTS, len(many)))
    x, y = np.array([part.mean(axis=0) for part in parts]).T
    across = (x - x.min()) / (np.ptp(x) or 1) * 216 + 2
    up = 54 - (y - y.min()) / (np.ptp(y) or 1) * 48
    if len(x) == 1:
        across, up = np.array([2, 218]), np.repeat(up, 2)
    path = "M" + " L".join(f"{a:.1f},{b:.1f}" for a, b in zip(across, up, strict=True))
    return f'<svg class="curve" viewBox="0 0 220 60" role="img" aria-label="{escape(label)}"><path d="{path}"/></svg>'
