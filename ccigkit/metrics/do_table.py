"""The do() table: every single intervention, against the true counterfactual, beside its controls."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attributes
from ccigkit.causal.graph import CausalGraph
from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule, Split
from ccigkit.metrics.base import ImageModel, Row
from ccigkit.metrics.effectiveness import readings
from ccigkit.metrics.protocol.answers import USUAL
from ccigkit.metrics.protocol.counterfactual import CounterfactualMetric, Scorer, Scores
from ccigkit.metrics.protocol.questions import EveryDo, Question, known_truth
from ccigkit.metrics.readers.predictor import STEPS, Pictures, ReadsPictures, held_out_scores, label_scores
from ccigkit.metrics.truth import skill, squares
from ccigkit.pixels import to_float


class DoTable(ReadsPictures, CounterfactualMetric):
    """For each do(), how close the model's counterfactuals come to the true ones, in attributes and in pixels.

    What `effectiveness` and `truth` measure, of the same images under every do() in turn. Binary attributes are
    flipped; continuous ones take the value of another test image. Columns, in per cent of an attribute's range, as the
    predictor reads them: `intended`, the error of the attribute set; `descendants`, the worst error among its effects;
    `others`, the worst movement among the rest. For labels the `..._agreement` beside each is the share that is right:
    as set, as they follow, as they were. `skill` is 1 - MSE(ours, true) / MSE(unchanged, true) over pixels. The row
    `drawn` is a model's drawing alone, without the image's own detail. The control rows are `no graph`, the model told
    to hold what it does not set, `identity`, the image unchanged, `resample`, the nearest real image, and `oracle`, the
    true counterfactual itself: what the predictor alone gets wrong.

    Args:
        n: test images to intervene on.
        seed: seed of the values set, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "do_table"
    former_names = ("interventions",)
    who = ("drawn", *USUAL)

    def __init__(self, *, n: Count = 1000, seed: Seed = 0, predictor_steps: Count = STEPS) -> None:
        self.n, self.seed, self.predictor_steps = n, seed, predictor_steps

    @property
    def questions(self) -> EveryDo:
        return EveryDo(self.n, self.seed)

    def scorer(self, model: ImageModel, data: DataModule) -> Scorer:
        read = self.predictor(known_truth(self.name, data))

        def score(question: Question, pictures: Pictures) -> Mapping[str, Tensor]:
            return {
                **readings(read, question, pictures),
                "before": question.pictures.view(read).attributes,
                **squares(question, pictures.images, to_float(question.truth.images)),
            }

        return score

    def beside(self, model: ImageModel, data: DataModule) -> list[Row]:
        test = data.load("test")
        scores = held_out_scores(self.predictor(data), Split(test.images[: self.n], test.values[: self.n]))
        ranges = data.table().attributes.ranges
        return [
            {"do": row["attribute"], "row": "predictor", "intended": float(row["mae"]) * 100 / float(ranges[j])}
            for j, row in enumerate(scores)
        ]

    def rows(self, scores: Scores, data: DataModule) -> Iterator[Row]:
        attributes, truth = data.table().attributes, data.truth
        assert truth is not None, "data of a known truth have a graph"
        for (do, who), found in scores.items():
            yield compare(do, who, attributes, truth, found)


def compare(do: str, who: str, attributes: Attributes, truth: CausalGraph, found: Mapping[str, Tensor]) -> Row:
    """One row of the table, from the attributes [n, d] read off images, those read before, and those wanted."""
    error, right = both(attributes, found["read"], found["wanted"])
    moved, kept = both(attributes, found["read"], found["before"])
    j = attributes.index(do)
    effects = [attributes.index(name) for name in truth.descendants(do)]
    others = [i for i in range(len(attributes)) if i != j and i not in effects]
    return {
        "do": do,
        "row": who,
        "intended": float(error[j]),
        "agreement": float(right[j]),
        "descendants": -worst(-error, effects),
        "descendants_agreement": worst(right, effects),
        "others": -worst(-moved, others),
        "others_agreement": worst(kept, others),
        "skill": skill(*(float(found[key].double().mean()) for key in ("mse", "still"))),
    }


def both(attributes: Attributes, values: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """The mean error [d] of values [n, d] in per cent of ranges, and the labels [d] in per cent that are right."""
    scores = [label_scores(a, values[:, j], wanted[:, j]) for j, a in enumerate(attributes)]
    error = torch.tensor([score["mae"] for score in scores]) * 100 / attributes.ranges
    return error, torch.tensor([score["accuracy"] for score in scores]) * 100


def worst(values: Tensor, among: Sequence[int]) -> float:
    """The least of some of the values [d] that are there, NaN where none is."""
    there = values[[*among]]
    there = there[~there.isnan()]
    return float(there.min()) if len(there) else float("nan")
