"""The questions that are put to a model: one do() each, of test images, with the true answer where it is known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute
from ccigkit.data.base import DataModule, RenderedData, Split, SplitName
from ccigkit.errors import DataError
from ccigkit.metrics.base import ImageModel, graph_of
from ccigkit.metrics.readers.predictor import Pictures
from ccigkit.pixels import to_float

BATCH = 128


@dataclass(frozen=True, eq=False)
class Question:
    """What would these images [b, c, h, w] of attributes [b, d] have been, had one attribute been so?

    `asked` [b] is the value as a person says it, `drawn` [b] what it means in a picture: a label's typical degree.
    `effects` are the positions of what the attribute causes, None where no graph is known; `noise` [b, m] is what the
    images were drawn from, None where that is not known.
    """

    data: DataModule
    attribute: Attribute
    target: int
    asked: Tensor
    drawn: Tensor
    pictures: Pictures
    values: Tensor
    effects: Sequence[int] | None
    noise: Tensor | None

    @property
    def name(self) -> str:
        """The name of what is set."""
        return self.attribute.name

    @property
    def do(self) -> Mapping[str, Tensor]:
        """The intervention, for a model."""
        return {self.name: self.asked}

    @property
    def images(self) -> Tensor:
        """The images themselves [b, c, h, w]."""
        return self.pictures.images

    @property
    def own(self) -> Tensor:
        """What the attribute [b] is in the images, as a person says it."""
        return as_said(self.attribute, self.values[:, self.target])

    @property
    def others(self) -> list[int]:
        """The positions of what must stay as it was: neither set nor caused by what is set."""
        if self.effects is None:
            return []
        return [j for j in range(self.values.shape[1]) if j != self.target and j not in self.effects]

    @cached_property
    def truth(self) -> Split:
        """The true answer.

        Raises:
            DataError: where the data does not know it.
        """
        assert self.noise is not None, "known_truth says beforehand whether it can be asked for"
        return known_truth("a true answer", self.data).counterfactual(self.noise, {self.name: self.drawn})

    @cached_property
    def wanted(self) -> Tensor:
        """The attributes [b, d] of the right answer, NaN for an effect of which nobody knows what becomes of it."""
        if self.noise is not None and isinstance(self.data, RenderedData):
            return torch.as_tensor(self.truth.values).float()
        wanted = torch.full_like(self.values, float("nan"))
        wanted[:, self.others] = self.values[:, self.others]
        wanted[:, self.target] = self.drawn
        return wanted


@dataclass(frozen=True)
class Spread:
    """N questions in batches of one do() each, spread evenly over images and attributes (or those of `targets`).

    Binary attributes are flipped, categories become another one, continuous ones take the value of another test image.
    The same seed asks every model the same.
    """

    n: int
    seed: int
    split: SplitName = "test"
    targets: tuple[int, ...] | None = None

    def put(self, model: ImageModel, data: DataModule) -> Iterator[Question]:
        """The questions."""
        images, generator = data.load(self.split), torch.Generator().manual_seed(self.seed)
        targets = range(len(model.attributes)) if self.targets is None else self.targets
        number = torch.arange(self.n)
        # After a round over all images each is asked about the next attribute.
        turn = (number + number // len(images)) % len(targets)
        for at, j in enumerate(targets):
            rows = number[turn == at] % len(images)
            if not len(rows):
                continue
            values = torch.as_tensor(images.values).float()[rows, j]
            asked, drawn = alternatives(model.attributes[j], values, generator, data)
            for chunk in torch.arange(len(rows)).split(BATCH):
                yield question(model, data, j, (asked[chunk], drawn[chunk]), Shown.of(images, rows[chunk]))


@dataclass(frozen=True)
class EveryDo:
    """Every one of n test images under every do(), drawn as in `Spread`; a batch is asked everything in turn."""

    n: int
    seed: int

    def put(self, model: ImageModel, data: DataModule) -> Iterator[Question]:
        """The questions."""
        images, generator = data.load("test"), torch.Generator().manual_seed(self.seed)
        rows = torch.arange(min(self.n, len(images)))
        values = torch.as_tensor(images.values).float()[rows]
        alternative = [alternatives(a, values[:, j], generator, data) for j, a in enumerate(model.attributes)]
        for chunk in rows.split(BATCH):
            shown = Shown.of(images, chunk)
            for j, (asked, drawn) in enumerate(alternative):
                yield question(model, data, j, (asked[chunk], drawn[chunk]), shown)


@dataclass(frozen=True, eq=False)
class Shown:
    """Images that are asked about, their attributes [b, d], and what they were drawn from [b, m], if that is known."""

    pictures: Pictures
    values: Tensor
    noise: Tensor | None

    @classmethod
    def of(cls, split: Split, rows: Tensor) -> Shown:
        """Some rows of a split."""
        noise = None if split.noise is None else split.noise[rows]
        return cls(Pictures(to_float(split.images[rows])), torch.as_tensor(split.values).float()[rows], noise)


def question(model: ImageModel, data: DataModule, j: int, value: tuple[Tensor, Tensor], shown: Shown) -> Question:
    """What would images have been, had attribute j been so: a value as it is asked [b], and as it is drawn [b]?"""
    effects = effects_of(model, data, j)
    return Question(data, model.attributes[j], j, *value, shown.pictures, shown.values, effects, shown.noise)


def ask(model: ImageModel, data: DataModule, n: int, seed: int) -> Iterator[Question]:
    """N questions about test images, as `Spread` puts them."""
    return Spread(n, seed).put(model, data)


def known_truth(who: str, data: DataModule) -> RenderedData:
    """The data, as data of which true counterfactuals are known.

    Raises:
        DataError: naming `who` needs them, where they are not.
    """
    if not isinstance(data, RenderedData) or data.load("test").noise is None:
        raise DataError(f"{who} needs data with known counterfactuals (pendulum, faces), and {data.name} has none")
    return data


def alternatives(
    attribute: Attribute, values: Tensor, generator: torch.Generator, data: DataModule
) -> tuple[Tensor, Tensor]:
    """What to set an attribute to, image by image [n]: as a person asks for it, and as the renderer draws it."""
    if attribute.kind == "continuous":
        # Other test images' values, as far as the model may be asked for them: those that training has seen.
        other = values[torch.randperm(len(values), generator=generator)].clamp(attribute.low, attribute.high)
        return other, other
    if attribute.kind == "categorical":
        step = torch.randint(1, len(attribute.categories), (len(values),), generator=generator)
        other = (values + step) % len(attribute.categories)
        return other, other
    asked = (values <= 0.5).float()
    return asked, as_drawn(attribute, asked, data)


def as_drawn(attribute: Attribute, asked: Tensor, data: DataModule) -> Tensor:
    """Values [n] as a person says them to what they mean in a picture: a binary label's typical degree there."""
    return data.typical(attribute)[asked.long()] if attribute.kind == "binary" else asked


def as_said(attribute: Attribute, values: Tensor) -> Tensor:
    """An attribute's values [n] as a model may be asked for them: labels, and values within the range of training."""
    if attribute.kind == "continuous":
        return values.clamp(attribute.low, attribute.high)
    return (values > 0.5).float() if attribute.kind == "binary" else values


def effects_of(model: ImageModel, data: DataModule, target: int) -> list[int] | None:
    """The positions of what an attribute causes by the true graph, else by the model's; None where there is neither."""
    graph = graph_of(model) if data.truth is None else data.truth
    if graph is None:
        return None
    return [model.attributes.index(name) for name in graph.descendants(model.attributes[target].name)]
