"""Metrics: questions to a model, answered in rows."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from torch import Tensor

from ccigkit.causal.attributes import Attributes
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


class Metric(Component):
    """A question to a model, answered in rows that a table can show and a JSON file can keep.

    In each row `do` is what was asked and `row` is who answers: `model`, or one of the controls.
    """

    kind = "metric"

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
        """The rows of several metrics, each with `cls`'s own `measure_together`, or the reason why it has none.

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
        except DataError:
            return  # the toy has continuous attributes alone: a metric may say, in one line, that it needs others
        assert rows, "a metric returns rows"
        for row in rows:
            assert all(isinstance(value, float | str) for value in row.values()), "a row holds numbers and text"
