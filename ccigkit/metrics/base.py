"""Metrics: questions to a model, answered in rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from copy import copy
from inspect import signature
from typing import Any, ClassVar, Protocol, Self, TypeGuard, runtime_checkable

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attributes
from ccigkit.causal.graph import CausalGraph
from ccigkit.causal.model import CausalModel
from ccigkit.component.component import Component
from ccigkit.data.base import DataModule
from ccigkit.errors import DataError
from ccigkit.pixels import ImageShape

Row = dict[str, float | str]


class ImageModel(Protocol):
    """What is asked of a model to be measured, ours or anybody's: abduct, predict, sample.

    Images are float [b, c, h, w] in [-1, 1]; interventions are {attribute: values [b]} in the attribute's own units, of
    a category by its code. What `abduct` returns is the model's own affair: `predict` gets it back.
    """

    @property
    def attributes(self) -> Attributes:
        """The attributes that can be intervened on, those of the data set in its order."""

    @property
    def image_shape(self) -> ImageShape:
        """Channels, height and width of the images."""

    def abduct(self, image: Tensor) -> Any:
        """What images [b, c, h, w] are made of.

        A model that needs their labels too takes them as a second, optional argument named `attributes`: the values
        [b, d] in own units, which are then passed.
        """

    def predict(self, codes: Any, do: Mapping[str, float | Tensor]) -> Tensor:
        """The same images [b, c, h, w] had `do` been so; with an empty `do`, as the model sees them."""

    def sample(self, n: int, do: Mapping[str, float | Tensor] | None = None, *, seed: int | None = None) -> Tensor:
        """N new images [n, c, h, w], under an intervention if one is given; the same seed gives the same images."""


# --- what a model may be able to do besides ---------------------------------------------------------------------------


class DrawsAlone(ImageModel, Protocol):
    """A model that can leave out the image's own detail: there is a row `drawn` then."""

    def predict(self, codes: Any, do: Mapping[str, float | Tensor], *, detail: bool = True) -> Tensor:
        """As any model's; without detail, what it draws alone."""


class Holds(ImageModel, Protocol):
    """A model that can be told to hold attributes as it sees them, whatever their causes do."""

    def predict(self, codes: Any, do: Mapping[str, float | Tensor], *, hold: Collection[str] = ()) -> Tensor:
        """As any model's, the attributes in `hold` held."""


@runtime_checkable
class HasGraph(Protocol):
    """A model that shows the causal graph it works with."""

    @property
    def graph(self) -> CausalGraph:
        """The graph, over the model's attributes."""


@runtime_checkable
class HasLatents(Protocol):
    """A model whose codes are latents that can be set: attributes `z` [b, d], on the latent scale, and a `style`."""

    @property
    def causal(self) -> CausalModel:
        """What causes what among the attributes."""

    def render(self, z: Tensor, style: Any) -> Tensor:
        """Images [b, c, h, w] of attributes z [b, d] in a style."""


@runtime_checkable
class Rewirable(HasLatents, HasGraph, Protocol):
    """A model that can be put under another causal model, its networks as they are."""

    def with_causal(self, causal: CausalModel) -> Any:
        """The same model under another causal model."""


def takes(method: Callable[..., Any], argument: str) -> bool:
    """Whether a method has an argument of this name."""
    return argument in signature(method).parameters


def draws_alone(model: ImageModel) -> TypeGuard[DrawsAlone]:
    """Whether a model can leave out the image's own detail."""
    return takes(model.predict, "detail")


def holds(model: ImageModel) -> TypeGuard[Holds]:
    """Whether a model can be told to hold attributes."""
    return takes(model.predict, "hold")


def graph_of(model: object) -> CausalGraph | None:
    """The causal graph that a model shows, None where it shows none."""
    graph = model.graph if isinstance(model, HasGraph) else None
    return graph if isinstance(graph, CausalGraph) else None


# --- metrics ----------------------------------------------------------------------------------------------------------


class Metric(Component):
    """A question to a model, answered in rows that a table can show and a JSON file can keep.

    In each row `do` is what was asked and `row` is who answers: `model`, or one of the controls.
    """

    kind = "metric"
    family: ClassVar[str] = ""
    """Metrics of one family share `measure_together`, and are measured by it in one go; those of none, by themselves.
    """
    device: str | torch.device = "auto"
    """Where the networks of its own work: a device, its name, or `auto` for the best there is."""

    def to(self, device: str | torch.device) -> Self:
        """The same metric with the networks of its own on another device."""
        other = copy(self)
        other.device = device
        return other

    @abstractmethod
    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        """One row per thing measured, control rows included.

        Raises:
            DataError: where the data, or a model from outside, cannot support the metric (no known truth, for
                instance), with the reason.
        """

    @classmethod
    def measure_together(
        cls, metrics: Sequence[Metric], model: ImageModel, data: DataModule
    ) -> list[list[Row] | DataError]:
        """The rows of several metrics of one family, or of each the reason why it has none.

        A family whose metrics look at the same images overrides this, so that they are made once.
        """
        found: list[list[Row] | DataError] = []
        for metric in metrics:
            try:
                found.append(metric.measure(model, data))
            except DataError as reason:
                found.append(reason)
        return found

    @classmethod
    def contract(cls, build: Callable[..., Any], lab: Any) -> None:
        data = lab.ToyData()
        model, _ = lab.toy_model(data.image_shape, data.table())
        try:
            rows = build().measure(model.eval(), data)
        except DataError as reason:
            raise AssertionError(f"a metric answers where all is there that one may need, not: {reason}") from None
        assert rows, "a metric returns rows"
        for row in rows:
            assert all(isinstance(value, float | str) for value in row.values()), "a row holds numbers and text"
