"""How far counterfactuals are from the true ones, where the data knows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from torch import Tensor

from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule
from ccigkit.errors import ConfigError
from ccigkit.metrics.base import ImageModel, Row
from ccigkit.metrics.protocol.counterfactual import CounterfactualMetric, Scorer, Scores, means
from ccigkit.metrics.protocol.pixels import absolute, l1, mse, psnr, ssim
from ccigkit.metrics.protocol.questions import Question, known_truth
from ccigkit.metrics.readers.predictor import STEPS, Pictures, ReadsPictures
from ccigkit.metrics.readers.weights import perceptual
from ccigkit.pixels import to_bytes, to_float


class Truth(ReadsPictures, CounterfactualMetric):
    """Counterfactuals against the true ones, which drawn data knows.

    `l1` is the mean absolute error in the 255 levels of a pixel, over the whole image; `changed` the same where the
    truth differs from the factual image, `unchanged` where it does not. `psnr` is in decibels and at most 100. `skill`
    is 1 - MSE(ours, true) / MSE(unchanged, true): 1 is perfect, 0 as good as changing nothing. `attributes` is the mean
    error of all attributes in per cent of their ranges, as the predictor reads them: `oracle` shows its own error.
    Where attributes can be measured off a picture by its geometry, `measured` is their error by that, without anything
    learned.

    Args:
        n: questions asked: pairs of a test image and a do().
        lpips: torchvision's file of AlexNet (alexnet-owt-7be5be79.pth), for one more column, `lpips`.
        seed: seed of the questions, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "truth"

    def __init__(
        self, *, n: Count = 2000, lpips: Path | None = None, seed: Seed = 0, predictor_steps: Count = STEPS
    ) -> None:
        self.n, self.seed, self.predictor_steps = n, seed, predictor_steps
        self.more = perceptual(lpips)

    def scorer(self, model: ImageModel, data: DataModule) -> Scorer:
        read, measure = self.predictor(known_truth(self.name, data)), ruler(data)

        def off(attributes: Tensor, question: Question) -> Tensor:
            """The mean error [b] of attributes [b, d] in per cent, of those that are there."""
            return read.percent(attributes - question.wanted).nanmean(dim=1)

        def score(question: Question, pictures: Pictures) -> Mapping[str, Tensor]:
            images, true = pictures.images, to_float(question.truth.images)
            moved = (true != question.images).any(dim=1, keepdim=True).expand_as(true)
            error = absolute(images, true)
            return {
                "l1": l1(images, true),
                "changed": masked(error, moved),
                "unchanged": masked(error, ~moved),
                "psnr": psnr(images, true),
                "ssim": ssim(images, true),
                **{name: distance(images, true) for name, distance in self.more.items()},
                **squares(question, images, true),
                "attributes": off(pictures.view(read).attributes, question),
                **({"measured": off(measure(to_bytes(images)), question)} if measure else {}),
            }

        return score

    def rows(self, scores: Scores, data: DataModule) -> Iterator[Row]:
        for (do, who), found in scores.items():
            figures = means(found)
            score = skill(figures.pop("mse"), figures.pop("still"))
            yield {"do": do, "row": who, **figures, "skill": score}


def squares(question: Question, images: Tensor, true: Tensor) -> Mapping[str, Tensor]:
    """The squared error [b] of an answer, and that of leaving the images as they are."""
    return {"mse": mse(images, true), "still": mse(question.images, true)}


def skill(error: float, still: float) -> float:
    """1 - MSE(ours, true) / MSE(unchanged, true); NaN where changing nothing is right."""
    return 1 - error / still if still else float("nan")


def ruler(data: DataModule) -> Callable[[Tensor], Tensor] | None:
    """What measures attributes [n, d] off pictures [n, c, h, w] as bytes by their geometry, where the data has that."""
    measure: Callable[[Tensor], Tensor] | None = getattr(data, "measure", None)
    try:
        if measure:
            measure(data.load("test").images[:1])
    except ConfigError:
        return None
    return measure


def masked(error: Tensor, where: Tensor) -> Tensor:
    """The mean [b] of an error [b, c, h, w] over some of the pixels, NaN for an image that has none of them."""
    return (error * where).flatten(1).sum(dim=1) / where.flatten(1).sum(dim=1)
