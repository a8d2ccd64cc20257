"""What the drawn data sets share: a causal model that can be drawn, and two splits of it, the same on every machine."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated

import torch
from annotated_types import Ge, Le
from torch import Tensor

from ccigkit.causal.attributes import Attribute, Table
from ccigkit.causal.graph import CausalGraph, Knowledge
from ccigkit.data.base import RenderedData, Split, SplitName
from ccigkit.data.drawn.canvas import in_chunks
from ccigkit.data.drawn.labels import Degrees
from ccigkit.errors import ConfigError

Images = Annotated[int, Ge(10)]  # how many are drawn
Pixels = Annotated[int, Ge(16), Le(512)]  # a side of them


class Scene(ABC):
    """A causal model that can be drawn: noise [n, m] makes attributes [n, d], and both make pictures.

    The first d columns of the noise are the attributes' own, in their order; the rest is independent of the attributes.
    """

    channels = 3
    attributes: tuple[Attribute, ...]
    truth: CausalGraph
    knowledge: Knowledge

    @abstractmethod
    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Noise [n, m] for n new pictures."""

    @abstractmethod
    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        """Attributes [n, d] that follow from the noise [n, m], with those in `do` held at the values given for them."""

    @abstractmethod
    def abduct(self, values: Tensor) -> Tensor:
        """The attributes' own noise [n, d] that made their values [n, d] without any intervention."""

    @abstractmethod
    def draw(self, values: Tensor, noise: Tensor, size: int) -> Tensor:
        """Pictures [n, c, size, size] as uint8 of attributes [n, d]."""

    def split_noise(self, split: SplitName, n: int, seed: int) -> Tensor:
        """The noise of a split: n rows for training, or a fifth as many for testing, each with a seed of its own."""
        test = split == "test"
        generator = torch.Generator().manual_seed(2 * seed + test)
        return self.sample_noise(n // 5 if test else n, generator)


class Measurable(Scene):
    """A scene whose attributes can be read off its pictures by their geometry, without anything learned."""

    @abstractmethod
    def measure(self, images: Tensor) -> Tensor:
        """Attributes [n, d] as the pictures [n, c, size, size] show them, NaN where they do not."""


class Rendered(RenderedData):
    """A scene's pictures, `size` pixels a side, in two splits; what its table says of degrees, `labels` says."""

    def __init__(self, scene: Scene, n: int, size: int, seed: int, labels: Degrees | None = None) -> None:
        self.scene, self.n, self.size, self.seed, self.said = scene, n, size, seed, labels or Degrees()
        self.attributes, self.truth, self.knowledge = scene.attributes, scene.truth, scene.knowledge
        self.image_shape = (scene.channels, size, size)
        self._drawn: dict[SplitName, Split] = {}

    def load(self, split: SplitName) -> Split:
        if split not in self._drawn:
            drawn = self.counterfactual(self._noise(split), {})
            values = self.said.observed(torch.as_tensor(drawn.values), split)
            self._drawn[split] = replace(drawn, values=values.numpy())
        return self._drawn[split]

    def table(self) -> Table:
        values = self.said.observed(self.values(self._noise("train").double(), {}), "train")
        return Table.fit(self.attributes, values.numpy(), self.truth)

    def counterfactual(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Split:
        # Drawn from single precision, kept in double: so that `abduct` gives the noise back to its last bit.
        images = self.draw(self.degrees(noise, do), noise)
        return Split(images, self.values(noise.double(), do).numpy(), noise)

    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        return self.scene.sample_noise(n, generator)

    def degrees(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        return self.scene.values(noise, self.said.meant(do))

    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        return self.said.said(self.degrees(noise, do))

    def typical(self, attribute: Attribute) -> Tensor:
        return self.said.typical(attribute)

    def abduct(self, values: Tensor) -> Tensor:
        """The attributes' own noise [n, d], the first columns of all noise, that made their degrees [n, d]."""
        return self.scene.abduct(values)

    @torch.no_grad()
    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        drawn = torch.empty(len(values), *self.image_shape, dtype=torch.uint8)
        at = 0
        for v, u in in_chunks(values, noise):
            drawn[at : at + len(v)] = self.scene.draw(v, u, self.size)
            at += len(v)
        return drawn

    @torch.no_grad()
    def measure(self, images: Tensor) -> Tensor:
        """Attributes [n, d] as pictures [n, c, size, size] show them, NaN where they do not.

        Raises:
            ConfigError: where the attributes cannot be read off the pictures' geometry.
        """
        if not isinstance(self.scene, Measurable):
            raise ConfigError(
                f"the attributes of {self.name} cannot be measured, only drawn; train a predictor on them"
            )
        return torch.cat([self.scene.measure(chunk) for chunk in images.split(128)])

    def _noise(self, split: SplitName) -> Tensor:
        return self.scene.split_noise(split, self.n, self.seed)


def held(do: Mapping[str, Tensor | float], name: str, otherwise: Tensor) -> Tensor:
    """The value that `do` holds an attribute at, or what its causes make of it."""
    return torch.as_tensor(do[name], dtype=otherwise.dtype).expand_as(otherwise) if name in do else otherwise


def within(place: Tensor, limits: tuple[float, float]) -> Tensor:
    """Places in [0, 1] to values between two limits."""
    return limits[0] + (limits[1] - limits[0]) * place


def placed(value: Tensor, limits: tuple[float, float]) -> Tensor:
    """Values between two limits to places in [0, 1]."""
    return (value - limits[0]) / (limits[1] - limits[0])


def noise_of(deviation: Tensor, scale: float) -> Tensor:
    """The noise behind a deviation that is `scale` times it; none where there is no noise."""
    return deviation / scale if scale else torch.zeros_like(deviation)
