"""One attribute: its name, kind and unit, and the one map between that unit and the latent scale.

Three scales meet here and nowhere else. A *value* is what a person says, in the attribute's own units (Smiling=1,
angle=0.3 radians); a category is said as the table writes it, and its *code* is its position among the categories. A
*latent* is what the causal model works on, about zero mean and unit spread. A *probability* is the reading of a binary
attribute in between. The map is fitted once, on the training table, and saved with the model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ccigkit.errors import ConfigError, DataError
from ccigkit.names import TRUTHS, number

Kind = Literal["binary", "categorical", "continuous"]
Values = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]
Said = float | str  # a value as the table writes it: 30.5, 1 or "flat"
Hard = Mapping[str, Said | Sequence[Said] | Tensor]  # what is set to what; a tensor holds codes
KINDS: tuple[Kind, ...] = ("binary", "categorical", "continuous")
SaidKind = Literal[Kind, "ordered"]  # ordered is categorical, its order known
SURE = 0.02  # a hard 0/1 label counts as this probability of being otherwise, so that its logit is finite


@dataclass(frozen=True)
class Attribute:
    """One column of the table: its name, its kind, its unit and the range it was seen in.

    A binary value is a probability or a degree in [0, 1]; hard labels are the special case 0 and 1, and 0.5 is the
    threshold. A categorical value is a code 0, 1, ... into `categories`, and its latents are levels in that order;
    networks see it as one choice among k, unless the order means something (`ordered`).

    `center` and `spread` standardise the latent; `levels` are the latents that an intervention sets for each category
    (two, for a binary attribute): the median latent of the training rows that carry it.

    Args:
        name: what it is called.
        kind: binary, categorical or continuous.
        unit: of its values, for people.
        categories: the words of a categorical attribute, in order.
        low: the least value seen.
        high: the greatest value seen.
        center: mean on the scale before standardising (values; log odds for a binary attribute).
        spread: standard deviation on that scale.
        levels: the latents that interventions set.
        ordered: whether the categories are ordered as they are listed.

    Examples:
        >>> age = Attribute("age", "continuous", unit="years").fitted(np.array([20.0, 30.0, 40.0]))
        >>> age.low, age.high, age.to_latent(torch.tensor([30.0, 40.0])).tolist()
        (20.0, 40.0, [0.0, 1.0])
    """

    name: str
    kind: Kind
    unit: str = ""
    categories: tuple[str, ...] = ()
    low: float = 0.0
    high: float = 1.0
    center: float = 0.0
    spread: float = 1.0
    levels: tuple[float, ...] = ()
    ordered: bool = False

    def fitted(self, values: Values) -> Attribute:
        """The attribute with its range and its scale taken from a column [n] of values.

        Raises:
            DataError: where the column is constant, has missing values, or values that its kind does not allow.
        """
        for bad, what in ((np.isnan(values), "missing values (NaN)"), (np.isinf(values), "infinite values")):
            if bad.any():
                raise DataError(f"attribute {self.name} has {int(bad.sum())} {what}; fill or drop those rows")
        low, high = float(values.min()), float(values.max())
        if low == high:
            raise DataError(f"attribute {self.name} is constant ({low:g} in all {len(values)} rows); leave it out")
        if self.kind == "binary" and not 0 <= low <= high <= 1:
            raise DataError(f"attribute {self.name} is binary but has values from {low:g} to {high:g}; use 0 and 1")
        if self.kind == "categorical":
            if (values != np.round(values)).any() or low < 0 or (self.categories and high >= len(self.categories)):
                raise DataError(f"attribute {self.name} is categorical: its values must be the codes 0, 1, 2, ...")
            names = self.categories or tuple(str(code) for code in range(int(high) + 1))
            return replace(self, categories=names)._scaled(values, low, high)
        return self._scaled(values, low, high)

    def _scaled(self, values: Values, low: float, high: float) -> Attribute:
        raw = self._link(torch.as_tensor(values, dtype=torch.float64))
        spread = float(raw.std())
        if spread <= 1e-12 * float(raw.abs().max()):  # of its size, as units may be as small as one likes
            raise DataError(f"attribute {self.name} does not vary enough to be learned from; leave it out")
        scaled = replace(self, low=low, high=high, center=float(raw.mean()), spread=spread)
        if self.kind == "continuous":
            return scaled
        latents = scaled.to_latent(torch.as_tensor(values, dtype=torch.float64))
        codes = torch.as_tensor((values > 0.5) if self.kind == "binary" else values).long()
        levels = [
            float(latents[codes == code].median() if (codes == code).any() else scaled.to_latent(torch.tensor(code)))
            for code in range(2 if self.kind == "binary" else len(scaled.categories))
        ]
        return replace(scaled, levels=tuple(levels))

    def _link(self, values: Tensor) -> Tensor:
        return values.clamp(SURE, 1 - SURE).logit() if self.kind == "binary" else values

    def to_latent(self, values: Tensor) -> Tensor:
        """Values in the attribute's own units, any shape, to the latent scale."""
        return (self._link(values) - self.center) / self.spread

    def to_value(self, latent: Tensor) -> Tensor:
        """The latent scale, any shape, back to the attribute's own units (binary: a probability)."""
        raw = latent * self.spread + self.center
        return raw.sigmoid() if self.kind == "binary" else raw

    @property
    def unordered(self) -> bool:
        """Whether it is one choice among three or more that have no order."""
        return self.kind == "categorical" and not self.ordered and len(self.levels) > 2

    @property
    def labelled(self) -> bool:
        """Whether it is yes or no and was seen as labels, not as degrees between them."""
        if self.kind != "binary" or not self.levels:
            return False
        sure = self.to_latent(torch.tensor([0.0, 1.0], dtype=torch.float64))  # of degrees the medians lie inside
        return bool((sure - torch.tensor(self.levels, dtype=torch.float64)).abs().max() < 1e-6)

    def as_written(self, values: Tensor) -> Tensor:
        """Values [n] as a table may have them: labels 0 and 1 where it was seen as labels, codes of categories."""
        if self.kind == "categorical":
            return values.round().clamp(0, len(self.categories) - 1)
        return (values > 0.5).to(values) if self.labelled else values

    def coded(self, value: Said | Sequence[Said] | Tensor) -> float | Tensor:
        """A value as the table writes it, or a list of one per image, as a number: of a category its code.

        A category is named by its word, or by a number where it is written as one: 1, "1" and "1.0" name the category
        1. A tensor or an array [b] has codes already.

        Args:
            value: what a person or a table says.

        Raises:
            ConfigError: where the attribute has no such value.

        Examples:
            >>> shape = Attribute("shape", "categorical", categories=("flat", "round"))
            >>> shape.coded("round"), shape.coded(["flat", "round"]).tolist()
            (1.0, [0.0, 1.0])
        """
        if isinstance(value, Tensor):
            return value
        if isinstance(value, np.generic | np.ndarray):
            return torch.as_tensor(value) if value.ndim else self.coded(value.item())
        if isinstance(value, list | tuple):
            return torch.tensor([float(self.coded(one)) for one in value], dtype=torch.float64)
        if isinstance(value, str | int | float):
            figure = float(value) if isinstance(value, bool) else number(str(value))  # an int of any size
            found = self._category(value, figure) if self.kind == "categorical" else figure
            if found is not None:
                return found
            if self.kind == "binary" and (truth := TRUTHS.get(str(value).strip().lower())) is not None:
                return truth
        among = ", ".join(self.categories) or ("0, 1, true, false" if self.kind == "binary" else "")
        among = f"it is one of {among}" if among else "it is a number, such as -1.5"
        raise ConfigError(f"{self.name}={value}: {value!r} is not a value of the {self.kind} {self.name}; {among}")

    def _category(self, value: Said, figure: float | None) -> float | None:
        """The code of a category by its word, or by the one number that is written like it."""
        for text in (str(value), str(value).strip()):
            if text in self.categories:
                return float(self.categories.index(text))
        if figure is None:
            return None
        alike = [code for code, category in enumerate(self.categories) if number(category) == figure]
        if not alike:
            among = ", ".join(self.categories)
            raise ConfigError(f"{self.name}={value} is impossible: {self.name} is categorical, so one of {among}")
        if len(alike) > 1:
            among = " or ".join(repr(self.categories[code]) for code in alike)
            raise ConfigError(f"{self.name}={value} is {among}; say which, as it is written")
        return float(alike[0])

    def written(self, value: float) -> str:
        """A value in few letters, a category as the table writes it."""
        return self.categories[round(value)] if self.categories else f"{value:.3g}"

    def intervention(self, value: float | Tensor) -> Tensor:
        """The latent that do(attribute = value) sets, for one value or for one per image [b]; of a category, by code.

        Raises:
            ConfigError: where the attribute cannot take a value.
        """
        values = torch.as_tensor(value, dtype=torch.float64)
        if self.kind == "continuous":
            slack = 1e-6 * (self.high - self.low)
            possible = (values >= self.low - slack) & (values <= self.high + slack)
            unit = f" {self.unit}" if self.unit else ""
            remedy = f"is outside {self.low:.4g} to {self.high:.4g}{unit}, the range the model was trained on"
        else:
            possible = (values == values.round()) & (values >= 0) & (values < len(self.levels))
            allowed = "0 or 1" if self.kind == "binary" else f"one of {', '.join(self.categories)}"
            remedy = f"is impossible: {self.name} is {self.kind}, so {allowed}"
        if not possible.all():
            raise ConfigError(f"{self.name}={float(values[~possible].flatten()[0]):.12g} {remedy}")
        if self.kind == "continuous":
            return self.to_latent(values).float()
        return torch.tensor(self.levels)[values.long()]


def infer_kind(values: Values) -> Kind:
    """Binary for two values 0 and 1, categorical for a few whole numbers from 0, else continuous."""
    distinct = np.unique(values[np.isfinite(values)])
    if len(distinct) <= 2 and set(distinct) <= {0.0, 1.0}:
        return "binary"
    if len(distinct) <= 10 and (distinct == np.arange(len(distinct))).all():
        return "categorical"
    return "continuous"
