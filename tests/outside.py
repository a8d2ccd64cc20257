"""Models that are not ours, of which the right answer is known: what metrics are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from ccigkit.attributes import Attributes
from ccigkit.images import to_float
from ccigkit.interfaces import ImageShape, RenderedData
from ccigkit.metrics.protocol.questions import as_drawn


class Unchanging:
    """A model that changes nothing, whatever it is asked."""

    def __init__(self, data: RenderedData) -> None:
        self.data = data
        self.attributes: Attributes = data.table().attributes
        self.image_shape: ImageShape = data.image_shape

    def abduct(self, image: Tensor) -> Tensor:
        return image

    def predict(self, codes: Tensor, do: Mapping[str, float | Tensor]) -> Tensor:
        return codes

    def sample(self, n: int, do: Mapping[str, float | Tensor] | None = None, *, seed: int | None = None) -> Tensor:
        noise = self.data.sample_noise(n, torch.Generator().manual_seed(seed or 0))
        return to_float(self.data.counterfactual(noise, {}).images)


@dataclass(frozen=True)
class Noise:
    """What images were drawn from, and which of the test images they are."""

    noise: Tensor
    rows: Tensor


class Oracle(Unchanging):
    """A model that knows what every test image was drawn from, and answers a share of questions wrongly.

    A wrong answer is the picture of somebody else altogether.
    """

    def __init__(self, data: RenderedData, wrong: float = 0.0) -> None:
        super().__init__(data)
        self.wrong = wrong
        test = data.load("test")
        assert test.noise is not None
        self.noise = test.noise
        self.rows = {image.numpy().tobytes(): row for row, image in enumerate(to_float(test.images))}

    def abduct(self, image: Tensor) -> Noise:
        rows = torch.tensor([self.rows[one.contiguous().numpy().tobytes()] for one in image])
        return Noise(self.noise[rows], rows)

    def predict(self, codes: Noise, do: Mapping[str, float | Tensor]) -> Tensor:
        right = to_float(self.data.counterfactual(codes.noise, self.drawn(do, len(codes.rows))).images)
        stranger = to_float(self.data.counterfactual(self.noise[codes.rows - 1], {}).images)
        # A fixed lot for every image, so that more wrong answers are the same wrong answers and some more.
        lots = torch.rand(len(self.noise), generator=torch.Generator().manual_seed(1))[codes.rows]
        answers = torch.where((lots < self.wrong)[:, None, None, None], stranger, right)
        for answer, row in zip(answers, codes.rows.tolist(), strict=True):  # so that it knows them again
            self.rows.setdefault(answer.numpy().tobytes(), row)
        return answers

    def sample(self, n: int, do: Mapping[str, float | Tensor] | None = None, *, seed: int | None = None) -> Tensor:
        noise = self.data.sample_noise(n, torch.Generator().manual_seed(seed or 0))
        return to_float(self.data.counterfactual(noise, self.drawn(do or {}, n)).images)

    def drawn(self, do: Mapping[str, float | Tensor], n: int) -> dict[str, Tensor]:
        """The values [n] that the renderer draws for a `do` in a person's words."""
        return {
            name: as_drawn(
                self.attributes[self.attributes.index(name)], torch.as_tensor(value).float().expand(n), self.data
            )
            for name, value in do.items()
        }
