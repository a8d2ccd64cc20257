"""Interventions: what do() may say of an attribute, and what it sets row by row.

A hard intervention sets a value. A policy sets one that is drawn, or that follows from the value there would have been:
stochastic interventions (Correa and Bareinboim 2020) and modified treatment policies (Haneuse and Rotnitzky 2013).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute, Attributes, Said
from ccigkit.errors import ConfigError


class Policy(ABC):
    """What an attribute is set to where that is no fixed value. In text it reads as behind a name: ~0.3."""

    @abstractmethod
    def check(self, attribute: Attribute) -> None:
        """See that the attribute can be set so.

        Raises:
            ConfigError: where it cannot.
        """

    @abstractmethod
    def values(self, attribute: Attribute, natural: Tensor, chance: Tensor) -> Tensor:
        """What the attribute is set to [b], of a category its code.

        Args:
            attribute: what is set.
            natural: the values [b] that it has without the intervention, in own units.
            chance: numbers [b] drawn evenly from 0 to 1, one for each row.

        Raises:
            ConfigError: where a value is one that the attribute cannot take.
        """


@dataclass(frozen=True)
class Bernoulli(Policy):
    """1 with this probability, else 0; of the same draws a greater probability sets 1 wherever a smaller one does."""

    probability: float

    def __post_init__(self) -> None:
        _in_unit(self.probability)

    def __str__(self) -> str:
        return f"~{_figure(self.probability)}"

    def check(self, attribute: Attribute) -> None:
        own = attribute.name
        if attribute.kind == "continuous":
            raise ConfigError(f"{own}{self}: {own} is continuous and has no probability; draw it from {own}~N(MEAN,SD)")
        if attribute.kind == "categorical":
            some = ",".join(f"{word}:{1 / len(attribute.categories):.3g}" for word in attribute.categories)
            raise ConfigError(f"{own}{self}: {own} is categorical; give each category its own: {own}~{some}")

    def values(self, attribute: Attribute, natural: Tensor, chance: Tensor) -> Tensor:
        return (chance < self.probability).to(chance)


@dataclass(frozen=True)
class Categorical(Policy):
    """Each category with its probability, as pairs; one that is not named, never."""

    shares: tuple[tuple[Said, float], ...]

    def __post_init__(self) -> None:
        for _, share in self.shares:
            _in_unit(share)
        total = sum(share for _, share in self.shares)
        if abs(total - 1) > 1e-6:
            raise ConfigError(f"the probabilities {self} add up to {total:.6g}; make them add up to 1")

    def __str__(self) -> str:
        return "~" + ",".join(f"{word}:{_figure(share)}" for word, share in self.shares)

    def check(self, attribute: Attribute) -> None:
        own = attribute.name
        if attribute.kind != "categorical":
            remedy = f"{own}~0.3" if attribute.kind == "binary" else f"{own}~N(MEAN,SD)"
            raise ConfigError(f"{own}{self}: {own} is {attribute.kind} and has no categories; draw it from {remedy}")
        codes = [attribute.coded(word) for word, _ in self.shares]
        if len(set(codes)) < len(codes):
            raise ConfigError(f"{own}{self} names a category twice; name each once")

    def values(self, attribute: Attribute, natural: Tensor, chance: Tensor) -> Tensor:
        of = {float(attribute.coded(word)): share for word, share in self.shares}
        shares = torch.tensor([of.get(float(code), 0.0) for code in range(len(attribute.categories))]).to(chance)
        last = float(shares.nonzero().max())  # where the sum falls short of 1 in its last digit
        return torch.searchsorted(shares.cumsum(0), chance, right=True).to(chance).clamp(max=last)


@dataclass(frozen=True)
class Normal(Policy):
    """Drawn from the normal of this mean and standard deviation, in own units, as far as it lies in the range seen.

    That is the truncated normal: values outside the range that the model was trained on are not drawn. A normal of
    which less than half lies in that range is refused, as what is left of it would not be what was asked for.
    """

    mean: float
    deviation: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.mean) and math.isfinite(self.deviation) and self.deviation > 0):
            raise ConfigError(f"{self}: a normal has a finite mean and a standard deviation above 0, N(MEAN,SD)")

    def __str__(self) -> str:
        return f"~N({_figure(self.mean)},{_figure(self.deviation)})"

    def check(self, attribute: Attribute) -> None:
        own = attribute.name
        if attribute.kind != "continuous":
            raise ConfigError(
                f"{own}{self}: {own} is {attribute.kind}, so no normal; {soft_example(attribute)} draws it"
            )
        below, above = self._ends(attribute)
        if above - below < 0.5:
            raise ConfigError(
                f"only {above - below:.0%} of {own}{self} lies in {_range(attribute)}; ask for one of which half does"
            )

    def values(self, attribute: Attribute, natural: Tensor, chance: Tensor) -> Tensor:
        below, above = self._ends(attribute)
        drawn: Tensor = self.mean + self.deviation * torch.special.ndtri(below + chance * (above - below))
        return drawn.clamp(attribute.low, attribute.high)

    def _ends(self, attribute: Attribute) -> tuple[float, float]:
        """How much of the normal lies below each end of the range seen."""
        ends = torch.tensor([attribute.low, attribute.high], dtype=torch.float64)
        below, above = torch.special.ndtr((ends - self.mean) / self.deviation).tolist()
        return below, above


@dataclass(frozen=True)
class Shift(Policy):
    """So much more than without the intervention, in own units: a modified treatment policy.

    Where that leaves the range seen it is refused; or, with `clip`, the end of the range is set.
    """

    by: float
    clip: bool = False

    def __post_init__(self) -> None:
        if not math.isfinite(self.by):
            raise ConfigError(f"a shift by {self.by} is impossible; give a number")

    def __str__(self) -> str:
        return f"{'-' if self.by < 0 else '+'}={_figure(abs(self.by))}"

    def check(self, attribute: Attribute) -> None:
        own = attribute.name
        if attribute.kind != "continuous":
            remedy = f"set it, {own}={attribute.written(1)}, or draw it, {soft_example(attribute)}"
            raise ConfigError(f"{own}{self}: {own} is {attribute.kind}, and only numbers can be shifted; {remedy}")

    def values(self, attribute: Attribute, natural: Tensor, chance: Tensor) -> Tensor:
        shifted, slack = natural + self.by, 1e-6 * (attribute.high - attribute.low)
        if self.clip:
            return shifted.clamp(attribute.low, attribute.high)
        outside = (shifted < attribute.low - slack) | (shifted > attribute.high + slack)
        if outside.any():
            where = f"in {int(outside.sum())} of {len(shifted)} rows"
            raise ConfigError(
                f"{attribute.name}{self} leaves {_range(attribute)}, {where}; shift by less, or clip to that range"
            )
        return shifted


Do = Mapping[str, Said | Sequence[Said] | Tensor | Policy]  # what is set to what; a tensor holds codes


def soft(probability: float | Mapping[Said, float]) -> Policy:
    """A stochastic intervention on a label, 1 with this probability; on a category, with a probability for each.

    Args:
        probability: that of 1; or {category: probability}.

    Raises:
        ConfigError: for a probability below 0 or above 1, or several that do not add up to 1.

    Examples:
        >>> do = {"Smiling": soft(0.3), "shape": soft({"round": 0.3, "flat": 0.7}), "length": shift(2)}
        >>> from ccigkit.causal.do import written
        >>> written(do)
        'Smiling~0.3,shape~round:0.3,flat:0.7,length+=2'
    """
    if isinstance(probability, Mapping):
        return Categorical(tuple(probability.items()))
    return Bernoulli(probability)


def normal(mean: float, deviation: float) -> Policy:
    """A stochastic intervention on a number: a normal, truncated to the range seen in training.

    Args:
        mean: of the normal before it is truncated, in own units.
        deviation: its standard deviation, likewise.

    Raises:
        ConfigError: for a standard deviation that is not above 0.
    """
    return Normal(mean, deviation)


def shift(by: float, *, clip: bool = False) -> Policy:
    """A shift of a number from what it is without the intervention.

    Args:
        by: how much more, in own units; below 0, less.
        clip: keep it to the range seen, instead of refusing rows that leave it.

    Raises:
        ConfigError: where `by` is no finite number.
    """
    return Shift(by, clip)


def clipped(do: Do) -> Do:
    """The same, every shift kept to the range seen in training."""
    return {name: replace(said, clip=True) if isinstance(said, Shift) else said for name, said in do.items()}


def settled(do: Do, attributes: Attributes, rows: Tensor, seed: int | None = None) -> dict[str, Tensor]:
    """What `do` sets in rows, its policies carried out: {name: one value, or one [n] for each row, in codes}.

    Args:
        do: what is asked.
        attributes: those of the rows.
        rows: values [n, d] as they are without the intervention; a shift starts from them.
        seed: seed of what is drawn. An attribute has draws of its own, whatever is done to others; None takes any.

    Raises:
        ConfigError: for an unknown attribute, an impossible value, or values that are not as many as the rows.
    """
    found: dict[str, Tensor] = {}
    for name, said in do.items():
        at = attributes.index(name)
        if isinstance(said, Policy):
            said.check(attributes[at])
            natural, chance = rows[:, at].detach().double().cpu(), _chance(len(rows), seed, at)
            found[name] = said.values(attributes[at], natural, chance)
            continue
        found[name] = torch.as_tensor(attributes[at].coded(said))
        if found[name].ndim > 1 or (found[name].ndim == 1 and len(found[name]) not in (1, len(rows))):
            given = " x ".join(map(str, found[name].shape))
            raise ConfigError(f"{name} is set to {given} values, but there are {len(rows)} rows; give one, or as many")
    return found


def _chance(n: int, seed: int | None, at: int) -> Tensor:
    """Even numbers [n] of a seed and an attribute's position, which no noise of that seed has anything to do with."""
    base = int(torch.randint(2**62, ())) if seed is None else seed % 2**64
    mixed = int(np.random.SeedSequence([base, at]).generate_state(1, np.uint64)[0])
    return torch.rand(n, dtype=torch.float64, generator=torch.Generator().manual_seed(mixed))


def soft_example(attribute: Attribute) -> str:
    """A setting that draws the attribute."""
    if attribute.kind == "continuous":
        return f"{attribute.name}~N({(attribute.low + attribute.high) / 2:.3g},{attribute.spread:.3g})"
    if attribute.kind == "binary":
        return f"{attribute.name}~0.3"
    first, second = (*attribute.categories, "", "")[:2]
    return f"{attribute.name}~{first}:0.3,{second}:0.7"


def _range(attribute: Attribute) -> str:
    unit = f" {attribute.unit}" if attribute.unit else ""
    return f"{attribute.low:.4g} to {attribute.high:.4g}{unit}, the range the model was trained on"


def _figure(value: float) -> str:
    """A number in few digits where those are it, else in all."""
    short = f"{value:.15g}"
    return short if float(short) == value else repr(float(value))


def _in_unit(probability: float) -> None:
    if not 0 <= probability <= 1:
        raise ConfigError(f"a probability of {probability:.15g} is impossible; give one from 0 to 1")
