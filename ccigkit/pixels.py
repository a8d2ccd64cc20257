"""Pixels: image files to tensors and back to bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import Image, ImageOps, UnidentifiedImageError
from torch import Tensor

from ccigkit.errors import DataError

ImageShape = tuple[int, int, int]  # channels, height, width

BILINEAR = Image.Resampling.BILINEAR


class Framed(Protocol):
    """What a model says of the pictures that it takes."""

    frame: float  # the share of a picture's shorter side that the training images showed

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width."""


def read_image(path: str | Path, model: Framed | None = None, *, resize: bool = True) -> Tensor:
    """An image file as a tensor [3, h, w] in [-1, 1], in the size and the channels of the model, if one is given.

    An image of another shape is cut to a centred square, as large a share of it as the training images showed, and
    resized; or refused where `resize` is false.

    Args:
        path: the file.
        model: the model that the image is for; without one, it stays in RGB at its own size.
        resize: whether an image of another size is cut and resized.

    Raises:
        DataError: where the file is missing, is no image, or is cut short.

    Examples:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     Image.new("RGB", (4, 2), (255, 0, 0)).save(f"{folder}/red.png")
        ...     image = read_image(f"{folder}/red.png")
        >>> image.shape, image[:, 0, 0].tolist()
        (torch.Size([3, 2, 4]), [1.0, -1.0, -1.0])
    """
    try:
        with Image.open(path) as file:
            upright = eight_bits(ImageOps.exif_transpose(file))
            picture = upright.convert("L" if model and model.image_shape[0] == 1 else "RGB")
    except FileNotFoundError:
        raise DataError(f"there is no image {path}") from None
    except UnidentifiedImageError:
        raise DataError(f"{path} is not an image that can be read") from None
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError(f"{path} is a damaged image: {error}") from None
    if model is not None:
        _, height, width = model.image_shape
        if picture.size != (width, height):
            if not resize:
                raise DataError(
                    f"{path} is {picture.width} x {picture.height} pixels, but the model wants {width} x {height}; "
                    "leave out --no-resize, or crop it yourself"
                )
            picture = ImageOps.fit(ImageOps.fit(picture, _frame(picture, model.frame)), (width, height), BILINEAR)
    pixels = np.atleast_3d(np.array(picture))
    return to_float(torch.from_numpy(pixels).permute(2, 0, 1))


def eight_bits(image: Image.Image) -> Image.Image:
    """A grey image of 16 bits with its upper eight, where Pillow's own conversion cuts all above 255 to white."""
    if not image.mode.startswith("I;16"):
        return image
    return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))


def spread(size: int, n: int) -> list[int]:
    """N rows to show, or all there are, evenly from all over so many."""
    n = min(n, size)
    return [number * size // n for number in range(n)]


def to_float(image: Tensor) -> Tensor:
    """uint8 images to [-1, 1].

    Examples:
        >>> to_float(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
        [-1.0, 1.0]
    """
    return image.to(torch.float32, copy=True).div_(127.5).sub_(1)  # a copy, so that no caller's floats are changed


def to_bytes(image: Tensor) -> Tensor:
    """Images in [-1, 1] to uint8.

    Examples:
        >>> to_bytes(torch.tensor([-1.0, 0.0, 1.0])).tolist()
        [0, 128, 255]
    """
    return image.add(1).mul(127.5).round().clamp(0, 255).to(torch.uint8)


def _frame(picture: Image.Image, share: float) -> tuple[int, int]:
    side = round(min(picture.size) * share)
    return side, side
