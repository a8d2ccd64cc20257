"""The flow: a ball in a cup of water, a hole in its side, and how far the jet reaches (CausalVAE, Yang et al. 2021)."""

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
    box,
    centre,
    column,
    coverage,
    disc,
    ellipse,
    half_line,
    likeness,
    row,
    span,
)
from ccigkit.data.drawn.scene import Images, Measurable, Pixels, Rendered, held, noise_of, placed, within

NAMES = ("ball", "height", "hole", "flow")
BALL, POURED, HOLE = (0.4, 1.2), (1.0, 3.9), (2.0, 14 / 3)
LEFT, RIGHT, LEVEL, LANDING = 3.0, 8.0, 5.0, 0.5  # the cup's sides, its water at height 0, where the jet lands
GRAVITY = 0.98
BALL_X = 5.5

WATER, PUDDLE, GROUND = (0.36, 0.62, 0.90), (0.16, 0.38, 0.72), (0.62, 0.54, 0.46)
RED, DARK, PAPER = (0.70, 0.13, 0.13), (0.20, 0.20, 0.24), (0.95, 0.95, 0.93)
LIGHTSKYBLUE = (135 / 255, 206 / 255, 250 / 255)


class FlowScene(Measurable):
    """Radius, water and hole within ranges, a jet with noise of its own; see `Flow`."""

    attributes = tuple(Attribute(name, "continuous", "picture units") for name in NAMES)
    truth = CausalGraph.from_edges(NAMES, ["ball -> height", "height -> flow", "hole -> flow"])
    knowledge = Knowledge(tiers=(("ball", "hole"), ("height",), ("flow",)))

    def __init__(self, noise: float) -> None:
        self.noise = noise

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, 4]: radius, water poured and hole as places in their ranges, then the jet's deviation."""
        uniform = torch.rand(n, 3, generator=generator)
        return torch.cat([uniform, torch.randn(n, 1, generator=generator).clamp(-2, 2)], dim=1)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        place = noise.double()  # so that the noise can be read off the values again, to its last bit
        ball = held(do, "ball", within(place[:, 0], BALL))
        height = held(do, "height", ball**3 + within(place[:, 1], POURED))
        hole = held(do, "hole", within(place[:, 2], HOLE))
        flow = held(do, "flow", reach(height, hole) + self.noise * place[:, 3])
        return torch.stack([ball, height, hole, flow], dim=1)

    def abduct(self, values: Tensor) -> Tensor:
        ball, height, hole, flow = values.double().unbind(dim=1)
        deviation = noise_of(flow - reach(height, hole), self.noise)
        return torch.stack([placed(ball, BALL), placed(height - ball**3, POURED), placed(hole, HOLE), deviation], dim=1)

    def draw(self, values: Tensor, noise: Tensor, size: int) -> Tensor:
        ball, height, hole, flow = (each[:, None, None] for each in values.float().unbind(dim=1))
        canvas = self._canvas(len(values), size)
        canvas.paint(canvas.cover(box(canvas, LEFT, RIGHT, 0.0, LEVEL + height)), WATER)
        ends = torch.maximum(LANDING - 0.4 - canvas.y, RIGHT - canvas.x)
        canvas.paint(canvas.cover(torch.maximum(jet(canvas, hole, flow).abs() - 0.2, ends)), WATER)
        canvas.paint(canvas.cover((canvas.y - 0.2).expand(1, size, size)), GROUND)
        canvas.paint(canvas.cover(box(canvas, LEFT - 0.4, LEFT, 0.0, 12.0)), DARK)
        canvas.paint(canvas.cover(box(canvas, RIGHT, RIGHT + 0.4, 0.0, hole - 0.35)), DARK)
        canvas.paint(canvas.cover(box(canvas, RIGHT, RIGHT + 0.4, hole + 0.35, torch.tensor(12.0))), DARK)
        landing = RIGHT + flow.clamp(min=0)  # the puddle's middle
        canvas.paint(canvas.cover(ellipse(canvas, landing, torch.tensor(0.0), 0.9, 0.4)), PUDDLE)
        canvas.paint(canvas.cover(disc(canvas, torch.tensor(BALL_X), ball + LANDING, ball)), RED)
        return canvas.to_bytes()

    def measure(self, images: Tensor) -> Tensor:
        canvas = self._canvas(len(images), images.shape[-1])
        picture = images.float().div(255)
        red, _, blue = picture.unbind(dim=1)
        inside = (canvas.x > LEFT + canvas.pixel) & (canvas.x < RIGHT - canvas.pixel) & (canvas.y > 0.45)
        red_ball = ((red - blue + 0.54) / 1.11).clamp(0, 1) * (inside & (canvas.y < LEVEL))
        ball = (red_ball.sum(dim=(1, 2)) * canvas.pixel**2 / math.pi).sqrt()
        y = canvas.y.flatten()
        water = ((PAPER[0] - red) / (PAPER[0] - WATER[0])).clamp(0, 1)[:, :, column(canvas, LEFT + 0.8)] * (y > 2)
        level = span(water, y, canvas.pixel)[1]
        landing, _ = centre(canvas, likeness(picture, PUDDLE, 0.3) * (canvas.y < 0.5))
        return torch.stack([ball, level - LEVEL, self._hole(canvas, picture), landing - RIGHT], dim=1)

    @staticmethod
    def _hole(canvas: Canvas, picture: Tensor) -> Tensor:
        """The middle of the gap in the right side: the rows where its dark is missing."""
        dark = likeness(picture, DARK, 0.7) * ((canvas.x > RIGHT - 0.3) & (canvas.x < RIGHT + 0.7))
        wall, y = dark.sum(dim=2), canvas.y.flatten()
        whole = wall[:, (y > 6) & (y < 11)].mean(dim=1, keepdim=True)
        gap = (1 - wall / whole).clamp(min=0) * ((y > 1.2) & (y < 5.6))
        return (gap * y).sum(dim=1) / gap.sum(dim=1)

    @staticmethod
    def _canvas(n: int, size: int) -> Canvas:
        return Canvas.blank(n, size, left=2.0, top=13.5, width=15, colour=PAPER)


class PublishedFlow(Measurable):
    """The flow as released, quirks included: the code's grid, cut labels, pictures, split and lost files.

    Labels are those of the released file names: the ball in thirtieths, the water's height without its fraction, the
    hole in thirds, the flow in tenths without fraction. Files of the same name overwrote each other, so the training
    split has 5,254 pictures of the 6,480 that were drawn; 824 of the 1,620 test pictures have the label of one of them.
    """

    attributes = (
        Attribute("ball", "continuous", "1 / 30"),
        Attribute("height", "continuous", "picture units"),
        Attribute("hole", "continuous", "1 / 3"),
        Attribute("flow", "continuous", "1 / 10"),
    )
    truth, knowledge = FlowScene.truth, FlowScene.knowledge
    figure = Figure(right=20, bottom=0, top=20)

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, 4]: ball, water poured and hole of the grid, and by how much the jet is drawn too far."""
        grid = self._grid()[torch.randint(0, 30 * 30 * 9, (n,), generator=generator)]
        return torch.cat([grid, torch.randn(n, 1, generator=generator).double()], dim=1)

    def split_noise(self, split: SplitName, n: int, seed: int) -> Tensor:
        grid = self._grid()
        normal = torch.randn(len(grid), 1, generator=torch.Generator().manual_seed(seed)).double()
        noise, number = torch.cat([grid, normal], dim=1), torch.arange(len(grid))
        test = number % 5 == 4
        if split == "test":
            return noise[test]
        number = number[~test]
        names, file = self.values(noise[number], {}).unique(dim=0, return_inverse=True)
        last = torch.zeros(len(names), dtype=torch.long).scatter_reduce(0, file, number, "amax")
        return noise[last.sort().values]

    @staticmethod
    def _grid() -> Tensor:
        return torch.cartesian_prod(torch.arange(5, 35), torch.arange(10, 40), torch.arange(6, 15)).double()

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        ball, hole = held(do, "ball", noise[:, 0]), held(do, "hole", noise[:, 2])
        exact = held(do, "height", (ball / 30) ** 3 + noise[:, 1] / 10)
        flow = held(do, "flow", (10 * reach(exact, hole / 3)).trunc())
        return torch.stack([ball, held(do, "height", exact.trunc()), hole, flow], dim=1)

    def abduct(self, values: Tensor) -> Tensor:
        """The noise of ball and hole; that of water and jet was cut off with the labels' fractions: NaN."""
        lost = torch.full_like(values[:, 0], math.nan)
        return torch.stack([values[:, 0], lost, values[:, 2], lost], dim=1)

    def draw(self, values: Tensor, noise: Tensor, size: int) -> Tensor:
        ball, height, hole, flow = values.double().unbind(dim=1)
        # Where a label is what its causes give, the picture shows its fraction too; where do() set it, there is none.
        exact = (ball / 30) ** 3 + noise[:, 1] / 10
        height = torch.where(exact.trunc() == height, exact, height)
        further = (1 + 0.01 * noise[:, 3].abs().clamp(min=1) / GRAVITY).sqrt()
        exact = reach(height, hole / 3)
        flow = torch.where((10 * exact).trunc() == flow, exact * further, flow / 10)
        ball, height, hole, flow = (each.float()[:, None, None] for each in (ball / 30, height, hole / 3, flow))
        fig, canvas = self.figure, self.figure.canvas(len(values), size)
        outline, line = half_line(1), half_line(2)
        zero = torch.zeros_like(hole)
        sides = (fig.upright(fig.x(zero + x), 1) for x in (LEFT, RIGHT))
        levels = (fig.level(fig.y(y), 1) for y in (zero, LEVEL + height))
        fig.paint(canvas, box(canvas, *sides, *levels) - outline, LIGHTSKYBLUE)
        for x, low, high in ((LEFT, zero, zero + 19), (RIGHT, zero, hole), (RIGHT, hole + 0.4, zero + 19)):
            at, low, high = fig.upright(fig.x(zero + x), 2), fig.level(fig.y(low), 2), fig.level(fig.y(high), 2)
            fig.paint(canvas, bar(canvas, at, low, at, high, line), BLACK)
        fig.paint(canvas, ellipse(canvas, torch.tensor(fig.x(BALL_X)), fig.y(ball + 0.5), *fig.radii(ball)), FIREBRICK)
        across, up = fig.WIDTH / fig.right, fig.HEIGHT / (fig.top - fig.bottom)
        world = Canvas(canvas.picture, fig.world_x(canvas.x), fig.world_y(canvas.y), 1.0)
        ends = torch.maximum(fig.y(LANDING) - line - canvas.y, fig.x(RIGHT) - line - canvas.x)
        fig.paint(canvas, torch.maximum(jet(world, hole, flow, across, up).abs() - line, ends), LIGHTSKYBLUE)
        ground = fig.level(fig.y(zero + 0.2), 2)
        fig.paint(canvas, bar(canvas, fig.x(zero), ground, fig.x(zero + fig.right), ground, line), BLACK)
        return canvas.to_bytes()

    def measure(self, images: Tensor) -> Tensor:
        fig, canvas = self.figure, self.figure.canvas(len(images), images.shape[-1])
        picture = images.float().div(255)
        y, x, line = canvas.y.flatten(), canvas.x.flatten(), half_line(1)
        blue = coverage(picture, LIGHTSKYBLUE, WHITE)
        # The ground hides where the ball lies, so it is read by its top: 0.5 and twice the radius above the ground.
        red = coverage(picture, FIREBRICK, LIGHTSKYBLUE)[:, :, column(canvas, fig.x(BALL_X))]
        ball = (fig.world_y(span(red, y, canvas.pixel)[1] - line) - 0.5) / 2
        water = blue[:, :, column(canvas, fig.x(LEFT + 0.8))] * (y > fig.y(3.0))
        # What lies level was moved down to a pixel's middle, half a pixel on average.
        height = fig.world_y(span(water, y, canvas.pixel)[1] - line + 0.5) - LEVEL
        # The jet hides the hole's lower edge; the upper one is where the side, followed down from high up, ends.
        side = column(canvas, float(fig.upright(torch.tensor(fig.x(RIGHT)), 2)))
        dark = coverage(picture, BLACK, LIGHTSKYBLUE)[:, y < fig.y(15.0), side]
        followed = (dark / dark.amax(dim=1, keepdim=True)).cumprod(dim=1).sum(dim=1) * canvas.pixel
        hole = fig.world_y(y[y < fig.y(15.0)].max() + canvas.pixel / 2 - followed + 0.5) - 0.4
        low = row(canvas, fig.y(1.0))
        start, end = span(blue[:, low] * (x > fig.x(RIGHT + 0.5)), x, canvas.pixel)
        share = ((hole - fig.world_y(y[low])) / (hole - LANDING)).clamp(min=0.01).sqrt()
        flow = (fig.world_x((start + end) / 2) - RIGHT) / share
        return torch.stack([30 * ball, height, 3 * hole, 10 * flow], dim=1)


class Flow(Rendered):
    """A ball in a cup raises the water; the water's height and the hole's cause how far the jet flows.

    The published equations (Torricelli's law) with labels as floats, drawn from ranges at random: height = ball^3 +
    what was poured, flow = sqrt(2 * 0.98 height (hole - 0.5)) + noise. The noise is drawn into the picture, so that
    do(flow) has an answer that the data can teach.

    Args:
        n: images in the training split; the test split has a fifth of that.
        size: pixels a side.
        noise: standard deviation of the noise on the flow, in picture units, cut at two deviations; 0 for none.
        legacy: the released data instead, for comparison with the literature: grid, cut labels, pictures, split and
            lost files; n and noise then have no effect, and the seed one on the jet's deviation only.
        seed: seed of the images.
    """

    name = "flow"
    attributes, truth, knowledge = FlowScene.attributes, FlowScene.truth, FlowScene.knowledge

    def __init__(
        self, *, n: Images = 10_000, size: Pixels = 64, noise: Weight = 0.4, legacy: bool = False, seed: Natural = 0
    ) -> None:
        super().__init__(PublishedFlow() if legacy else FlowScene(noise), n, size, seed)


def reach(height: Tensor, hole: Tensor) -> Tensor:
    """How far the jet flows [n] before it lands, by Torricelli's law; nothing from a hole below the landing."""
    return (2 * GRAVITY * height * (hole - LANDING)).clamp(min=0).sqrt()


def jet(canvas: Canvas, hole: Tensor, flow: Tensor, across: float = 1.0, up: float = 1.0) -> Tensor:
    """Signed distance [n, size, size], to first order, to the right half of the jet's parabola.

    Distances are in units of which a unit of x and of y have `across` and `up`.
    """
    x, fall = canvas.x - RIGHT, (hole - LANDING).clamp(min=0.05)
    far = flow.clamp(min=0.05)
    parabola = (x / far).square() - (hole - canvas.y) / fall
    return parabola / torch.hypot(2 * x / (far.square() * across), 1 / (fall * up))
