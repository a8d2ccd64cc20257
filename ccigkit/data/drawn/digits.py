"""Drawn digits: MorphoMNIST's causal model over strokes that need no download (Castro et al. 2019)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache

import numpy as np
import torch
from scipy.ndimage import distance_transform_edt, maximum_filter
from torch import Tensor
from torch.nn import functional as F

from ccigkit.causal.attributes import Attribute
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.component.options import Natural, Weight
from ccigkit.data.drawn.canvas import Canvas, centre, polyline
from ccigkit.data.drawn.scene import Images, Measurable, Pixels, Rendered, held, noise_of

NAMES = ("thickness", "intensity", "digit", "slant")
SIDE = 28  # lengths are in pixels of MNIST's 28, whatever the size drawn
WIDE, HIGH = 12.0, 18.0
LEANING = 0.2  # standard deviation of the slant, in radians
STYLE = ("width", "height", "right", "up", "sway", "bend")  # independent of the attributes, each in [0, 1]
POINTS = 41
GLYPHS: tuple[Sequence[tuple[float, float]], ...] = (  # control points of one smooth stroke; twice for a corner
    (
        *((0.5, 1), (0.2, 1), (0.05, 0.75), (0.05, 0.25), (0.2, 0), (0.5, 0), (0.8, 0), (0.95, 0.25), (0.95, 0.75)),
        *((0.8, 1), (0.5, 1)),
    ),
    ((0.3, 0.78), (0.52, 1), (0.52, 1), (0.52, 0)),
    ((0.1, 0.74), (0.18, 1.04), (0.55, 1.03), (0.95, 1), (0.86, 0.62), (0.6, 0.38), (0.1, 0), (0.1, 0), (0.92, 0)),
    (
        *((0.12, 0.86), (0.3, 1.03), (0.6, 1.02), (0.92, 0.96), (0.88, 0.58), (0.4, 0.55), (0.4, 0.55)),
        *((0.96, 0.56), (0.96, 0.04), (0.6, -0.03), (0.26, -0.02), (0.08, 0.18)),
    ),
    (
        *((0.6, 1), (0.06, 0.32), (0.06, 0.32), (0.94, 0.32), (0.94, 0.32), (0.68, 0.32), (0.68, 0.32)),
        *((0.68, 0.62), (0.68, 0.62), (0.68, 0)),
    ),
    (
        *((0.86, 1), (0.24, 1), (0.24, 1), (0.18, 0.55), (0.18, 0.55), (0.45, 0.7), (0.94, 0.66)),
        *((0.94, 0), (0.5, -0.03), (0.24, -0.02), (0.08, 0.16)),
    ),
    (
        *((0.74, 0.98), (0.38, 0.86), (0.06, 0.5), (0.06, -0.02), (0.5, -0.02), (0.94, 0), (0.94, 0.54)),
        *((0.5, 0.56), (0.2, 0.54), (0.1, 0.24)),
    ),
    ((0.08, 1), (0.9, 1), (0.9, 1), (0.5, 0.5), (0.34, 0)),
    (
        *((0.5, 0.54), (0.1, 0.62), (0.12, 1.02), (0.5, 1.02), (0.88, 1.02), (0.9, 0.62), (0.5, 0.54)),
        *((0.02, 0.44), (0.06, -0.02), (0.5, -0.02), (0.94, -0.02), (0.98, 0.44), (0.5, 0.54)),
    ),
    (
        *((0.88, 0.72), (0.78, 0.48), (0.5, 0.44), (0.16, 0.46), (0.05, 0.72), (0.18, 1), (0.5, 1.03), (0.88, 1)),
        *((0.9, 0.7), (0.88, 0.4), (0.68, 0)),
    ),
)


class DigitsScene(Measurable):
    """Thickness makes intensity, digit and slant are free; see `Digits`."""

    channels = 1
    knowledge = Knowledge()

    def __init__(self, noise: float = 0.5, slant: bool = True) -> None:
        names = NAMES if slant else NAMES[:3]
        kinds = {name: Attribute(name, "continuous", unit) for name, unit in (("thickness", "px"), ("slant", "rad"))}
        kinds["intensity"] = Attribute("intensity", "continuous")
        kinds["digit"] = Attribute("digit", "categorical", categories=tuple("0123456789"))
        self.noise, self.slant = noise, slant
        self.attributes = tuple(kinds[name] for name in names)
        self.truth = CausalGraph.from_edges(names, ["thickness -> intensity"])

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """[n, 10]: the noise of thickness, intensity, digit and slant, then the style in [0, 1]."""
        ten = torch.rand(n, 10, generator=generator).clamp(min=1e-7)
        gamma = -ten.log().sum(dim=1) / 5  # Gamma(10, 5): ten waiting times
        normal = torch.randn(n, 2, generator=generator).clamp(-3, 3)
        digit = torch.randint(0, 10, (n,), generator=generator).float()
        own = torch.stack([gamma, normal[:, 0], digit, normal[:, 1]], dim=1)
        return torch.cat([own, torch.rand(n, len(STYLE), generator=generator)], dim=1)

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        own = noise.double()  # so that the noise can be read off the values again, to its last bit
        thickness = held(do, "thickness", 0.5 + own[:, 0])
        score = self.noise * own[:, 1] + 2 * thickness - 5
        intensity = held(do, "intensity", 64 + 191 * score.sigmoid())
        columns = [thickness, intensity, held(do, "digit", own[:, 2])]
        return torch.stack([*columns, held(do, "slant", LEANING * own[:, 3])] if self.slant else columns, dim=1)

    def abduct(self, values: Tensor) -> Tensor:
        thickness, intensity, digit, *slant = values.double().unbind(dim=1)
        deviation = noise_of(((intensity - 64) / 191).logit() + 5 - 2 * thickness, self.noise)
        return torch.stack([thickness - 0.5, deviation, digit, *(each / LEANING for each in slant)], dim=1)

    def draw(self, values: Tensor, noise: Tensor, size: int) -> Tensor:
        values, noise = values.float(), noise.float()
        slant = values[:, 3] if self.slant else LEANING * noise[:, 3]
        canvas = self._canvas(len(values), size)
        mask = canvas.cover(polyline(canvas, strokes(values[:, 2], slant, noise[:, 4:]), values[:, 0, None, None] / 2))
        return (mask * values[:, 1, None, None])[:, None].round().clamp(0, 255).to(torch.uint8)

    def measure(self, images: Tensor) -> Tensor:
        """As Castro et al. measure: the stroke's width along its middle, the shear that the second moments have.

        The digit is the glyph that is most alike once shear, size and place are taken out; its own shear is no slant.
        """
        bright = images[:, 0].float()
        intensity = bright.amax(dim=(1, 2))
        canvas = self._canvas(len(images), images.shape[-1])
        mask = bright / intensity.clamp(min=1)[:, None, None]
        digit, slant = recognised(canvas, mask)
        columns = [stroke_widths(mask, canvas.pixel), intensity, digit.float(), slant]
        return torch.stack(columns[: len(self.attributes)], dim=1)

    @staticmethod
    def _canvas(n: int, size: int) -> Canvas:
        return Canvas.blank(n, size, left=0, top=SIDE, width=SIDE, colour=(0.0,))


class Digits(Rendered):
    """Ten drawn digits whose thickness causes their intensity, as in the modified MorphoMNIST (Pawlowski et al. 2020).

    thickness = 0.5 + Gamma(10, 5), in pixels of 28; intensity = 64 + 191 sigmoid(e + 2 thickness - 5) with e normal of
    deviation 0.5, cut at three; the digit and the slant are free. Every image has proportions and a sway of its own
    that are independent of the attributes.

    Args:
        n: images in the training split; the test split has a fifth of that.
        size: pixels a side.
        noise: standard deviation of the noise e on the intensity's score; 0 for none.
        slant: whether the slant is an attribute; if not, it is part of how a digit is written, and the attributes are
            those of the published model.
        seed: seed of the images.
    """

    name = "digits"

    def __init__(
        self, *, n: Images = 10_000, size: Pixels = 32, noise: Weight = 0.5, slant: bool = True, seed: Natural = 0
    ) -> None:
        super().__init__(DigitsScene(noise, slant), n, size, seed)


# --- strokes ----------------------------------------------------------------------------------------------------------


@cache
def glyphs() -> Tensor:
    """The ten digits as points [10, p, 2] along one stroke each, within the unit square, y pointing up."""
    return torch.stack([smooth(np.array(points, dtype=float)) for points in GLYPHS])


def smooth(points: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Tensor:
    """The quadratic B-spline of control points [c, 2] (Chaikin's corner cutting) as points [p, 2] evenly along it."""
    for _ in range(4):
        cut = np.stack([0.75 * points[:-1] + 0.25 * points[1:], 0.25 * points[:-1] + 0.75 * points[1:]], axis=1)
        points = np.concatenate([points[:1], cut.reshape(-1, 2), points[-1:]])
    along = np.concatenate([[0], np.hypot(*np.diff(points, axis=0).T).cumsum()])
    even = np.linspace(0, along[-1], POINTS)
    return torch.from_numpy(np.stack([np.interp(even, along, each) for each in points.T], axis=1)).float()


def strokes(digit: Tensor, slant: Tensor, style: Tensor) -> Tensor:
    """The strokes [n, p, 2] of digits [n] at a slant [n] in radians and in a style [n, 6]."""
    width, height, right, up, sway, bend = (2 * style - 1)[..., None].unbind(dim=1)
    x, y = glyphs()[digit.round().long().clamp(0, 9)].unbind(dim=2)
    x, y = x - 0.5 + 0.06 * sway * (2 * torch.pi * y).sin(), y - 0.5 + 0.05 * bend * (torch.pi * x).cos()
    tall = HIGH * (1 + 0.12 * height) * y
    wide = WIDE * (1 + 0.18 * width) * x
    return torch.stack([SIDE / 2 + 1.2 * right + wide + tall * slant.tan()[:, None], SIDE / 2 + 1.2 * up + tall], dim=2)


# --- reading them -----------------------------------------------------------------------------------------------------


def stroke_widths(masks: Tensor, pixel: float, finer: int = 4) -> Tensor:
    """Twice the distance from the stroke's middle to its edge, the median [n] along it, of masks [n, size, size]."""
    fine = F.interpolate(masks[:, None], scale_factor=finer, mode="bilinear")[:, 0] > 0.5
    widths = []
    for each in fine.numpy():
        depth = distance_transform_edt(each)
        ridge = depth[(depth == maximum_filter(depth, 3)) & (depth > 1)]
        widths.append((2 * float(np.median(ridge)) - 1) * pixel / finer if len(ridge) else float("nan"))
    return torch.tensor(widths)


def recognised(canvas: Canvas, masks: Tensor) -> tuple[Tensor, Tensor]:
    """The digits [n] of masks [n, size, size], and their slants [n] in radians."""
    seen, shear, across, up = standardised(canvas, masks)
    thick = torch.tensor([1.2, 2.0, 3.0, 4.2]).repeat(10)
    which = torch.arange(10).repeat_interleave(4)
    plain = strokes(which, torch.zeros(40), torch.full((40, len(STYLE)), 0.5))
    page = DigitsScene._canvas(40, masks.shape[-1])
    known, own_shear, own_across, own_up = standardised(
        page, page.cover(polyline(page, plain, thick[:, None, None] / 2))
    )
    nearest = torch.cdist(seen, known).argmin(dim=1)
    own = own_shear[nearest] * (across / own_across[nearest]) / (up / own_up[nearest])
    return which[nearest], (shear - own).atan()


def standardised(canvas: Canvas, masks: Tensor, side: int = 16) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Masks [n, size, size] moved, sheared and scaled to one second moment, as rows; their shear, width and height."""
    x, y = (each[:, None, None] for each in centre(canvas, masks))
    weight = masks / masks.sum(dim=(1, 2), keepdim=True)
    xx, xy, yy = (
        (weight * a * b).sum(dim=(1, 2))
        for a, b in ((canvas.x - x, canvas.x - x), (canvas.x - x, canvas.y - y), (canvas.y - y, canvas.y - y))
    )
    shear, up = xy / yy, yy.sqrt()
    across = (xx - xy * shear).clamp(min=1e-6).sqrt()
    place = torch.linspace(-2.2, 2.2, side)
    tall = place[None, :, None] * up[:, None, None]
    wide = place[None, None, :] * across[:, None, None] + shear[:, None, None] * tall
    half = SIDE / 2
    grid = torch.stack([(x + wide) / half - 1, 1 - (y + tall).expand_as(wide) / half], dim=3)
    return F.grid_sample(masks[:, None], grid, align_corners=False).flatten(1), shear, across, up
