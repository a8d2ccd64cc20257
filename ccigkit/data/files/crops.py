"""What is cut out of a picture and how it becomes pixels, under a name that results can carry."""

from __future__ import annotations

import io
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import simplejpeg
import torch
from PIL import Image
from torch.nn.functional import interpolate

from ccigkit.errors import DataError
from ccigkit.pixels import open_picture

Pixels = npt.NDArray[np.uint8]
Preset = Literal["dear", "benchmark", "causalgan", "began", "vaegan", "square", "whole"]

LARGEST = 1 << 30  # pixels, more than any picture has


ALIGNED = (178, 218)  # width and height of CelebA's aligned pictures, which papers' crops are of


@dataclass(frozen=True)
class Crop:
    """A square of `side` pixels: at (left, top), or in the middle where no place is given; side 0 cuts nothing.

    Where the pictures that it is meant for have a size, `of`, it is scaled to larger and smaller copies of them.
    """

    side: int
    left: int | None = None
    top: int | None = None
    of: tuple[int, int] | None = None

    @property
    def name(self) -> str:
        """center128, box15,40,148, square or whole."""
        if self.left is not None:
            return f"box{self.left},{self.top},{self.side}"
        return {0: "whole", LARGEST: "square"}.get(self.side, f"center{self.side}")

    def box(self, width: int, height: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom in a picture; a smaller picture gives its own largest central square."""
        if not self.side:
            return 0, 0, width, height
        scale = self.scale(width, height) or 1.0
        side = min(round(self.side * scale), width, height)
        left, top = (round((length - side) / 2) for length in (width, height))
        if self.left is not None and self.top is not None:
            left, top = min(round(self.left * scale), width - side), min(round(self.top * scale), height - side)
        return left, top, left + side, top + side

    def scale(self, width: int, height: int) -> float | None:
        """How much larger a picture is than those that this is meant for; None where it is no copy of them."""
        if self.of is None:
            return 1.0
        scale = width / self.of[0]
        return scale if abs(height - scale * self.of[1]) <= max(1.0, scale) else None


# The first five are of CelebA's aligned 178 x 218 images, as the papers' code cuts them.
PRESETS: dict[Preset, Crop] = {
    "dear": Crop(128, of=ALIGNED),  # Shen et al., 2022
    "benchmark": Crop(150, of=ALIGNED),  # Melistas et al., 2024
    "causalgan": Crop(108, of=ALIGNED),  # Kocaoglu et al., 2018, after DCGAN
    "began": Crop(128, 25, 50, ALIGNED),  # Berthelot et al., 2017
    "vaegan": Crop(148, 15, 40, ALIGNED),  # Larsen et al., 2016, and RealNVP
    "square": Crop(LARGEST),
    "whole": Crop(0),
}


def choose_crop(crop: Preset | int) -> Crop:
    """A preset by its name, or the central square of so many pixels."""
    if isinstance(crop, int) and crop < 0:
        raise DataError(f"data.crop={crop} must be at least 0 (0 for the whole image)")
    return Crop(crop) if isinstance(crop, int) else PRESETS[crop]


@dataclass(frozen=True)
class View:
    """A crop, and the size [pixels a side] that it is resized to."""

    crop: Crop
    size: int

    @property
    def preprocess_id(self) -> str:
        """What was done to the pictures: figures like FID compare only where this is the same."""
        return f"{self.crop.name}-{self.size}px-bilinear"

    def pixels(self, content: bytes) -> Pixels:
        """The content of an image file as RGB [3, size, size].

        Upright, cut, then resized, bilinear and antialiased: what torchvision's CenterCrop and Resize do.
        """
        image = torch.from_numpy(_read(content, self.crop.box)).permute(2, 0, 1)[None]
        resized = interpolate(image, size=(self.size, self.size), mode="bilinear", antialias=True)[0]
        return np.ascontiguousarray(resized.numpy())


def _read(content: bytes, box: Callable[[int, int], tuple[int, int, int, int]]) -> Pixels:
    """What the box shows of an image file, upright, as RGB [h, w, 3]."""
    # An ordinary JPEG goes to simplejpeg, twice as fast; whatever is special about a file, or wrong, is Pillow's.
    if ordinary_jpeg(content):
        with suppress(ValueError):
            height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
            if colours == "YCbCr" and width * height <= 2 * (Image.MAX_IMAGE_PIXELS or LARGEST):
                left, top, right, bottom = box(width, height)
                pixels: Pixels = simplejpeg.decode_jpeg(content)[top:bottom, left:right]
                return pixels
    image = open_picture(io.BytesIO(content)).convert("RGB")
    return np.array(image.crop(box(*image.size)))


def ordinary_jpeg(content: bytes) -> bool:
    """Whether a file is a JPEG without EXIF and XMP (both in APP1), wherever in it, so that it stands as it lies."""
    if not content.startswith(b"\xff\xd8"):
        return False
    at = 2
    while at + 4 <= len(content) and content[at] == 0xFF:
        mark = content[at + 1]
        if mark == 0xDA:  # the picture itself begins
            return True
        if mark == 0xE1:
            return False
        at += 1 if mark == 0xFF else 2 + int.from_bytes(content[at + 2 : at + 4], "big")
    return False
