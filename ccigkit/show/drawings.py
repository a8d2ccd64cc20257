"""Drawings, for files and for the report: graphs, beside the true one where there is one, and curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from math import copysign
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from ccigkit.causal.graph import CausalGraph, Matrix
from ccigkit.names import one_line, shown
from ccigkit.show.layout import STEP, Layout, Point, folded, layered, smooth
from ccigkit.show.paper import BLUE, GREY, INK, ORANGE, RED, WASH, WHITE, Paper

Edge = tuple[str, str]

ASIDE = 0.3  # of an arrow without a lane, around what is between; inches
BOX = 0.17  # from the middle of a box to where its arrows end
NARROWEST = 4.5  # of a picture
POINTS = 120  # of a curve
LABEL = {"boxstyle": "round,pad=0.15", "facecolor": WHITE, "edgecolor": "none", "alpha": 0.85}
JUDGED = {"right": BLUE, "reversed": ORANGE, "extra": RED, "missing": GREY}
# The colours of the report, which has others for a dark room.
THEIRS = {INK: "var(--ink)", WASH: "var(--wash)", BLUE: "var(--accent)"} | {
    JUDGED[kind]: f"var(--{kind})" for kind in ("reversed", "extra", "missing")
}


def save_graph(graph: CausalGraph, path: Path, title: str = "", shares: Matrix | None = None) -> None:
    """Draw a graph, causes above their effects, arrows as strong as they are and red where they hinder.

    What has a hidden common cause is joined by a dashed line with two heads.

    Args:
        graph: what to draw.
        path: the file, .png, .jpg or .svg.
        title: what stands above.
        shares: [d, d], how often each arrow is found; arrows are then as strong as that, and labelled with it. Without,
            they are labelled with the graph's evidence, where it has any.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> graph = CausalGraph.from_edges(["sun", "ice"], ["sun -> ice"])
        >>> with TemporaryDirectory() as folder:
        ...     save_graph(graph, Path(folder, "graph.svg"), title="what sells ice")
        ...     ">ice</text>" in Path(folder, "graph.svg").read_text(encoding="utf-8")
        True
    """
    drawn = folded(layered(graph))
    paper = draw_graph(Paper(), drawn, strengths(graph, shares), hidden(graph))
    paper = _cut(paper, drawn, above=0.4 if title else 0.0)
    said = labels(graph, shares)
    for edge, way in drawn.arrows.items():
        if edge in said:
            # where an arrow has a layer to itself, or midway
            x, y = way[1] if len(way) > 2 else np.mean(way, axis=0)
            paper.write(x, y, said[edge], 7, ha="center", bbox=LABEL, zorder=4)
    left, _ = paper.axes.get_xlim()
    paper.write(left + 0.1, -0.28, title, 10, va="top")
    paper.save(path)


def labels(graph: CausalGraph, shares: Matrix | None = None) -> dict[Edge, str]:
    """What is written on each arrow: its share [d, d], or the nats that turning it costs, or in a word why not."""
    if shares is not None:
        return {edge: f"{shares[graph.index(edge[0]), graph.index(edge[1])]:.0%}" for edge in graph.edges}
    words = {"choice": "choice", "assumption": "assumed", "knowledge": "told"}
    return {edge: words.get(sure.reason, sure.nats) for edge, sure in graph.evidence.items()}


def strengths(graph: CausalGraph, shares: Matrix | None = None) -> dict[Edge, dict[str, Any]]:
    """What each arrow looks like: as strong as it is, or as its share [d, d] is, and red where it hinders."""
    weights = np.abs(graph.strengths) / (np.abs(graph.strengths).max() or 1.0) if shares is None else shares
    looks = {}
    for edge in graph.edges:
        at = graph.index(edge[0]), graph.index(edge[1])
        colour, weight = BLUE if graph.strengths[at] > 0 else RED, float(weights[at])
        looks[edge] = {"color": colour, "alpha": 0.35 + 0.65 * weight, "linewidth": 0.8 + 2.0 * weight}
    return looks


def hidden(graph: CausalGraph, truth: CausalGraph | None = None) -> dict[Edge, dict[str, Any]]:
    """What each hidden common cause looks like; beside a true graph marked as right, extra or missing."""
    if truth is None:
        return {pair: {"color": INK, "linewidth": 1.2} for pair in graph.pairs}
    looks = {}
    for one, other in dict.fromkeys((*graph.pairs, *truth.reordered(graph.names).pairs)):
        found, true = (frozenset((one, other)) in each.confounded for each in (graph, truth))
        kind = "right" if found and true else "extra" if found else "missing"
        words = f"edge {kind}: {one_line(one)} ↔ {one_line(other)}: {kind}"
        looks[one, other] = {"color": JUDGED[kind], "linewidth": 1.2, "gid": words}
    return looks


def graph_svg(graph: CausalGraph, truth: CausalGraph | None, label: str) -> str:
    """A graph for an HTML page; beside a true one in the same places, its edges marked as `verdicts` has them."""
    drawn = layered(truth or graph)
    looks: dict[Edge, dict[str, Any]] = {}
    for (cause, effect), kind in verdicts(graph, truth).items():
        words = f"edge {kind}: {one_line(cause)} → {one_line(effect)}: {kind}"
        line = (0, (5, 4)) if kind == "missing" else "-"
        looks[cause, effect] = {"color": JUDGED[kind], "linewidth": 1.4, "linestyle": line, "gid": words}
    return _cut(draw_graph(Paper(), drawn, looks, hidden(graph, truth)), drawn).inline("graph", label, THEIRS)


def verdicts(graph: CausalGraph, truth: CausalGraph | None) -> dict[Edge, str]:
    """What each edge is, right, reversed or extra; and of each true edge that the graph lacks, missing."""
    if truth is None:
        return dict.fromkeys(graph.edges, "right")
    found, true = set(graph.edges), set(truth.edges)
    kinds = {e: "right" if e in true else "reversed" if e[::-1] in true else "extra" for e in graph.edges}
    return kinds | {e: "missing" for e in truth.edges if e not in found and e[::-1] not in found}


def draw_graph(
    paper: Paper,
    drawn: Layout,
    looks: Mapping[Edge, Mapping[str, Any]],
    joined: Mapping[Edge, Mapping[str, Any]] = MappingProxyType({}),
    at: Point = (0.0, 0.0),
    scale: float = 1.0,
) -> Paper:
    """Draw names in their boxes and arrows between them.

    Args:
        paper: what to draw on.
        drawn: where everything stands.
        looks: of each arrow, what `matplotlib.patches.FancyArrowPatch` takes; `linewidth` in points.
        joined: the same of each hidden common cause.
        at: where the drawing's upper left is to be.
        scale: factor of all sizes.
    """
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Way

    def placed(point: Point) -> Point:
        return at[0] + scale * point[0], at[1] + scale * point[1]

    box = {"boxstyle": "round,pad=0.45", "facecolor": WASH, "edgecolor": BLUE, "linewidth": 1.2 * scale}
    for name, place in drawn.places.items():
        paper.write(*placed(place), shown(name), 9 * scale, ha="center", bbox=box, zorder=3)
    for edge, look in looks.items():
        way = _way(drawn, edge)
        way = [_border(way[0], way[1]), *way[1:-1], _border(way[-1], way[-2])]
        points = [way[0], *chain.from_iterable(smooth(way))]
        codes = [Way.MOVETO] + [Way.CURVE4] * (len(points) - 1)
        size = {"linewidth": scale * look["linewidth"], "mutation_scale": 11 * scale}
        arrow = Way(list(map(placed, points)), codes)
        paper.axes.add_patch(FancyArrowPatch(path=arrow, arrowstyle="-|>", clip_on=False, zorder=2, **{**look, **size}))
    for (one, other), look in joined.items():
        (x, _), (u, _) = ends = [placed(drawn.places[name]) for name in (one, other)]
        size = {"linewidth": scale * look["linewidth"], "mutation_scale": 11 * scale}
        bent = {"connectionstyle": f"arc3,rad={-0.3 if u >= x else 0.3}"}  # upwards, out of the arrows' way
        gap = {"shrinkA": 14 * scale, "shrinkB": 14 * scale, "linestyle": (0, (4, 2.5)), "arrowstyle": "<|-|>"}
        paper.axes.add_patch(FancyArrowPatch(*ends, clip_on=False, zorder=2, **{**look, **size, **bent, **gap}))
    return paper


def _cut(paper: Paper, drawn: Layout, above: float = 0.0) -> Paper:
    """A sheet as large as the drawing on it, which stands in its middle."""
    wide = max(NARROWEST, drawn.width)
    return paper.cut(wide, drawn.height + above, left=(drawn.width - wide) / 2, top=-above)


def _way(drawn: Layout, edge: Edge) -> list[Point]:
    """The points of an arrow; of one that has no lane, bent where it would run along a layer or through a box."""
    if edge in drawn.arrows:
        return drawn.arrows[edge]
    if edge[::-1] in drawn.arrows:
        return drawn.arrows[edge[::-1]][::-1]
    (x, y), (u, v) = start, end = drawn.places[edge[0]], drawn.places[edge[1]]
    if abs(v - y) < STEP / 2:
        return [start, ((x + u) / 2, y - 0.4 * STEP), end]
    if abs(v - y) > 1.5 * STEP:
        return [start, ((x + u) / 2 + (ASIDE if u >= x else -ASIDE), (y + v) / 2), end]
    return [start, end]


def _border(centre: Point, toward: Point) -> Point:
    """Where an arrow from the middle of a box to a point leaves the box: above or below it."""
    return centre[0], centre[1] + copysign(BOX, toward[1] - centre[1])


def curve_svg(points: Sequence[Point], label: str) -> str:
    """A curve for an HTML page, of means over as many steps as give it at most 120 points."""
    many = np.array(points, dtype=float)
    parts = np.array_split(many, min(POINTS, len(many)))
    x, y = np.array([part.mean(axis=0) for part in parts]).T
    if len(x) == 1:
        x, y = np.array([0.0, 1.0]), np.repeat(y, 2)
    across, up = (x - x.min()) / np.ptp(x), (y - y.min()) / (np.ptp(y) or 1)
    paper = Paper().cut(2.3, 0.62)
    paper.axes.plot(0.02 + 2.26 * across, 0.56 - 0.5 * up, color=BLUE, linewidth=1.1, clip_on=False)
    return paper.inline("curve", label, THEIRS)
