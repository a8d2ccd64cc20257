"""Interventional distributions: are images sampled under do() those that the true model would give?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from ccigkit.causal.attributes import Attribute
from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule, RenderedData
from ccigkit.errors import DataError
from ccigkit.metrics.base import ImageModel, Metric, Row
from ccigkit.metrics.protocol.answers import Abducted, sample
from ccigkit.metrics.protocol.distances import energy, mmd, total_variation
from ccigkit.metrics.protocol.questions import BATCH, as_drawn
from ccigkit.metrics.readers.predictor import STEPS, Predictor, ReadsPictures, View, look
from ccigkit.pixels import to_float

BINS = 10


class Distribution(ReadsPictures, Metric):
    """The distribution of samples under each do() against the true one, which drawn data can give.

    Distances between features, the predictor's last hidden layer: `mmd` is the unbiased squared maximum mean
    discrepancy, times 100, `energy` the unbiased energy distance. `tvd` is the total variation distance between the
    attributes read, the mean over those that are not set: labels as they are, continuous ones in ten bins. `no graph`
    edits test images in what is set alone, `identity` leaves them, `resample` picks those that come nearest to the
    value: seeing instead of doing. `oracle` is another true sample: what is left of zero with so many images.

    Args:
        n: samples under each do().
        seed: seed of the samples, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "distribution"
    former_names = ("interventional",)

    def __init__(self, *, n: Annotated[int, Ge(2)] = 200, seed: Seed = 0, predictor_steps: Count = STEPS) -> None:
        self.n, self.seed, self.predictor_steps = n, seed, predictor_steps

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        if not isinstance(data, RenderedData):
            raise DataError(f"{self.name} needs data that can be drawn under do() (pendulum, faces): not {data.name}")
        read = self.predictor(data)
        generator = torch.Generator().manual_seed(self.seed)
        test = data.load("test")
        values, pool = torch.as_tensor(test.values).float(), torch.randperm(len(test), generator=generator)
        first = pool[: self.n]
        shown = look(read, test.images)
        looked = [Abducted(model, to_float(test.images[some]), values[some]) for some in first.split(BATCH)]
        rows: list[Row] = []
        for setting in true_settings(read, data, self.n, generator):
            found = {
                "model": read.views(sample(model, self.n, setting.do, self.seed)),
                "no graph": read.views(some.hold(setting.do) for some in looked),
                "identity": shown[first],
                "resample": shown[pool[setting.nearest(values[pool])[: self.n]]],
                "oracle": setting.again,
            }
            rows += [{"do": setting.name, "row": who, **setting.apart(view, read)} for who, view in found.items()]
        return rows


@dataclass(frozen=True)
class Setting:
    """A do() on one attribute, in words, by its position, and what the predictor sees in two true samples under it."""

    name: str
    target: int
    do: dict[str, float]
    drawn: float  # the value, as it is drawn
    true: View
    again: View

    def nearest(self, values: Tensor) -> Tensor:
        """The rows [m] of attributes [m, d], those that come nearest to the setting first."""
        return (values[:, self.target] - self.drawn).abs().argsort(stable=True)

    def apart(self, view: View, read: Predictor) -> dict[str, float]:
        """The distances between a sample and the first true one; attributes are those that are not set."""
        return apart(view, self.true, read, [i for i in range(len(read.attributes)) if i != self.target])


def true_settings(read: Predictor, data: RenderedData, n: int, generator: torch.Generator) -> Iterator[Setting]:
    """Every attribute at every one of its settings, with two true samples of n images each."""
    for j, attribute in enumerate(read.attributes):
        for asked in settings(attribute):
            drawn = as_drawn(attribute, torch.full((n,), asked), data)
            true, again = (
                look(read, data.counterfactual(noise, {attribute.name: drawn}).images)
                for noise in data.sample_noise(2 * n, generator).chunk(2)
            )
            words = f"{attribute.name} = {attribute.written(asked)}"
            yield Setting(words, j, {attribute.name: asked}, float(drawn[0]), true, again)


def settings(attribute: Attribute) -> list[float]:
    """The values an attribute is set to: every category, or near either end of its range."""
    if attribute.kind == "continuous":
        return [attribute.low + at * (attribute.high - attribute.low) for at in (0.1, 0.9)]
    return [float(code) for code in range(len(attribute.levels))]


def apart(view: View, true: View, read: Predictor, others: Sequence[int]) -> dict[str, float]:
    """The distances between a sample and a true one."""
    variations = [
        total_variation(
            view.attributes[:, i], true.attributes[:, i], borders(read.attributes[i], true.attributes[:, i])
        )
        for i in others
    ]
    return {
        "mmd": 100 * mmd(view.features, true.features),
        "energy": energy(view.features, true.features),
        "tvd": sum(variations) / len(variations) if variations else float("nan"),
    }


def borders(attribute: Attribute, true: Tensor) -> Tensor:
    """The inner borders of bins: between categories, or for equally many of a true sample [n]."""
    if attribute.kind == "continuous":
        return torch.quantile(true, torch.arange(1, BINS) / BINS)
    return torch.arange(0.5, max(1, len(attribute.categories) - 1))
