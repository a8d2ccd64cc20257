"""Looks at a model as it trains: what a person would see in its pictures, in figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from ccigkit.data.base import DataModule
from ccigkit.metrics.protocol.distances import frechet
from ccigkit.model.model import CausalImageModel
from ccigkit.pixels import to_float

MOST, BATCH = 128, 64  # held-out images of a look, and as many new ones; how many at a time
PERIODS = 2, 4  # pixels, of the grids that up-sampling leaves
WORSE = 1.25  # times the least distance so far, beyond which new images are said to get worse
YOUNG = 200  # steps before which a model is not yet held against an average picture


class Watch:
    """Measures a model on held-out images while it trains, always on the same ones.

    A look gives, by name, `held-out.psnr`: decibels of reconstructions, drawn by the generator alone;
    `held-out.distance`: the Fréchet distance of new images to held-out ones as thumbnails of 8 x 8, the mean over
    pixels in units of their variance, which tells a better moment of one training from a worse one and nothing else;
    `held-out.grid`: the energy of new images at the frequencies of a grid, over that of held-out ones.

    Args:
        data: the data module whose test images are looked at.
        log: the log of a training that goes on.
    """

    measures: ClassVar[Mapping[str, str]] = {
        "held-out.psnr": "held-out images drawn again: PSNR in dB",
        "held-out.distance": "new images: distance to held-out ones",
        "held-out.grid": "new images: energy of a grid, real ones at 1",
    }
    best: ClassVar[str] = "held-out.distance"

    def __init__(self, data: DataModule, log: Iterable[Mapping[str, Any]] = ()) -> None:
        self.data = data
        self.least, self._said = math.inf, set[str]()
        for entry in log:  # what was said before is not said again
            if self.best in entry:
                list(self.remarks(entry["step"], entry))

    @cached_property
    def real(self) -> HeldOut:
        """The held-out images, read at the first look: training from streamed shards may end before any is needed."""
        images = self.data.load("test").images
        return HeldOut(to_float(images[torch.linspace(0, len(images) - 1, min(MOST, len(images))).round().long()]))

    @cached_property
    def average(self) -> float:
        """How near the mean of the held-out images comes to each of them, in decibels."""
        return psnr(self.real.images, self.real.images.mean(dim=0, keepdim=True))

    def look(self, model: CausalImageModel) -> dict[str, float]:
        """What a model's pictures are like now."""
        device = next(model.parameters()).device
        with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):  # training draws as before
            return self._look(model, device)

    def _look(self, model: CausalImageModel, device: torch.device) -> dict[str, float]:
        real = self.real
        again = torch.cat([model.reconstruct(some.to(device)).cpu() for some in real.images.split(BATCH)])
        new = torch.cat([model.sample(len(some), seed=k).cpu() for k, some in enumerate(real.images.split(BATCH))])
        return {
            "held-out.psnr": psnr(real.images, again),
            "held-out.distance": real.distance(new),
            "held-out.grid": grid_energy(new) / max(real.grid, 1e-9),
        }

    def remarks(self, step: int, looks: Mapping[str, Any]) -> Iterator[str]:
        """What is wrong, each thing once, in sentences."""
        found, distance = looks["held-out.psnr"], looks["held-out.distance"]
        if step >= YOUNG and found < self.average:
            yield from self._once(
                "average",
                f"step {step}: reconstructions are worse than an average picture ({found:.1f} dB, {self.average:.1f}): "
                "training has collapsed, or has not begun; try a smaller objective.adversarial or objective.rate",
            )
        if step >= YOUNG and distance > WORSE * self.least:
            yield from self._once(
                "worse",
                f"step {step}: new images get worse: {distance:.3g} from held-out ones, {self.least:.3g} before",
            )
        self.least = min(self.least, distance)

    def _once(self, about: str, sentence: str) -> Iterator[str]:
        if about not in self._said:
            self._said.add(about)
            yield sentence


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Images [n, c, h, w] in [-1, 1] that new ones are held against."""

    images: Tensor

    @cached_property
    def grid(self) -> float:
        """Their own energy at a grid's frequencies."""
        return grid_energy(self.images)

    @cached_property
    def small(self) -> Tensor:
        """Their thumbnails, [n, k]."""
        return thumbnails(self.images)

    def distance(self, images: Tensor) -> float:
        """The Fréchet distance of images [m, c, h, w] to these, between thumbnails, for each pixel in its variances."""
        spread = self.small.std(dim=0).clamp(min=1e-3)
        return frechet(thumbnails(images) / spread, self.small / spread) / self.small.shape[1]


def thumbnails(images: Tensor) -> Tensor:
    """Images [b, c, h, w], 8 x 8 pixels of each, [b, 64 c]."""
    return F.adaptive_avg_pool2d(images, 8).flatten(1)


def psnr(images: Tensor, drawn: Tensor) -> float:
    """The mean peak signal-to-noise ratio, in decibels, of drawings of images [b, c, h, w] in [-1, 1]."""
    error = (images - drawn).square().mean(dim=(1, 2, 3)) / 4  # pixels from 0 to 1
    return float(-10 * error.clamp(min=1e-10).log10().mean())


def grid_energy(images: Tensor) -> float:
    """The energy of images [b, c, h, w] at a grid's frequencies over that beside them, of the period where it is most.

    Up-sampling that treats neighbouring pixels unlike repeats its pattern every two or four pixels, whatever the
    picture shows: a peak in the spectrum along both axes, where pictures of things have none.
    """
    grey = images.mean(dim=1)
    spectrum = torch.fft.fft2(grey - grey.mean(dim=(1, 2), keepdim=True)).abs().square().mean(dim=0)
    side = min(spectrum.shape)
    slow = max(side // 8, 1)  # along the other axis

    def along(k: int) -> Tensor:
        energy: Tensor = spectrum[k, :slow].mean() + spectrum[:slow, k].mean()
        return energy

    peaks = [along(side // p) / ((along(side // p - 2) + along(side // p - 3)) / 2).clamp(min=1e-12) for p in PERIODS]
    return float(max(peaks))
