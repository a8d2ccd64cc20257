"""Data: images with attributes, from files or drawn."""

from __future__ import annotations

import hashlib
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute, Table, Values
from ccigkit.causal.graph import CausalGraph, Knowledge, honours
from ccigkit.component.component import Component
from ccigkit.pixels import ImageShape

SplitName = Literal["train", "test"]


@dataclass(frozen=True)
class Split:
    """Images [n, c, h, w] as uint8, their attributes [n, d] in own units, and the noise that made them, if known.

    Args:
        images: [n, c, h, w] as uint8.
        values: [n, d] in own units.
        noise: [n, m], of drawn data.
    """

    images: Tensor
    values: Values
    noise: Tensor | None = None

    def __len__(self) -> int:
        return len(self.values)


class DataModule(Component):
    """Images with attributes.

    `knowledge` is what is known of these attributes' graph without data (a smile does not make one male);
    `truth` is the graph that made the data, or None; `frame` is the share of a picture's shorter side that the images
    show, so that a user's own picture can be cut as the training images were.
    """

    kind = "data"
    default = "faces"
    flag = "Where images and attributes come from."
    attributes: tuple[Attribute, ...]
    image_shape: ImageShape
    frame: float = 1.0
    knowledge: Knowledge = Knowledge()
    truth: CausalGraph | None = None

    @property
    def preprocess_id(self) -> str:
        """How files became images, for results to carry; empty where there are no files."""
        return ""

    @abstractmethod
    def load(self, split: SplitName) -> Split:
        """The images and attributes of one split; the same rows in the same order at every call.

        Args:
            split: train or test.
        """

    def table(self) -> Table:
        """The training split's attributes, with their ranges and scales fitted."""
        return Table.fit(self.attributes, self.load("train").values, self.truth)

    def typical(self, attribute: Attribute) -> Tensor:
        """What each label of a binary attribute of the table means in a picture, as a degree [2]: the typical one."""
        return attribute.to_value(torch.tensor(attribute.levels))

    def all_values(self) -> Values:
        """The attributes [n, d] of the images of every split, in own units."""
        return np.concatenate([self.load(split).values for split in get_args(SplitName)])

    def images_hash(self) -> str:
        """A hash of the training images, by which a training that goes on notices that they are others.

        It depends on what they show and on their order, not on where they lie.
        """
        images = self.load("train").images
        spread = images[:: max(1, len(images) // 64)].contiguous()
        return hashlib.sha256(spread.numpy().data).hexdigest()

    def in_batches(self, rows: Iterable[Tensor]) -> Iterator[Tensor]:
        """The training images [b, c, h, w], as uint8, of one batch of the table's rows [b] after another.

        Training gets its images here. Data sets too large for memory override this, and may read ahead.

        Args:
            rows: of each batch the rows of the table that it has.
        """
        images = self.load("train").images
        return (images.index_select(0, wanted) for wanted in rows)  # many times as fast as images[wanted]

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        data = build()
        for split in get_args(SplitName):
            loaded = data.load(split)
            assert loaded.images.dtype == torch.uint8, "images are uint8"
            assert tuple(loaded.images.shape) == (len(loaded), *data.image_shape), "images are [n, c, h, w]"
            assert loaded.values.shape == (len(loaded), len(data.attributes)), "attributes are [n, d]"
            assert np.array_equal(build().load(split).values, loaded.values), "the same rows at every call"
        train = data.load("train")
        assert np.array_equal(data.table().values, train.values), "the table is the training split's"
        rows = [torch.tensor([1, 0]), torch.tensor([1])]  # batches of their own order and size, and a row again
        for wanted, images in zip(rows, data.in_batches(rows), strict=True):
            assert torch.equal(images, train.images[wanted]), "batches are the training images of the rows asked for"
        names = tuple(attribute.name for attribute in data.attributes)
        data.knowledge.required_edges(names)
        if data.truth is not None:
            assert data.truth.names == names, "the truth is over the attributes"
            honours(data.truth, Knowledge(tiers=data.knowledge.tiers))


class RenderedData(DataModule):
    """Data drawn from a known causal model, so every counterfactual has a true answer.

    Noise is one row [n, m] per image: what is independent of the graph (identity included) and shared between an image
    and its counterfactuals.
    """

    truth: CausalGraph

    @abstractmethod
    def sample_noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Noise [n, m] for n new images.

        Args:
            n: how many images.
            generator: where the random numbers come from.
        """

    @abstractmethod
    def values(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        """Attributes [n, d] that follow from the noise, with those in `do` held at the values given for them.

        Args:
            noise: [n, m].
            do: what is set, {attribute: value in own units, one or [n]}.
        """

    def degrees(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Tensor:
        """Attributes [n, d] as they are drawn: `values`, but by degree where those are labels alone."""
        return self.values(noise, do)

    @abstractmethod
    def draw(self, values: Tensor, noise: Tensor) -> Tensor:
        """Images [n, c, h, w] as uint8 of attributes [n, d]; of the noise, only the columns that no attribute has.

        Args:
            values: the attributes.
            noise: [n, m].
        """

    def counterfactual(self, noise: Tensor, do: Mapping[str, Tensor | float]) -> Split:
        """What the same noise gives under an intervention; with an empty one, the sample itself.

        Args:
            noise: [n, m].
            do: what is set, {attribute: value in own units, one or [n]}.

        Examples:
            >>> from ccigkit.data.drawn.pendulum import Pendulum
            >>> data = Pendulum(n=20, size=16)
            >>> noise = data.sample_noise(2, torch.Generator().manual_seed(0))
            >>> data.counterfactual(noise, {"angle": 0.5}).values[:, 0].round(2).tolist()
            [0.5, 0.5]
        """
        images = self.draw(self.degrees(noise, do), noise)
        return Split(images, self.values(noise, do).double().numpy(), noise)

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        super().contract(build, lab)
        data: RenderedData = build()
        noise = data.sample_noise(24, torch.Generator().manual_seed(1))
        factual = data.counterfactual(noise, {})
        again = data.counterfactual(noise, {})
        assert torch.equal(factual.images, again.images), "the same noise draws the same picture"
        test = data.load("test")
        assert test.noise is not None, "a rendered split keeps its noise"
        assert torch.equal(data.counterfactual(test.noise, {}).images, test.images), (
            "an empty do() is the sample itself"
        )
        attributes = data.table().attributes
        for attribute in attributes:
            do = {attribute.name: attribute.low + 0.75 * (attribute.high - attribute.low)}
            changed = data.counterfactual(noise, do)
            before, after = data.degrees(noise, {}), data.degrees(noise, do)
            reached = {attribute.name, *data.truth.descendants(attribute.name)}
            for j, other in enumerate(attributes):
                kept = np.array_equal(changed.values[:, j], factual.values[:, j])
                same = torch.equal(after[:, j], before[:, j])
                if other.labelled:  # a label need not change where its degree does, and says nothing but its side
                    assert kept or not same, f"do({attribute.name}) leaves the label of {other.name} with its degree"
                    side = (torch.as_tensor(changed.values[:, j]) > 0.5) == (after[:, j] > 0.5)
                    assert side.all(), f"a label is whether its degree is above a half, so that of {other.name}"
                else:
                    same = kept
                assert same != (other.name in reached), (
                    f"do({attribute.name}) changes what it causes, so {other.name} or not"
                )
            assert not torch.equal(changed.images, factual.images), f"do({attribute.name}) shows in the picture"
