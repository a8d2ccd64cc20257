"""Composition and reversibility: what is left of an image after null interventions, and after there and back."""

from __future__ import annotations

from abc import abstractmethod
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import ClassVar

from torch import Tensor

from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule, RenderedData
from ccigkit.metrics.base import ImageModel, Metric, Row, draws_alone
from ccigkit.metrics.protocol.answers import Abducted, Do, edit, resample
from ccigkit.metrics.protocol.counterfactual import Kept, means
from ccigkit.metrics.protocol.pixels import l1, psnr, ssim
from ccigkit.metrics.protocol.questions import Question, as_drawn, ask
from ccigkit.metrics.readers.weights import perceptual
from ccigkit.pixels import to_float

DISTANCES = {"l1": l1, "psnr": psnr, "ssim": ssim}
Edit = Callable[[Tensor, Tensor, Do], Tensor]  # images [b, c, h, w], their attributes [b, d], do: images


class Cycles(Metric):
    """How far images are from themselves after going around, once and many times."""

    around: ClassVar[str]

    def __init__(self, n: int, cycles: int, lpips: Path | None, seed: int) -> None:
        self.n, self.cycles, self.seed = n, cycles, seed
        self.distances = DISTANCES | perceptual(lpips)

    @abstractmethod
    def go(self, edit: Edit, images: Tensor, question: Question) -> Tensor:
        """Images [b, c, h, w] once around."""

    @abstractmethod
    def last(self, question: Question) -> Do:
        """The intervention that the way around ends with, as it is drawn: what the truth gives for it is the end."""

    def edits(self, model: ImageModel) -> dict[str, Edit]:
        """Who goes around, by the name of their row."""
        edits: dict[str, Edit] = {
            "model": partial(edit, model),
            "identity": lambda images, values, do: images,
        }
        if draws_alone(model):
            edits["drawn"] = lambda images, values, do: Abducted(model, images, values).drawn(do)
        return edits

    def once(self, model: ImageModel, question: Question) -> dict[str, Tensor]:
        """Controls that go around a single time, by the name of their row."""
        return {}

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        nearest, edits = resample(data), self.edits(model)
        kept: dict[tuple[str, int], Kept] = defaultdict(Kept)

        def keep(who: str, cycle: int, images: Tensor, question: Question) -> None:
            kept[who, cycle].add({name: far(images, question.images) for name, far in self.distances.items()})

        for question in ask(model, data, self.n, self.seed):
            for who, once in edits.items():
                images = question.images
                for cycle in range(1, self.cycles + 1):
                    images = self.go(once, images, question)
                    if cycle in (1, self.cycles):
                        keep(who, cycle, images, question)
            for who, images in {"resample": nearest(question.values), **self.once(model, question)}.items():
                keep(who, 1, images, question)
            if isinstance(data, RenderedData) and question.noise is not None:
                truth = data.counterfactual(question.noise, self.last(question))
                keep("oracle", 1, to_float(truth.images), question)
        return [
            {"do": self.around, "row": who, "cycles": float(cycle), **means(found.joined())}
            for (who, cycle), found in kept.items()
        ]


class Composition(Cycles):
    """Images after null interventions, against themselves (Monteiro et al. 2023).

    `l1` is the mean absolute difference in the 255 levels of a pixel, `psnr` is in decibels and at most 100. A ccigkit
    model keeps what it does not draw, so that where nothing changes nothing is lost; the row `drawn` is its generator
    alone. `resample` is another image of the same attributes: what losing the person costs.

    Args:
        n: test images.
        cycles: how many null interventions in a row, beside a single one.
        lpips: torchvision's file of AlexNet (alexnet-owt-7be5be79.pth), for one more column, `lpips`.
        seed: seed of the choice of images.
    """

    name = "composition"
    around = "nothing"

    def __init__(self, *, n: Count = 100, cycles: Count = 10, lpips: Path | None = None, seed: Seed = 0) -> None:
        super().__init__(n, cycles, lpips, seed)

    def go(self, edit: Edit, images: Tensor, question: Question) -> Tensor:
        return edit(images, question.values, {})

    def last(self, question: Question) -> Do:
        return {}


class Reversibility(Cycles):
    """Images after an intervention and its undoing, against themselves (Monteiro et al. 2023).

    Columns and rows as in composition. A binary attribute comes back as a label, so that an image whose own degree is
    not the typical one cannot come back exactly: the row `oracle` shows how near the truth itself comes.

    Args:
        n: questions asked: pairs of a test image and a do().
        cycles: how many times there and back, beside a single time.
        lpips: torchvision's file of AlexNet, as for composition.
        seed: seed of the questions.
    """

    name = "reversibility"
    around = "there and back"

    def __init__(self, *, n: Count = 100, cycles: Count = 10, lpips: Path | None = None, seed: Seed = 0) -> None:
        super().__init__(n, cycles, lpips, seed)

    def once(self, model: ImageModel, question: Question) -> dict[str, Tensor]:
        def alone(images: Tensor, values: Tensor, do: Do) -> Tensor:
            return Abducted(model, images, values).hold(do)

        return {"no graph": self.go(alone, question.images, question)}

    def go(self, edit: Edit, images: Tensor, question: Question) -> Tensor:
        there = edit(images, question.values, question.do)
        changed = question.values.clone()
        changed[:, question.target] = question.asked
        return edit(there, changed, {question.name: question.own})

    def last(self, question: Question) -> Do:
        return {question.name: as_drawn(question.attribute, question.own, question.data)}
