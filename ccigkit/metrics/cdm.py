"""The causal disentanglement metric: what moves as each attribute goes from one end of its range to the other?"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import torch
from torch import Tensor

from ccigkit.causal.attributes import Attribute
from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule
from ccigkit.metrics.base import ImageModel, Metric, Row
from ccigkit.metrics.protocol.answers import respondents
from ccigkit.metrics.protocol.counterfactual import Kept
from ccigkit.metrics.protocol.questions import Question, as_drawn, ask
from ccigkit.metrics.readers.predictor import STEPS, ReadsPictures


class CDM(ReadsPictures, Metric):
    """By how much attributes move as each is set to either end of its range in turn (An et al., 2023).

    Two bounds for every do(), as the predictor reads the pictures, in shares of the attributes' ranges: `lower` is
    |E[high - low]|, `upper` is E|high - low|, which also counts movements that cancel. `itself` is the attribute set,
    `effects` the mean over what it causes, `others` that over the rest. Right are the figures of the row `oracle`;
    `others` should be still.

    Args:
        n: questions asked: pairs of a test image and an attribute.
        seed: seed of the questions, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "cdm"

    def __init__(self, *, n: Count = 500, seed: Seed = 0, predictor_steps: Count = STEPS) -> None:
        self.n, self.seed, self.predictor_steps = n, seed, predictor_steps

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        read, answers = self.predictor(data), respondents(model, data)
        moved: dict[tuple[str, str], Kept] = defaultdict(Kept)
        groups: dict[str, dict[str, list[int]]] = {}
        for question in ask(model, data, self.n, self.seed):
            groups[question.name] = {
                "itself": [question.target],
                "effects": [*(question.effects or ())],
                "others": question.others,
            }
            low, high = (at_end(question, value) for value in ends(question.attribute))
            for who, answer in answers.items():
                change = (read(answer(high)) - read(answer(low))) / read.attributes.ranges
                moved[question.name, who].add({"change": change})
        return [
            {"do": do, "row": who, **bounds(change.joined()["change"], groups[do])}
            for (do, who), change in moved.items()
        ]


def ends(attribute: Attribute) -> tuple[float, float]:
    """The two values an attribute goes between: the ends of its range, or its first label and its last."""
    if attribute.kind == "continuous":
        return attribute.low, attribute.high
    return 0.0, float(len(attribute.levels) - 1)


def at_end(question: Question, value: float) -> Question:
    """The same question with the attribute of all images set to one value."""
    asked = torch.full_like(question.asked, value)
    return replace(question, asked=asked, drawn=as_drawn(question.attribute, asked, question.data))


def bounds(change: Tensor, groups: dict[str, list[int]]) -> dict[str, float]:
    """Both bounds of changes [n, d] in shares of ranges, the mean over each group; NaN for an empty one."""
    both = {"lower": change.mean(dim=0).abs(), "upper": change.abs().mean(dim=0)}
    return {f"{group}_{bound}": float(of[at].mean()) for group, at in groups.items() for bound, of in both.items()}
