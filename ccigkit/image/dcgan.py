"""The DCGAN backbone: strided convolutions and nothing else (Radford et al. 2016)."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.distributions import Normal

from ccigkit.component.options import Count
from ccigkit.image.base import Discriminator, Encoder, Generator
from ccigkit.image.layers import (
    SLOPE,
    Doubling,
    Head,
    JointHead,
    Seed,
    gaussian,
    group_norm,
    halve,
    levels,
    normalise_spectra,
    widths,
)
from ccigkit.pixels import ImageShape


def trunk(channels: int, sizes: list[int], norm: bool = True) -> nn.Sequential:
    """Strided convolutions from an image [b, channels, h, w] to features [b, sizes[-1], 4, 4]."""
    layers: list[nn.Module] = []
    for into, out in zip([channels, *sizes], sizes, strict=False):
        layers += [halve(into, out), *([group_norm(out)] if norm else []), nn.LeakyReLU(SLOPE)]
    return nn.Sequential(*layers)


class DCGANEncoder(Encoder):
    """Strided convolutions to the mean and the spread of each latent.

    Args:
        width: channels after the first convolution; deeper ones have up to four times as many.
    """

    name = "dcgan"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: Count = 32) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))
        self.trunk = trunk(image_shape[0], sizes)
        self.head = Head(sizes[-1], 2 * latent_size)

    def forward(self, image: Tensor) -> Normal:
        return gaussian(self.head(self.trunk(image)))


class DCGANGenerator(Generator):
    """Convolutions from the latent to the image, each to twice the size.

    Args:
        width: channels before the last convolution; earlier ones have up to four times as many.
    """

    name = "dcgan"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: Count = 32) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))[::-1]
        self.seed = Seed(latent_size, sizes[0])
        layers: list[nn.Module] = []
        for into, out in pairwise(sizes):
            layers += [Doubling(into, out), group_norm(out), nn.LeakyReLU(SLOPE)]
        self.trunk = nn.Sequential(*layers, Doubling(sizes[-1], image_shape[0]))

    def forward(self, latent: Tensor) -> Tensor:
        return torch.tanh(self.trunk(self.seed(latent)).float())


class DCGANDiscriminator(Discriminator):
    """Strided convolutions under spectral normalisation, joined by the latent in the head.

    Args:
        width: channels after the first convolution; deeper ones have up to four times as many.
    """

    name = "dcgan"

    def __init__(self, image_shape: ImageShape, latent_size: int, *, width: Count = 32) -> None:
        super().__init__()
        sizes = widths(width, levels(image_shape))
        self.trunk = nn.Sequential(trunk(image_shape[0], sizes, norm=False), Head(sizes[-1], 256), nn.LeakyReLU(SLOPE))
        self.head = JointHead(256, latent_size)
        normalise_spectra(self)

    def forward(self, image: Tensor, latent: Tensor | None = None) -> Tensor:
        logits: Tensor = self.head(self.trunk(image), latent)
        return logits.float()
