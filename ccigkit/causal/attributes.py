"""The attributes of a model, and a table of their values."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ccigkit.causal.attribute import KINDS, SURE, Attribute, Flags, Hard, Kind, Said, SaidKind, Values, infer_kind
from ccigkit.errors import ConfigError, DataError, one_of
from ccigkit.names import fault

if TYPE_CHECKING:
    from ccigkit.causal.graph import CausalGraph

__all__ = [
    "KINDS",
    "SURE",
    "Attribute",
    "Attributes",
    "Flags",
    "Hard",
    "Kind",
    "Said",
    "SaidKind",
    "Table",
    "Values",
    "infer_kind",
]


class Attributes(Sequence[Attribute]):
    """The attributes of a model, in order, and their maps for whole batches.

    Args:
        attributes: the attributes; every name once.

    Examples:
        >>> attributes = Table.of({"sun": [1.0, 2.0, 4.0], "wet": [0, 1, 0]}).attributes
        >>> attributes.names, attributes.index("wet")
        (('sun', 'wet'), 1)
        >>> latents = attributes.to_latent(torch.tensor([[2.0, 0.0]]))
        >>> attributes.as_written(attributes.to_values(latents)).round(decimals=3).tolist()
        [[2.0, 0.0]]
    """

    def __init__(self, attributes: Iterable[Attribute]) -> None:
        self._attributes = tuple(attributes)
        if len(set(self.names)) != len(self.names):
            raise DataError(f"an attribute is named twice: {', '.join(self.names)}")
        for name in self.names:
            if why := fault(name):
                raise DataError(f"the attribute name {name!r} {why}; rename that column")

    def __getitem__(self, index: Any) -> Any:
        return self._attributes[index]

    def __len__(self) -> int:
        return len(self._attributes)

    def __iter__(self) -> Iterator[Attribute]:
        return iter(self._attributes)

    @property
    def names(self) -> tuple[str, ...]:
        """The names, in order."""
        return tuple(attribute.name for attribute in self._attributes)

    @property
    def ranges(self) -> Tensor:
        """What an error is a share of [d]: the range seen; for a binary attribute 1, whatever degrees were seen."""
        return torch.tensor([1.0 if a.kind == "binary" else a.high - a.low for a in self])

    def index(self, name: object, start: int = 0, stop: int | None = None) -> int:
        """The position of a name.

        Raises:
            ConfigError: where no attribute has that name.
        """
        if name not in self.names:
            raise ConfigError(one_of("attribute", str(name), self.names))
        return self.names.index(str(name))

    def to_latent(self, values: Tensor) -> Tensor:
        """Values [n, d] in own units to latents [n, d]."""
        return torch.stack([a.to_latent(values[..., j]) for j, a in enumerate(self)], dim=-1)

    def to_values(self, latents: Tensor) -> Tensor:
        """Latents [n, d] to values [n, d] in own units."""
        return torch.stack([a.to_value(latents[..., j]) for j, a in enumerate(self)], dim=-1)

    def as_written(self, values: Tensor) -> Tensor:
        """Values [n, d] as a table may have them, attribute by attribute."""
        return torch.stack([a.as_written(values[..., j]) for j, a in enumerate(self)], dim=-1)

    def interventions(self, do: Hard) -> dict[int, Tensor]:
        """{name: value as the table writes it, one or a list [b], or a tensor of codes} as {position: latent}.

        Args:
            do: what is set to what.

        Raises:
            ConfigError: for an unknown name or an impossible value.

        Examples:
            >>> attributes = Table.of({"sun": [1.0, 2.0, 3.0]}).attributes
            >>> attributes.interventions({"sun": 3.0})
            {0: tensor(1.)}
        """
        chosen = {self.index(name): value for name, value in do.items()}
        return {at: self[at].intervention(self[at].coded(value)) for at, value in chosen.items()}

    def to_json(self) -> list[dict[str, object]]:
        """Plain data, for model.json."""
        return [asdict(attribute) for attribute in self]

    @classmethod
    def from_json(cls, content: Iterable[Mapping[str, Any]]) -> Attributes:
        """Read what `to_json` wrote."""
        return cls(
            Attribute(**{**a, "categories": tuple(a["categories"]), "levels": tuple(a["levels"])}) for a in content
        )


@dataclass(frozen=True)
class Table:
    """Attribute values [n, d] in their own units, with the attributes that describe the columns.

    `truth` is the graph that made the data, where that is known; only the learner `known` and reports look at it.
    `intervened` [n, d] is true where an attribute was set from outside in a row, whatever its causes were; None where
    none was. `regimes` tells what may be learned from which rows.
    """

    attributes: Attributes
    values: Values
    truth: CausalGraph | None = None
    intervened: Flags | None = None

    @classmethod
    def fit(
        cls,
        attributes: Iterable[Attribute],
        values: npt.ArrayLike,
        truth: CausalGraph | None = None,
        intervened: npt.ArrayLike | None = None,
    ) -> Table:
        """A table whose attributes take their ranges and scales from its own rows.

        Args:
            attributes: the columns; of each, name and kind.
            values: [n, d]; labels 0 and 1, categories as codes.
            truth: the graph that made the data, where it is known.
            intervened: [n, d], which attributes were set from outside in which rows, by a perfect intervention.

        Raises:
            DataError: where a column is constant, missing values, or at odds with its kind.

        Examples:
            >>> table = Table.fit([Attribute("sun", "continuous"), Attribute("wet", "binary")], [[1.5, 0], [3.0, 1]])
            >>> table.attributes[0].high, table.latents.round(2).tolist()
            (3.0, [[-0.71, -0.71], [0.71, 0.71]])
        """
        columns = np.asarray(values, dtype=np.float64)
        given = list(attributes)
        if columns.ndim != 2 or columns.shape[1] != len(given):
            raise DataError(f"a table of {len(given)} attributes must be [n, {len(given)}], got {list(columns.shape)}")
        if len(columns) < 2:
            raise DataError(f"a table needs at least two rows, got {len(columns)}")
        flags = None if intervened is None else np.asarray(intervened, dtype=bool)
        if flags is not None and flags.shape != columns.shape:
            raise DataError(f"what was set must be {list(columns.shape)} like the values, got {list(flags.shape)}")
        return cls(Attributes(a.fitted(columns[:, j]) for j, a in enumerate(given)), columns, truth, _some(flags))

    @classmethod
    def of(cls, columns: Mapping[str, Sequence[float]]) -> Table:
        """A table of numbers by name, kinds inferred: binary for 0 and 1, categorical for codes 0, 1, 2, ...

        Args:
            columns: the values of each column, by its name; all of one length.

        Raises:
            DataError: as `fit`.

        Examples:
            >>> [(a.name, a.kind) for a in Table.of({"sun": [1.5, 3.0], "wet": [0, 1]}).attributes]
            [('sun', 'continuous'), ('wet', 'binary')]
        """
        values = np.array([*columns.values()], dtype=np.float64).T
        return cls.fit([Attribute(name, infer_kind(values[:, j])) for j, name in enumerate(columns)], values)

    @property
    def names(self) -> tuple[str, ...]:
        """The attributes' names, in the order of the columns."""
        return self.attributes.names

    @property
    def latents(self) -> Values:
        """[n, d] on the latent scale: standardised values, standardised logits for binary attributes."""
        return self.attributes.to_latent(torch.as_tensor(self.values)).numpy()

    def reordered(self, names: Sequence[str]) -> Table:
        """The same rows with the columns in another order."""
        at = [self.attributes.index(name) for name in names]
        truth = self.truth.reordered(names) if self.truth else None
        intervened = None if self.intervened is None else self.intervened[:, at]
        return Table(Attributes(self.attributes[i] for i in at), self.values[:, at], truth, intervened)

    def taken(self, rows: Flags | npt.NDArray[np.int64]) -> Table:
        """Some of the rows, in the ranges and on the scales of all of them."""
        intervened = None if self.intervened is None else _some(self.intervened[rows])
        return Table(self.attributes, self.values[rows], self.truth, intervened)


def _some(flags: Flags | None) -> Flags | None:
    """The flags, or None where none is true."""
    return flags if flags is not None and flags.any() else None
