"""The pendulum: a sun, a swinging bob and the shadow it casts (CausalVAE, Yang et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.component.options import Natural, Weight
from ccigkit.data.base import SplitName
from ccigkit.data.drawn.canvas import (
    BLACK,
    FIREBRICK,
    WHITE,
    Canvas,
    Figure,
    bar,
    centre,
    coverage,
    disc,
    ellipse,
    half_line,
    likeness,
    row,
    segment,
    span,
)
from ccigkit.data.drawn.scene import Images, Measurable, Pixels, Rendered, held, noise_of, placed, within

PIVOT_X, PIVOT_Y, ROD, BOB_AT, SUN_Y = 10.0, 10.5, 9.5, 8.0, 20.5  # the published picture's own units
GROUND = -0.5
ANGLE = (0.0, math.pi / 4)
LIGHT = (math.pi / 4, 0.45 * math.pi)
ORANGE = (1.0, 165 / 255, 0.0)
NAMES = ("angle", "light", "length", "position")


class PendulumScene(Measurable):
    """Angles within ranges, a shadow with noise of its own; see `Pendulum`."""

    attributes = (
        Attribute("angle", "continuous", "radians"),
        Attribute("light", "continuous", "radians"),
        Attribute("length", "continuous", "picture units"),
        Attribute("position", "continuous", "picture units"),
    )
    truth = CausalGraph.from_edges(
        NAMES, ["angle -> length", "angle -> position", "light -> length", "light -> position"]
    )
    knowledge = Knowledge(tiers=(("angle", "light"), ("length", "position")))

    def __init__(self, noise: float) -> None:
        self.noise = noise

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, 4]: the two angles as places in their ranges, then the shadow's two deviations."""
        uniform = torch.rand(n, 2, generator=generator)
        normal = torch.randn(n, 2, generator=generator).clamp(-2, 2)
        return torch.cat([uniform, normal[:, :1].clamp(min=-0.9), normal[:, 1:]], dim=1)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        angle = held(do, "angle", within(noise[:, 0], ANGLE))
        light = held(do, "light", within(noise[:, 1], LIGHT))
        start, end = shadow(angle, light)
        length = held(do, "length", end - start + self.noise * noise[:, 2])
        position = held(do, "position", (start + end) / 2 + self.noise * noise[:, 3])
        return torch.stack([angle, light, length, position], dim=1)

    def abduct(self, values: Tensor) -> Tensor:
        angle, light, length, position = values.unbind(dim=1)
        start, end = shadow(angle, light)
        deviations = noise_of(length - (end - start), self.noise), noise_of(position - (start + end) / 2, self.noise)
        return torch.stack([placed(angle, ANGLE), placed(light, LIGHT), *deviations], dim=1)

    def draw(self, values: Tensor, noise: Tensor, size: int) -> Tensor:
        angle, light, length, position = (column[:, None, None] for column in values.float().unbind(dim=1))
        canvas = self._canvas(len(values), size)
        canvas.paint(((20 - canvas.y) / 22).clamp(0, 1), (0.98, 0.95, 0.90))  # the sky pales towards the horizon
        canvas.paint(canvas.cover(canvas.y - 0.4), (0.85, 0.78, 0.66))
        sun_x = PIVOT_X + 10 / light.tan()
        sun = disc(canvas, sun_x, torch.tensor(SUN_Y), 3.0)
        canvas.paint((1 - sun / 4).clamp(0, 1).square() * 0.4, (1.0, 0.80, 0.35))
        canvas.paint(canvas.cover(sun), (1.0, 0.65, 0.0))
        floor = torch.full_like(position, GROUND - 0.6)
        half = length.clamp(min=0) / 2
        canvas.paint(
            canvas.cover(segment(canvas, position - half, floor, position + half, floor, 0.8)), (0.13, 0.11, 0.12)
        )
        pivot_x, pivot_y = torch.full_like(angle, PIVOT_X), torch.full_like(angle, PIVOT_Y)
        bob_x, bob_y = PIVOT_X + BOB_AT * angle.sin(), PIVOT_Y - BOB_AT * angle.cos()
        canvas.paint(canvas.cover(segment(canvas, pivot_x, pivot_y, bob_x, bob_y, 0.3)), (0.22, 0.22, 0.25))
        canvas.paint(canvas.cover(disc(canvas, bob_x, bob_y, 1.8)), (0.70, 0.13, 0.13))
        canvas.paint(canvas.cover(disc(canvas, pivot_x, pivot_y, 0.6)), (0.22, 0.22, 0.25))
        return canvas.to_bytes()

    def measure(self, images: Tensor) -> Tensor:
        canvas = self._canvas(len(images), images.shape[-1])
        red, green, blue = images.float().div(255).unbind(dim=1)
        sun_x, _ = centre(canvas, ((red - blue - 0.55) / 0.45).clamp(0, 1) * (canvas.y > 17))
        bob_x, bob_y = centre(canvas, ((red - green - 0.07) / 0.5).clamp(0, 1) * ((canvas.y > 0.6) & (canvas.y < 8)))
        dark = ((0.78 - green) / 0.67).clamp(0, 1) * (canvas.y < 0)
        position, _ = centre(canvas, dark)
        area = dark.sum(dim=(1, 2)) * canvas.pixel**2
        length = (area - math.pi * 0.8**2) / 1.6  # a bar 1.6 wide between two half discs
        cut = dark[:, :, [0, -1]].amax(dim=(1, 2)) > 0.5
        length, position = length.where(~cut, torch.nan), position.where(~cut, torch.nan)
        angle = torch.atan2(bob_x - PIVOT_X, PIVOT_Y - bob_y)
        return torch.stack([angle, torch.atan2(torch.tensor(10.0), sun_x - PIVOT_X), length, position], dim=1)

    @staticmethod
    def _canvas(n: int, size: int) -> Canvas:
        return Canvas.blank(n, size, left=-3.5, top=23.5, width=27, colour=(0.80, 0.90, 0.98))


class PublishedPendulum(Measurable):
    """The pendulum as released, quirks included: the code's grid, clamp, cut labels, pictures and split.

    Labels are those of the released file names: both angles in units of pi / 200, the shadow's length and position
    without their fractions. The picture shows the fractions. Every fourth picture is for testing.
    """

    attributes = (
        Attribute("angle", "continuous", "pi / 200"),
        Attribute("light", "continuous", "pi / 200"),
        Attribute("length", "continuous", "picture units"),
        Attribute("position", "continuous", "picture units"),
    )
    truth, knowledge = PendulumScene.truth, PendulumScene.knowledge
    figure = Figure(right=20, bottom=-1, top=21)

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, 4]: two angles of the grid; length and position have no noise."""
        grid = self._grid()
        return grid[torch.randint(0, len(grid), (n,), generator=generator)]

    def split_noise(self, split: SplitName, n: int, seed: int) -> Tensor:
        grid = self._grid()
        number = torch.arange(len(grid))
        test = (number > 0) & (number % 4 == 0)
        return grid[test if split == "test" else ~test]

    @staticmethod
    def _grid() -> Tensor:
        angle, light = torch.arange(-40, 44), torch.cat([torch.arange(60, 100), torch.arange(101, 148)])
        grid = torch.cartesian_prod(angle, light).double()
        return torch.cat([grid, torch.zeros_like(grid)], dim=1)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        angle, light = held(do, "angle", noise[:, 0]), held(do, "light", noise[:, 1])
        length, position = (exact.trunc() for exact in self._shadow(angle, light))
        return torch.stack([angle, light, held(do, "length", length), held(do, "position", position)], dim=1)

    def abduct(self, values: Tensor) -> Tensor:
        return torch.cat([values[:, :2], torch.zeros_like(values[:, 2:])], dim=1)

    @staticmethod
    def _shadow(angle: Tensor, light: Tensor) -> tuple[Tensor, Tensor]:
        """Length, at least 3, and position [n], with their fractions."""
        start, end = shadow(angle * math.pi / 200, light * math.pi / 200)
        return (end - start).abs().clamp(min=3), (start + end) / 2

    def draw(self, values: Tensor, noise: Tensor, size: int) -> Tensor:
        angle, light, length, position = values.double().unbind(dim=1)
        # Where a label is what the angles give, the picture shows its fraction too; where do() set it, there is none.
        length, position = (
            torch.where(exact.trunc() == label, exact, label)
            for exact, label in zip(self._shadow(angle, light), (length, position), strict=True)
        )
        angle, light, length, position = (
            column.float()[:, None, None] for column in (angle * math.pi / 200, light * math.pi / 200, length, position)
        )
        fig, canvas = self.figure, self.figure.canvas(len(values), size)
        bob_x, bob_y = fig.x(PIVOT_X + BOB_AT * angle.sin()), fig.y(PIVOT_Y - BOB_AT * angle.cos())
        pivot_x, pivot_y = (torch.full_like(angle, at) for at in (fig.x(PIVOT_X), fig.y(PIVOT_Y)))
        fig.paint(canvas, bar(canvas, pivot_x, pivot_y, bob_x, bob_y, half_line(3)), BLACK)
        fig.paint(canvas, ellipse(canvas, bob_x, bob_y, *fig.radii(1.5)), FIREBRICK)
        sun_x, sun_y = fig.x(PIVOT_X + 10 / light.tan()), torch.tensor(fig.y(SUN_Y))
        fig.paint(canvas, ellipse(canvas, sun_x, sun_y, *fig.radii(3.0)), ORANGE)
        left, right = (fig.upright(fig.x(position + side * length / 2), 3) for side in (-1, 1))
        floor = fig.level(torch.full_like(left, fig.y(GROUND)), 3)
        fig.paint(canvas, bar(canvas, left, floor, right, floor, half_line(3)), BLACK)
        return canvas.to_bytes()

    def measure(self, images: Tensor) -> Tensor:
        fig, canvas = self.figure, self.figure.canvas(len(images), images.shape[-1])
        picture = images.float().div(255)
        bob_x, bob_y = centre(canvas, likeness(picture, FIREBRICK, 0.5))
        sun, floor = row(canvas, fig.y(SUN_Y - 0.2)), row(canvas, fig.y(GROUND))
        left, right = span(coverage(picture, ORANGE, WHITE)[:, sun], canvas.x, canvas.pixel)
        line = coverage(picture, BLACK, WHITE)[:, floor]  # in a small picture thinner than a pixel
        start, end = span(line / line.amax(dim=1, keepdim=True), canvas.x, canvas.pixel)
        # Where the picture's side cuts the sun, it is read by its other edge.
        reach, margin = fig.radii(3.0)[0], 2 * canvas.pixel
        sun_x = torch.where(left < fig.x(0.0) + margin, right - reach, (left + right) / 2)
        sun_x = torch.where(right > fig.x(fig.right) - margin, left + reach, sun_x)
        cut = (start < fig.x(0.0) + margin) | (end > fig.x(fig.right) - margin)
        start, end = fig.world_x(start).where(~cut, torch.nan), fig.world_x(end)
        angle = torch.atan2(fig.world_x(bob_x) - PIVOT_X, PIVOT_Y - fig.world_y(bob_y))
        light = torch.atan2(torch.tensor(10.0), fig.world_x(sun_x) - PIVOT_X)
        return torch.stack([angle * 200 / math.pi, light * 200 / math.pi, end - start, (start + end) / 2], dim=1)


class Pendulum(Rendered):
    """A pendulum lit by the sun: its angle and the light's angle cause the shadow's length and position.

    The published equations with labels as floats (the released files truncate them) and without the clamp that makes
    two fifths of the published lengths one constant: the ranges are DEAR's (Shen et al. 2022), short of the light at
    which a shadow has no length. Length and position carry noise of their own, drawn into the picture, so that do()
    on them has an answer that the data can teach.

    Args:
        n: images in the training split; the test split has a fifth of that.
        size: pixels a side.
        noise: standard deviation of the noise on the shadow's length and on its position, in picture units, cut at two
            deviations; that on the length also at 0.9 below, so that none is negative.
        legacy: the released data instead, for comparison with the literature: grid, clamp, cut labels, pictures and
            split; n, noise and seed then have no effect.
        seed: seed of the images.
    """

    name = "pendulum"
    attributes, truth, knowledge = PendulumScene.attributes, PendulumScene.truth, PendulumScene.knowledge

    def __init__(
        self, *, n: Images = 10_000, size: Pixels = 64, noise: Weight = 1.5, legacy: bool = False, seed: Natural = 0
    ) -> None:
        super().__init__(PublishedPendulum() if legacy else PendulumScene(noise), n, size, seed)


def shadow(angle: Tensor, light: Tensor) -> tuple[Tensor, Tensor]:
    """Where the sun's rays through the pivot and through the rod's tip meet the ground: the shadow's two ends."""
    start = PIVOT_X - (PIVOT_Y - GROUND) / light.tan()
    tip_x, tip_y = PIVOT_X + ROD * angle.sin(), PIVOT_Y - ROD * angle.cos()
    return start, tip_x - (tip_y - GROUND) / light.tan()
