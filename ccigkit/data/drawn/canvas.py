"""Drawing with signed distances: shapes as masks with edges one pixel soft, painted over whole batches at once.

And reading the pictures again: how much of a colour a pixel has, where the middle of a mask is, where it ends.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Self, TypeVar

import torch
from torch import Tensor

Colour = tuple[float, ...]  # red, green and blue, or grey alone, each in [0, 1]
Place = TypeVar("Place", float, Tensor)

BLACK, WHITE, FIREBRICK = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (178 / 255, 34 / 255, 34 / 255)  # of published figures


@dataclass(frozen=True)
class Canvas:
    """A batch of pictures [n, c, h, w] in [0, 1], or a view of a part, and the world coordinates of their pixels."""

    picture: Tensor
    x: Tensor  # [1, 1, w]
    y: Tensor  # [1, h, 1]
    pixel: float  # a pixel's width in world units

    @classmethod
    def blank(cls, n: int, size: int, left: float, top: float, width: float, colour: Colour) -> Self:
        """N pictures in one colour, of the square whose upper left corner is (left, top), y pointing up."""
        steps = (torch.arange(size) + 0.5) * (width / size)
        picture = torch.tensor(colour)[None, :, None, None].repeat(n, 1, size, size)
        return cls(picture, (left + steps)[None, None, :], (top - steps)[None, :, None], width / size)

    def cover(self, distance: Tensor, softness: float = 0.0, edge: float = 1.0) -> Tensor:
        """How much of each pixel [n, h, w] lies inside a shape, from its signed distance (negative inside).

        The shape's edge is so many pixels and, on top of that, `softness` in world units wide.
        """
        return (0.5 - distance / (edge * self.pixel + softness)).clamp_(0, 1)

    def paint(self, mask: Tensor, colour: Colour | Tensor) -> None:
        """Lay a colour, one for all or [n, c, 1, 1], over the pictures where the mask [n or 1, h, w] says."""
        tint = colour if isinstance(colour, Tensor) else torch.tensor(colour)[:, None, None]
        self.picture.lerp_(tint, mask[:, None])

    def to_bytes(self) -> Tensor:
        """The pictures as uint8 [n, c, h, w]."""
        return self.picture.mul(255).round_().clamp_(0, 255).to(torch.uint8)


@dataclass(frozen=True)
class Figure:
    """Where a plotting library puts a plot of x from 0 to `right`, y from `bottom` to `top`, in one inch at 96 dpi.

    The axes leave the library's usual margins, so a unit is not as high as it is wide and a circle is an ellipse.
    Lengths are in pixels of the published 96, whatever the size drawn; y points up.
    """

    right: float
    bottom: float
    top: float

    SIDE: ClassVar = 96
    LEFT: ClassVar = 0.125 * 96
    WIDTH: ClassVar = 0.775 * 96
    FLOOR: ClassVar = 0.11 * 96
    HEIGHT: ClassVar = 0.77 * 96

    def canvas(self, n: int, size: int) -> Canvas:
        """N white figures."""
        return Canvas.blank(n, size, left=0, top=self.SIDE, width=self.SIDE, colour=WHITE)

    def x(self, world: Place) -> Place:
        """From the plot's units to pixels."""
        return world * (self.WIDTH / self.right) + self.LEFT

    def y(self, world: Place) -> Place:
        """From the plot's units to pixels."""
        return (world - self.bottom) * (self.HEIGHT / (self.top - self.bottom)) + self.FLOOR

    def world_x(self, x: Tensor) -> Tensor:
        """From pixels to the plot's units."""
        return (x - self.LEFT) * (self.right / self.WIDTH)

    def world_y(self, y: Tensor) -> Tensor:
        """From pixels to the plot's units."""
        return (y - self.FLOOR) * ((self.top - self.bottom) / self.HEIGHT) + self.bottom

    def radii(self, radius: Place) -> tuple[Place, Place]:
        """A circle's half axes: a plotting library draws the outline too, one point wide."""
        across, up = self.WIDTH / self.right, self.HEIGHT / (self.top - self.bottom)
        return radius * across + half_line(1), radius * up + half_line(1)

    def level(self, y: Tensor, points: float) -> Tensor:
        """Where an end of a level or upright line so many points wide gets to: such lines are moved to whole pixels."""
        return self.SIDE - self.upright(self.SIDE - y, points)

    def upright(self, x: Tensor, points: float) -> Tensor:
        """The same across: to a pixel's middle where the line is an odd number of pixels wide, else to its edge."""
        return (x + 0.5).floor() + 0.5 * (round(2 * half_line(points)) % 2)

    def paint(self, canvas: Canvas, distance: Tensor, colour: Colour) -> None:
        """Paint a shape, cut off where the axes end, at whole pixels of the published 96."""
        across = (canvas.x > round(self.LEFT)) & (canvas.x < round(self.LEFT + self.WIDTH))
        up = (canvas.y > round(self.FLOOR)) & (canvas.y < round(self.FLOOR + self.HEIGHT))
        canvas.paint(canvas.cover(distance) * (across & up), colour)


def half_line(points: float) -> float:
    """Half the width of a line so many points wide, in pixels of 96 an inch."""
    return points * 96 / 72 / 2


# --- shapes -----------------------------------------------------------------------------------------------------------


def disc(canvas: Canvas, x: Tensor, y: Tensor, radius: float | Tensor) -> Tensor:
    """Signed distance [n, size, size] to discs about (x, y), each [n, 1, 1]."""
    return torch.hypot(canvas.x - x, canvas.y - y) - radius


def ellipse(canvas: Canvas, x: Tensor, y: Tensor, across: float | Tensor, up: float | Tensor) -> Tensor:
    """Signed distance [n, size, size], to first order, to ellipses about (x, y) with these half axes."""
    dx, dy = (canvas.x - x) / across, (canvas.y - y) / up
    return (dx.square() + dy.square() - 1) / (2 * torch.hypot(dx / across, dy / up)).clamp(min=1e-9)


def segment(canvas: Canvas, x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor, radius: float | Tensor) -> Tensor:
    """Signed distance [n, size, size] to thick lines with round ends, coordinates each [n, 1, 1]."""
    px, py, dx, dy = canvas.x - x0, canvas.y - y0, x1 - x0, y1 - y0
    along = ((px * dx + py * dy) / (dx * dx + dy * dy).clamp(min=1e-9)).clamp(0, 1)
    return torch.hypot(px - along * dx, py - along * dy) - radius


def bar(canvas: Canvas, x0: Tensor, y0: Tensor, x1: Tensor, y1: Tensor, half: float) -> Tensor:
    """Signed distance [n, size, size] to thick lines with flat ends, coordinates each [n, 1, 1]."""
    dx, dy = x1 - x0, y1 - y0
    length = torch.hypot(dx, dy).clamp(min=1e-9)
    px, py = canvas.x - (x0 + x1) / 2, canvas.y - (y0 + y1) / 2
    return torch.maximum((px * dx + py * dy).abs() / length - length / 2, (px * dy - py * dx).abs() / length - half)


def polyline(canvas: Canvas, points: Tensor, half: Tensor) -> Tensor:
    """Signed distance [n, size, size] to thick lines through points [n, p, 2], half as wide as `half` [n, 1, 1]."""
    nearest = torch.full((len(points), *canvas.picture.shape[-2:]), float("inf"))
    for start, end in zip(points.unbind(dim=1)[:-1], points.unbind(dim=1)[1:], strict=True):
        (x, y), (dx, dy) = (column[:, :, None, None].unbind(dim=1) for column in (start, end - start))
        px, py = canvas.x - x, canvas.y - y
        along = ((px * dx + py * dy) / (dx * dx + dy * dy).clamp(min=1e-9)).clamp_(0, 1)
        nearest = torch.minimum(nearest, (px - along * dx).square_().add_((py - along * dy).square_()))
    return nearest.sqrt_() - half


def box(canvas: Canvas, left: Place, right: Place, bottom: float | Tensor, top: float | Tensor) -> Tensor:
    """Signed distance [n or 1, size, size] to rectangles."""
    across = (canvas.x - (left + right) / 2).abs() - (right - left) / 2
    return torch.maximum(across, (canvas.y - (bottom + top) / 2).abs() - (top - bottom) / 2)


# --- reading a picture ------------------------------------------------------------------------------------------------


def likeness(picture: Tensor, colour: Colour, reach: float) -> Tensor:
    """How like a colour every pixel of [n, 3, size, size] is: 1 for the same, 0 where it is `reach` away."""
    away = (picture - torch.tensor(colour)[None, :, None, None]).square().sum(dim=1).sqrt()
    return (1 - away / reach).clamp(0, 1)


def coverage(picture: Tensor, colour: Colour, behind: Colour) -> Tensor:
    """How much of every pixel of [n, 3, size, size] has a colour, where nothing but the one behind it is mixed in."""
    return likeness(picture, colour, math.dist(colour, behind))


def centre(canvas: Canvas, mask: Tensor) -> tuple[Tensor, Tensor]:
    """The middle (x, y), each [n], of masks [n, size, size]; NaN for an empty one."""
    total = mask.sum(dim=(1, 2))
    return (mask * canvas.x).sum(dim=(1, 2)) / total, (mask * canvas.y).sum(dim=(1, 2)) / total


def span(mask: Tensor, places: Tensor, pixel: float) -> tuple[Tensor, Tensor]:
    """Where one stretch begins and ends, each [n], on lines [n, size] of a mask whose pixels are at these places."""
    total = mask.sum(dim=1)
    middle, half = (mask * places.flatten()).sum(dim=1) / total, total * pixel / 2
    return middle - half, middle + half


def row(canvas: Canvas, y: float) -> int:
    """The row of pixels nearest to a height."""
    return int((canvas.y - y).abs().argmin())


def column(canvas: Canvas, x: float) -> int:
    """The column of pixels nearest to a place."""
    return int((canvas.x - x).abs().argmin())


def in_chunks(values: Tensor, noise: Tensor, chunk: int = 128) -> list[tuple[Tensor, Tensor]]:
    """Pieces of a batch small enough for the processor's cache."""
    return list(zip(values.split(chunk), noise.split(chunk), strict=True))
