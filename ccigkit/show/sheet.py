"""A data set on one page: pictures with their attributes, the labels' correlations, the true graph."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Matrix
from ccigkit.data.base import DataModule, Split
from ccigkit.names import elided, shown
from ccigkit.pixels import spread
from ccigkit.show.drawings import draw_graph, hidden, strengths
from ccigkit.show.layout import layered
from ccigkit.show.paper import BLUE, FAINT, FRAME, INK, RED, WHITE, Paper

COLUMNS, ROWS = 6, 4
DPI = 100
PICTURE, GAP, MARGIN, TOP = 1.28, 0.16, 0.24, 0.58  # inches; TOP is what the heading takes
LINE, LETTERS, SMALL, MEDIUM = 0.14, 22, 7, 8.5  # height of a caption's line, letters of a part of it; points
WIDE = 5.4  # of the graph, at most


def save_sheet(data: DataModule, path: Path) -> None:
    """Write the page: test images at the left, what is known of the table at the right."""
    table, test = data.table(), data.load("test")
    paper = Paper()
    _, rows, columns = data.image_shape
    paper.write(MARGIN, 0.3, data.name, 16)
    facts = f"{len(table.values):,} + {len(test):,} images of {columns} x {rows}, {len(table.names)} attributes"
    paper.write(MARGIN + paper.length(data.name, 16) + 0.15, 0.33, facts, MEDIUM, color=FAINT)
    bottom = contact_sheet(paper, test, table)
    x = 2 * MARGIN + COLUMNS * (PICTURE + GAP) - GAP
    paper.write(x, TOP + 0.08, "correlations of the labels", MEDIUM, color=FAINT)
    right, y = correlations(paper, table, x, TOP + 0.26)
    if data.truth is not None:
        paper.write(x, y + MARGIN, "the true graph", MEDIUM, color=FAINT)
        wide, y = drawn(paper, data.truth, x, y + MARGIN + 0.1, (bottom - TOP) / 2)
        right = max(right, wide)
    # whole pixels, so that those of the pictures are
    paper.cut(round(right + MARGIN, 2), round(max(bottom, y) + MARGIN, 2)).save(path, DPI)


def contact_sheet(paper: Paper, split: Split, table: Table) -> float:
    """Draw images from all over a split, each above what its attributes are; where that ends, in inches."""
    rows = spread(len(split), COLUMNS * ROWS)
    captions = [wrapped(caption(table, split.values[row]), lambda t: paper.length(t, SMALL), PICTURE) for row in rows]
    high = PICTURE + 0.06 + LINE * max(map(len, captions)) + GAP
    for number, (row, lines) in enumerate(zip(rows, captions, strict=True)):
        x, y = MARGIN + (number % COLUMNS) * (PICTURE + GAP), TOP + (number // COLUMNS) * high
        pixels = split.images[row].expand(3, -1, -1).permute(1, 2, 0).numpy()
        wide, tall = (PICTURE * side / max(pixels.shape) for side in (pixels.shape[1], pixels.shape[0]))
        frame = (x, x + wide, y + tall, y)
        paper.axes.imshow(pixels, extent=frame, aspect="auto")
        # white ends somewhere
        paper.axes.plot(np.take(frame, [0, 1, 1, 0, 0]), np.take(frame, [2, 2, 3, 3, 2]), color=FRAME, linewidth=0.8)
        for line, text in enumerate(lines, 1):
            paper.write(x, y + PICTURE + LINE * line - 0.01, text, SMALL, va="center")
    return TOP + -(-len(rows) // COLUMNS) * high


def caption(table: Table, values: Matrix) -> list[str]:
    """What an image's attributes are: the labels it has, and every other attribute with its value."""
    parts = []
    for attribute, value in zip(table.attributes, values, strict=True):
        if attribute.kind == "binary":
            parts += [shown(attribute.name, LETTERS)] * int(value > 0.5)
        elif attribute.kind == "categorical":
            parts.append(elided(f"{attribute.name} {attribute.categories[int(value)]}", LETTERS))
        else:
            parts.append(f"{elided(attribute.name, LETTERS - 6)} {rounded(value, attribute.high - attribute.low)}")
    return parts or ["none of the labels"]


def rounded(value: float, reach: float) -> str:
    """A value as a text, to a thousandth or so of the range that such values have."""
    decimals = max(0, 2 - math.floor(math.log10(reach))) if reach > 0 else 2
    return f"{round(value, decimals) + 0.0:.{decimals}f}"  # adding zero makes a zero of -0.0


def wrapped(parts: list[str], length: Callable[[str], float], width: float) -> list[str]:
    """Parts joined by commas, in lines of a width."""
    lines = [""]
    for number, part in enumerate(parts):
        text = part + ("," if number < len(parts) - 1 else "")
        longer = f"{lines[-1]} {text}".strip()
        if lines[-1] and length(longer) > width:
            lines.append(text)
        else:
            lines[-1] = longer
    return lines


def correlations(paper: Paper, table: Table, x: float = 0.0, y: float = 0.0) -> tuple[float, float]:
    """Draw the correlations of a table's columns, blue where they rise together and red where one falls.

    Returns its right end and its lower end, in inches.
    """
    from matplotlib.colors import LinearSegmentedColormap

    matrix = np.atleast_2d(np.corrcoef(table.latents.T))
    names = [shown(name) for name in table.names]
    cell = max(0.1, min(0.46, 4 / len(names)))
    size = max(6.0, min(MEDIUM, 72 * cell - 1.5))
    label = 0.08 + max(paper.length(name, size) for name in names)
    left, top = x + label, y + label
    edges = cell * np.arange(len(names) + 1)
    colours = LinearSegmentedColormap.from_list("", [RED, WHITE, BLUE]).with_extremes(bad=FRAME)
    shares = np.ma.masked_where(np.eye(len(names), dtype=bool), matrix)
    squares = paper.axes.pcolormesh(left + edges, top + edges, shares, cmap=colours, vmin=-1, vmax=1)
    squares.set(edgecolor=WHITE, linewidth=min(0.7, 3 * cell))
    for i, name in enumerate(names):
        middle = (i + 0.5) * cell
        paper.write(left - 0.06, top + middle, name, size, ha="right")
        paper.write(left + middle, top - 0.04, name, size, ha="center", va="bottom", rotation=90)
        for j in range(len(names)) if cell >= 0.3 else ():
            if i != j:
                ink = WHITE if abs(matrix[i, j]) > 0.6 else INK
                text = rounded(matrix[i, j], 1.0)
                paper.write(left + (j + 0.5) * cell, top + middle, text, SMALL, ha="center", color=ink)
    return left + edges[-1], top + edges[-1]


def drawn(paper: Paper, graph: CausalGraph, x: float, y: float, height: float) -> tuple[float, float]:
    """Draw a graph, not too large; its right end and its lower end, in inches."""
    layout = layered(graph)
    scale = min(1.0, WIDE / layout.width, height / layout.height)
    draw_graph(paper, layout, strengths(graph), hidden(graph), at=(x - 0.1 * scale, y - 0.15 * scale), scale=scale)
    return x + scale * layout.width, y + scale * layout.height
