"""Effects of a label: on average, on the treated, and how far it is necessary and sufficient for another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attributes, Values
from ccigkit.causal.do import parse_do
from ccigkit.causal.interventions import Do, Policy
from ccigkit.errors import ConfigError, DataError

Range = tuple[float, float]
UNKNOWN = float("nan")
DRAWS = 16  # of what mediates, for each row: a figure is the mean over many rows


class Answers(Protocol):
    """What a causal model must answer of rows [n, d]."""

    @property
    def attributes(self) -> Attributes:
        """The columns."""
        ...

    def probability(self, values: Tensor, do: Do, name: str, *, seed: int = 0, draws: int = 64) -> Tensor:
        """P(attribute `name` is at each of its levels | row, do) [n, k]."""
        ...

    def counterfactual(self, values: Tensor, do: Do, *, seed: int = 0) -> Tensor:
        """The rows [n, d] as they would have been."""
        ...


@dataclass(frozen=True)
class Effects:
    """What X does to Y among n rows, Y_x being Y under do(X = x). NaN where no row tells, or Y is a number.

    Attributes:
        observed: E[Y | X = 0] and E[Y | X = 1], as the rows have it.
        under: E[Y_0] and E[Y_1].
        on_treated: E[Y_1 - Y_0 | X = 1].
        necessity: PN = P(Y_0 = 0 | X = 1, Y = 1).
        sufficiency: PS = P(Y_1 = 1 | X = 0, Y = 0).
        both: PNS = P(Y_1 = 1, Y_0 = 0) = P(X = 1, Y = 1) PN + P(X = 0, Y = 0) PS (Pearl 2009, lemma 9.2.6).
        bounds: the least and the most that PN, PS and PNS can be given `under` and the rows, whatever the mechanisms
            (Tian and Pearl 2000; Pearl 2009, section 9.2). Where no row's Y falls as X rises, each is the least.
    """

    n: int
    treated: int
    observed: Range
    under: Range
    on_treated: float
    necessity: float
    sufficiency: float
    both: float
    bounds: tuple[Range, Range, Range]

    @property
    def average(self) -> float:
        """E[Y_1 - Y_0]."""
        return self.under[1] - self.under[0]


def effects_of(model: Answers, rows: Tensor | Values, cause: str, effect: str, seed: int = 0) -> Effects:
    """The effects of a label on another, or on a number, in rows [n, d]; names as `CausalModel.effects` takes them.

    For each row the other world is asked alone: Y_x is Y where X = x (consistency, Pearl 2009, corollary 7.3.2).

    Raises:
        ConfigError: where the cause is no label, the effect is a category unnamed, or the SCM has no probability of it.
    """
    given, attributes = torch.as_tensor(rows, dtype=torch.float64), model.attributes
    if not len(given):
        raise DataError("an effect is asked of rows, and there are none; give some")
    (x_name, x_level), (y_name, level) = event(cause, attributes), event(effect, attributes)
    if attributes[attributes.index(x_name)].kind != "binary":
        raise ConfigError(f"{x_name} is not yes or no; ask for the effect of a label, or compare two do() of it")
    if x_name == y_name:
        raise ConfigError(f"{x_name} is cause and effect in one; name another effect")
    at = attributes.index(y_name)
    labelled = attributes[at].labelled or attributes[at].kind == "categorical"
    if not labelled and effect != y_name:
        raise ConfigError(f"{effect}: {y_name} was seen as degrees, not as a label; name it alone, {y_name}")
    is_so = (given[:, attributes.index(x_name)] > 0.5) == bool(x_level)
    y = (given[:, at].round() == level).double() if labelled else given[:, at]
    outcomes = []
    for x in (0, 1):
        asked, outcome = is_so != bool(x), y.clone()
        do = {x_name: torch.tensor(x_level if x else 1 - x_level, dtype=torch.float64)}
        if asked.any() and labelled:
            shares = model.probability(given[asked], do, y_name, seed=seed, draws=DRAWS)
            outcome[asked] = shares[:, round(level)].to(outcome)
        elif asked.any():
            outcome[asked] = model.counterfactual(given[asked], do, seed=seed)[:, at].to(outcome)
        outcomes.append(outcome)
    return _summed(is_so, y, outcomes[0], outcomes[1], labelled=labelled)


def event(text: str, attributes: Attributes) -> tuple[str, float]:
    """NAME, a label at 1, or NAME=VALUE, as a name and a level.

    Raises:
        ConfigError: for an unknown name or an impossible value, for a category without one or a number with one.
    """
    if text in attributes.names or "=" not in text:
        attribute = attributes[attributes.index(text)]
        if attribute.kind == "categorical":
            raise ConfigError(f"{text} is categorical; say which, for example {text}={attribute.categories[-1]}")
        return text, 1.0
    ((name, value),) = parse_do([text], attributes).items()
    attribute = attributes[attributes.index(name)]
    if isinstance(value, Policy) or attribute.kind == "continuous":
        raise ConfigError(f"{text} is not a label at a level; name the attribute alone, {name}")
    return name, float(attribute.coded(value))


def _summed(is_so: Tensor, y: Tensor, y0: Tensor, y1: Tensor, *, labelled: bool) -> Effects:
    """The figures of rows with X or without, is_so [n], of their Y and of both outcomes [n] or their probabilities."""
    under = float(y0.mean()), float(y1.mean())
    observed = _mean(y, ~is_so), _mean(y, is_so)
    on_treated = _mean(y1 - y0, is_so)
    if not labelled:
        nothing = (UNKNOWN, UNKNOWN)
        none = (nothing, nothing, nothing)
        return Effects(len(y), int(is_so.sum()), observed, under, on_treated, UNKNOWN, UNKNOWN, UNKNOWN, none)
    needed, enough = is_so & (y == 1), ~is_so & (y == 0)
    both = (torch.where(needed, 1 - y0, 0) + torch.where(enough, y1, 0)).mean()
    necessity, sufficiency = _mean(1 - y0, needed), _mean(y1, enough)
    bounds = _bounds(is_so, y, under)
    return Effects(len(y), int(is_so.sum()), observed, under, on_treated, necessity, sufficiency, float(both), bounds)


def _bounds(is_so: Tensor, y: Tensor, under: Range) -> tuple[Range, Range, Range]:
    """The least and the most of PN, PS and PNS (Tian and Pearl 2000)."""
    y0, y1, rate = under[0], under[1], float(y.mean())
    with_both, with_none = float((is_so & (y == 1)).double().mean()), float((~is_so & (y == 0)).double().mean())
    x_alone, y_alone = float((is_so & (y == 0)).double().mean()), float((~is_so & (y == 1)).double().mean())
    return (
        (_share(rate - y0, with_both), _share(1 - y0 - with_none, with_both)),
        (_share(y1 - rate, with_none), _share(y1 - with_both, with_none)),
        (max(0.0, y1 - y0, rate - y0, y1 - rate), min(y1, 1 - y0, with_both + with_none, y1 - y0 + x_alone + y_alone)),
    )


def _share(part: float, whole: float) -> float:
    return min(1.0, max(0.0, part / whole)) if whole else UNKNOWN


def _mean(of: Tensor, rows: Tensor) -> float:
    return float(of[rows].mean()) if rows.any() else UNKNOWN
