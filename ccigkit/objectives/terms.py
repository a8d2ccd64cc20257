"""Terms that several objectives share: supervision, and the dependence of the style on the attributes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ccigkit.causal.inputs import Inputs
from ccigkit.causal.model import some


def supervision(y: Tensor, latents: Tensor, inputs: Inputs) -> Tensor:
    """The error of the attributes that an encoder reads, y [b, m], against their latents [b, d].

    Squared error, of an unordered category the cross entropy; and for a binary attribute the cross entropy of the
    probabilities they stand for on top: near 0 and 1 large errors of the latent are tiny ones of the probability, and
    the square alone would chase them.
    """
    total, attributes = inputs.misread(y, latents).mean(), inputs.attributes
    binary = [j for j, attribute in enumerate(attributes) if attribute.kind == "binary"]
    if binary:
        spread = torch.tensor([attributes[j].spread for j in binary], device=y.device, dtype=y.dtype)
        center = torch.tensor([attributes[j].center for j in binary], device=y.device, dtype=y.dtype)
        logits = inputs.single(y)[:, binary] * spread + center
        targets = (latents[:, binary] * spread + center).sigmoid()
        entropy = F.binary_cross_entropy(targets, targets)  # subtracted, so that a perfect reading scores 0
        total = total + F.binary_cross_entropy_with_logits(logits, targets) - entropy
    return total


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Let gradients pass through a module without reaching its parameters."""
    wanted = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    module.requires_grad_(False)
    yield
    for parameter, want in wanted:
        parameter.requires_grad_(want)


class Dependence(nn.Module):
    """How much attributes y [b, m] predict of a style r [b, m]: the mean square of E[r | y], 0 under the prior.

    E[r | y] is taken to be linear in y_i and their products y_i y_j, uncorrelated and of unit variance over
    the training table [n, m]. Its coefficients are a running average over the batches before: the batch that is judged
    has no part in them, so that chance correlations of a small batch cost nothing.
    """

    centre: Tensor
    whiten: Tensor
    told: Tensor  # the coefficients; checkpoints hold them by this name

    def __init__(self, y: Tensor, size: int, *, memory: float = 0.99) -> None:
        super().__init__()
        self.memory = memory
        features = products(some(y, 10_000).double())
        variances, axes = torch.linalg.eigh(torch.cov(features.T))
        kept = variances > 1e-4 * variances[-1]  # y^2 adds nothing to a y that has only two values
        self.register_buffer("centre", features.mean(dim=0).float())
        self.register_buffer("whiten", (axes[:, kept] / variances[kept].sqrt()).float())
        self.register_buffer("told", self.whiten.new_zeros(self.whiten.shape[1], size))

    def forward(self, style: Tensor, y: Tensor) -> Tensor:
        """The estimate for a batch, a scalar; takes the batch into the average afterwards."""
        features = (products(y) - self.centre) @ self.whiten
        dependence = (style * (features @ self.told)).mean()
        with torch.no_grad():
            self.told = torch.lerp(features.T @ style / len(style), self.told, self.memory)
        return dependence


def products(y: Tensor) -> Tensor:
    """Attributes [n, m] and all their products by twos, [n, m + m (m + 1) / 2]."""
    first, second = torch.triu_indices(y.shape[1], y.shape[1], device=y.device)
    return torch.cat([y, y[:, first] * y[:, second]], dim=1)
