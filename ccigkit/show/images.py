"""Grids of images to files, pixel by pixel, with labels."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from pathlib import Path

import torch
from einops import rearrange
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from ccigkit.errors import DataError
from ccigkit.files import writing
from ccigkit.names import one_line
from ccigkit.pixels import to_bytes

INK, PAPER = (38, 38, 46), (255, 255, 255)


def save_image(image: Tensor, path: str | Path) -> None:
    """Write one image [c, h, w] or the row-by-row square grid of several [n, c, h, w], in [-1, 1], as a file.

    Args:
        image: [c, h, w] or [n, c, h, w], one or three channels.
        path: the file, .png or .jpg for instance.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     save_image(torch.zeros(4, 3, 8, 8), f"{folder}/grid.png")
        ...     Image.open(f"{folder}/grid.png").size
        (24, 24)
    """
    images = image[None] if image.ndim == 3 else image
    save_picture(_paste(images, ceil(len(images) ** 0.5), gap=2 if len(images) > 1 else 0), Path(path))


def save_rows(rows: Sequence[tuple[str, Tensor]], path: Path, heading: str = "", scale: int = 1) -> None:
    """Write a picture with one labelled row of images [n, c, h, w] per entry.

    Args:
        rows: of each row its label and its images, as many in every row.
        path: the file, .png or .jpg for instance.
        heading: what stands above.
        scale: pixels of the picture for each of an image, across and down.
    """
    picture = _paste(torch.cat([images for _, images in rows]), len(rows[0][1]), scale=scale)
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


def save_picture(picture: Image.Image, path: Path) -> None:
    """Write a picture whole or not at all.

    Raises:
        DataError: where the name's ending is no image format.
    """
    if path.suffix.lower() not in Image.registered_extensions():
        raise DataError(f"{path} does not end in an image format; use .png or .jpg")
    with writing(path) as temporary:
        picture.save(temporary, format=Image.registered_extensions()[path.suffix.lower()])


def _paste(images: Tensor, columns: int, gap: int = 2, scale: int = 1) -> Image.Image:
    """Images [n, c, h, w] side by side, row by row, a white gap around each; white where the last row has no more."""
    # torchvision's make_grid would do, but importing it takes longer than all else that a command does.
    blank = images.new_ones(-len(images) % columns, *images.shape[1:])
    padded = torch.nn.functional.pad(to_bytes(torch.cat([images, blank]).cpu()), (gap, gap, gap, gap), value=255)
    sheet = rearrange(padded, "(row column) c h w -> (row h) (column w) c", column=columns)
    picture = Image.fromarray(sheet.expand(-1, -1, 3).contiguous().numpy())
    return picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
