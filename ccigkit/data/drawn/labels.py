"""What a table says of drawn attributes: their degrees, or labels alone, some of them wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor

from ccigkit.causal.attributes import SURE, Attribute
from ccigkit.data.base import SplitName


class Degrees:
    """Attributes are said as they are drawn."""

    def said(self, degrees: Tensor) -> Tensor:
        """What a table that nobody got wrong says of degrees [n, d]."""
        return degrees

    def observed(self, values: Tensor, split: SplitName) -> Tensor:
        """What the table of a split says where it should say values [n, d]."""
        return values

    def meant(self, do: Mapping[str, Tensor | float]) -> Mapping[str, Tensor | float]:
        """The degrees that an intervention holds attributes at."""
        return do

    def typical(self, attribute: Attribute) -> Tensor:
        """The degree [2] at which each label of a binary attribute is typically drawn."""
        return attribute.to_value(torch.tensor(attribute.levels))


class HardLabels(Degrees):
    """Binary attributes are said as labels: whether the degree, which stays hidden, is above a half.

    A label that is set means its typical degree: the median of the hidden degrees of those who rightly carry it.

    Args:
        hidden: gives the degrees [n, d] of the training split.
        names: the attributes' names, in the order of the columns.
        wrong: share of a table's labels that are the other one, each by chance of its own.
        seed: seed of which.

    Raises:
        ConfigError: where the share is none.
    """

    def __init__(self, hidden: Callable[[], Tensor], names: tuple[str, ...], wrong: float, seed: int) -> None:
        self.hidden, self.names, self.wrong, self.seed = hidden, names, wrong, seed

    def said(self, degrees: Tensor) -> Tensor:
        return (degrees > 0.5).to(degrees)

    def observed(self, values: Tensor, split: SplitName) -> Tensor:
        generator = torch.Generator().manual_seed(2 * self.seed + (split == "test") + 1_000_003)  # not the noise's
        flipped = torch.rand(values.shape, generator=generator) < self.wrong
        return torch.where(flipped, 1 - values, values)

    def meant(self, do: Mapping[str, Tensor | float]) -> Mapping[str, Tensor | float]:
        """Labels 0 and 1 as their typical degrees; what lies between is a degree as it stands."""
        return {name: self._degree(name, torch.as_tensor(value)) for name, value in do.items()}

    def typical(self, attribute: Attribute) -> Tensor:
        return self._medians[attribute.name].float()

    def _degree(self, name: str, value: Tensor) -> Tensor:
        value = value if value.is_floating_point() else value.double()
        no, yes = self._medians[name].to(value)
        return torch.where(value == 0, no, torch.where(value == 1, yes, value))

    @cached_property
    def _medians(self) -> dict[str, Tensor]:
        found = {}
        for name, degrees in zip(self.names, self.hidden().double().T, strict=True):
            sides = degrees[degrees <= 0.5], degrees[degrees > 0.5]
            medians = [float(s.median()) if len(s) else sure for s, sure in zip(sides, (SURE, 1 - SURE), strict=True)]
            found[name] = torch.tensor(medians, dtype=torch.float64)
        return found
