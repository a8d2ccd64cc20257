"""Drawing with signed distances: shapes as masks with edges one pixel soft, painted over whole batches at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

Colour = tuple[float, float, float]


@dataclass
class Canvas:
    """A batch of pictures [n, 3, size, size] in [0, 1], and the world coordinates [1, size, size] of their pixels."""

    picture: Tensor
    x: Tensor
    y: Tensor
    pixel: float  # a pixel's width in world units

    @classmethod
    def blank(cls, n: int, size: int, left: float, top: float, width: float, colour: Colour) -> Canvas:
        """N pictures in one colour, of the square whose upper left corner is (left, top), y pointing up."""
        steps = (torch.arange(size) + 0.5) * (width / size)
        picture = torch.tensor(colour)[None, :, None, None].repeat(n, 1, size, size)
        return cls(picture, (left + steps)[None, None, :], (top - steps)[None, :, None], width / size)

    def inside(self, distance: Tensor) -> Tensor:
        """How much of each pixel [n, size, size] lies inside a shape, from its signed distance (negative inside)."""
        return (0.5 - distance / self.pixel).clamp(0, 1)

    def paint(self, mask: Tensor, colour: Colour) -> None:
        """Lay a colour over the pictures where the mask [n or 1, size, size] says."""
        self.picture.lerp_(torch.tensor(colour)[None, :, None, None], mask[:, None])

    def to_bytes(self) -> Tensor:
        """The pictures as uint8 [n, 3, size, size]."""
        return self.picture.mul(255).round_().to(torch.uint8)


def disc(canvas: Canvas, x: Tensor, y: Tensor, radius: float) -> Tensor:
    """Signed distance [n, size, size] to discs about (x, y), each [n, 1, 1]."""
    return torch.hypot(canvas.x - x, canvas.y - y) - radius


def segment(canvas: Canvas, x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor, radius: float) -> Tensor:
    """Signed distance [n, size, size] to thick lines with round ends, coordinates each [n, 1, 1]."""
    px, py, dx, dy = canvas.x - x0, canvas.y - y0, x1 - x0, y1 - y0
    along = ((px * dx + py * dy) / (dx * dx + dy * dy).clamp(min=1e-9)).clamp(0, 1)
    return torch.hypot(px - along * dx, py - along * dy) - radius


def in_chunks(values: Tensor, noise: Tensor, chunk: int = 128) -> list[tuple[Tensor, Tensor]]:
    """Pieces of a batch small enough for the processor's cache."""
    return list(zip(values.split(chunk), noise.split(chunk), strict=True))
