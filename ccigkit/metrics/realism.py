"""Realism: do a model's images come from the distribution of the real ones?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule
from ccigkit.metrics.base import ImageModel, Row
from ccigkit.metrics.protocol.answers import sample
from ccigkit.metrics.protocol.counterfactual import CounterfactualMetric, Scorer, Scores
from ccigkit.metrics.protocol.distances import frechet, kid
from ccigkit.metrics.readers.predictor import STEPS, Pictures, ReadsPictures
from ccigkit.metrics.readers.weights import inception
from ccigkit.pixels import to_float


class Realism(ReadsPictures, CounterfactualMetric):
    """New images, and counterfactuals of test images, against the real training images, as distributions.

    `fd` is the Fréchet distance between features, the last hidden layer of the predictor that is trained here: it ranks
    models on one data set and is no FID. With Inception's weights from a file it is one, and is called `fid`. `kid` is
    the unbiased kernel distance, times 1000, the honest one for few images. `do` says what the images are: `nothing`
    for new ones (there, `identity` are real test images), `each` for counterfactuals of test images.

    Args:
        n: new images, and questions: pairs of a test image and a do().
        references: real training images they are held against.
        inception: torch-fidelity's file of Inception weights (weights-inception-2015-12-05-6726825d.pth).
        seed: seed of images and questions, and of the predictor.
        predictor_steps: training steps of the predictor.
    """

    name = "realism"

    def __init__(
        self,
        *,
        n: Annotated[int, Ge(2)] = 2000,
        references: Annotated[int, Ge(2)] = 2000,
        inception: Path | None = None,
        seed: Seed = 0,
        predictor_steps: Count = STEPS,
    ) -> None:
        self.n, self.references, self.inception = n, references, inception
        self.seed, self.predictor_steps = seed, predictor_steps

    def scorer(self, model: ImageModel, data: DataModule) -> Scorer:
        extract = self.extractor(data)
        return lambda question, pictures: {"features": extract(pictures)}

    def beside(self, model: ImageModel, data: DataModule) -> list[Row]:
        extract, test = self.extractor(data), data.load("test").images[: self.n]
        new = torch.cat([extract(Pictures(images)) for images in sample(model, self.n, {}, self.seed)])
        return list(self.compared("nothing", {"model": new, "identity": look(extract, test)}, data))

    def rows(self, scores: Scores, data: DataModule) -> Iterator[Row]:
        who = dict.fromkeys(who for _, who in scores)
        features = {w: torch.cat([scores[key]["features"] for key in scores if key[1] == w]) for w in who}
        return self.compared("each", features, data)

    def extractor(self, data: DataModule) -> Callable[[Pictures], Tensor]:
        """What looks at images: pictures to features [n, k]."""
        if self.inception:
            network = inception(self.inception)
            return lambda pictures: network(pictures.images)
        read = self.predictor(data)
        return lambda pictures: pictures.view(read).features

    def compared(self, do: str, features: dict[str, Tensor], data: DataModule) -> Iterator[Row]:
        """A row for each set of features [n, k], against those of real images."""
        train = data.load("train").images
        shown = torch.randperm(len(train), generator=torch.Generator().manual_seed(self.seed))[: self.references]
        real = look(self.extractor(data), train[shown])
        distance = "fid" if self.inception else "fd"
        for who, found in features.items():
            yield {"do": do, "row": who, distance: frechet(found, real), "kid": 1000 * kid(found, real)}


def look(extract: Callable[[Pictures], Tensor], images: Tensor) -> Tensor:
    """The features [n, k] of images [n, c, h, w] as bytes, few of them as floats at a time."""
    return torch.cat([extract(Pictures(to_float(chunk))) for chunk in images.split(250)])
