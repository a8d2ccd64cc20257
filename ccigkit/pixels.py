"""Pixels: image files to tensors and back to bytes."""

from __future__ import annotations

import struct
import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps, TiffImagePlugin, UnidentifiedImageError
from torch import Tensor

from ccigkit.errors import DataError

ImageShape = tuple[int, int, int]  # channels, height, width

BILINEAR = Image.Resampling.BILINEAR
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # that set a picture upright, by how the camera was held (EXIF)
BITS_PER_SAMPLE, PHOTOMETRIC, MAX_SAMPLE_VALUE = 258, 262, 281  # of TIFF; 0 for a photometric whose zero is white
PHONES = (b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1")
# What Pillow, zipfile and others raise on broken files.
UNREADABLE = (
    OSError, ValueError, SyntaxError, EOFError, TypeError, IndexError, KeyError, OverflowError, NotImplementedError,
    RuntimeError, struct.error, zipfile.BadZipFile, zlib.error, Image.DecompressionBombError,
)  # fmt: skip


class Framed(Protocol):
    """What a model says of the pictures that it takes."""

    frame: float  # the share of a picture's shorter side that the training images showed

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width."""


def read_image(path: str | Path | BytesIO, model: Framed | None = None, *, resize: bool = True) -> Tensor:
    """An image file as a tensor [3, h, w] in [-1, 1], in the size and the channels of the model, if one is given.

    An image of another shape is cut to a centred square, as large a share of it as the training images showed, and
    resized; or refused where `resize` is false.

    Args:
        path: the file, or its content.
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
    name = "the picture" if isinstance(path, BytesIO) else path
    try:
        picture = open_picture(path).convert("L" if model and model.image_shape[0] == 1 else "RGB")
    except FileNotFoundError:
        raise DataError(f"there is no image {name}") from None
    except UnidentifiedImageError:
        phone = _start(path)[4:].startswith(PHONES)
        why = "a HEIC picture, as phones write; export it as .jpg" if phone else "not an image that can be read"
        raise DataError(f"{name} is {why}") from None
    except (IsADirectoryError, PermissionError) as error:
        raise DataError(f"cannot read {name}: {error.strerror}") from None
    except Image.DecompressionBombError:
        most = 2 * (Image.MAX_IMAGE_PIXELS or 0) // 1_000_000
        raise DataError(f"{name} has more than {most} million pixels; make it smaller first") from None
    except UNREADABLE as error:
        raise DataError(f"{name} is a damaged image: {' '.join(str(error).split())}") from None
    if model is not None:
        _, height, width = model.image_shape
        if picture.size != (width, height):
            if not resize:
                raise DataError(
                    f"{name} is {picture.width} x {picture.height} pixels, but the model wants {width} x {height}; "
                    "leave out --no-resize, or crop it yourself"
                )
            picture = ImageOps.fit(ImageOps.fit(picture, _frame(picture, model.frame)), (width, height), BILINEAR)
    pixels = np.atleast_3d(np.array(picture))
    return to_float(torch.from_numpy(pixels).permute(2, 0, 1))


def _start(file: str | Path | BytesIO) -> bytes:
    """The first bytes of a file."""
    if isinstance(file, BytesIO):
        return file.getvalue()[:16]
    with Path(file).open("rb") as opened:
        return opened.read(16)


def open_picture(file: str | Path | BytesIO) -> Image.Image:
    """The picture in a file, upright and in eight bits: the one way in which all that reads pictures reads them.

    Raises:
        OSError, or another of `UNREADABLE`: where it is none, is damaged, or its numbers may mean this or that.
    """
    with Image.open(file) as image:
        image.load()  # before anything is asked: a TIFF is set upright by that, a PNG may say how only at its end
        turn = TURNS.get(_orientation(image))
        upright = image.transpose(turn) if turn is not None else image
        grey = eight_bits(upright, _most(image))
        return ImageOps.invert(grey) if grey is not upright and _is_negative(image) else grey


def _orientation(image: Image.Image) -> int:
    """How a camera was held, 1 to 8, as EXIF or XMP say; upright where they are no good."""
    try:
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001  whatever is wrong with what stands beside the picture, the picture is not
        return 1


def _is_negative(image: Image.Image) -> bool:
    """Whether zero is white, which Pillow itself minds in pictures of at most eight bits."""
    return isinstance(image, TiffImagePlugin.TiffImageFile) and image.tag_v2.get(PHOTOMETRIC, 1) == 0


def _most(image: Image.Image) -> int:
    """The number that is white in a picture of whole numbers beyond eight bits; 0 where its file does not say."""
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        bits, told = (int(np.ravel(image.tag_v2.get(tag, 0))[0]) for tag in (BITS_PER_SAMPLE, MAX_SAMPLE_VALUE))
        return told if told > 255 else 2**bits - 1 if bits <= 16 else 0
    sixteen = image.mode.startswith("I;16") or image.format in ("PNG", "PPM", "JPEG2000")
    return 2**16 - 1 if sixteen else 0


def eight_bits(image: Image.Image, most: int = 2**16 - 1) -> Image.Image:
    """A grey image of more bits, or of floats, as one of eight, where Pillow's own conversion cuts all above to white.

    Whole numbers up to `most`, or, where that is 0, up to 255 or 65535, whichever they fit; floats from 0 to 1, 255 or
    65535.

    Raises:
        ValueError: where the numbers fit none of these.
    """
    if not (image.mode.startswith("I") or image.mode == "F"):
        return image
    values = np.asarray(image)
    low, high = float(values.min()), float(values.max())
    if image.mode == "F" or not most:
        scales = (1, 255, 2**16 - 1) if image.mode == "F" else (255, 2**16 - 1)
        most = next((scale for scale in scales if high <= scale), 0)
    fits = 0 <= low <= high <= most and not 1 < high < 2
    if not fits:
        raise ValueError(f"its grey goes from {low:g} to {high:g}; save it with eight bits, or with floats from 0 to 1")
    if most == 2**16 - 1 and image.mode != "F":
        return Image.fromarray((values >> 8).astype(np.uint8))  # as every decoder of 16-bit colours does
    return Image.fromarray(np.round(values * (255 / most)).astype(np.uint8))


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
