"""What the drawn data sets share: two splits, drawn once, the same on every machine."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from ccigkit.attributes import Table
from ccigkit.errors import ConfigError
from ccigkit.interfaces import RenderedData, Split, SplitName


class Rendered(RenderedData):
    """A drawn data set of n training images and n/5 test images, `size` pixels a side."""

    def __init__(self, n: int, size: int, seed: int) -> None:
        if n < 10:
            raise ConfigError(f"data.n={n} must be at least 10")
        if not 16 <= size <= 512:
            raise ConfigError(f"data.size={size} must be between 16 and 512 pixels")
        self.n, self.size, self.seed = n, size, seed
        self.image_shape = (3, size, size)
        self._drawn: dict[SplitName, Split] = {}

    def load(self, split: SplitName) -> Split:
        if split not in self._drawn:
            self._drawn[split] = self.counterfactual(self._noise(split), {})
        return self._drawn[split]

    def table(self) -> Table:
        return Table.fit(self.attributes, np.asarray(self.values(self._noise("train"), {}).double()), self.truth)

    def _noise(self, split: SplitName) -> torch.Tensor:
        test = split == "test"
        generator = torch.Generator().manual_seed(2 * self.seed + test)
        return self.sample_noise(self.n // 5 if test else self.n, generator)


def held(do: Mapping[str, Tensor | float], name: str, otherwise: Tensor) -> Tensor:
    """The value that `do` holds an attribute at, or what its causes make of it."""
    return torch.as_tensor(do[name], dtype=otherwise.dtype).expand_as(otherwise) if name in do else otherwise
