"""A data set on one page: pictures with their attributes, the labels' correlations, the true graph."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image, ImageDraw, ImageFont, ImageOps

from ccigkit.causal.attributes import Table
from ccigkit.causal.graph import CausalGraph, Matrix
from ccigkit.data.base import DataModule, Split
from ccigkit.names import elided, shown
from ccigkit.pixels import spread
from ccigkit.show.images import save_graph, save_picture

INK, FAINT, FRAME, PAPER = (38, 38, 46), (120, 120, 132), (214, 214, 222), (255, 255, 255)
BLUE, RED = (63, 81, 181), (198, 40, 40)
COLUMNS, ROWS = 6, 4
PICTURE, GAP, MARGIN = 128, 14, 24
LINE, LETTERS = 14, 22  # height of a line of a caption, and what it has room for


def save_sheet(data: DataModule, path: Path) -> None:
    """Write the page: test images at the left, what is known of the table at the right."""
    table, test = data.table(), data.load("test")
    pictures = contact_sheet(test, table)
    beside = [headed("correlations of the labels", correlations(table))]
    if data.truth is not None:
        beside.append(headed("the true graph", drawn(data.truth, pictures.height // 2)))
    right = stacked(beside)
    height = 2 * MARGIN + 34 + max(pictures.height, right.height)
    page = Image.new("RGB", (3 * MARGIN + pictures.width + right.width, height), PAPER)
    pen = ImageDraw.Draw(page)
    _, rows, columns = data.image_shape
    pen.text((MARGIN, MARGIN - 4), data.name, INK, ImageFont.load_default(size=22))
    told = f"{len(table.values):,} + {len(test):,} images of {columns} x {rows}, {len(table.names)} attributes"
    at = MARGIN + ImageFont.load_default(size=22).getlength(data.name) + 14
    pen.text((at, MARGIN + 6), told, FAINT, ImageFont.load_default(size=13))
    page.paste(pictures, (MARGIN, MARGIN + 34))
    page.paste(right, (2 * MARGIN + pictures.width, MARGIN + 34))
    save_picture(page, path)


def contact_sheet(split: Split, table: Table) -> Image.Image:
    """Images from all over a split, each above what its attributes are."""
    font = ImageFont.load_default(size=11)
    rows = spread(len(split), COLUMNS * ROWS)
    captions = [wrapped(caption(table, split.values[row]), font, PICTURE) for row in rows]
    high = PICTURE + 4 + LINE * max(map(len, captions)) + GAP
    sheet = Image.new("RGB", (COLUMNS * (PICTURE + GAP) - GAP, -(-len(rows) // COLUMNS) * high), PAPER)
    pen = ImageDraw.Draw(sheet)
    for number, (row, lines) in enumerate(zip(rows, captions, strict=True)):
        x, y = (number % COLUMNS) * (PICTURE + GAP), (number // COLUMNS) * high
        pixels = split.images[row].expand(3, -1, -1).permute(1, 2, 0).contiguous().numpy()
        picture = fitted(Image.fromarray(pixels))
        sheet.paste(picture, (x, y))
        pen.rectangle((x, y, x + picture.width - 1, y + picture.height - 1), outline=FRAME)  # white ends somewhere
        for line, text in enumerate(lines):
            pen.text((x, y + PICTURE + 4 + line * LINE), text, INK, font)
    return sheet


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


def wrapped(parts: list[str], font: ImageFont.ImageFont | ImageFont.FreeTypeFont, width: int) -> list[str]:
    """Parts joined by commas, in lines of a width."""
    lines = [""]
    for number, part in enumerate(parts):
        text = part + ("," if number < len(parts) - 1 else "")
        longer = f"{lines[-1]} {text}".strip()
        if lines[-1] and font.getlength(longer) > width:
            lines.append(text)
        else:
            lines[-1] = longer
    return lines


def fitted(picture: Image.Image) -> Image.Image:
    """A picture at the size of the page: small ones by whole pixels, so that it is seen what they have."""
    factor = PICTURE // max(picture.size)
    if factor >= 1:
        picture = picture.resize((picture.width * factor, picture.height * factor), Image.Resampling.NEAREST)
    if max(picture.size) != PICTURE:
        scale = PICTURE / max(picture.size)
        size = round(picture.width * scale), round(picture.height * scale)
        picture = picture.resize(size, Image.Resampling.LANCZOS)
    return picture


def correlations(table: Table) -> Image.Image:
    """The correlations of a table's columns, blue where they rise together and red where one falls."""
    matrix = np.atleast_2d(np.corrcoef(table.latents.T))
    names = [shown(name) for name in table.names]
    cell = max(10, min(46, 400 // len(names)))
    font, small = ImageFont.load_default(size=max(9, min(13, cell - 2))), ImageFont.load_default(size=11)
    label = 8 + round(max(map(font.getlength, names)))
    picture = Image.new("RGB", (label + cell * len(names), label + cell * len(names)), PAPER)
    across = Image.new("RGB", (label, cell * len(names)), PAPER)
    pen, above = ImageDraw.Draw(picture), ImageDraw.Draw(across)
    for i, name in enumerate(names):
        pen.text((label - 6, label + (i + 0.5) * cell), name, INK, font, anchor="rm")
        above.text((2, (i + 0.5) * cell), name, INK, font, anchor="lm")
        for j in range(len(names)):
            share = float(abs(matrix[i, j]))
            full = BLUE if matrix[i, j] > 0 else RED
            colour = FRAME if i == j else tuple(round(255 + share * (end - 255)) for end in full)
            x, y = label + j * cell, label + i * cell
            pen.rectangle((x, y, x + cell - 2, y + cell - 2), fill=colour)
            if cell >= 30 and i != j:
                ink = PAPER if share > 0.6 else INK
                pen.text((x + cell / 2 - 1, y + cell / 2 - 1), rounded(matrix[i, j], 1.0), ink, small, anchor="mm")
    # A quarter turn to the left: the first name is the leftmost, all read upwards.
    picture.paste(across.rotate(90, expand=True), (label, 0))
    return picture


def drawn(graph: CausalGraph, height: int) -> Image.Image:
    """A graph as a picture of at most this height and the width of a page's right side."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "graph.png"
        save_graph(graph, path)
        with Image.open(path) as file:
            picture = file.convert("RGB")
    picture = picture.crop(ImageOps.invert(picture).getbbox())
    scale = min(0.8, 520 / picture.width, height / picture.height)
    return picture.resize((round(picture.width * scale), round(picture.height * scale)), Image.Resampling.LANCZOS)


def headed(heading: str, picture: Image.Image) -> Image.Image:
    """A picture under its heading."""
    block = Image.new("RGB", (max(picture.width, 220), picture.height + 26), PAPER)
    ImageDraw.Draw(block).text((0, 2), heading, FAINT, ImageFont.load_default(size=13))
    block.paste(picture, (0, 26))
    return block


def stacked(blocks: list[Image.Image]) -> Image.Image:
    """Pictures one above the other."""
    column = Image.new("RGB", (max(b.width for b in blocks), sum(b.height + MARGIN for b in blocks)), PAPER)
    y = 0
    for block in blocks:
        column.paste(block, (0, y))
        y += block.height + MARGIN
    return column
