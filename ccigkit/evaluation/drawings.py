"""Drawings that a page holds as text: graphs beside the true one, and curves."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import numpy as np

from ccigkit.graph import CausalGraph
from ccigkit.images import layout

LETTER, HIGH = 7.2, 28  # the width of a letter and the height of a box, in pixels
ACROSS, DOWN = 132, 96  # from one attribute to the next
POINTS = 120  # of a curve

Point = tuple[float, float]


def graph_svg(graph: CausalGraph, truth: CausalGraph | None, label: str) -> str:
    """A graph as SVG; beside a true one in the same places, its edges marked as right, reversed, extra or missing."""
    place, widest, _ = layout(truth or graph)
    boxes = {name: 22 + LETTER * len(name) for name in graph.names}
    width = max(340.0, ACROSS * widest, max(boxes.values()) + 20, widest * (max(boxes.values()) + 14))
    at = {name: (20 + x * (width - 40), HIGH + 8 - y * DOWN) for name, (x, y) in place.items()}
    height = max(y for _, y in at.values()) + HIGH
    lines = [_edge(at, boxes, edge, kind) for edge, kind in verdicts(graph, truth).items()]
    nodes = [_node(name, at[name], boxes[name]) for name in graph.names]
    return (
        f'<svg class="graph" viewBox="0 0 {width:.0f} {height:.0f}" style="width:{width:.0f}px" role="img" '
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
    (x, y), text = centre, escape(name.replace("_", " "))
    box = f'x="{x - width / 2:.0f}" y="{y - HIGH / 2:.0f}" width="{width:.0f}" height="{HIGH}"'
    return f'<rect {box} rx="14"/><text x="{x:.0f}" y="{y + 4.5:.0f}">{text}</text>'


def _edge(at: dict[str, Point], boxes: dict[str, float], edge: tuple[str, str], kind: str) -> str:
    """One arrow, bent where it would run along a row of boxes or through another box."""
    (x, y), (u, v) = at[edge[0]], at[edge[1]]
    flat, far = abs(v - y) < DOWN / 2, abs(v - y) > 1.5 * DOWN
    bend = (0.0, -0.45 * DOWN) if flat else (0.35 * ACROSS if u >= x else -0.35 * ACROSS, 0.0) if far else (0.0, 0.0)
    middle = (x + u) / 2 + bend[0], (y + v) / 2 + bend[1]
    start, end = _border((x, y), middle, boxes[edge[0]], 2), _border((u, v), middle, boxes[edge[1]], 4)
    angle = np.arctan2(end[1] - middle[1], end[0] - middle[0])
    wings = [(end[0] - 9 * np.cos(angle + turn), end[1] - 9 * np.sin(angle + turn)) for turn in (-0.42, 0.42)]
    head = " ".join(f"{a:.1f},{b:.1f}" for a, b in (end, *wings))
    path = f"M{start[0]:.1f},{start[1]:.1f} Q{middle[0]:.1f},{middle[1]:.1f} {end[0]:.1f},{end[1]:.1f}"
    told = escape(f"{edge[0]} → {edge[1]}: {kind}")
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
