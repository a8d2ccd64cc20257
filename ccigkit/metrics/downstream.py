"""Downstream use: what a classifier gains when counterfactuals join the few images it is taught with."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor
from torch.nn import functional as F

from ccigkit.causal.attributes import Attributes
from ccigkit.component.options import Count, Seed
from ccigkit.data.base import DataModule, Split
from ccigkit.descend import descend
from ccigkit.errors import ConfigError, DataError, one_of
from ccigkit.image.dcgan import DCGANEncoder
from ccigkit.metrics.base import ImageModel, Metric, Row
from ccigkit.metrics.protocol.answers import respondents
from ccigkit.metrics.protocol.questions import Spread
from ccigkit.metrics.readers.vae import SIDE, small
from ccigkit.pixels import to_float
from ccigkit.training.batches import batch_rows

WIDTH, RATE, DECAY, BATCH = 16, 2e-3, 0.01, 64
FEWEST = 20  # test images that make a group: the accuracy of fewer is noise


class Downstream(Metric):
    """A small classifier taught with real training images and, of each, the counterfactual of the opposite label.

    Twice: with `n` images and with a tenth of them. `accuracy` is that on test images, `worst` that in the worst group:
    those of one label that have, or lack, another attribute. What goes with the label in training images, be it by a
    cause or by accident, is no help there; good counterfactuals part it from the label. `shift` is the worst group by a
    shortcut: by what goes with the label in training images but not in test images, an attribute or some of the noise
    that images are drawn from (faces with data.shortcut=0.9, for the target Smiling); NaN where there is none. The row
    `identity` is taught with the real images alone, `resample` with as many real images again.

    Args:
        target: the binary attribute to classify; the first one where none is named.
        n: real images to teach with.
        steps: training steps of the classifier.
        seed: seed of the questions and of the classifier.
    """

    name = "downstream"

    def __init__(self, *, target: str = "", n: Count = 500, steps: Count = 300, seed: Seed = 0) -> None:
        self.target, self.n, self.steps, self.seed = target, n, steps, seed

    def measure(self, model: ImageModel, data: DataModule) -> list[Row]:
        j = self.position(model.attributes, data)
        taught: dict[str, list[Tensor]] = defaultdict(list)
        labels: list[Tensor] = []
        answers = respondents(model, data)
        for question in Spread(self.n, self.seed, "train", (j,)).put(model, data):
            labels.append(question.own)
            taught["identity"].append(small(question.images))
            for who, answer in answers.items():
                if who != "identity":
                    taught[who].append(small(answer(question)))
        label, images = torch.cat(labels), {who: torch.cat(parts) for who, parts in taught.items()}
        test = data.load("test")
        shown = torch.cat([small(to_float(chunk)) for chunk in test.images.split(BATCH)])
        true, side = torch.as_tensor(test.values) > 0.5, shortcut(data.load("train"), test, j)
        rows: list[Row] = []
        for n in (max(1, self.n // 10), self.n):
            for who in answers:
                added = [] if who == "identity" else [images[who][:n]]
                pictures = torch.cat([images["identity"][:n], *added])
                classifier = self.teach(pictures, torch.cat([label[:n], *(1 - label[:n] for _ in added)]))
                with torch.no_grad():
                    said = torch.cat([classifier(chunk).mean[:, 0] > 0 for chunk in shown.split(256)])
                right = said == true[:, j]
                rows.append({"do": model.attributes[j].name, "row": who, "images": float(n)})
                others = [i for i, a in enumerate(model.attributes) if a.kind == "binary" and i != j]
                rows[-1] |= {"accuracy": share(right), "worst": worst_group(right, true[:, j], true[:, others])}
                rows[-1]["shift"] = worst_group(right, true[:, j], side)
        return rows

    def position(self, attributes: Attributes, data: DataModule) -> int:
        """Where the attribute to classify is.

        Raises:
            DataError: where no attribute is binary.
            ConfigError: where the one named is not.
        """
        binary = [a.name for a in attributes if a.kind == "binary"]
        if not binary:
            raise DataError(f"downstream classifies a binary attribute, and {data.name} has none")
        if self.target and self.target not in binary:
            raise ConfigError(f"downstream.target: {one_of('binary attribute', self.target, binary)}")
        return attributes.index(self.target or binary[0])

    def teach(self, images: Tensor, labels: Tensor) -> DCGANEncoder:
        """A classifier of small images [n, c, 32, 32] with labels [n]; its mean is the logit."""
        with torch.random.fork_rng():
            torch.manual_seed(self.seed)
            network = DCGANEncoder((images.shape[1], SIDE, SIDE), 1, width=WIDTH)

            def loss(step: int) -> Tensor:
                rows = batch_rows(len(images), BATCH, step, self.seed)
                return F.binary_cross_entropy_with_logits(network(images[rows]).mean[:, 0], labels[rows])

            descend(network.parameters(), loss, steps=self.steps, rate=RATE, decay=DECAY)
        return network.eval()


def shortcut(train: Split, test: Split, target: int) -> Tensor:
    """Which test images are on the upper side of what predicts the label in training but not in the test [n, 1].

    [n, 0] where nothing does. What is looked at are the other attributes and the noise; the label's correlation with it
    differs by more than five standard errors, at the least by a tenth, and the one that differs most is it.
    """
    columns = [
        torch.cat([torch.as_tensor(s.values), *([] if s.noise is None else [s.noise])], dim=1) for s in (train, test)
    ]
    goes = [torch.corrcoef(of.double().T)[target].nan_to_num() for of in columns]
    differs = (goes[0] - goes[1]).abs()
    differs[target] = 0
    found = differs.argmax()
    if differs[found] <= max(0.1, 5 / len(test) ** 0.5):
        return torch.empty(len(test), 0, dtype=torch.bool)
    return (columns[1][:, found] > columns[1][:, found].median())[:, None]


def share(right: Tensor) -> float:
    """The share of those that are right."""
    return float(right.double().mean())


def worst_group(right: Tensor, label: Tensor, others: Tensor) -> float:
    """The least share of right answers [n] in a group of one label [n] and one value of another attribute [n, k].

    Groups of fewer than twenty are left out; NaN where none is left.
    """
    groups = [(label == a) & (column == b) for column in others.T for a in (False, True) for b in (False, True)]
    return min((share(right[group]) for group in groups if group.sum() >= FEWEST), default=float("nan"))
