"""The attribute predictor: reads attributes from pictures, trained on real ones only, never on a model's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ccigkit.causal.attributes import Attribute, Attributes
from ccigkit.causal.inputs import Inputs
from ccigkit.data.base import DataModule, Split
from ccigkit.descend import descend, one_cycle
from ccigkit.image.dcgan import DCGANEncoder
from ccigkit.metrics.base import Row
from ccigkit.metrics.readers.cached import fingerprint, train_once
from ccigkit.objectives.terms import supervision
from ccigkit.pixels import to_float
from ccigkit.training.batches import batch_rows, read_batch
from ccigkit.training.devices import choose_device, choose_dtype

T = TypeVar("T")
STEPS, BATCH, RATE, DECAY, VERSION = 1200, 64, 2e-3, 0.01, 2


@dataclass(frozen=True)
class View:
    """What the predictor sees in images: its last hidden layer [n, 256], and attributes [n, d] in own units."""

    features: Tensor
    attributes: Tensor

    def __getitem__(self, rows: Tensor) -> View:
        return View(self.features[rows], self.attributes[rows])


class ReadsPictures:
    """A metric that reads pictures with the predictor of its own seed and steps."""

    seed: int
    predictor_steps: int
    device: str | torch.device

    def predictor(self, data: DataModule) -> Predictor:
        """The predictor of a data set that the metric reads with."""
        return predictor(data, seed=self.seed, steps=self.predictor_steps, device=self.device)

    def predictor_hash(self, data: DataModule) -> str:
        """Its fingerprint, without reading or training it."""
        return predictor_hash(data, seed=self.seed, steps=self.predictor_steps)


class Predictor:
    """A small convolutional network from images to attribute values, and to features on the way there.

    `fingerprint` is a hash of the images it was trained on and of how; the name of its file in the cache.
    """

    def __init__(self, attributes: Attributes, network: DCGANEncoder, device: torch.device, fingerprint: str) -> None:
        self.attributes, self.network, self.device = attributes, network.eval().to(device), device
        self.inputs, self.fingerprint = Inputs(attributes), fingerprint

    def __call__(self, image: Tensor) -> Tensor:
        """Attribute values [n, d] in own units, kept to the range seen in training, of images [n, c, h, w]."""
        return self.view(image).attributes

    @torch.no_grad()
    def view(self, image: Tensor) -> View:
        """Both attributes and features of images [n, c, h, w]."""
        *hidden, last = self.network.head
        into = nn.Sequential(self.network.trunk, *hidden)
        features = torch.cat([into(chunk.to(self.device)) for chunk in image.split(256)])
        latents = self.inputs.latents(last(features).chunk(2, dim=1)[0].cpu())
        low = torch.tensor([attribute.low for attribute in self.attributes])
        high = torch.tensor([attribute.high for attribute in self.attributes])
        return View(features.cpu(), self.attributes.to_values(latents).clamp(low, high))

    def views(self, chunks: Iterable[Tensor]) -> View:
        """Both of images that come a few [b, c, h, w] at a time, so that never all are in memory."""
        views = [self.view(chunk) for chunk in chunks]
        return View(torch.cat([view.features for view in views]), torch.cat([view.attributes for view in views]))

    def percent(self, difference: Tensor) -> Tensor:
        """Absolute differences of attributes [n, d] in per cent of the attributes' ranges."""
        return difference.abs() * 100 / self.attributes.ranges


@dataclass(frozen=True, eq=False)
class Pictures:
    """Images [n, c, h, w], and what networks see in them, looked at once however many ask."""

    images: Tensor
    seen: dict[str, Any] = field(default_factory=dict)

    def by(self, who: str, look: Callable[[Tensor], T]) -> T:
        """What `look` makes of the images; `who` is looking, by a name of its own."""
        if who not in self.seen:
            self.seen[who] = look(self.images)
        found: T = self.seen[who]
        return found

    def view(self, read: Predictor) -> View:
        """What this predictor sees."""
        return self.by(read.fingerprint, read.view)


def predictor(
    data: DataModule,
    *,
    seed: int = 0,
    steps: int = STEPS,
    device: str | torch.device = "auto",
    step_done: Callable[[], None] = lambda: None,
) -> Predictor:
    """The predictor for a data set: from the cache if it was trained on these very images, else trained now.

    `step_done` is called after every step of training.

    Raises:
        UserError: where there is no such device.
    """
    place = choose_device(str(device))
    split, attributes = data.load("train"), data.table().attributes
    name = predictor_hash(data, seed=seed, steps=steps)
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        network = DCGANEncoder(data.image_shape, Inputs(attributes).size)
        train_once(
            network,
            "predictors",
            name,
            lambda: _train(network.to(place), split, attributes, place, seed, steps, step_done),
        )
    return Predictor(attributes, network, place, name)


def predictor_hash(data: DataModule, *, seed: int = 0, steps: int = STEPS) -> str:
    """What `predictor` would give as its fingerprint, without reading or training it."""
    return fingerprint(data.load("train"), data.table().attributes.to_json(), seed, steps, BATCH, RATE, VERSION)


def look(read: Predictor, images: Tensor) -> View:
    """What the predictor sees in images [n, c, h, w] as bytes, of which few are floats at a time."""
    return read.views(to_float(chunk) for chunk in images.split(256))


def held_out_scores(read: Predictor, test: Split) -> list[Row]:
    """How well the predictor reads test images it has never seen, a row per attribute."""
    values, wanted = look(read, test.images).attributes, torch.as_tensor(test.values).float()
    return [
        {"attribute": attribute.name, **label_scores(attribute, values[:, j], wanted[:, j])}
        for j, attribute in enumerate(read.attributes)
    ]


def label_scores(attribute: Attribute, values: Tensor, wanted: Tensor) -> dict[str, float]:
    """How near values [n] are to those wanted [n]: the mean absolute error in own units, for labels accuracy and F1.

    All n are pooled, so a rare label is not averaged over batches that have none. F1 is that of label 1, for more than
    two categories the plain mean over categories; NaN where a label is neither there nor claimed.
    """
    nan = float("nan")
    found = {"accuracy": nan, "f1": nan, "mae": float((values - wanted).abs().mean()) if len(values) else nan}
    if attribute.kind == "continuous" or not len(values):
        return found
    labels, right = (((v > 0.5) if attribute.kind == "binary" else v.round()).long() for v in (values, wanted))
    classes = torch.tensor([1]) if attribute.kind == "binary" else torch.unique(torch.cat([labels, right]))
    hits = torch.stack([((labels == c) & (right == c)).sum() for c in classes])
    there = torch.stack([(labels == c).sum() + (right == c).sum() for c in classes])
    return found | {"accuracy": float((labels == right).float().mean()), "f1": float((2 * hits / there).mean())}


def _train(
    network: DCGANEncoder,
    split: Split,
    attributes: Attributes,
    device: torch.device,
    seed: int,
    steps: int,
    step_done: Callable[[], None],
) -> None:
    latents = attributes.to_latent(torch.as_tensor(split.values)).float().to(device)
    inputs = Inputs(attributes)
    dtype = choose_dtype("auto", device)

    def loss(step: int) -> Tensor:
        batch = read_batch(split, latents, batch_rows(len(split), BATCH, step, seed), device)
        with torch.autocast(device.type, dtype, enabled=dtype is not torch.float32):
            read = network(batch.image).mean
        return supervision(read, batch.attributes, inputs)

    descend(network.parameters(), loss, steps=steps, rate=RATE, decay=DECAY, schedule=one_cycle, after_step=step_done)
