"""Effectiveness: is what was set seen in the picture, and is everything else as it should be?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule
from ccigkit.metrics.base import ImageModel, Row
from ccigkit.metrics.protocol.counterfactual import CounterfactualMetric, Scorer, Scores
from ccigkit.metrics.protocol.questions import Question
from ccigkit.metrics.readers.predictor import STEPS, Pictures, Predictor, ReadsPictures, held_out_scores, label_scores


class Effectiveness(ReadsPictures, CounterfactualMetric):
    """Attributes read off counterfactuals, against those they should have (Monteiro et al. 2023).

    Two rows per `attribute` read: once where it was set itself, once where `another` one was, so that an effect should
    follow and the rest should stay (an effect is left out where nobody knows what becomes of it). `mae` is in the
    attribute's own units; labels have `accuracy` and `f1`, pooled over all images. The row `predictor` is the reader's
    own score on real test images, beyond which no answer can be told from a better one.

    Args:
        n: questions asked: pairs of a test image and a do().
        seed: seed of the questions, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "effectiveness"

    def __init__(self, *, n: Count = 2000, seed: Seed = 0, predictor_steps: Count = STEPS) -> None:
        self.n, self.seed, self.predictor_steps = n, seed, predictor_steps

    def scorer(self, model: ImageModel, data: DataModule) -> Scorer:
        read = self.predictor(data)
        return lambda question, pictures: readings(read, question, pictures)

    def beside(self, model: ImageModel, data: DataModule) -> list[Row]:
        read = self.predictor(data)
        return [{**row, "do": "nothing", "row": "predictor"} for row in held_out_scores(read, data.load("test"))]

    def rows(self, scores: Scores, data: DataModule) -> Iterator[Row]:
        for j, attribute in enumerate(data.attributes):
            itself = [key for key in scores if key[0] == attribute.name]
            others = [key for key in scores if key[0] != attribute.name]
            for do, asked in ((attribute.name, itself), ("another", others)):
                for who in dict.fromkeys(who for _, who in asked):
                    answers = [scores[key] for key in asked if key[1] == who]
                    read, wanted = (torch.cat([found[key][:, j] for found in answers]) for key in ("read", "wanted"))
                    known = ~wanted.isnan()
                    figures = label_scores(attribute, read[known], wanted[known])
                    yield {"attribute": attribute.name, "do": do, "row": who, **figures}


def readings(read: Predictor, question: Question, pictures: Pictures) -> Mapping[str, Tensor]:
    """The attributes [b, d] read off an answer, and those that it should have."""
    return {"read": pictures.view(read).attributes, "wanted": question.wanted}
