"""Attributes as networks see them: numbers and labels by their latents, unordered categories as one choice among k."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ccigkit.causal.attributes import Attributes


class Inputs:
    """The map between latents z [b, d] and what networks read and draw by, inputs [b, m].

    A number, a label and an ordered category have one column, their latent. An unordered category of k has k: the
    generator is given k / sqrt(k - 1) for the category and 0 for the others, so that the columns of categories that are
    equally frequent have the spread of a latent; the encoder answers with a logit for each. Where there are no
    unordered categories, inputs are the latents themselves.

    Args:
        attributes: those of the latents.

    Examples:
        >>> from ccigkit import Table
        >>> table = Table.of({"sun": [1.0, 3.0, 3.0, 1.0, 2.0, 2.0], "shape": [0, 1, 2, 0, 1, 2]})
        >>> inputs, z = Inputs(table.attributes), torch.as_tensor(table.latents)
        >>> inputs.size, inputs.of(z)[1].round(decimals=1).tolist()
        (4, [1.1, 0.0, 2.1, 0.0])
        >>> torch.equal(inputs.latents(inputs.of(z)), z)
        True
    """

    def __init__(self, attributes: Attributes) -> None:
        self.attributes = attributes
        self.levels = [torch.tensor(a.levels, dtype=torch.float64) if a.unordered else None for a in attributes]
        self.sizes = [1 if levels is None else len(levels) for levels in self.levels]
        self.size = sum(self.sizes)
        self.plain = self.size == len(self.levels)

    def of(self, z: Tensor) -> Tensor:
        """Latents [b, d] to inputs [b, m]; of a category, those of the level that is nearest."""
        if self.plain:
            return z
        columns = zip(z.split(1, dim=1), self.levels, strict=True)
        return torch.cat([c if own is None else _shown(nearest(c, own), len(own)).to(z) for c, own in columns], 1)

    def latents(self, inputs: Tensor) -> Tensor:
        """Inputs [b, m], as an encoder reads them, to latents [b, d]; of a category, the level that is likeliest."""
        if self.plain:
            return inputs
        return torch.cat(
            [c if own is None else own.to(c)[c.argmax(dim=1, keepdim=True)] for c, own in self._parts(inputs)], dim=1
        )

    def chosen(self, inputs: Tensor) -> Tensor:
        """Inputs [b, m] as an encoder reads them, every category decided for the likeliest.

        Gradients are those of the probabilities (the straight-through estimator, Bengio et al. 2013).
        """
        if self.plain:
            return inputs
        return torch.cat([c if own is None else _decided(c) for c, own in self._parts(inputs)], dim=1)

    def misread(self, inputs: Tensor, z: Tensor, *, choice: float = 1.0) -> Tensor:
        """How wrong the reading `inputs` [b, m] is of rows that have latents z [b, d], [b].

        The mean over attributes of the squared error of a latent, and of `choice` times a category's cross entropy.
        """
        if self.plain:
            return (inputs - z).square().mean(dim=1)
        columns = zip(self._parts(inputs), z.split(1, dim=1), strict=True)
        errors = [
            (c - wanted).square()[:, 0]
            if own is None
            else choice * F.cross_entropy(c.float(), nearest(wanted, own), reduction="none")
            for (c, own), wanted in columns
        ]
        return torch.stack(errors, dim=1).mean(dim=1)

    def single(self, inputs: Tensor) -> Tensor:
        """Inputs [b, m] cut to one column for each attribute [b, d]: of a category, its first."""
        return inputs if self.plain else torch.cat([c[:, :1] for c, _ in self._parts(inputs)], dim=1)

    def _parts(self, inputs: Tensor) -> list[tuple[Tensor, Tensor | None]]:
        return list(zip(inputs.split(self.sizes, dim=1), self.levels, strict=True))


def nearest(z: Tensor, levels: Tensor) -> Tensor:
    """Which of increasing levels [k] is nearest to latents [b, 1], [b]."""
    return torch.bucketize(z[:, 0].detach().contiguous(), ((levels[1:] + levels[:-1]) / 2).to(z))


def _decided(logits: Tensor) -> Tensor:
    shares = logits.float().softmax(dim=1).to(logits.dtype)
    k = logits.shape[1]
    return _shown(logits.argmax(dim=1), k).to(shares) + (shares - shares.detach()) * _size(k)


def _shown(category: Tensor, k: int) -> Tensor:
    """Categories [b] as inputs [b, k]."""
    return F.one_hot(category, k).float().mul(_size(k))


def _size(k: int) -> float:
    return float(k / (k - 1) ** 0.5)
