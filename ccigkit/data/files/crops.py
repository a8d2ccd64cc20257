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
from PIL import Image, ImageOps
from torch.nn.functional import interpolate

from ccigkit.errors import DataError
from ccigkit.pixels import eight_bits

Pixels = npt.NDArray[np.uint8]
Preset = Literal["dear", "benchmark", "causalgan", "began", "vaegan", "square", "whole"]

LARGEST = 1 << 30  # pixels, more than any picture has


@dataclass(frozen=True)
class Crop:
    """A square of `side` pixels: at (left, top), or in the middle where no place is given; side 0 cuts nothing."""

    side: int
    left: int | None = None
    top: int | None = None

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
        side = min(self.side, width, height)
        left, top = (round((length - side) / 2) for length in (width, height))
        if self.left is not None and self.top is not None:
            left, top = min(self.left, width - side), min(self.top, height - side)
        return left, top, left + side, top + side


# The first five are of CelebA's aligned 178 x 218 images, as the papers' code cuts them.
PRESETS: dict[Preset, Crop] = {
    "dear": Crop(128),  # Shen et al., 2022
    "benchmark": Crop(150),  # Melistas et al., 2024
    "causalgan": Crop(108),  # Kocaoglu et al., 2018, after DCGAN
    "began": Crop(128, 25, 50),  # Berthelot et al., 2017
    "vaegan": Crop(148, 15, 40),  # Larsen et al., 2016, and RealNVP
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
    if content.startswith(b"\xff\xd8") and b"Exif" not in content[:512]:
        with suppress(ValueError):
            height, width, colours, _ = simplejpeg.decode_jpeg_header(content)
            if colours == "YCbCr":
                left, top, right, bottom = box(width, height)
                pixels: Pixels = simplejpeg.decode_jpeg(content)[top:bottom, left:right]
                return pixels
    with Image.open(io.BytesIO(content)) as file:
        ImageOps.exif_transpose(file, in_place=True)
        image = eight_bits(file)
        return np.array((image if image.mode == "RGB" else image.convert("RGB")).crop(box(*image.size)))
