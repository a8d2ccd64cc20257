"""The pendulum: a sun, a swinging bob and the shadow it casts (CausalVAE, Yang et al. 2021)."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from ccigkit.attributes import Attribute
from ccigkit.data.drawing import Canvas, disc, in_chunks, segment
from ccigkit.data.rendered import Rendered, held
from ccigkit.graph import CausalGraph, Knowledge

PIVOT_X, PIVOT_Y, ROD, BOB_AT, SUN_Y = 10.0, 10.5, 9.5, 8.0, 20.5  # the published picture's own units
GROUND = -0.5
ANGLE = (0.0, math.pi / 4)
LIGHT = (math.pi / 4, 0.45 * math.pi)


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
        seed: seed of the images.
    """

    name = "pendulum"
    attributes = (
        Attribute("angle", "continuous", "radians"),
        Attribute("light", "continuous", "radians"),
        Attribute("length", "continuous", "picture units"),
        Attribute("position", "continuous", "picture units"),
    )
    truth = CausalGraph.from_edges(
        ("angle", "light", "length", "position"),
        ["angle -> length", "angle -> position", "light -> length", "light -> position"],
    )
    knowledge = Knowledge(tiers=(("angle", "light"), ("length", "position")))

    def __init__(self, *, n: int = 10_000, size: int = 64, noise: float = 1.5, seed: int = 0) -> None:
        super().__init__(n, size, seed)
        self.noise = noise

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, 4]: the two angles as places in their ranges, then the shadow's two deviations."""
        uniform = torch.rand(n, 2, generator=generator)
        normal = torch.randn(n, 2, generator=generator).clamp(-2, 2)
        return torch.cat([uniform, normal[:, :1].clamp(min=-0.9), normal[:, 1:]], dim=1)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        angle = held(do, "angle", ANGLE[0] + (ANGLE[1] - ANGLE[0]) * noise[:, 0])
        light = held(do, "light", LIGHT[0] + (LIGHT[1] - LIGHT[0]) * noise[:, 1])
        # The sun's rays through the pivot and through the rod's tip meet the ground at the shadow's two ends.
        start = PIVOT_X - (PIVOT_Y - GROUND) / light.tan()
        tip_x, tip_y = PIVOT_X + ROD * angle.sin(), PIVOT_Y - ROD * angle.cos()
        end = tip_x - (tip_y - GROUND) / light.tan()
        length = held(do, "length", end - start + self.noise * noise[:, 2])
        position = held(do, "position", (start + end) / 2 + self.noise * noise[:, 3])
        return torch.stack([angle, light, length, position], dim=1)

    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        return torch.cat([self._draw(chunk) for chunk, _ in in_chunks(values, noise)])

    def _draw(self, values: Tensor) -> Tensor:
        angle, light, length, position = (column[:, None, None] for column in values.float().unbind(dim=1))
        canvas = Canvas.blank(len(values), self.size, left=-3.5, top=23.5, width=27, colour=(0.80, 0.90, 0.98))
        canvas.paint(((20 - canvas.y) / 22).clamp(0, 1), (0.98, 0.95, 0.90))  # the sky pales towards the horizon
        canvas.paint(canvas.inside(canvas.y - 0.4), (0.85, 0.78, 0.66))
        sun_x = PIVOT_X + 10 / light.tan()
        sun = disc(canvas, sun_x, torch.tensor(SUN_Y), 3.0)
        canvas.paint((1 - sun / 4).clamp(0, 1).square() * 0.4, (1.0, 0.80, 0.35))
        canvas.paint(canvas.inside(sun), (1.0, 0.65, 0.0))
        floor = torch.full_like(position, GROUND - 0.6)
        half = length.clamp(min=0) / 2
        canvas.paint(
            canvas.inside(segment(canvas, position - half, floor, position + half, floor, 0.8)), (0.13, 0.11, 0.12)
        )
        pivot_x, pivot_y = torch.full_like(angle, PIVOT_X), torch.full_like(angle, PIVOT_Y)
        bob_x, bob_y = PIVOT_X + BOB_AT * angle.sin(), PIVOT_Y - BOB_AT * angle.cos()
        canvas.paint(canvas.inside(segment(canvas, pivot_x, pivot_y, bob_x, bob_y, 0.3)), (0.22, 0.22, 0.25))
        canvas.paint(canvas.inside(disc(canvas, bob_x, bob_y, 1.8)), (0.70, 0.13, 0.13))
        canvas.paint(canvas.inside(disc(canvas, pivot_x, pivot_y, 0.6)), (0.22, 0.22, 0.25))
        return canvas.to_bytes()
