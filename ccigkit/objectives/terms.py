"""Terms that several objectives share: supervision, and what the style knows of attributes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccigkit.causal.attributes import SURE, Attribute, Attributes


def misread(z: Tensor, target: Tensor, attributes: Attributes) -> Tensor:
    """How far readings z [b, d] are from what was meant, `target` [b, d], attribute by attribute [b, d].

    Squared error, also of binary attributes seen as degrees. A label is read as the probability sigmoid(spread z +
    center), and has its likelihood: the Kullback-Leibler divergence of that from the target's probability, as a share
    of what the label tells. So 1 is a reading that knows no more than the rate, for a rare label as for any other, and
    0 a perfect one. A target between the labels is meant as it stands, so that a half smile is to be drawn as one; from
    a label's level on, how far makes hardly any difference.
    """
    error = (z - target).square()
    labels = [j for j, attribute in enumerate(attributes) if attribute.labelled]
    if not labels:
        return error
    read, meant = (logits(latents, labels, attributes) for latents in (z, target))
    wanted = meant.sigmoid()
    lost = F.binary_cross_entropy_with_logits(read, wanted, reduction="none") - entropy(wanted)
    told = torch.tensor([information(attributes[j]) for j in labels], device=z.device)
    return error.index_copy(1, torch.tensor(labels, device=z.device), (lost / told).to(error.dtype))


def supervision(z: Tensor, latents: Tensor, attributes: Attributes) -> Tensor:
    """How far the encoder's z [b, d] are from the attributes' latents [b, d]: what is `misread`, and on top of it

    for a binary attribute seen as degrees the cross entropy of the probabilities they stand for: near 0 and 1 the
    latent runs off to where the square alone would chase differences nobody can see;

    for a label the square: its likelihood is flat beyond a level, readings would drift out, and do() at the level
    would then set less than what is typical.
    """
    total = misread(z, latents, attributes).mean()
    labels = [j for j, attribute in enumerate(attributes) if attribute.labelled]
    if labels:
        total = total + (z - latents)[:, labels].square().sum(dim=1).mean() / len(attributes)
    degrees = [j for j, attribute in enumerate(attributes) if attribute.kind == "binary" and not attribute.labelled]
    if degrees:
        targets = logits(latents, degrees, attributes).sigmoid()
        least = F.binary_cross_entropy(targets, targets)  # subtracted, so that a perfect reading scores 0
        total = total + F.binary_cross_entropy_with_logits(logits(z, degrees, attributes), targets) - least
    return total


def logits(z: Tensor, columns: list[int], attributes: Attributes) -> Tensor:
    """The logits [b, n] that latents z [b, d] stand for, of some columns that are binary."""
    spread = torch.tensor([attributes[j].spread for j in columns], device=z.device, dtype=z.dtype)
    center = torch.tensor([attributes[j].center for j in columns], device=z.device, dtype=z.dtype)
    return z[:, columns] * spread + center


def information(label: Attribute) -> float:
    """What a label of the table tells, in nats: its entropy, less what it leaves open by not being `SURE`."""
    rate = (label.center / math.log(1 / SURE - 1) + 1) / 2  # the center is the mean of the labels' logits
    seen, least = torch.tensor([SURE + rate * (1 - 2 * SURE), SURE], dtype=torch.float64)
    return float(entropy(seen) - entropy(least))


def entropy(probability: Tensor) -> Tensor:
    """The entropy of yes or no at these probabilities, in nats."""
    both: Tensor = torch.special.entr(probability) + torch.special.entr(1 - probability)
    return both


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without reaching its parameters."""
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    module.requires_grad_(False)
    yield
    for parameter, want in wanted:
        parameter.requires_grad_(want)


class Dependence(nn.Module):
    """How much attributes [b, d] tell of a style [b, m]: the mean square of E[r | y], which the prior says is 0.

    E[r | y] is taken to be linear in the latents y_i and their products y_i y_j, uncorrelated and of unit variance over
    the training table [n, d]. Its coefficients are a running average over the batches before: the batch that is judged
    has no part in them, so that chance correlations of a small batch cost nothing.
    """

    centre: Tensor
    whiten: Tensor
    told: Tensor

    def __init__(self, latents: Tensor, size: int, *, memory: float = 0.99) -> None:
        super().__init__()
        self.memory = memory
        features = products(latents[:: max(1, len(latents) // 10_000)].double())
        variances, axes = torch.linalg.eigh(torch.cov(features.T))
        kept = variances > 1e-4 * variances[-1]  # y^2 says nothing new of a y that has but two values
        self.register_buffer("centre", features.mean(dim=0).float())
        self.register_buffer("whiten", (axes[:, kept] / variances[kept].sqrt()).float())
        self.register_buffer("told", self.whiten.new_zeros(self.whiten.shape[1], size))

    def forward(self, style: Tensor, latents: Tensor) -> Tensor:
        """The estimate for a batch, a scalar; takes the batch into the average afterwards."""
        features = (products(latents) - self.centre) @ self.whiten
        dependence = (style * (features @ self.told)).mean()
        with torch.no_grad():
            self.told = torch.lerp(features.T @ style / len(style), self.told, self.memory)
        return dependence


def products(latents: Tensor) -> Tensor:
    """Latents [n, d] and all their products by twos, [n, d + d (d + 1) / 2]."""
    first, second = torch.triu_indices(latents.shape[1], latents.shape[1], device=latents.device)
    return torch.cat([latents, latents[:, first] * latents[:, second]], dim=1)
