"""Who answers a question: the model, and the controls that stand beside it in every table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor, nn

from ccigkit.data.base import DataModule
from ccigkit.errors import DataError
from ccigkit.metrics.base import ImageModel
from ccigkit.metrics.protocol.questions import BATCH, Question, as_said
from ccigkit.model.detail import keep_detail
from ccigkit.model.model import CausalImageModel
from ccigkit.pixels import to_float

Do = Mapping[str, float | Tensor]
Answer = Callable[[Question], Tensor]  # a question: images


def respondents(model: ImageModel, data: DataModule) -> dict[str, Answer]:
    """Who answers, by the name of their row.

    `no graph` sets the attribute and holds every other: what the graph buys is the difference. `identity` changes
    nothing. `resample` gives up the person: a real training image of the attributes wanted. `oracle` is the truth
    itself, drawn, where the data knows it.
    """
    nearest = resample(data)

    @lru_cache(maxsize=1)  # the model and its control without the graph look at the same images
    def opened(question: Question) -> Abducted:
        return abducted(model, question.images, question.values)

    answers: dict[str, Answer] = {
        "model": lambda question: opened(question).edit(question.do),
        "no graph": lambda question: opened(question).hold(question.do),
        "identity": lambda question: question.images,
        "resample": lambda q: nearest(torch.where(q.wanted.isnan(), q.values, q.wanted)),
    }
    if data.load("test").noise is not None:
        answers["oracle"] = lambda question: to_float(question.truth.images)
    return answers


class Abducted:
    """Images [b, c, h, w] of attributes [b, d] that a model has looked at once, whatever is then asked of them."""

    def __init__(self, model: ImageModel, images: Tensor, values: Tensor) -> None:
        device = device_of(model)
        wanted = inspect.signature(model.abduct).parameters
        labels: dict[str, Any] = {"attributes": values.to(device)} if "attributes" in wanted else {}
        self.model, self.values = model, values
        self.codes = model.abduct(images.to(device), **labels)

    def edit(self, do: Do) -> Tensor:
        """The images had `do` been so."""
        return checked(self.model, self.model.predict(self.codes, in_codes(do, len(self.values))), len(self.values))

    def hold(self, do: Do) -> Tensor:
        """The images with what `do` sets, every other attribute told to stay at its label: an edit without a graph."""
        held = {a.name: as_said(a, self.values[:, j]) for j, a in enumerate(self.model.attributes)}
        return self.edit({**held, **do})

    def rows(self, do: Do) -> dict[str, Tensor]:
        """All that is to be had of the model, by the name of its row."""
        return {"model": self.edit(do), "no graph": self.hold(do)}


class AbductedByOurs(Abducted):
    """The same of a ccigkit model, which draws the images as they are only once, and can forget its edges."""

    model: CausalImageModel

    @cached_property
    def before(self) -> Tensor:
        """What the generator draws of the images as they are."""
        return self.model.predict(self.codes, {}, detail=False)

    def drawing(self, do: Do) -> Tensor:
        """What the generator draws of the images had `do` been so."""
        return self.model.predict(self.codes, in_codes(do, len(self.values)), detail=False) if do else self.before

    def drawn(self, do: Do) -> Tensor:
        """The drawing alone, as an answer."""
        return checked(self.model, self.drawing(do), len(self.values))

    def edit(self, do: Do) -> Tensor:
        return self.detailed(self.drawing(do))

    def hold(self, do: Do) -> Tensor:
        held = in_codes(do, len(self.values))
        return self.detailed(self.model.predict(self.codes, held, detail=False, hold=self.model.attributes.names))

    def rows(self, do: Do) -> dict[str, Tensor]:
        drawing = self.drawing(do)
        drawn = checked(self.model, drawing, len(self.values))
        return {"model": self.detailed(drawing), "drawn": drawn, "no graph": self.hold(do)}

    def detailed(self, changed: Tensor) -> Tensor:
        """A drawing after a change, with the detail that the drawing before it lacked."""
        return checked(self.model, keep_detail(self.codes.image, self.before, changed), len(self.values))


def abducted(model: ImageModel, images: Tensor, values: Tensor) -> Abducted:
    """Images [b, c, h, w] of attributes [b, d] as a model sees them, ready for any do()."""
    kind = AbductedByOurs if isinstance(model, CausalImageModel) else Abducted
    return kind(model, images, values)


def edit(model: ImageModel, images: Tensor, values: Tensor, do: Do) -> Tensor:
    """A model's images [b, c, h, w] for images of attributes [b, d], had `do` been so."""
    return abducted(model, images, values).edit(do)


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
