"""Who answers a question: the model, and the controls that stand beside it in every table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ccigkit.errors import DataError
from ccigkit.graph import CausalGraph
from ccigkit.images import to_float
from ccigkit.interfaces import DataModule, ImageModel, Structure
from ccigkit.metrics.questions import BATCH, Question, as_said
from ccigkit.model import CausalImageModel

Do = Mapping[str, float | Tensor]
Edit = Callable[[Tensor, Tensor, Do], Tensor]  # images [b, c, h, w], their attributes [b, d], do: images
Answer = Callable[[Question], Tensor]  # a question: images


def respondents(model: ImageModel, data: DataModule) -> dict[str, Answer]:
    """Who answers, by the name of their row.

    `no graph` sets the attribute and holds every other: what the graph buys is the difference. `identity` changes
    nothing. `resample` gives up the person: a real training image of the attributes wanted. `oracle` is the truth
    itself, drawn, where the data knows it.
    """
    nearest = resample(data)
    answers: dict[str, Answer] = {
        "model": _answering(partial(edit, model)),
        "no graph": _answering(no_graph(model)),
        "identity": lambda question: question.images,
        "resample": lambda q: nearest(torch.where(q.wanted.isnan(), q.values, q.wanted)),
    }
    if data.load("test").noise is not None:
        answers["oracle"] = lambda question: to_float(question.truth.images)
    return answers


def _answering(edit: Edit) -> Answer:
    return lambda question: edit(question.images, question.values, question.do)


def edit(model: ImageModel, images: Tensor, values: Tensor, do: Do, **how: Any) -> Tensor:
    """A model's images [b, c, h, w] for images of attributes [b, d], had `do` been so; `how` is handed to `predict`."""
    device = device_of(model)
    wanted = inspect.signature(model.abduct).parameters
    labels: dict[str, Any] = {"attributes": values.to(device)} if "attributes" in wanted else {}
    return checked(model, model.predict(model.abduct(images.to(device), **labels), do, **how), len(images))


def sample(model: ImageModel, n: int, do: Do, seed: int) -> Iterator[Tensor]:
    """N new images of a model, [b, c, h, w] at a time."""
    for start in range(0, n, BATCH):
        size = min(BATCH, n - start)
        yield checked(model, model.sample(size, do, seed=seed + start), size)


def checked(model: ImageModel, images: Tensor, n: int) -> Tensor:
    """A model's images, on the CPU, if n images they are.

    Raises:
        DataError: where they are of another shape than the model promises, or not finite.
    """
    if tuple(images.shape) != (n, *model.image_shape):
        promised = [n, *model.image_shape]
        raise DataError(f"{type(model).__name__} gave images of shape {list(images.shape)} instead of {promised}")
    if not torch.isfinite(images).all():
        raise DataError(f"{type(model).__name__} gave images with pixels that are not finite numbers (NaN or infinity)")
    return images.detach().float().cpu()


def device_of(model: ImageModel) -> torch.device:
    """Where a model wants its images."""
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device


def no_graph(model: ImageModel) -> Edit:
    """The same model's edit of what is set, with every other attribute held where it is.

    A ccigkit model does it by forgetting its edges; any other is told to hold the other attributes at their labels.
    """
    if isinstance(model, CausalImageModel):
        return partial(edit, without_edges(model))

    def hold(images: Tensor, values: Tensor, do: Do) -> Tensor:
        held = {a.name: as_said(a, values[:, j]) for j, a in enumerate(model.attributes)}
        return edit(model, images, values, {**held, **do})

    return hold


def without_edges(model: CausalImageModel) -> CausalImageModel:
    """The same trained parts under the empty graph."""
    names = model.attributes.names
    empty = Structure(CausalGraph(names, np.zeros((len(names), len(names)))))
    return CausalImageModel(
        model.attributes,
        empty.to(device_of(model)),
        model.scm,
        model.encoder,
        model.generator,
        image_shape=model.image_shape,
        latent_size=model.latent_size,
        frame=model.frame,
    ).train(model.training)


def resample(data: DataModule) -> Callable[[Tensor], Tensor]:
    """For attributes [b, d] the training images [b, c, h, w] that come nearest to them, in standardised units."""
    train, attributes = data.load("train"), data.table().attributes
    known = attributes.to_latent(torch.as_tensor(train.values)).float()

    def nearest(values: Tensor) -> Tensor:
        return to_float(train.images[torch.cdist(attributes.to_latent(values), known).argmin(dim=1)])

    return nearest
