"""Pictures in and out: uploads looked at before they are decoded, answers as PNG inside JSON."""

from __future__ import annotations

import base64
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from io import BytesIO
from typing import Generic, TypeVar

from PIL import Image, UnidentifiedImageError
from torch import Tensor

import ccigkit
from ccigkit import CausalImageModel
from ccigkit.errors import DataError
from ccigkit.images import to_bytes

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")  # Pillow starts other programs for some of the others
PIXELS = 50_000_000  # of a picture, as telephones take them
Key = TypeVar("Key", bound=Hashable)
Thing = TypeVar("Thing")


@dataclass(frozen=True)
class Picture:
    """An image [1, c, h, w]; of a data set's also its attributes [1, d], and of a drawn one's the noise [1, m]."""

    image: Tensor
    values: Tensor | None = None
    noise: Tensor | None = None


class Kept(Generic[Key, Thing]):
    """The last so many things that were asked for, by their keys."""

    def __init__(self, most: int) -> None:
        self.most, self.things = most, OrderedDict[Key, Thing]()

    def get(self, key: Key, make: Callable[[], Thing]) -> Thing:
        """What is kept under a key, or made now."""
        if key not in self.things:
            self.put(key, make())
        self.things.move_to_end(key)
        return self.things[key]

    def put(self, key: Key, what: Thing) -> None:
        """Keep something, and forget what was not asked for longest where it is too much."""
        self.things[key] = what
        while len(self.things) > self.most:
            self.things.popitem(last=False)

    def clear(self) -> None:
        """Forget everything."""
        self.things.clear()


def decoded(content: bytes, model: CausalImageModel) -> Tensor:
    """A file's content as an image [1, c, h, w] for a model.

    Raises:
        DataError: where it is none, or has too many pixels; these are counted before it is decoded.
    """
    try:
        with Image.open(BytesIO(content), formats=FORMATS) as image:
            width, height = image.size
    except Image.DecompressionBombError:
        width, height = PIXELS, 2
    except UnidentifiedImageError:
        phone = content[4:12].startswith((b"ftyphei", b"ftyphev", b"ftypmif1", b"ftypmsf1"))
        why = "a HEIC picture, as phones write; export it as .jpg" if phone else "no picture that can be read here"
        raise DataError(f"this is {why} (one of {', '.join(FORMATS)})") from None
    except Exception as error:  # noqa: BLE001  Pillow raises whatever a broken file makes it
        raise DataError(f"this picture is damaged: {' '.join(str(error).split())[:200]}") from None
    if width * height > PIXELS:
        raise DataError(f"this picture has more than {PIXELS // 1_000_000} million pixels; make it smaller first")
    return ccigkit.read_image(BytesIO(content), model)[None]


def png(image: Tensor) -> bytes:
    """One image [c, h, w] in [-1, 1] as a PNG file's content."""
    pixels = to_bytes(image.cpu()).permute(1, 2, 0).squeeze(-1).contiguous().numpy()
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG", compress_level=1)
    return file.getvalue()


def inline(image: Tensor) -> str:
    """One image [c, h, w] in [-1, 1] as an address that holds it."""
    return "data:image/png;base64," + base64.b64encode(png(image)).decode("ascii")
