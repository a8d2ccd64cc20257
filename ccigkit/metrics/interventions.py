"""The do() table: every single intervention, against the true counterfactual, beside its controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ccigkit.attributes import Attribute, Attributes
from ccigkit.errors import DataError
from ccigkit.images import to_float
from ccigkit.interfaces import DataModule, ImageModel, Metric, RenderedData, Row
from ccigkit.metrics.predictor import STEPS, Predictor, predictor
from ccigkit.metrics.questions import alternatives
from ccigkit.model import CausalImageModel


class Interventions(Metric):
    """For each do(), how close the model's counterfactuals come to the true ones, in attributes and in pixels.

    Binary attributes are flipped; continuous ones take the value of another test image. Columns, in per cent of an
    attribute's range, as the predictor reads them: `intended`, the error of the attribute set; `descendants`, the
    worst error among its effects; `others`, the worst movement among the rest. For binary attributes the
    `..._agreement` beside each is the share of labels that are right: as set, as they follow, as they were. `skill` is
    1 - MSE(ours, true) / MSE(unchanged, true) over pixels. The row `drawn` is the model's generator alone, without the
    image's own detail. The control rows are `identity`, the image unchanged, and `oracle`, the true counterfactual
    itself: what the predictor alone gets wrong.

    Args:
        n: test images to intervene on.
        seed: seed of the values set, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "interventions"

    def __init__(self, *, n: int = 1000, seed: int = 0, predictor_steps: int = STEPS) -> None:
        self.n, self.seed, self.predictor_steps = n, seed, predictor_steps

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        if not isinstance(model, CausalImageModel):
            raise DataError("interventions is about ccigkit's own models: it looks at their drawings without detail")
        if not isinstance(data, RenderedData):
            raise DataError("interventions needs data with a known truth (pendulum, faces): this data set has none")
        test = data.load("test")
        if test.noise is None:
            raise DataError("interventions needs the noise that made each image, and this data set does not keep it")
        n = min(self.n, len(test))
        noise, factual = test.noise[:n], to_float(test.images[:n])
        values = torch.as_tensor(test.values[:n]).float()
        read = predictor(data, seed=self.seed, steps=self.predictor_steps)
        rows = list(held_out(read, factual, values))
        generator = torch.Generator().manual_seed(self.seed)
        for attribute in model.attributes:
            asked, drawn = alternatives(attribute, values[:, model.attributes.index(attribute.name)], generator)
            truth = data.counterfactual(noise, {attribute.name: drawn})
            true_values, true_images = torch.as_tensor(truth.values).float(), to_float(truth.images)
            made = {
                "model": counterfactuals(model, factual, {attribute.name: asked}),
                "drawn": counterfactuals(model, factual, {attribute.name: asked}, detail=False),
                "identity": factual,
                "oracle": true_images,
            }
            descendants = [model.attributes.index(name) for name in data.truth.descendants(attribute.name)]
            for who, images in made.items():
                rows.append(
                    compare(attribute, model.attributes, descendants, read(images), read(factual), true_values, who)
                    | {"skill": skill(images, true_images, factual)}
                )
        return rows


def counterfactuals(
    model: CausalImageModel, images: Tensor, do: Mapping[str, Tensor], *, detail: bool = True
) -> Tensor:
    """A model's counterfactuals of images [n, c, h, w], with a value [n] per image, in batches."""
    chunks: Iterator[slice] = (slice(i, i + 128) for i in range(0, len(images), 128))
    device = next(model.parameters()).device
    return torch.cat(
        [
            model.counterfactual(
                images[c].to(device), {name: value[c] for name, value in do.items()}, detail=detail
            ).cpu()
            for c in chunks
        ]
    )


def compare(
    attribute: Attribute,
    attributes: Attributes,
    descendants: list[int],
    read: Tensor,
    read_factual: Tensor,
    true_values: Tensor,
    who: str,
) -> Row:
    """One row of the table, from the attributes [n, d] read off images and off the factual ones."""
    scale = 100 / torch.tensor([a.high - a.low if a.kind == "continuous" else 1.0 for a in attributes])
    error = (read - true_values).abs().mean(dim=0) * scale
    moved = (read - read_factual).abs().mean(dim=0) * scale
    binary = torch.tensor([a.kind == "binary" for a in attributes])
    nan = torch.tensor(torch.nan)
    right = torch.where(binary, ((read > 0.5) == (true_values > 0.5)).float().mean(dim=0) * 100, nan)
    kept = torch.where(binary, ((read > 0.5) == (read_factual > 0.5)).float().mean(dim=0) * 100, nan)
    j = attributes.index(attribute.name)
    others = [i for i in range(len(attributes)) if i != j and i not in descendants]
    return {
        "do": attribute.name,
        "row": who,
        "intended": float(error[j]),
        "agreement": float(right[j]),
        "descendants": -worst(-error[descendants]),
        "descendants_agreement": worst(right[descendants]),
        "others": -worst(-moved[others]),
        "others_agreement": worst(kept[others]),
    }


def worst(values: Tensor) -> float:
    """The least of the values [n] that are there, NaN where none is."""
    there = values[~values.isnan()]
    return float(there.min()) if len(there) else float("nan")


def skill(images: Tensor, true: Tensor, factual: Tensor) -> float:
    """1 - MSE(images, true) / MSE(factual, true): 1 is perfect, 0 as good as changing nothing."""
    return float(1 - (images - true).square().mean() / (factual - true).square().mean())


def held_out(read: Predictor, images: Tensor, values: Tensor) -> Iterator[Row]:
    """The predictor's own error on test images, per attribute, in per cent of the range."""
    error = (read(images) - values).abs().mean(dim=0)
    for j, attribute in enumerate(read.attributes):
        span = attribute.high - attribute.low if attribute.kind == "continuous" else 1.0
        yield {"do": attribute.name, "row": "predictor", "intended": float(100 * error[j] / span)}
