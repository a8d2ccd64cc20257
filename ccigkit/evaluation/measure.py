"""One model, ours or anybody's, against a data set, metric by metric; and the means over several seeds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.stats import t as student

from ccigkit.component.registry import Choice, registry
from ccigkit.data.base import DataModule
from ccigkit.errors import ConfigError, DataError
from ccigkit.metrics.base import ImageModel, Metric, Row
from ccigkit.metrics.protocol.answers import edit, sample
from ccigkit.metrics.readers.cached import fingerprint
from ccigkit.metrics.readers.predictor import Predictor, ReadsPictures, predictor
from ccigkit.pixels import to_float
from ccigkit.training.devices import choose_device

QUICK = (
    "effectiveness",
    "truth",
    "composition",
    "reversibility",
    "minimality",
    "distribution",
    "realism",
    "graph",
)
SURE = 0.95  # of every confidence interval
Options = Mapping[str, Mapping[str, Any]]  # {metric: {option: value}}


@dataclass(frozen=True)
class MetricResult:
    """What a metric, with these options, found: rows, or the reason why there are none."""

    metric: str
    options: Mapping[str, Any]
    rows: tuple[Row, ...] = ()
    skipped: str = ""
    predictor: str = ""  # the hash of the predictor that it read pictures with

    def to_json(self) -> dict[str, Any]:
        """As JSON has it, which knows no NaN."""
        about: dict[str, Any] = {"metric": self.metric, "options": {k: _plain(v) for k, v in self.options.items()}}
        about |= {"predictor": self.predictor} if self.predictor else {}
        if self.skipped:
            return about | {"skipped": self.skipped}
        return about | {"rows": [{key: _plain(value) for key, value in row.items()} for row in self.rows]}


Found = MetricResult  # its former name, for one release


@dataclass(frozen=True)
class Evaluation:
    """A model measured: what each metric found, on which data, and what else is known of the model."""

    name: str
    found: tuple[MetricResult, ...]
    data: Mapping[str, Any]
    about: Mapping[str, Any] = field(default_factory=dict)

    @property
    def rows(self) -> list[Row]:
        """Every row of every metric, with the metric's name."""
        return [{"metric": found.metric, **row} for found in self.found for row in found.rows]

    def to_json(self) -> dict[str, Any]:
        """As JSON has it."""
        metrics = [found.to_json() for found in self.found]
        return {"name": self.name, **self.about, "data": dict(self.data), "metrics": metrics}


def evaluate(
    model: ImageModel,
    data: DataModule,
    *,
    metrics: Sequence[str] = QUICK,
    options: Options | None = None,
    name: str = "",
    device: str | torch.device = "auto",
    callback: Callable[[Sequence[str]], None] = lambda names: None,
) -> Evaluation:
    """Measure a model on a data set.

    What the data, or the model, cannot support is skipped, with its reason.

    Args:
        model: the model, ours or anybody's.
        data: the data set.
        metrics: names of metrics.
        options: their options, {metric: {option: value}}; the others are at their defaults.
        name: what the model is called in tables.
        device: where the networks that metrics train for themselves work; the model is asked where it is.
        callback: called with the names of the metrics that are measured next.

    Raises:
        ConfigError: for an unknown metric or an impossible option.
        DataError: where the model is not one of this data, or does not keep to the protocol.
        UserError: where there is no such device.
    """
    choose_device(str(device))
    given = {current_name(metric): table for metric, table in (options or {}).items()}
    wanted = list(dict.fromkeys(current_name(metric) for metric in metrics))
    for stranger in set(given) - set(wanted):
        raise ConfigError(f"options are given for {stranger}, which is not measured; add --metric {stranger}")
    resolved_all = [resolved(metric, given.get(metric, {})) for metric in wanted]
    chosen = [(metric.to(device), how) for metric, how in resolved_all]
    probe(model, data)
    found: dict[str, MetricResult] = {}
    for family in families(chosen):
        callback([metric.name for metric, _ in family])
        measured = type(family[0][0]).measure_together([metric for metric, _ in family], model, data)
        for (metric, how), rows in zip(family, measured, strict=True):
            found[metric.name] = report(metric, how, rows, data)
    return Evaluation(name or type(model).__name__, tuple(found[metric.name] for metric, _ in chosen), describe(data))


def current_name(metric: str) -> str:
    """The name that a metric has now, by that or by a former one.

    Raises:
        ConfigError: where there is none of that name.
    """
    return registry().get("metric", metric).name


def resolved(metric: str, given: Mapping[str, Any]) -> tuple[Metric, dict[str, Any]]:
    """A metric by its name, and all its options.

    Raises:
        ConfigError: for an unknown name or an impossible option.
    """
    choice = Choice.of("metric", {"name": metric, **given}, metric)
    return choice.build({}), dict(choice.options)


def families(chosen: Iterable[tuple[Metric, dict[str, Any]]]) -> list[list[tuple[Metric, dict[str, Any]]]]:
    """Metrics in groups that are measured together, in the order of their first."""
    groups: dict[object, list[tuple[Metric, dict[str, Any]]]] = {}
    for metric, options in chosen:
        groups.setdefault(metric.family or metric, []).append((metric, options))
    return list(groups.values())


def reader(evaluation: Evaluation, data: DataModule, device: str | torch.device = "auto") -> Predictor:
    """The predictor that an evaluation read pictures with, or the usual one where it needed none."""
    used = [found.options for found in evaluation.found if found.predictor]
    how = {"seed": used[0]["seed"], "steps": used[0]["predictor_steps"]} if used else {}
    return predictor(data, device=device, **how)


def report(metric: Metric, options: dict[str, Any], rows: list[Row] | DataError, data: DataModule) -> MetricResult:
    """What a metric found, with the hash of the predictor that helped it."""
    if isinstance(rows, DataError):
        return MetricResult(metric.name, options, skipped=str(rows))
    helped = metric.predictor_hash(data) if isinstance(metric, ReadsPictures) else ""
    return MetricResult(metric.name, options, tuple(rows), predictor=helped)


def probe(model: ImageModel, data: DataModule) -> None:
    """Check that a model answers about this data set as it should.

    Raises:
        DataError: where it has other attributes or images than the data, or answers in another shape or with NaN.
    """
    theirs, ours = (", ".join(a.name for a in attributes) for attributes in (model.attributes, data.attributes))
    if theirs != ours:
        raise DataError(f"the model is about {theirs}, but {data.name} now has {ours}")
    if tuple(model.image_shape) != tuple(data.image_shape):
        theirs, ours = (str(list(shape)) for shape in (model.image_shape, data.image_shape))
        raise DataError(
            f"the model has images of {theirs}, but {data.name} now has images of {ours}; "
            "give the data options that it was trained with"
        )
    test = data.load("test")
    edit(model, to_float(test.images[:2]), torch.as_tensor(test.values[:2]).float(), {})
    for _ in sample(model, 2, {}, 0):
        pass


def describe(data: DataModule) -> dict[str, Any]:
    """What a data set is, for a result to carry: two results are of the same data if these are the same."""
    train, test = data.load("train"), data.load("test")
    about = {
        "name": data.name,
        "attributes": [attribute.name for attribute in data.attributes],
        "image_shape": list(data.image_shape),
        "train": {"images": len(train), "hash": fingerprint(train)},
        "test": {"images": len(test), "hash": fingerprint(test)},
    }
    return about | ({"preprocess_id": data.preprocess_id} if data.preprocess_id else {})


def _plain(value: Any) -> Any:
    """A value as JSON knows it: no NaN, no paths."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return str(value) if isinstance(value, Path) else value


# --- several seeds ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Estimate:
    """The mean over several seeds, and half the width of its 95 % confidence interval (Student's t)."""

    mean: float
    half: float
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Estimate:
        """That of values, those that could not be measured (NaN) left out."""
        known = [value for value in values if not math.isnan(value)]
        n, nan = len(known), float("nan")
        spread = float(np.std(known, ddof=1)) if n > 1 else nan
        half = float(student.ppf((1 + SURE) / 2, n - 1)) * spread / math.sqrt(n) if n > 1 else nan
        return cls(float(np.mean(known)) if n else nan, half, n)

    def to_json(self) -> dict[str, float | int | None]:
        """As JSON has it."""
        return {"mean": _plain(self.mean), "ci95": _plain(self.half), "n": self.n}


Words = tuple[tuple[str, str], ...]
Pooled = dict[str, Estimate | str]


def pooled(found: Sequence[MetricResult]) -> list[Pooled]:
    """The rows of one metric in several runs as one: text as it is, numbers as their mean with its interval.

    Match rows across runs by their text columns, then by order.
    """
    alike: dict[tuple[Words, int], list[Row]] = {}
    for one in found:
        seen: Counter[Words] = Counter()
        for row in one.rows:
            words = tuple((key, value) for key, value in row.items() if isinstance(value, str))
            alike.setdefault((words, seen[words]), []).append(row)
            seen[words] += 1
    return [
        {
            key: value if isinstance(value, str) else Estimate.of([float(row[key]) for row in rows if key in row])
            for key, value in rows[0].items()
        }
        for rows in alike.values()
    ]
