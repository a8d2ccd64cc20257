"""Who answers a question: the model, and the controls that stand beside it in every table."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ccigkit.data.base import DataModule
from ccigkit.errors import DataError
from ccigkit.metrics.base import ImageModel, draws_alone, holds, takes
from ccigkit.metrics.protocol.questions import BATCH, Question, as_said
from ccigkit.metrics.readers.predictor import Pictures
from ccigkit.pixels import to_float

Do = Mapping[str, float | Tensor]
Answer = Callable[[Question], Tensor]  # a question: images
USUAL = ("model", "no graph", "identity", "resample", "oracle")


def respondents(model: ImageModel, data: DataModule, who: Collection[str] = USUAL) -> dict[str, Answer]:
    """Who answers of those that are wanted, by the name of their row.

    `drawn` is the model without the image's own detail, where it can leave that out. `no graph` sets the attribute and
    holds every other: what the graph buys is the difference. `identity` changes nothing. `resample` is another image
    altogether, a real one of the attributes wanted. `oracle` is the truth itself, drawn, where the data knows it.
    """
    nearest, looked = resample(data), Looking(model)
    answers: dict[str, Answer] = {
        "model": lambda question: looked(question).edit(question.do),
        "drawn": lambda question: looked(question).drawn(question.do),
        "no graph": lambda question: looked(question).hold(question.do),
        "identity": lambda question: question.images,
        "resample": lambda q: nearest(torch.where(q.wanted.isnan(), q.values, q.wanted)),
        "oracle": lambda question: to_float(question.truth.images),
    }
    able = {"drawn": draws_alone(model), "oracle": data.load("test").noise is not None}
    return {name: answer for name, answer in answers.items() if name in who and able.get(name, True)}


class Looking:
    """A model that looks at images once, however many questions in a row are about them."""

    def __init__(self, model: ImageModel) -> None:
        self.model = model
        self.last: tuple[Pictures, Abducted] | None = None

    def __call__(self, question: Question) -> Abducted:
        """The question's images as the model sees them."""
        if self.last is None or self.last[0] is not question.pictures:
            self.last = (question.pictures, Abducted(self.model, question.images, question.values))
        return self.last[1]


class Abducted:
    """Images [b, c, h, w] of attributes [b, d] that a model has looked at once, whatever is then asked of them."""

    def __init__(self, model: ImageModel, images: Tensor, values: Tensor) -> None:
        device = device_of(model)
        labels: dict[str, Any] = {"attributes": values.to(device)} if takes(model.abduct, "attributes") else {}
        self.model, self.values = model, values
        self.codes = model.abduct(images.to(device), **labels)

    def edit(self, do: Do) -> Tensor:
        """The images had `do` been so."""
        return self.checked(self.model.predict(self.codes, in_codes(do, len(self.values))))

    def drawn(self, do: Do) -> Tensor:
        """What the model draws alone of the images had `do` been so, for a model that can leave the rest out."""
        assert draws_alone(self.model)
        return self.checked(self.model.predict(self.codes, in_codes(do, len(self.values)), detail=False))

    def hold(self, do: Do) -> Tensor:
        """The images with what `do` sets, every other attribute held: an edit without a graph.

        A model that cannot hold what it sees is told to set the others to their labels.
        """
        if holds(self.model):
            return self.checked(
                self.model.predict(self.codes, in_codes(do, len(self.values)), hold=self.model.attributes.names)
            )
        held = {a.name: as_said(a, self.values[:, j]) for j, a in enumerate(self.model.attributes)}
        return self.edit({**held, **do})

    def checked(self, images: Tensor) -> Tensor:
        """The model's images, if as many images as were looked at they are."""
        return checked(self.model, images, len(self.values))


def edit(model: ImageModel, images: Tensor, values: Tensor, do: Do) -> Tensor:
    """A model's images [b, c, h, w] for images of attributes [b, d], had `do` been so."""
    return Abducted(model, images, values).edit(do)


def sample(model: ImageModel, n: int, do: Do, seed: int) -> Iterator[Tensor]:
    """N new images of a model, [b, c, h, w] at a time."""
    for start in range(0, n, BATCH):
        size = min(BATCH, n - start)
        yield checked(model, model.sample(size, in_codes(do, size), seed=seed + start), size)


def in_codes(do: Do, n: int) -> dict[str, Tensor]:
    """What a metric sets, as codes [n]: in a plain number a model would see what the table writes."""
    return {
        name: v if isinstance(v, Tensor) else torch.full((n,), float(v), dtype=torch.float64) for name, v in do.items()
    }


def checked(model: ImageModel, images: Tensor, n: int) -> Tensor:
    """A model's images, on the CPU, if n images they are.

    Raises:
        DataError: where they are no tensor, of another shape than the model promises, or not finite.
    """
    promised, name = [n, *model.image_shape], type(model).__name__
    if not isinstance(images, Tensor):
        raise DataError(f"{name} gave a {type(images).__name__} instead of images {promised}; it must give a tensor")
    if list(images.shape) != promised:
        raise DataError(f"{name} gave images of shape {list(images.shape)} instead of {promised}")
    if not torch.isfinite(images).all():
        raise DataError(f"{name} gave images with pixels that are not finite numbers (NaN or infinity)")
    return images.detach().float().cpu()


def device_of(model: ImageModel) -> torch.device:
    """Where a model wants its images."""
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device


def resample(data: DataModule) -> Callable[[Tensor], Tensor]:
    """For attributes [b, d] the training images [b, c, h, w] that come nearest to them, in standardised units."""
    train, attributes = data.load("train"), data.table().attributes
    known = attributes.to_latent(torch.as_tensor(train.values)).float()

    def nearest(values: Tensor) -> Tensor:
        return to_float(train.images[torch.cdist(attributes.to_latent(values), known).argmin(dim=1)])

    return nearest
