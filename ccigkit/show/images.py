"""Pictures to files: labelled grids, the graph as a drawing."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import suppress
from io import BytesIO
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import torch
from einops import rearrange
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ccigkit.causal.graph import CausalGraph, Matrix
from ccigkit.errors import DataError
from ccigkit.files import writing
from ccigkit.names import one_line, shown
from ccigkit.pixels import to_bytes

INK, PAPER = (38, 38, 46), (255, 255, 255)
DPI, LONGEST, LARGEST = 130, 12_000, 24_000_000  # of the drawing of a graph: at most so long, and so many pixels
BOX = 0.2  # inches from the middle of a box to where its arrows end
LABEL = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.85}


def save_image(image: Tensor, path: str | Path) -> None:
    """Write one image [c, h, w] or the row-by-row square grid of several [n, c, h, w], in [-1, 1], as a file."""
    images = image[None] if image.ndim == 3 else image
    save_picture(_paste(_square(images), gap=2 if len(images) > 1 else 0), Path(path))


def save_rows(rows: Sequence[tuple[str, Tensor]], path: Path, heading: str = "", scale: int = 1) -> None:
    """Write a picture with one labelled row of images [n, c, h, w] per entry."""
    cells = torch.stack([images for _, images in rows])
    picture = _paste(cells, gap=2, scale=scale)
    font = ImageFont.load_default(size=13)
    rows = [(one_line(label), images) for label, images in rows]
    margin = 12 + max(round(font.getlength(label)) for label, _ in rows)
    top = 26 if heading else 0
    page = Image.new("RGB", (margin + picture.width, top + picture.height), PAPER)
    page.paste(picture, (margin, top))
    pen = ImageDraw.Draw(page)
    pen.text((6, 5), one_line(heading), INK, font)
    height = picture.height / len(rows)
    for row, (label, _) in enumerate(rows):
        pen.text((6, top + round((row + 0.5) * height)), label, INK, font, anchor="lm")
    save_picture(page, path)


def fonts(*texts: str) -> list[str]:
    """Font families that have the letters of some texts between them, as far as this machine has such fonts."""
    from matplotlib.font_manager import fontManager, get_font

    usual = "DejaVu Sans"
    lacking = {ord(letter) for text in texts for letter in text} - set(
        get_font(fontManager.findfont(usual)).get_charmap()
    )
    chosen = [usual]
    for entry in fontManager.ttflist if lacking else ():
        with suppress(RuntimeError, OSError):  # a font that matplotlib cannot draw, such as one of colours
            if entry.style == "normal" and (has := lacking & set(get_font(entry.fname).get_charmap())):
                chosen, lacking = [*chosen, entry.name], lacking - has
        if not lacking:
            break
    return chosen


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture whole or not at all.

    Raises:
        DataError: where the name's ending is no image format.
    """
    if path.suffix.lower() not in Image.registered_extensions():
        raise DataError(f"{path} does not end in an image format; use .png or .jpg")
    with writing(path) as temporary:
        picture.save(temporary, format=Image.registered_extensions()[path.suffix.lower()])


def save_graph(graph: CausalGraph, path: Path, title: str = "", shares: Matrix | None = None) -> None:
    """Draw a graph, causes above their effects, arrows as strong as they are and red where they hinder.

    Where `shares` [d, d] says how often each arrow is found, arrows are as strong as that, and labelled with it.
    """
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Way

    from ccigkit.show.layout import folded, layered, smooth

    drawn = folded(layered(graph))
    words: dict[str, Any] = {"parse_math": False, "family": fonts(*map(shown, graph.names), title)}
    figure = Figure(figsize=(max(4.5, drawn.width), drawn.height + (0.4 if title else 0.0)))
    axes = figure.add_axes((0.0, 0.0, 1.0, drawn.height / figure.get_figheight()))
    axes.set_axis_off()
    aside = max(0.0, 4.5 - drawn.width) / 2
    axes.set_xlim(-aside, drawn.width + aside)
    axes.set_ylim(drawn.height, 0)
    strongest = float(np.abs(graph.strengths).max()) or 1.0
    weights = np.abs(graph.strengths) / strongest if shares is None else shares
    box = {"boxstyle": "round,pad=0.45", "facecolor": "#eef2fb", "edgecolor": "#3f51b5", "linewidth": 1.2}
    for name, (x, y) in drawn.places.items():
        axes.text(x, y, shown(name), ha="center", va="center", fontsize=9, bbox=box, zorder=3, **words)
    for (cause, effect), points in drawn.arrows.items():
        at = graph.index(cause), graph.index(effect)
        weight = weights[at]
        (x, y), *between, (end, bottom) = points
        start, bends = (x, y + BOX), smooth([(x, y + BOX), *between, (end, bottom - BOX)])
        arrow = FancyArrowPatch(
            path=Way([start, *chain.from_iterable(bends)], [Way.MOVETO] + [Way.CURVE4] * 3 * len(bends)),
            arrowstyle="-|>",
            mutation_scale=11,
            color="#3f51b5" if graph.strengths[at] > 0 else "#c62828",
            alpha=0.35 + 0.65 * weight,
            linewidth=0.8 + 2.0 * weight,
            zorder=2,
        )
        axes.add_patch(arrow)
        if shares is not None:
            # where an arrow has a layer to itself, or midway
            x, y = points[1] if len(points) > 2 else np.mean(points, axis=0)
            axes.text(x, y, f"{weight:.0%}", ha="center", va="center", fontsize=7, bbox=LABEL, zorder=4)
    if title:
        figure.text(
            0.1 / figure.get_figwidth(), 1 - 0.12 / figure.get_figheight(), title, fontsize=10, va="top", **words
        )
    wide, high = figure.get_size_inches()
    buffer = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # an empty box for it is all that can be done
        figure.savefig(buffer, format="png", dpi=min(DPI, LONGEST / max(wide, high), (LARGEST / (wide * high)) ** 0.5))
    with writing(path) as temporary:
        temporary.write_bytes(buffer.getvalue())


def _square(images: Tensor) -> Tensor:
    columns = int(np.ceil(np.sqrt(len(images))))
    blank = images.new_ones(-len(images) % columns, *images.shape[1:])
    return rearrange(torch.cat([images, blank]), "(row column) c h w -> row column c h w", column=columns)


def _paste(cells: Tensor, gap: int, scale: int = 1) -> Image.Image:
    """Images [row, column, c, h, w] side by side, a white gap between them."""
    padded = torch.nn.functional.pad(to_bytes(cells.cpu()), (gap, gap, gap, gap), value=255)
    sheet = rearrange(padded, "row column c h w -> (row h) (column w) c")
    picture = Image.fromarray(sheet.expand(-1, -1, 3).contiguous().numpy())
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
