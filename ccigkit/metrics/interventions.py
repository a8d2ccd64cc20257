"""The do() table: every single intervention, against the true counterfactual, beside its controls."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attributes
from ccigkit.causal.graph import CausalGraph
from ccigkit.data.base import DataModule, RenderedData
from ccigkit.errors import DataError
from ccigkit.metrics.base import ImageModel, Metric, Row
from ccigkit.metrics.protocol.answers import abducted, resample
from ccigkit.metrics.protocol.counterfactual import Kept
from ccigkit.metrics.protocol.pixels import mse
from ccigkit.metrics.protocol.questions import BATCH, alternatives
from ccigkit.metrics.readers.predictor import STEPS, Predictor, predictor
from ccigkit.pixels import to_float


class Interventions(Metric):
    """For each do(), how close the model's counterfactuals come to the true ones, in attributes and in pixels.

    Binary attributes are flipped; continuous ones take the value of another test image. Columns, in per cent of an
    attribute's range, as the predictor reads them: `intended`, the error of the attribute set; `descendants`, the
    worst error among its effects; `others`, the worst movement among the rest. For binary attributes the
    `..._agreement` beside each is the share of labels that are right: as set, as they follow, as they were. `skill` is
    1 - MSE(ours, true) / MSE(unchanged, true) over pixels. The row `drawn` is a ccigkit model's generator alone,
    without the image's own detail. The control rows are `no graph`, the model told to hold what it does not set,
    `identity`, the image unchanged, `resample`, the nearest real image, and `oracle`, the true counterfactual itself:
    what the predictor alone gets wrong.

    Args:
        n: test images to intervene on.
        seed: seed of the values set, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "interventions"

    def __init__(self, *, n: int = 1000, seed: int = 0, predictor_steps: int = STEPS) -> None:
        self.n, self.seed, self.predictor_steps = n, seed, predictor_steps

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        if not isinstance(data, RenderedData):
            raise DataError("interventions needs data with a known truth (pendulum, faces): this data set has none")
        test = data.load("test")
        if test.noise is None:
            raise DataError("interventions needs the noise that made each image, and this data set does not keep it")
        n = min(self.n, len(test))
        values = torch.as_tensor(test.values[:n]).float()
        read, nearest = predictor(data, seed=self.seed, steps=self.predictor_steps), resample(data)
        generator = torch.Generator().manual_seed(self.seed)
        asked = {a.name: alternatives(a, values[:, j], generator) for j, a in enumerate(model.attributes)}
        kept: dict[tuple[str, str], Kept] = defaultdict(Kept)
        for batch in torch.arange(n).split(BATCH):
            factual, noise = to_float(test.images[batch]), test.noise[batch]
            seen, looked = read(factual), abducted(model, factual, values[batch])
            for name, (said, drawn) in asked.items():
                truth, do = data.counterfactual(noise, {name: drawn[batch]}), {name: said[batch]}
                wanted, true = torch.as_tensor(truth.values).float(), to_float(truth.images)
                made = {
                    **looked.rows(do),
                    "identity": factual,
                    "resample": nearest(wanted),
                    "oracle": true,
                }
                for who, images in made.items():
                    attributes = {"read": seen if images is factual else read(images), "before": seen, "wanted": wanted}
                    errors = {"error": mse(images, true), "still": mse(factual, true)}
                    kept[name, who].add(attributes | errors)
        found = {key: scores.joined() for key, scores in kept.items()}
        rows = list(held_out(read, next(iter(found.values()))["before"], values))
        rows += [compare(do, who, model.attributes, data.truth, scores) for (do, who), scores in found.items()]
        return rows


def compare(do: str, who: str, attributes: Attributes, truth: CausalGraph, found: Mapping[str, Tensor]) -> Row:
    """One row of the table, from the attributes [n, d] read off images, those read before, and those wanted."""
    scale = 100 / attributes.ranges
    read, before, wanted = (found[key] for key in ("read", "before", "wanted"))
    error = (read - wanted).abs().mean(dim=0) * scale
    moved = (read - before).abs().mean(dim=0) * scale
    binary = torch.tensor([a.kind == "binary" for a in attributes])
    nan = torch.tensor(torch.nan)
    right = torch.where(binary, ((read > 0.5) == (wanted > 0.5)).float().mean(dim=0) * 100, nan)
    kept = torch.where(binary, ((read > 0.5) == (before > 0.5)).float().mean(dim=0) * 100, nan)
    j = attributes.index(do)
    effects = [attributes.index(name) for name in truth.descendants(do)]
    others = [i for i in range(len(attributes)) if i != j and i not in effects]
    return {
        "do": do,
        "row": who,
        "intended": float(error[j]),
        "agreement": float(right[j]),
        "descendants": -worst(-error[effects]),
        "descendants_agreement": worst(right[effects]),
        "others": -worst(-moved[others]),
        "others_agreement": worst(kept[others]),
        "skill": skill(found),
    }


def worst(values: Tensor) -> float:
    """The least of the values [n] that are there, NaN where none is."""
    there = values[~values.isnan()]
    return float(there.min()) if len(there) else float("nan")


def skill(found: Mapping[str, Tensor]) -> float:
    """1 - MSE(images, true) / MSE(factual, true): 1 is perfect, 0 as good as changing nothing; NaN where nothing is to.

    Of the errors [n] of answers, and those of leaving the images as they are.
    """
    error, still = (float(found[key].double().mean()) for key in ("error", "still"))
    return 1 - error / still if still else float("nan")


def held_out(read: Predictor, seen: Tensor, values: Tensor) -> Iterator[Row]:
    """The predictor's own error per attribute, in per cent of the range, from what it saw and what is there [n, d]."""
    error = read.percent(seen - values).mean(dim=0)
    for j, attribute in enumerate(read.attributes):
        yield {"do": attribute.name, "row": "predictor", "intended": float(error[j])}
